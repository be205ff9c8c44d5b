#include "lab/capture/pcapng.hpp"

#include <netinet/in.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <span>

#include "lab/capture/packet.hpp"
#include "lab/host/error.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {
namespace {

// Blocks and options by their numbers in the specification; numbers are little-endian, as the byte-order magic says.
constexpr std::uint32_t section_header = 0x0A0D0D0A, interface_description = 1, enhanced_packet = 6;
constexpr std::uint32_t byte_order_magic = 0x1A2B3C4D;
constexpr std::uint16_t opt_endofopt = 0, opt_comment = 1, shb_userappl = 4, if_name = 2, if_description = 3,
                        if_tsresol = 9, epb_flags = 2;
constexpr std::uint16_t linktype_ethernet = 1;
constexpr std::uint8_t tsresol_nanoseconds = 9;             // 10^-9 s
constexpr std::uint32_t inbound = 1, outbound = 2;  // of epb_flags
constexpr std::size_t block_head = 8, packet_head = 28, block_tail = 4;
constexpr std::size_t block_max = 1 << 20;  // ours are of a frame each

class Block {
public:
    explicit Block(std::uint32_t type) {
        u32(type);
        u32(0);  // the length, filled in by end()
    }
    void u16(std::uint16_t number) { append(number, 2); }
    void u32(std::uint32_t number) { append(number, 4); }
    void raw(std::span<const std::byte> part) { bytes_.insert(bytes_.end(), part.begin(), part.end()); }
    void pad() { bytes_.resize((bytes_.size() + 3) / 4 * 4); }
    void option(std::uint16_t code, std::span<const std::byte> value) {
        u16(code);
        u16(static_cast<std::uint16_t>(value.size()));
        raw(value);
        pad();
    }
    void option(std::uint16_t code, std::string_view text) {
        option(code, std::as_bytes(std::span{text.substr(0, UINT16_MAX)}));
    }
    void option(std::uint16_t code, std::uint32_t number) {
        u16(code);
        u16(4);
        u32(number);
    }
    std::span<const std::byte> end() {
        const auto length = static_cast<std::uint32_t>(bytes_.size() + block_tail);
        u32(length);
        for (std::size_t i = 0; i < 4; ++i) bytes_[4 + i] = static_cast<std::byte>(length >> 8 * i);
        return bytes_;
    }

private:
    void append(std::uint32_t number, int size) {
        for (int i = 0; i < size; ++i) bytes_.push_back(static_cast<std::byte>(number >> 8 * i));
    }
    std::vector<std::byte> bytes_;
};

std::uint32_t number_at(std::span<const std::byte> bytes, std::size_t at, std::size_t size = 4) {
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < size; ++i) number |= std::to_integer<std::uint32_t>(bytes[at + i]) << 8 * i;
    return number;
}

std::string cannot(const std::filesystem::path& file, int error) {
    return fmt::format("the capture {} is not complete: {}", file.string(), std::strerror(error));
}

// ---- which leg a packet belongs to

struct Address {  // port 0: any
    std::uint32_t host = 0;
    std::uint16_t port = 0;
};

std::optional<Address> address_from(std::string_view text) {
    const auto colon = text.find(':');
    const auto host = scenario::Ipv4::from(text.substr(0, colon));
    if (!host) return std::nullopt;
    Address address{host->value, 0};
    if (colon == std::string_view::npos) return address;
    if (const auto port = scenario::PortRange::from(text.substr(colon + 1))) address.port = port->first;
    return address;
}

struct LegPackets {
    std::uint8_t protocol = 0;
    Address one, other;
    std::string comment;

    // How many ports prove it; -1: it is not this leg's.
    int fits(const PacketSort& sort) const {
        if (protocol !=
            (sort.protocol == IPPROTO_ICMP && sort.quoted_protocol != 0 ? sort.quoted_protocol : sort.protocol))
            return -1;
        const Address from{sort.source, sort.source_port}, to{sort.destination, sort.destination_port};
        return std::max(fits(from, to), fits(to, from));
    }

private:
    int fits(const Address& from, const Address& to) const {
        const auto same = [](const Address& wanted, const Address& seen) {
            if (wanted.host != seen.host || (wanted.port != 0 && wanted.port != seen.port)) return -1;
            return wanted.port != 0 ? 1 : 0;
        };
        const auto a = same(one, from), b = same(other, to);
        return a < 0 || b < 0 ? -1 : a + b;
    }
};

void add_leg(std::vector<LegPackets>& all, const std::string& flow, const LegResult& leg) {
    LegPackets packets;
    packets.protocol = static_cast<std::uint8_t>(leg.protocol == "udp"    ? IPPROTO_UDP
                                                 : leg.protocol == "igmp" ? IPPROTO_IGMP
                                                                          : IPPROTO_TCP);
    packets.comment = fmt::format("{}, {}: {}", flow, leg.name, text(leg.verdict));
    if (leg.cause) packets.comment += fmt::format(": {}", text(*leg.cause));
    if (leg.reason) packets.comment += fmt::format(": {}", text(*leg.reason));
    if (!leg.direction.empty()) packets.comment += fmt::format(" ({})", leg.direction);
    if (leg.rule) packets.comment += fmt::format("; {}:{}", leg.rule->file, leg.rule->line);
    // Behind a translation the same leg has other addresses.
    for (const auto* source : {&leg.source, &leg.source_seen})
        for (const auto* destination : {&leg.destination, &leg.destination_seen}) {
            const auto one = address_from(*source), other = address_from(*destination);
            if (!one || !other) continue;
            packets.one = *one;
            packets.other = *other;
            all.push_back(packets);
        }
}

std::vector<LegPackets> legs_of(const Report& report) {
    std::vector<LegPackets> all;
    for (const auto& flow : report.flows) {
        for (const auto& leg : flow.legs) add_leg(all, flow.id, leg);
        for (const auto& attempt : flow.attempts)
            for (const auto& leg : attempt.legs) add_leg(all, flow.id + " over " + attempt.transport, leg);
    }
    return all;
}

std::vector<std::string> comments_for(const std::vector<LegPackets>& legs, std::span<const std::byte> frame) {
    std::vector<std::string> comments;
    const auto packet = read_packet(frame);
    if (!packet) return comments;
    int best = 0;
    for (const auto& leg : legs) {
        const auto fit = leg.fits(packet->sort);
        if (fit < best) continue;
        if (fit > best) comments.clear();
        best = fit;
        if (std::ranges::find(comments, leg.comment) == comments.end()) comments.push_back(leg.comment);
    }
    return comments;
}

// The same block with comments behind its options, which are the flags alone.
std::vector<std::byte> commented(std::span<const std::byte> block, const std::vector<std::string>& comments) {
    const auto captured = number_at(block, 20);
    const auto options = packet_head + (captured + 3) / 4 * 4;
    Block out{enhanced_packet};
    out.raw(block.subspan(block_head, options - block_head));
    for (const auto& comment : comments) out.option(opt_comment, comment);
    out.raw(block.subspan(options, block.size() - block_tail - options));
    const auto bytes = out.end();
    return {bytes.begin(), bytes.end()};
}

// A section with other contents than ours, or one that breaks off (a crash, a full disk), ends the copy where it is.
std::string comment_file(const std::filesystem::path& file, const std::vector<LegPackets>& legs) {
    std::ifstream in{file, std::ios::binary};
    auto copy = file;
    copy += ".new";
    std::ofstream out{copy, std::ios::binary | std::ios::trunc};
    std::vector<std::byte> block;
    while (in && out) {
        block.resize(block_head);
        if (!in.read(reinterpret_cast<char*>(block.data()), block_head)) break;
        const auto length = number_at(block, 4);
        if (length < block_head + block_tail || length % 4 != 0 || length > block_max) break;
        block.resize(length);
        if (!in.read(reinterpret_cast<char*>(block.data()) + block_head,
                     static_cast<std::streamsize>(length - block_head)))
            break;
        const bool packet = number_at(block, 0) == enhanced_packet && length >= packet_head + block_tail &&
                            (number_at(block, 20) + 3) / 4 * 4 <= length - packet_head - block_tail;
        if (packet) {
            const auto comments = comments_for(legs, std::span{block}.subspan(packet_head, number_at(block, 20)));
            if (!comments.empty()) block = commented(block, comments);
        }
        out.write(reinterpret_cast<const char*>(block.data()), static_cast<std::streamsize>(block.size()));
    }
    errno = 0;
    out.close();
    std::error_code failure;
    if (!out) {
        const auto error = errno;
        std::filesystem::remove(copy, failure);
        return fmt::format("{} got no comments: {}", file.string(), std::strerror(error == 0 ? EIO : error));
    }
    std::filesystem::rename(copy, file, failure);
    return failure ? fmt::format("{} got no comments: {}", file.string(), failure.message()) : std::string{};
}

}  // namespace

struct Captures::File {
    std::filesystem::path path;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream{nullptr, std::fclose};
    int error = 0;  // the first; nothing is written behind it, so that the file stays readable

    void append(std::span<const std::byte> bytes) {
        if (error != 0) return;
        if (std::fwrite(bytes.data(), 1, bytes.size(), stream.get()) != bytes.size()) error = errno;
    }
};

std::string capture_name(const Tap& tap) {
    return tap.host + (tap.zone.empty() ? "" : "." + tap.interface) + ".pcapng";
}

Captures::Captures(std::filesystem::path directory, const std::vector<Tap>& taps) {
    std::error_code failure;
    std::filesystem::create_directories(directory, failure);
    if (failure) throw SetupFailed{"make the captures' directory " + directory.string(), failure.message()};
    for (const auto& tap : taps) {
        auto& file = *files_.emplace_back(std::make_unique<File>());
        file.path = directory / capture_name(tap);
        file.stream.reset(std::fopen(file.path.c_str(), "wbe"));
        if (!file.stream) throw setup_failed("write the capture " + file.path.string(), errno);

        Block head{section_header};
        head.u32(byte_order_magic);
        head.u16(1);  // version 1.0
        head.u16(0);
        head.u32(UINT32_MAX);  // the section's length is not said
        head.u32(UINT32_MAX);
        head.option(shb_userappl, std::string_view{"wmlab"});
        head.option(opt_endofopt, std::string_view{});
        file.append(head.end());

        Block interface { interface_description };
        interface.u16(linktype_ethernet);
        interface.u16(0);
        interface.u32(0);  // no limit
        interface.option(if_name, tap.interface);
        interface.option(if_description, tap.host + (tap.zone.empty() ? "" : ", zone " + tap.zone));
        interface.option(if_tsresol, std::as_bytes(std::span{&tsresol_nanoseconds, 1}));
        interface.option(opt_endofopt, std::string_view{});
        file.append(interface.end());
        if (std::fflush(file.stream.get()) != 0) throw setup_failed("write the capture " + file.path.string(), errno);
    }
}

Captures::~Captures() = default;

void Captures::write(const CapturedFrame& frame) {
    const auto time = static_cast<std::uint64_t>(frame.time.time_since_epoch().count());
    Block packet{enhanced_packet};
    packet.u32(0);  // the file's only interface
    packet.u32(static_cast<std::uint32_t>(time >> 32));
    packet.u32(static_cast<std::uint32_t>(time));
    packet.u32(static_cast<std::uint32_t>(frame.frame.size()));
    packet.u32(static_cast<std::uint32_t>(frame.length));
    packet.raw(frame.frame);
    packet.pad();
    packet.option(epb_flags, frame.outgoing ? outbound : inbound);
    packet.option(opt_endofopt, std::string_view{});
    files_[frame.tap]->append(packet.end());
}

std::vector<std::string> Captures::close() {
    std::vector<std::string> problems;
    for (const auto& file : files_) {
        if (!file->stream) continue;
        if (std::fclose(file->stream.release()) != 0 && file->error == 0) file->error = errno;
        if (file->error != 0) problems.push_back(cannot(file->path, file->error));
    }
    return problems;
}

std::vector<std::string> comment_captures(const std::filesystem::path& directory, const Report& report) {
    std::vector<std::string> problems;
    const auto legs = legs_of(report);
    std::error_code failure;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator{directory, failure})
        if (entry.path().extension() == ".pcapng") files.push_back(entry.path());
    if (failure) problems.push_back(directory.string() + ": " + failure.message());
    for (const auto& file : files)
        if (auto problem = comment_file(file, legs); !problem.empty()) problems.push_back(std::move(problem));
    return problems;
}

}  // namespace wmlab::lab
