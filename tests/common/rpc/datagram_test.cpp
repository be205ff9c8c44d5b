// Calls over UDP: executed once whatever the network does to the datagrams.
#include "common/bytes/hex.hpp"
#include "tests/catch.hpp"
#include "tests/common/rpc/memory_net.hpp"

using namespace wmlab;
using namespace wmlab::rpc;
using namespace std::chrono_literals;

namespace {

const std::string peer = "10.66.1.20:4000";

Datagram activation(std::uint32_t seqnum) {
    RemoteActivation::In in;
    in.clsid = guid::CLSID_SimWMAdministrator;
    in.iids = {interface::ISimWMStation.uuid};
    in.protseqs = {protseq::ncadg_ip_udp};
    Datagram call;
    call.if_id = interface::IActivation.uuid;
    call.act_id = Guid::named("activity");
    call.seqnum = seqnum;
    call.opnum = RemoteActivation::opnum;
    call.body = in.serialise();
    return call;
}

struct Server {
    Machine machine{tests::machine_options()};
    DatagramServer server{machine, mapper_port};
    // As an honest sender: who is asked who it is answers.
    std::vector<Datagram> receive(const Datagram& datagram, TimePoint now = {}) {
        std::vector<Datagram> answers;
        for (auto& answer : raw(datagram, now)) {
            if (answer.ptype != PduType::request) {
                answers.push_back(std::move(answer));
                continue;
            }
            for (auto& more : raw(answer_to(answer), now)) answers.push_back(std::move(more));
        }
        return answers;
    }
    std::vector<Datagram> raw(const Datagram& datagram, TimePoint now = {}, const std::string& from = peer) {
        std::vector<Datagram> answers;
        for (const auto& octets : server.receive(from, datagram.serialise(), now).send)
            answers.push_back(Datagram::parse(octets).value());
        return answers;
    }
    static Datagram answer_to(const Datagram& question) {
        auto answer = question;
        answer.ptype = PduType::response;
        NdrWriter body;
        body.u32(0);
        body.guid(Guid::named("client address space"));
        body.u32(0);
        answer.body = body.take();
        return answer;
    }
};

}  // namespace

TEST_CASE("rpc udp: a repeated request is answered again and executed once", "[rpc]") {
    Server server;
    const auto first = server.receive(activation(0));
    REQUIRE(first.size() == 1);
    CHECK(server.receive(activation(0)) == first);
    CHECK(server.receive(activation(0)) == first);
    CHECK(server.machine.processes().size() == 1);
    CHECK(server.receive(activation(1)).size() == 1);
    CHECK(server.machine.processes().size() == 2);
    CHECK(server.receive(activation(0)).empty());  // a replay of an older call
    CHECK(server.machine.processes().size() == 2);
}

TEST_CASE("rpc udp: an acknowledged answer is forgotten, the call is not executed again", "[rpc]") {
    Server server;
    server.receive(activation(0));
    auto ack = activation(0);
    ack.ptype = PduType::ack;
    ack.body.clear();
    CHECK(server.receive(ack).empty());
    CHECK(server.receive(activation(0)).empty());
    CHECK(server.machine.processes().size() == 1);
}

TEST_CASE("rpc udp: pings", "[rpc]") {
    Server server;
    auto ping = activation(4);
    ping.ptype = PduType::ping;
    ping.body.clear();
    REQUIRE(server.receive(ping).size() == 1);
    CHECK(server.receive(ping)[0].ptype == PduType::nocall);
    const auto answer = server.receive(activation(4));
    CHECK(server.receive(ping) == answer);
    ping.seqnum = 3;
    CHECK(server.receive(ping).empty());
    ping.seqnum = 5;
    CHECK(server.receive(ping).at(0).ptype == PduType::nocall);
}

TEST_CASE("rpc udp: what gets no answer", "[rpc]") {
    Server server;
    auto maybe = activation(0);
    maybe.flags1 = pf1::maybe;
    CHECK(server.receive(maybe).empty());
    CHECK(server.machine.processes().empty());  // nobody knows who that was
    auto known = activation(0);
    known.if_id = interface::epm.uuid;
    known.if_vers_major = 3;
    known.opnum = ept_lookup::opnum;
    known.body = ept_lookup::In{}.serialise();
    server.receive(known);
    maybe.seqnum = 1;
    CHECK(server.receive(maybe).empty());
    CHECK(server.machine.processes().size() == 1);  // executed all the same
    auto broadcast = activation(2);
    broadcast.flags1 = pf1::broadcast;
    CHECK(server.receive(broadcast).empty());
    auto answer = activation(3);
    answer.ptype = PduType::response;
    CHECK(server.receive(answer).empty());
    const auto whole = activation(4).serialise();
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK(server.server.receive(peer, Bytes{whole}.first(size), {}).send.empty());
    CHECK(server.machine.processes().size() == 1);
}

TEST_CASE("rpc udp: refusals", "[rpc]") {
    Server server;
    auto boot = activation(0);
    boot.server_boot = 0x11111111;
    CHECK(parse_datagram_status(server.receive(boot).at(0)).value() == status::nca_wrong_boot_time);
    auto unknown = activation(1);
    unknown.if_id = Guid::named("nobody");
    const auto reject = server.receive(unknown);
    CHECK(reject.at(0).ptype == PduType::reject);
    CHECK(parse_datagram_status(reject[0]).value() == status::nca_unk_if);
    auto bad = activation(2);
    bad.body.resize(40);
    const auto fault = server.receive(bad);
    CHECK(fault.at(0).ptype == PduType::fault);
    CHECK(parse_datagram_status(fault[0]).value() == status::RPC_X_BAD_STUB_DATA);
    CHECK(server.machine.processes().empty());
}

TEST_CASE("rpc udp: a request in fragments, in any order", "[rpc]") {
    Server server;
    auto call = activation(0);
    const auto stub = call.body;
    std::vector<Datagram> parts;
    for (std::size_t at = 0; at < stub.size(); at += 40) {
        auto part = call;
        part.flags1 = pf1::frag;
        part.fragnum = static_cast<std::uint16_t>(parts.size());
        part.body.assign(stub.begin() + static_cast<std::ptrdiff_t>(at),
                         stub.begin() + static_cast<std::ptrdiff_t>(std::min(at + 40, stub.size())));
        parts.push_back(part);
    }
    parts.back().flags1 |= pf1::lastfrag;
    REQUIRE(parts.size() >= 3);
    const auto fack = server.receive(parts[0]);
    REQUIRE(fack.size() == 1);
    CHECK(fack[0].ptype == PduType::fack);
    CHECK(fack[0].fragnum == 0);
    CHECK(FackBody::parse(fack[0].body, ByteOrder::little).has_value());
    for (std::size_t i = parts.size() - 1; i > 1; --i) CHECK(server.receive(parts[i]).at(0).fragnum == 0);
    const auto answer = server.receive(parts[1]);
    REQUIRE(answer.size() == 1);
    CHECK(answer[0].ptype == PduType::response);
    CHECK(server.machine.processes().size() == 1);
}

TEST_CASE("rpc udp: a long answer goes out in windows and is put together", "[rpc]") {
    auto options = tests::machine_options("2000-3000");
    Machine machine{options};
    for (int i = 0; i < 100; ++i)
        machine.activate(guid::CLSID_SimWMAdministrator, {interface::ISimWMStation.uuid}, {}, {});
    DatagramServer server{machine, mapper_port};
    DatagramClient client{Guid::named("activity")};
    auto waiting = client.call({interface::epm, ept_lookup::opnum, {}, ept_lookup::In{}.serialise(), {}}, {}).send;
    std::optional<CallOutcome> outcome;
    std::size_t datagrams = 0, burst = 0;
    while (!waiting.empty() && !outcome) {
        std::vector<Octets> answers;
        for (const auto& octets : waiting) {
            const auto more = server.receive(peer, octets, {}).send;
            burst = std::max(burst, more.size());
            answers.insert(answers.end(), more.begin(), more.end());
        }
        waiting.clear();
        for (const auto& octets : answers) {
            ++datagrams;
            auto output = client.receive(octets, {});
            waiting.insert(waiting.end(), output.send.begin(), output.send.end());
            if (output.outcome) outcome = output.outcome;
        }
    }
    REQUIRE(outcome.has_value());
    CHECK(outcome->kind == CallOutcome::Kind::answered);
    const auto out = ept_lookup::Out::parse(outcome->stub, outcome->order);
    REQUIRE(out.has_value());
    CHECK(out->entries.size() == machine.endpoint_map().size());
    CHECK(datagrams > 10);
    CHECK(burst <= DatagramServer::window);
}

TEST_CASE("rpc udp: the client sends again, then gives up", "[rpc]") {
    DatagramClient client{Guid::named("activity"), {100ms, 400ms, 4}};
    TimePoint now{};
    const auto first = client.call({interface::IObjectExporter, ServerAlive::opnum, {}, {}, {}}, now);
    REQUIRE(first.send.size() == 1);
    std::vector<std::chrono::milliseconds> waits;
    for (int i = 0; i < 10; ++i) {
        const auto deadline = client.deadline();
        REQUIRE(deadline.has_value());
        waits.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(*deadline - now));
        CHECK(client.expire(now).send.empty());  // not before
        now = *deadline;
        const auto output = client.expire(now);
        if (output.outcome) {
            CHECK(output.outcome->kind == CallOutcome::Kind::broken);
            CHECK(output.outcome->reason == "no answer to 4 requests");
            break;
        }
        CHECK(output.send == first.send);
    }
    CHECK(waits == std::vector{100ms, 200ms, 400ms, 400ms});
    CHECK_FALSE(client.deadline().has_value());
}

TEST_CASE("rpc udp: the client tells a server who it is", "[rpc]") {
    DatagramClient client{Guid::named("activity")};
    client.call({interface::IObjectExporter, ServerAlive::opnum, {}, {}, {}}, {});
    Datagram who;
    who.if_id = interface::conv.uuid;
    who.if_vers_major = 3;
    who.opnum = 1;
    who.act_id = Guid::named("the server's own activity");
    NdrWriter body;
    body.guid(Guid::named("activity"));
    body.u32(7);
    who.body = body.take();
    const auto output = client.receive(who.serialise(), {});
    REQUIRE(output.send.size() == 1);
    const auto answer = Datagram::parse(output.send[0]).value();
    CHECK(answer.ptype == PduType::response);
    CHECK(answer.act_id == who.act_id);
    CHECK(answer.body.size() == 24);
    CHECK(client.busy());
}

TEST_CASE("rpc udp: activities are bounded and forgotten", "[rpc]") {
    Server server;
    auto alive = activation(0);
    alive.if_id = interface::IObjectExporter.uuid;
    alive.opnum = ServerAlive::opnum;
    for (int i = 0; i < 5000; ++i) {
        alive.act_id = Guid::named(std::to_string(i));
        CHECK(server.receive(alive, TimePoint{std::chrono::milliseconds{i}}).size() == 1);
    }
    server.server.expire(TimePoint{1h});
    CHECK(server.receive(alive, TimePoint{1h}).size() == 1);
}

namespace {

struct Service {
    std::string name;
    std::uint16_t port;
    SyntaxId interface;
    std::uint16_t opnum;
    Octets body;
    bool changes;  // something: of those nothing may come before the sender is proven
};

// Every operation there is behind both ports, with arguments that would be obeyed.
std::vector<Service> services(Machine& machine) {
    const auto& process = machine.processes().back();
    OrpcThis orpcthis;
    const auto ipid = process.objects.front().interfaces.front().ipid;
    RemoteActivation::In activate;
    activate.clsid = guid::CLSID_SimWMAdministrator;
    activate.iids = {interface::ISimWMStation.uuid};
    activate.protseqs = {protseq::ncadg_ip_udp};
    ComplexPing::In ping;
    ping.add = {process.objects.front().oid};
    RegisterAlias::In alias{orpcthis, "pwn", "10.9.0.2", 2222};
    RemReferences references{orpcthis, {{ipid, 5, 0}}};
    ept_map::In map;
    map.map_tower = Tower{interface::SimWMProcess, syntax::NDR, protseq::ncadg_ip_udp, 0, 0};
    const auto here = process.port;
    return {
        {"ept_lookup", mapper_port, interface::epm, ept_lookup::opnum, ept_lookup::In{}.serialise(), true},
        {"ept_map", mapper_port, interface::epm, ept_map::opnum, map.serialise(), false},
        {"ServerAlive", mapper_port, interface::IObjectExporter, ServerAlive::opnum, {}, false},
        {"ServerAlive2", mapper_port, interface::IObjectExporter, ServerAlive2::opnum, {}, false},
        {"ResolveOxid", mapper_port, interface::IObjectExporter, ResolveOxid::opnum,
         ResolveOxid::In{process.oxid, {protseq::ncadg_ip_udp}}.serialise(), false},
        {"SimplePing", mapper_port, interface::IObjectExporter, SimplePing::opnum, SimplePing::In{1}.serialise(), true},
        {"ComplexPing", mapper_port, interface::IObjectExporter, ComplexPing::opnum, ping.serialise(), true},
        {"RemoteActivation", mapper_port, interface::IActivation, RemoteActivation::opnum, activate.serialise(), true},
        {"inq_if_ids", mapper_port, interface::mgmt, rpc__mgmt_inq_if_ids::opnum, {}, false},
        {"RegisterAlias", here, interface::ISimWMStation, RegisterAlias::opnum, alias.serialise(), true},
        {"QueryState", here, interface::ISimWMStation, QueryState::opnum, QueryState::In{orpcthis}.serialise(), false},
        {"RemRelease", here, interface::IRemUnknown, RemRelease::opnum, references.serialise(), true},
    };
}

}  // namespace

TEST_CASE("rpc udp: who is not proven changes nothing and gets at most three times its size", "[rpc]") {
    Machine any{tests::machine_options()};
    any.activate(guid::CLSID_SimWMStation, {interface::ISimWMStation.uuid}, {}, {});
    for (std::size_t i = 0; i < services(any).size(); ++i) {
        Machine machine{tests::machine_options()};
        machine.activate(guid::CLSID_SimWMStation, {interface::ISimWMStation.uuid}, {}, {});
        machine.take_events();
        const auto service = services(machine)[i];
        INFO(service.name);
        const auto& process = machine.processes().back();
        Datagram call;
        call.if_id = service.interface.uuid;
        call.if_vers_major = service.interface.major;
        call.act_id = Guid::named("forged");
        call.opnum = service.opnum;
        call.body = service.body;
        if (service.interface == interface::ISimWMStation) call.object = process.objects.front().interfaces.front().ipid;
        if (service.interface == interface::IRemUnknown) call.object = process.ipid_rem_unknown;
        DatagramServer server{machine, service.port};
        constexpr auto whole = std::uint8_t{pf1::frag | pf1::lastfrag};
        for (const auto flags : {std::uint8_t{0}, pf1::idempotent, pf1::maybe, pf1::frag, whole}) {
            for (std::uint32_t seqnum = 0; seqnum < 3; ++seqnum) {
                call.flags1 = flags;
                call.seqnum = seqnum;
                const auto octets = call.serialise();
                const auto output = server.receive(peer, octets, {});
                CHECK_FALSE(output.proven);
                std::size_t back = 0;
                for (const auto& one : output.send) back += 28 + one.size();
                CHECK(back <= 3 * (28 + octets.size()));
                if (service.changes)
                    for (const auto& one : output.send)
                        CHECK(Datagram::parse(one)->ptype == PduType::request);  // asks who it is
            }
        }
        CHECK(machine.take_events().empty());
        CHECK(machine.processes().size() == 1);
        CHECK(machine.processes().back().objects.size() == 1);
        CHECK(server.activities() == 0);
        // An answer to a question that was never asked, or was asked of somebody else, proves nothing.
        Datagram guess;
        guess.ptype = PduType::response;
        guess.if_id = interface::conv.uuid;
        guess.if_vers_major = 3;
        guess.opnum = 1;
        guess.act_id = call.act_id;
        CHECK_FALSE(server.receive(peer, guess.serialise(), {}).proven);
        CHECK(server.activities() == 0);
    }
}

TEST_CASE("rpc udp: only the answer of whoever was asked proves a sender, and only one activity", "[rpc]") {
    Server server;
    const auto questions = server.raw(activation(0));
    REQUIRE(questions.size() == 1);
    const auto& question = questions[0];
    CHECK(question.if_id == interface::conv.uuid);
    CHECK(question.opnum == 1);
    const auto answer = Server::answer_to(question);
    CHECK(server.raw(answer, {}, "10.66.1.66:4000").empty());  // somebody else's address
    CHECK(server.raw(answer, {}, "10.66.1.20:4001").empty());  // another port of the same
    CHECK(server.machine.processes().empty());
    CHECK(server.raw(answer).size() == 1);
    CHECK(server.machine.processes().size() == 1);
    CHECK(server.raw(answer).empty());  // a replay
    CHECK(server.machine.processes().size() == 1);
    auto other = activation(0);
    other.act_id = Guid::named("another activity");
    const auto again = server.raw(other);
    REQUIRE(again.size() == 1);
    CHECK(again[0].ptype == PduType::request);
    CHECK(again[0].act_id != question.act_id);
    CHECK(server.machine.processes().size() == 1);
}

TEST_CASE("rpc udp: a flood of unproven requests is bounded, and an honest client gets through it", "[rpc]") {
    Server server;
    auto forged = activation(0);
    for (int i = 0; i < 9000; ++i) {
        forged.act_id = Guid::named(std::to_string(i));
        server.raw(forged, {}, "10.1." + std::to_string(i / 250 % 250) + "." + std::to_string(i % 250) + ":1");
    }
    CHECK(server.server.activities() == 0);
    CHECK(server.server.questions() <= DatagramServer::questions_max);
    CHECK(server.server.held() <= DatagramServer::held_max);
    CHECK(server.machine.processes().empty());
    CHECK(server.receive(activation(1)).size() == 1);
    CHECK(server.machine.processes().size() == 1);
    server.server.expire(TimePoint{DatagramServer::answer_limit});
    CHECK(server.server.questions() == 0);
    CHECK(server.server.held() == 0);
}

TEST_CASE("rpc udp: one address cannot crowd out what another has proven", "[rpc]") {
    Server server;
    CHECK(server.receive(activation(0)).size() == 1);
    auto call = activation(0);
    call.if_id = interface::IObjectExporter.uuid;
    call.opnum = SimplePing::opnum;
    call.body = SimplePing::In{1}.serialise();
    const std::string crowd = "10.66.1.99:5000";
    for (int i = 0; i < 3000; ++i) {
        call.act_id = Guid::named("crowd " + std::to_string(i));
        for (const auto& question : server.raw(call, {}, crowd)) server.raw(Server::answer_to(question), {}, crowd);
    }
    CHECK(server.server.activities() <= DatagramServer::activities_of_address_max + 1);
    CHECK(server.raw(activation(0)).size() == 1);  // still known: answered again, not asked who it is
    CHECK(server.raw(activation(0))[0].ptype == PduType::response);
}
