// The captures of tests/vectors/dcom: every PDU is understood and written back to the same bytes, and our server gives
// the answers a reference server gave.
#include <set>

#include "common/bytes/hex.hpp"
#include "tests/catch.hpp"
#include "tests/common/rpc/memory_net.hpp"
#include "tests/pcap.hpp"

using namespace wmlab;
using namespace wmlab::rpc;

namespace {

std::string vector_path(const std::string& name) {
    return std::string{WMLAB_SOURCE_DIR} + "/tests/vectors/dcom/" + name;
}

std::vector<Octets> cut(const std::vector<std::byte>& stream) {
    std::vector<Octets> pdus;
    PduStream in;
    in.append(stream);
    while (const auto next = in.next()) {
        REQUIRE(next->has_value());
        pdus.emplace_back((*next)->begin(), (*next)->end());
    }
    CHECK_FALSE(in.partial());
    return pdus;
}

const std::vector<std::string> tcp_vectors{
    "epm_map_lookup.pcap",         "errors.pcap",           "fragmented_lookup.pcap",
    "oxid_resolver.pcap",          "rpcdump.pcap",          "remote_activation.pcap",
    "remote_create_instance.pcap", "request_fragments.pcap"};

// A machine as the captures' server was: one process on 3001, activated before.
struct Reference {
    Machine machine{tests::numbered(tests::machine_options())};
    explicit Reference(bool activated) {
        if (activated) machine.activate(guid::CLSID_SimWMStation, {interface::ISimWMStation.uuid}, {}, {});
    }
};

// association groups are the server's choice
Octets without_group(Octets pdu) {
    const auto type = std::to_integer<unsigned>(pdu[2]);
    if (type == 12 || type == 15) std::fill(pdu.begin() + 20, pdu.begin() + 24, std::byte{0});
    return pdu;
}

}  // namespace

TEST_CASE("rpc vectors: every PDU is written back byte for byte", "[rpc]") {
    std::size_t pdus = 0;
    for (const auto& name : tcp_vectors) {
        INFO(name);
        const auto capture = tests::read_pcap(vector_path(name));
        REQUIRE_FALSE(capture.connections.empty());
        for (const auto& connection : capture.connections) {
            for (const auto* stream : {&connection.to_server, &connection.to_client}) {
                for (const auto& octets : cut(*stream)) {
                    const auto pdu = Pdu::parse(octets);
                    REQUIRE(pdu.has_value());
                    CHECK(bytes::hex(pdu->serialise()) == bytes::hex(octets));
                    ++pdus;
                }
            }
        }
    }
    CHECK(pdus > 150);
}

TEST_CASE("rpc vectors: our server gives the reference server's answers", "[rpc]") {
    struct Row {
        std::string file;
        bool activated;  // before the capture began
    };
    const auto row = GENERATE(values<Row>({{"oxid_resolver.pcap", true},
                                           {"errors.pcap", true},
                                           {"remote_activation.pcap", false},
                                           {"remote_create_instance.pcap", false}}));
    DYNAMIC_SECTION(row.file) {
        Reference reference{row.activated};
        const auto capture = tests::read_pcap(vector_path(row.file));
        std::size_t answers = 0;
        for (const auto& connection : capture.connections) {
            ServerConnection server{reference.machine, connection.server.port};
            const auto output = server.receive(connection.to_server, {});
            const auto ours = cut(output.send), theirs = cut(connection.to_client);
            REQUIRE(ours.size() == theirs.size());
            for (std::size_t i = 0; i < ours.size(); ++i) {
                CHECK(bytes::hex(without_group(ours[i])) == bytes::hex(without_group(theirs[i])));
                ++answers;
            }
        }
        CHECK(answers >= 5);
    }
}

TEST_CASE("rpc vectors: endpoint mapper queries are answered as the reference does", "[rpc]") {
    Reference reference{true};
    const auto capture = tests::read_pcap(vector_path("epm_map_lookup.pcap"));
    REQUIRE(capture.connections.size() == 5);
    const auto answers = [&](std::size_t i) {
        ServerConnection server{reference.machine, mapper_port};
        return cut(server.receive(capture.connections[i].to_server, {}).send);
    };
    for (const std::size_t i : {0U, 1U}) {  // ept_map: a hit and a miss
        CHECK(bytes::hex(answers(i).at(1)) == bytes::hex(cut(capture.connections[i].to_client).at(1)));
    }
    for (const std::size_t i : {2U, 3U}) {  // ept_lookup of all and of one interface: ours has other annotations
        const auto ours = Pdu::parse(answers(i).at(1));
        const auto theirs = Pdu::parse(cut(capture.connections[i].to_client).at(1));
        REQUIRE(ours.has_value());
        const auto our_out = ept_lookup::Out::parse(std::get<Response>(ours->body).stub, ByteOrder::little);
        const auto their_out = ept_lookup::Out::parse(std::get<Response>(theirs->body).stub, ByteOrder::little);
        REQUIRE(our_out.has_value());
        REQUIRE(their_out.has_value());
        CHECK(their_out->serialise() == std::get<Response>(theirs->body).stub);
        REQUIRE(their_out->entries.size() == 2);
        REQUIRE(our_out->entries.size() >= 2);
        CHECK(our_out->entries[0].tower == their_out->entries[0].tower);
        CHECK(our_out->entries[1].tower == their_out->entries[1].tower);
        CHECK(our_out->status == 0);
        CHECK(our_out->entry_handle == Guid{});
        if (i == 3) CHECK(our_out->entries.size() == 2);
    }
    const auto mgmt = Pdu::parse(answers(4).at(1));
    const auto if_ids = rpc__mgmt_inq_if_ids::Out::parse(std::get<Response>(mgmt->body).stub, ByteOrder::little);
    REQUIRE(if_ids.has_value());
    CHECK(if_ids->if_ids.front() == interface::epm);
    CHECK(if_ids->if_ids.size() == 5);
}

TEST_CASE("rpc vectors: 602 entries in fragments of 1000 octets are put together", "[rpc]") {
    const auto capture = tests::read_pcap(vector_path("fragmented_lookup.pcap"));
    const auto answers = cut(capture.connections.at(0).to_client);
    FragmentedStub stub;
    std::vector<std::size_t> entries;
    for (const auto& octets : answers) {
        const auto pdu = Pdu::parse(octets);
        const auto* response = std::get_if<Response>(&pdu->body);
        if (response == nullptr) continue;
        if (stub.add(pdu->header.pfc_flags, pdu->header.call_id, response->stub) != FragmentedStub::Progress::whole)
            continue;
        const auto whole = stub.take();
        const auto out = ept_lookup::Out::parse(whole, ByteOrder::little);
        REQUIRE(out.has_value());
        CHECK(out->serialise() == whole);
        entries.push_back(out->entries.size());
    }
    CHECK(entries == std::vector<std::size_t>{500, 102});
}

TEST_CASE("rpc vectors: a request in fragments is answered once", "[rpc]") {
    Reference reference{true};
    const auto capture = tests::read_pcap(vector_path("request_fragments.pcap"));
    ServerConnection server{reference.machine, mapper_port};
    const auto output = server.receive(capture.connections.at(0).to_server, {});
    CHECK(cut(output.send).size() == 2);
    CHECK(output.notes.back().message == "ept_lookup");
    CHECK(output.notes.back().hr == 0);
}

TEST_CASE("rpc vectors: connectionless PDUs", "[rpc]") {
    auto options = tests::numbered(tests::machine_options());
    options.boot_time = 0x404E6777;
    Machine machine{options};
    machine.activate(guid::CLSID_SimWMStation, {interface::ISimWMStation.uuid}, {}, {});
    DatagramServer server{machine, mapper_port};
    const auto capture = tests::read_pcap(vector_path("udp_connectionless.pcap"));
    std::vector<std::string> ours, theirs;
    for (const auto& datagram : capture.datagrams) {
        if (datagram.source.port == mapper_port) {
            theirs.push_back(bytes::hex(datagram.payload));
            const auto parsed = Datagram::parse(datagram.payload);
            REQUIRE(parsed.has_value());
            CHECK(bytes::hex(parsed->serialise()) == theirs.back());
        } else {
            // That server took everybody's word; ours asks who it is, and then says the same.
            for (const auto& answer : server.receive("10.66.1.20:4000", datagram.payload, {}).send) {
                auto who = Datagram::parse(answer).value();
                if (who.ptype != PduType::request) {
                    ours.push_back(bytes::hex(answer));
                    continue;
                }
                who.ptype = PduType::response;
                for (const auto& late : server.receive("10.66.1.20:4000", who.serialise(), {}).send)
                    ours.push_back(bytes::hex(late));
            }
        }
    }
    REQUIRE(theirs.size() == 6);
    CHECK(ours == theirs);
    CHECK(server.dropped() == 2);  // a v5 bind and five octets
}

TEST_CASE("rpc vectors: the client's requests are read as impacket meant them", "[rpc]") {
    const auto activation = tests::read_pcap(vector_path("remote_activation.pcap"));
    const auto request = Pdu::parse(cut(activation.connections.at(0).to_server).at(1));
    const auto in = RemoteActivation::In::parse(std::get<Request>(request->body).stub, ByteOrder::little);
    REQUIRE(in.has_value());
    CHECK(in->clsid == guid::CLSID_SimWMStation);
    CHECK(in->iids == std::vector<Guid>{interface::ISimWMStation.uuid});
    CHECK(in->protseqs == std::vector<std::uint16_t>{7});
    CHECK(in->orpcthis.version == ComVersion{5, 7});

    const auto creation = tests::read_pcap(vector_path("remote_create_instance.pcap"));
    const auto create = Pdu::parse(cut(creation.connections.at(0).to_server).at(1));
    const auto made = RemoteCreateInstance::In::parse(std::get<Request>(create->body).stub, ByteOrder::little);
    REQUIRE(made.has_value());
    CHECK(made->clsid == guid::CLSID_SimWMStation);
    CHECK(made->iids == std::vector<Guid>{interface::ISimWMStation.uuid});

    const auto answer = Pdu::parse(cut(creation.connections.at(0).to_client).at(1));
    const auto out = RemoteCreateInstance::Out::parse(std::get<Response>(answer->body).stub, ByteOrder::little);
    REQUIRE(out.has_value());
    REQUIRE(out->activated.has_value());
    CHECK(text(out->activated->bindings) == "tcp 10.66.1.10[3001], udp 10.66.1.10[3001]");
    CHECK(out->serialise() == std::get<Response>(answer->body).stub);
}
