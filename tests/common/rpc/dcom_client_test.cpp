// DcomClient against Machine, over a network in memory.
#include <set>

#include "tests/catch.hpp"
#include "tests/common/rpc/memory_net.hpp"

using namespace wmlab;
using namespace wmlab::rpc;
using namespace std::chrono_literals;
using tests::MemoryNet;

namespace {

DcomPlan plan(unsigned processes = 1, bool udp = false, std::uint16_t minor = 6) {
    DcomPlan made;
    made.server = "10.66.1.10";
    made.udp = udp;
    made.version.minor = minor;
    made.causality = Guid::named("flow");
    made.processes = processes;
    return made;
}

}  // namespace

TEST_CASE("dcom: a visit as Windows 2000 makes it", "[rpc][dcom]") {
    Machine machine{tests::machine_options()};
    MemoryNet net{machine};
    DcomClient client{plan()};
    const auto done = net.run(client);
    CHECK(done.reason == "");
    CHECK(done.worked);
    CHECK(net.messages == std::vector<std::string>{"bind >",
                                                   "bind_ack <",
                                                   "ServerAlive2 >",
                                                   "ServerAlive2 <",
                                                   "alter_context >",
                                                   "alter_context_resp <",
                                                   "ept_map >",
                                                   "ept_map <",
                                                   "alter_context >",
                                                   "alter_context_resp <",
                                                   "RemoteCreateInstance >",
                                                   "RemoteCreateInstance <",
                                                   "ComplexPing >",
                                                   "ComplexPing <",
                                                   "bind >",
                                                   "bind_ack <",
                                                   "QueryState >",
                                                   "QueryState <",
                                                   "alter_context >",
                                                   "alter_context_resp <",
                                                   "RemRelease >",
                                                   "RemRelease <",
                                                   "ComplexPing >",
                                                   "ComplexPing <"});
    CHECK(net.connected_to == std::vector<Endpoint>{{"10.66.1.10", 135}, {"10.66.1.10", 3001}});
    CHECK(machine.processes().size() == 1);  // the service stays
    CHECK(machine.processes()[0].objects.empty());
}

TEST_CASE("dcom: NT4 on either side uses ServerAlive and RemoteActivation", "[rpc][dcom]") {
    const auto [client_minor, server_minor] =
        GENERATE(values<std::pair<std::uint16_t, std::uint16_t>>({{4, 6}, {6, 4}, {4, 4}}));
    Machine machine{tests::machine_options("3001-3010", server_minor)};
    MemoryNet net{machine};
    DcomClient client{plan(1, false, client_minor)};
    const auto done = net.run(client);
    CHECK(done.reason == "");
    CHECK(done.worked);
    const std::set<std::string> messages{net.messages.begin(), net.messages.end()};
    CHECK(messages.contains("ServerAlive <"));
    CHECK(messages.contains("RemoteActivation <"));
    CHECK_FALSE(messages.contains("RemoteCreateInstance >"));
}

TEST_CASE("dcom: streams may be cut anywhere", "[rpc][dcom]") {
    const auto piece = GENERATE(1U, 2U, 7U, 16U, 61U);
    Machine machine{tests::machine_options()};
    MemoryNet net{machine};
    net.piece = piece;
    DcomClient client{plan(3)};
    CHECK(net.run(client).worked);
}

TEST_CASE("dcom: each process has one port of the range, and gives it back", "[rpc][dcom]") {
    const bool udp = GENERATE(false, true);
    Machine machine{tests::machine_options()};
    MemoryNet net{machine};
    auto ten = plan(10, udp);
    ten.hold = true;
    DcomClient client{ten};
    net.run(client, udp);
    REQUIRE(net.holding);
    REQUIRE(machine.processes().size() == 10);
    std::set<std::uint16_t> taken;
    for (const auto& process : machine.processes()) taken.insert(process.port);
    CHECK(*taken.begin() == 3001);
    CHECK(*taken.rbegin() == 3010);
    CHECK(taken.size() == 10);
    std::size_t object_connections = 0;
    for (const auto& to : net.connected_to) object_connections += to.port != 135 ? 1 : 0;
    CHECK(object_connections == 10);

    SECTION("released, only the service's is left") {
        net.holding = false;
        net.perform(client, client.release(net.now), udp);
        REQUIRE(net.done.has_value());
        CHECK(net.done->reason == "");
        CHECK(net.done->worked);
        CHECK(machine.processes().size() == 1);
    }
    SECTION("not released but not pinged either, they end after three periods") {
        machine.expire(net.now + 359s);
        CHECK(machine.processes().size() == 10);
        machine.expire(net.now + 360s);
        CHECK(machine.processes().size() == 1);
    }
    SECTION("pinged, they live") {
        for (int period = 0; period < 10; ++period) {
            const auto deadline = client.deadline();
            REQUIRE(deadline.has_value());
            net.now = *deadline;
            net.perform(client, client.expire(net.now), udp);
            machine.expire(net.now);
        }
        CHECK(machine.processes().size() == 10);
        CHECK(net.now >= TimePoint{1200s});
        CHECK(net.server_messages.back() == "SimplePing >");
    }
}

TEST_CASE("dcom: an eleventh process on a range of ten finds no port", "[rpc][dcom]") {
    const auto minor = GENERATE(std::uint16_t{4}, std::uint16_t{6});
    Machine machine{tests::machine_options("3001-3010 135")};
    MemoryNet net{machine};
    DcomClient client{plan(11, false, minor)};
    const auto done = net.run(client);
    CHECK_FALSE(done.worked);
    CHECK(done.exhausted);
    CHECK(done.hr == 0x800706B9);
    CHECK(done.leg == "mapper");
    CHECK(done.reason == "activation of process 11 failed: 0x800706B9 RPC_S_OUT_OF_RESOURCES (the server has no port left for another process)");
    CHECK(machine.processes().size() == 1);  // the ten were given back
}

TEST_CASE("dcom: no process gets a port from a bad registry", "[rpc][dcom]") {
    auto options = tests::machine_options();
    auto key = InternetKey::reserve({{3001, 3010}});
    key.Ports->push_back("4000 - 4010");
    options.ports = dynamic_ports(key);
    Machine machine{options};
    MemoryNet net{machine};
    DcomClient client{plan()};
    const auto done = net.run(client);
    CHECK(done.exhausted);
    CHECK(machine.processes().empty());
}

TEST_CASE("dcom: ports somebody else holds are skipped", "[rpc][dcom]") {
    auto options = tests::machine_options();
    options.open_port = [](std::uint16_t port) { return port != 3001 && port != 3003; };
    Machine machine{options};
    MemoryNet net{machine};
    DcomClient client{plan(8)};
    CHECK(net.run(client).worked);
    CHECK(net.connected_to[1].port == 3002);
    CHECK(net.connected_to[2].port == 3004);
    DcomClient nine{plan(9)};
    MemoryNet again{machine};
    CHECK(again.run(nine).exhausted);
}

TEST_CASE("dcom: an alias is registered and the server learns where the encoder is", "[rpc][dcom]") {
    const bool udp = GENERATE(false, true);
    Machine machine{tests::machine_options()};
    MemoryNet net{machine};
    auto encoder = plan(1, udp);
    encoder.alias = AliasOffer{"lecture", {"10.66.1.20", 1789}};
    encoder.hold = true;
    DcomClient client{encoder};
    net.run(client, udp);
    REQUIRE(net.holding);
    const auto registered = std::find_if(net.events.begin(), net.events.end(), [](const MachineEvent& event) {
        return event.what == MachineEvent::What::alias_registered;
    });
    REQUIRE(registered != net.events.end());
    CHECK(registered->alias == "lecture");
    CHECK(registered->encoder.text() == "10.66.1.20[1789]");
    CHECK(registered->causality == Guid::named("flow"));
    CHECK(registered->name == "alias object");
    net.holding = false;
    net.perform(client, client.release(net.now), udp);
    REQUIRE(net.done.has_value());
    CHECK(net.done->worked);
    CHECK(net.events.back().what == MachineEvent::What::process_ended);
    CHECK(machine.processes().empty());
}

TEST_CASE("dcom: address translation is named as the cause", "[rpc][dcom]") {
    Machine machine{tests::machine_options()};
    MemoryNet net{machine};
    net.translated["198.51.100.5"] = "10.66.1.10";
    net.reachable = [](const Endpoint& to) { return to.host == "198.51.100.5"; };
    auto translated = plan();
    translated.server = "198.51.100.5";
    DcomClient client{translated};
    const auto done = net.run(client);
    CHECK_FALSE(done.worked);
    CHECK(done.leg == "object");
    CHECK(done.inner == "10.66.1.10");
    CHECK(done.hr == 0x800706BA);
    CHECK(
        done.reason ==
        "object call to 10.66.1.10[3001]: timed out; the object reference carries 10.66.1.10, the server was dialled as 198.51.100.5: address translation on the path");
    // Never to the address used for 135.
    CHECK(net.connected_to == std::vector<Endpoint>{{"198.51.100.5", 135}, {"10.66.1.10", 3001}});
}

TEST_CASE("dcom: every binding is tried before the object counts as unreachable", "[rpc][dcom]") {
    auto options = tests::machine_options();
    options.addresses = {"192.0.2.1", "10.66.1.10"};
    Machine machine{options};
    MemoryNet net{machine};
    net.reachable = [](const Endpoint& to) { return to.host == "10.66.1.10"; };
    DcomClient client{plan()};
    const auto done = net.run(client);
    CHECK(done.worked);
    CHECK(net.connected_to[1] == Endpoint{"192.0.2.1", 3001});
    CHECK(net.connected_to[2] == Endpoint{"10.66.1.10", 3001});
}

TEST_CASE("dcom: a blocked dynamic port stops the object leg only", "[rpc][dcom]") {
    const bool udp = GENERATE(false, true);
    Machine machine{tests::machine_options()};
    MemoryNet net{machine};
    net.reachable = [](const Endpoint& to) { return to.port < 3003; };
    DcomClient client{plan(3, udp)};
    const auto done = net.run(client, udp);
    CHECK_FALSE(done.worked);
    CHECK(done.leg == "object");
    CHECK(done.inner == "");
    CHECK(done.hr == status::RPC_S_SERVER_UNAVAILABLE);
    CHECK(done.reason == (udp ? "object call to 10.66.1.10[3003]: no answer to 5 requests"
                              : "object call to 10.66.1.10[3003]: timed out"));
    CHECK(machine.processes().size() == 2);  // the service, and the one that could not be released
}

TEST_CASE("dcom: 135 blocked", "[rpc][dcom]") {
    const bool udp = GENERATE(false, true);
    Machine machine{tests::machine_options()};
    MemoryNet net{machine};
    net.reachable = [](const Endpoint&) { return false; };
    DcomClient client{plan(1, udp)};
    const auto done = net.run(client, udp);
    CHECK_FALSE(done.worked);
    CHECK(done.leg == "mapper");
    CHECK(done.hr == status::RPC_S_SERVER_UNAVAILABLE);
}

TEST_CASE("dcom: over UDP nothing is executed twice, whatever the network does", "[rpc][dcom]") {
    struct Row {
        std::string name;
        std::function<std::vector<Octets>(Octets)> disturb;
    };
    unsigned count = 0;
    std::vector<Octets> past;
    const auto row = GENERATE_REF(values<Row>({
        {"nothing happens", [](const Octets& octets) { return std::vector<Octets>{octets}; }},
        {"every fourth datagram is lost",
         [&](const Octets& octets) { return ++count % 4 == 0 ? std::vector<Octets>{} : std::vector<Octets>{octets}; }},
        {"every datagram arrives twice",
         [](const Octets& octets) {
             return std::vector<Octets>{octets, octets};
         }},
        {"everything ever sent is replayed before each datagram",
         [&](const Octets& octets) {
             auto all = past;
             past.push_back(octets);
             all.push_back(octets);
             return all;
         }},
    }));
    DYNAMIC_SECTION(row.name) {
        count = 0;
        past.clear();
        Machine machine{tests::machine_options()};
        MemoryNet net{machine};
        net.disturb = row.disturb;
        DcomClient client{plan(3, true)};
        const auto done = net.run(client, true);
        CHECK(done.reason == "");
        CHECK(done.worked);
        std::size_t started = 0, ended = 0;
        for (const auto& event : net.events) {
            started += event.what == MachineEvent::What::process_started ? 1 : 0;
            ended += event.what == MachineEvent::What::process_ended ? 1 : 0;
        }
        CHECK(started == 3);
        CHECK(ended == 2);
    }
}

TEST_CASE("dcom: flows on one machine have their own ranges", "[rpc][dcom]") {
    Machine machine{tests::machine_options("3001-3010")};
    machine.add_pool(Guid::named("a"), tests::ports("4001-4002"));
    machine.add_pool(Guid::named("b"), tests::ports("4001-4002"));
    machine.add_pool(Guid::named("c"), tests::ports("5001"));
    const std::vector<Guid> iids{interface::ISimWMStation.uuid};
    const auto port = [&](const Guid& clsid, std::string_view flow) {
        const auto made = machine.activate(clsid, iids, Guid::named(flow), {});
        return made.process == nullptr ? 0 : made.process->port;
    };
    CHECK(port(guid::CLSID_SimWMService, "a") == 4001);
    CHECK(port(guid::CLSID_SimWMService, "b") == 4001);  // the same service
    CHECK(port(guid::CLSID_SimWMStation, "b") == 4002);
    CHECK(port(guid::CLSID_SimWMStation, "a") == 0);
    CHECK(port(guid::CLSID_SimWMStation, "c") == 5001);
    CHECK(port(guid::CLSID_SimWMStation, "stranger") == 3001);
}
