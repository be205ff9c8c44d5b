#include "lab/capture/pcapng.hpp"

#include <cstdio>
#include <fstream>

#include "lab/verdict/report.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

struct Folder {
    std::filesystem::path path;
    Folder() {
        char name[] = "/tmp/wmlab-pcapng-XXXXXX";
        path = ::mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path); }
};

// With what it complains of; that it is run by root is no complaint about the file.
std::string output_of(const std::string& command) {
    std::string text;
    auto* const pipe = ::popen((command + " 2>&1").c_str(), "r");
    char part[4096];
    while (const auto got = std::fread(part, 1, sizeof part, pipe)) text.append(part, got);
    text += ::pclose(pipe) == 0 ? "" : "(failed)\n";
    if (text.starts_with("Running as user")) text.erase(0, text.find('\n') + 1);
    return text;
}

// 10.20.0.10:2000 > 10.10.0.10:PORT, UDP, `size` bytes of payload
std::vector<std::byte> frame(std::uint16_t port, std::size_t size = 5) {
    std::vector<std::uint8_t> bytes{2,
                                    0,
                                    0,
                                    0,
                                    0,
                                    1,
                                    2,
                                    0,
                                    0,
                                    0,
                                    0,
                                    2,
                                    8,
                                    0,  // Ethernet
                                    0x45,
                                    0,
                                    0,
                                    static_cast<std::uint8_t>(28 + size),
                                    0,
                                    1,
                                    0,
                                    0,
                                    64,
                                    17,
                                    0,
                                    0,
                                    10,
                                    20,
                                    0,
                                    10,
                                    10,
                                    10,
                                    0,
                                    10,  // IPv4
                                    2000 >> 8,
                                    2000 & 255,
                                    static_cast<std::uint8_t>(port >> 8),
                                    static_cast<std::uint8_t>(port),
                                    0,
                                    static_cast<std::uint8_t>(8 + size),
                                    0,
                                    0};
    bytes.resize(bytes.size() + size, 'x');
    const auto view = std::as_bytes(std::span{bytes});
    return {view.begin(), view.end()};
}

void write(Captures& captures, std::size_t tap, bool outgoing, const std::vector<std::byte>& bytes, int second) {
    CapturedFrame captured;
    captured.tap = tap;
    captured.outgoing = outgoing;
    captured.time = std::chrono::sys_time<std::chrono::nanoseconds>{std::chrono::seconds{1764000000 + second} +
                                                                    std::chrono::nanoseconds{123456789}};
    captured.length = bytes.size();
    captured.frame = bytes;
    captures.write(captured);
}

std::vector<Tap> taps() { return {{"player", nullptr, "eth0", {}}, {"firewall", nullptr, "fw-out", "outside"}}; }

Report one_flow() {
    Report report;
    FlowResult flow;
    flow.id = "unicast-udp";
    LegResult stopped;
    stopped.name = "media";
    stopped.protocol = "udp";
    stopped.source = "10.10.0.10:1755";
    stopped.destination = "10.20.0.10:2000";
    stopped.verdict = Verdict::blocked;
    stopped.cause = Cause::dropped;
    stopped.direction = "to->from";
    LegResult other = stopped;
    other.name = "resend";
    other.destination = "10.20.0.10";
    other.verdict = Verdict::pass;
    other.cause.reset();
    flow.legs = {stopped, other};
    report.flows = {flow};
    return report;
}

}  // namespace

TEST_CASE("captures are read by Wireshark's tools without a word of complaint", "[pcapng]") {
    const Folder folder;
    {
        Captures captures{folder.path / "made", taps()};
        write(captures, 0, true, frame(1755), 0);
        write(captures, 0, false, frame(80, 6), 1);  // sizes of every padding
        write(captures, 0, true, frame(81, 7), 2);
        write(captures, 0, true, frame(82, 8), 3);
        write(captures, 1, false, frame(1755), 4);
        CHECK(captures.close().empty());
    }
    CHECK(comment_captures(folder.path / "made", one_flow()).empty());
    const auto file = (folder.path / "made/player.pcapng").string();
    CHECK(output_of("tshark -r " + file +
                    " -T fields -e frame.time_epoch -e frame.interface_name -e frame.packet_flags_direction -e udp.dstport -e frame.comment") ==
          "1764000000.123456789\teth0\t0x00000002\t1755\tunicast-udp, media: blocked: dropped (to->from)\n"
          "1764000001.123456789\teth0\t0x00000001\t80\t\n"
          "1764000002.123456789\teth0\t0x00000002\t81\t\n"
          "1764000003.123456789\teth0\t0x00000002\t82\t\n");
    const auto about = output_of("capinfos " + (folder.path / "made/firewall.fw-out.pcapng").string());
    CHECK_THAT(about, contains("Capture application: wmlab"));
    CHECK_THAT(about, contains("Name = fw-out"));
    CHECK_THAT(about, contains("Description = firewall, zone outside"));
    CHECK_THAT(about, contains("Number of packets = 1"));
    CHECK_THAT(about, !contains("(failed)"));
}

TEST_CASE("a capture that broke off keeps its whole packets, and they get their comments", "[pcapng]") {
    const Folder folder;
    const auto file = folder.path / "player.pcapng";
    for (std::uintmax_t cut = 1; cut < 20; ++cut) {
        {
            Captures captures{folder.path, {taps().front()}};
            for (int second = 0; second < 2; ++second) write(captures, 0, true, frame(1755), second);
            captures.close();
        }
        std::filesystem::resize_file(file, std::filesystem::file_size(file) - cut);
        REQUIRE(comment_captures(folder.path, one_flow()).empty());
    }
    CHECK(output_of("tshark -r " + file.string() + " -T fields -e frame.comment") ==
          "unicast-udp, media: blocked: dropped (to->from)\n");
}

TEST_CASE("a full disk is said, and what was written stays readable", "[pcapng]") {
    const Folder folder;
    std::filesystem::create_symlink("/dev/full", folder.path / "player.pcapng");
    CHECK_THROWS_WITH((Captures{folder.path, {taps().front()}}), contains("player.pcapng") && contains("No space left"));
}

TEST_CASE("a directory that cannot be made is said at once", "[pcapng]") {
    CHECK_THROWS_WITH((Captures{"/dev/null/captures", taps()}), contains("/dev/null/captures"));
}
