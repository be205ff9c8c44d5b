// Our bytes through an independent dissector: tshark names every call and finds no malformed frame.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "common/bytes/writer.hpp"
#include "tests/catch.hpp"
#include "tests/common/rpc/memory_net.hpp"

using namespace wmlab;
using namespace wmlab::rpc;

namespace {

constexpr std::uint32_t client_address = 0x0A420114, server_address = 0x0A42010A;

// What went over MemoryNet as a capture of raw IP packets.
void write_capture(const std::filesystem::path& file, const std::vector<tests::MemoryNet::Frame>& frames, bool udp) {
    bytes::Writer out;
    out.u32(0xA1B2C3D4);
    out.u32(0x00040002);
    out.u64(0);
    out.u32(0x40000);
    out.u32(101);                                             // LINKTYPE_RAW
    std::map<std::pair<unsigned, bool>, std::uint32_t> sent;  // bytes a channel has carried in one direction
    std::uint32_t second = 1;
    const auto packet = [&](const tests::MemoryNet::Frame& frame, unsigned flags, bool to_server) {
        const auto header = udp ? 28U : 40U;
        const auto total = static_cast<std::uint32_t>(header + frame.octets.size());
        const auto client_port = static_cast<std::uint16_t>(40000 + frame.channel);
        out.u32(second++);
        out.u32(0);
        out.u32(total);
        out.u32(total);
        out.u16be(0x4500);
        out.u16be(static_cast<std::uint16_t>(total));
        out.u32be(0x00004000);
        out.u16be(udp ? 0x4011 : 0x4006);
        out.u16be(0);
        out.u32be(to_server ? client_address : server_address);
        out.u32be(to_server ? server_address : client_address);
        out.u16be(to_server ? client_port : frame.port);
        out.u16be(to_server ? frame.port : client_port);
        if (udp) {
            out.u16be(static_cast<std::uint16_t>(frame.octets.size() + 8));
            out.u16be(0);
        } else {
            out.u32be(sent[{frame.channel, to_server}]);
            out.u32be(sent[{frame.channel, !to_server}]);
            out.u16be(static_cast<std::uint16_t>(0x5000 | flags));
            out.u16be(0xFFFF);
            out.u32be(0);
            sent[{frame.channel, to_server}] +=
                static_cast<std::uint32_t>(frame.octets.size()) + ((flags & 2U) != 0 ? 1 : 0);
        }
        out.raw(frame.octets);
    };
    for (const auto& frame : frames) {
        if (!udp && !sent.contains({frame.channel, true})) {
            const tests::MemoryNet::Frame empty{true, frame.port, frame.channel, {}};
            packet(empty, 0x02, true);
            packet(empty, 0x12, false);
            packet(empty, 0x10, true);
        }
        packet(frame, 0x18, frame.to_server);
    }
    std::ofstream stream{file, std::ios::binary};
    stream.write(reinterpret_cast<const char*>(out.bytes().data()), static_cast<std::streamsize>(out.size()));
}

std::vector<std::string> lines_of(const std::string& command) {
    std::FILE* pipe = popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string text;
    for (int character = std::fgetc(pipe); character != EOF; character = std::fgetc(pipe))
        text.push_back(static_cast<char>(character));
    REQUIRE(pclose(pipe) == 0);
    std::vector<std::string> lines;
    std::istringstream stream{text};
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

struct Dissected {
    std::vector<std::string> messages;   // "REMACT: RemoteActivation request ..."
    std::vector<std::string> malformed;  // must stay empty
    bool has(std::string_view start) const {
        return std::any_of(messages.begin(), messages.end(),
                           [&](const std::string& message) { return message.starts_with(start); });
    }
};

Dissected dissect(const std::string& name, const std::vector<tests::MemoryNet::Frame>& frames, bool udp) {
    const auto file = std::filesystem::temp_directory_path() / ("wmlab-" + name + ".pcap");
    write_capture(file, frames, udp);
    const std::string tshark = "tshark -n -r " + file.string() + " 2>/dev/null ";
    Dissected result;
    for (auto line : lines_of(tshark + "-T fields -e _ws.col.Protocol -e _ws.col.Info")) {
        const auto tab = line.find('\t');
        if (tab != std::string::npos) line.replace(tab, 1, ": ");
        result.messages.push_back(line);
    }
    result.malformed = lines_of(tshark + "-Y '_ws.malformed || _ws.unreassembled || tcp.analysis.flags'");
    std::filesystem::remove(file);
    return result;
}

}  // namespace

TEST_CASE("dcom: Wireshark's dissectors read every message of ours", "[rpc][dcom][tshark]") {
    struct Row {
        std::string name;
        bool udp;
        std::uint16_t minor;
        bool alias;
        std::vector<std::string> expected;
    };
    const auto row = GENERATE(values<Row>({
        {"windows-2000-tcp",
         false,
         6,
         false,
         {"DCERPC: Bind: call_id: 1", "DCERPC: Bind_ack: call_id: 1", "DCERPC: Alter_context:",
          "DCERPC: Alter_context_resp:", "IOXIDResolver: ServerAlive2 request", "IOXIDResolver: ServerAlive2 response",
          "EPM: Map request, IOXIDResolver, 32bit NDR", "EPM: Map response, IOXIDResolver, 32bit NDR",
          "ISystemActivator: RemoteCreateInstance request", "ISystemActivator: RemoteCreateInstance response",
          "IOXIDResolver: ComplexPing request AddToSet=2 DelFromSet=0", "IOXIDResolver: ComplexPing response -> S_OK",
          "IRemUnknown: RemRelease request Cnt=1 Refs=5-0", "IRemUnknown: RemRelease response -> S_OK"}},
        {"nt4-tcp",
         false,
         4,
         true,
         {"IOXIDResolver: ServerAlive request", "REMACT: RemoteActivation request",
          "REMACT: RemoteActivation response S_OK[1] -> S_OK", "IRemUnknown: RemRelease response -> S_OK"}},
        {"nt4-udp",
         true,
         4,
         true,
         {"IOXIDResolver: ServerAlive request", "IOXIDResolver: ServerAlive response -> S_OK",
          "EPM: Map response, IOXIDResolver, 32bit NDR", "REMACT: RemoteActivation response S_OK[1] -> S_OK",
          "IOXIDResolver: ComplexPing response -> S_OK", "IRemUnknown: RemRelease response -> S_OK"}},
        {"windows-2000-udp",
         true,
         6,
         false,
         {"ISystemActivator: RemoteCreateInstance response", "IRemUnknown: RemRelease response -> S_OK"}},
    }));
    DYNAMIC_SECTION(row.name) {
        Machine machine{tests::machine_options("2311-2320")};  // Wireshark takes 3002 and 3003 for another protocol
        tests::MemoryNet net{machine};
        DcomPlan plan;
        plan.server = "10.66.1.10";
        plan.udp = row.udp;
        plan.version.minor = row.minor;
        plan.causality = Guid::named("flow");
        plan.processes = 2;
        if (row.alias) plan.alias = AliasOffer{"lecture", {"10.66.1.20", 7007}};
        DcomClient client{plan};
        REQUIRE(net.run(client, row.udp).worked);
        const auto seen = dissect(row.name, net.frames, row.udp);
        CHECK(seen.malformed == std::vector<std::string>{});
        std::string all;
        for (const auto& message : seen.messages) all += message + "\n";
        INFO(all);
        for (const auto& expected : row.expected) {
            INFO(expected);
            CHECK(seen.has(expected));
        }
    }
}

TEST_CASE("dcom: Wireshark's dissectors read long lookups, faults and refusals of ours", "[rpc][dcom][tshark]") {
    Machine machine{tests::machine_options("2000-3000")};
    for (int i = 0; i < 50; ++i)
        machine.activate(guid::CLSID_SimWMAdministrator, {interface::ISimWMStation.uuid}, {}, {});
    ServerConnection server{machine, mapper_port};
    ClientConnection client;
    std::vector<tests::MemoryNet::Frame> frames;
    const auto exchange = [&](ClientCall call) {
        auto output = client.call(std::move(call));
        while (!output.outcome) {
            std::vector<Octets> sends = std::move(output.send);
            REQUIRE_FALSE(sends.empty());
            output = {};
            for (auto& send : sends) {
                const auto answer = server.receive(send, {});
                frames.push_back({true, 135, 1, send});
                // As TCP would carry it: in segments.
                for (std::size_t at = 0; at < answer.send.size(); at += 1400) {
                    const auto end = std::min(at + 1400, answer.send.size());
                    frames.push_back({false,
                                      135,
                                      1,
                                      {answer.send.begin() + static_cast<std::ptrdiff_t>(at),
                                       answer.send.begin() + static_cast<std::ptrdiff_t>(end)}});
                }
                output = client.receive(answer.send);
            }
        }
        return *output.outcome;
    };
    const auto listed = exchange({interface::epm, ept_lookup::opnum, {}, ept_lookup::In{}.serialise(), {}});
    REQUIRE(listed.kind == CallOutcome::Kind::answered);
    CHECK(ept_lookup::Out::parse(listed.stub, listed.order)->entries.size() == 106);
    CHECK(exchange({interface::epm, 99, {}, {}, {}}).status == status::nca_op_rng_error);
    CHECK(exchange({{Guid::named("nobody"), 1, 0}, 0, {}, {}, {}}).kind == CallOutcome::Kind::refused);
    ResolveOxid::In resolve{machine.processes().front().oxid, {7, 8}};
    CHECK(exchange({interface::IObjectExporter, ResolveOxid::opnum, {}, resolve.serialise(), {}}).kind ==
          CallOutcome::Kind::answered);
    CHECK(exchange({interface::IObjectExporter, ResolveOxid::opnum2, {}, resolve.serialise(), {}}).kind ==
          CallOutcome::Kind::answered);
    CHECK(exchange({interface::mgmt, 0, {}, {}, {}}).kind == CallOutcome::Kind::answered);

    const auto seen = dissect("lookup", frames, false);
    CHECK(seen.malformed == std::vector<std::string>{});
    const auto contains = [&](std::string_view part) {
        return std::any_of(seen.messages.begin(), seen.messages.end(),
                           [&](const std::string& message) { return message.find(part) != std::string::npos; });
    };
    CHECK(contains("Lookup response, Service:Windows Media: administrator"));
    CHECK(contains("nca_op_rng_error"));
    CHECK(contains("Provider rejection"));
    CHECK(contains("ResolveOxid response"));
    CHECK(contains("ResolveOxid2 response"));
    CHECK(contains("rpc__mgmt_inq_if_ids response"));
}
