#include "common/asf/synthesiser.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "common/asf/guids.hpp"
#include "common/asf/packet.hpp"
#include "common/bytes/crc32.hpp"
#include "common/bytes/utf16.hpp"
#include "common/bytes/writer.hpp"

namespace wmlab::asf {
namespace {

constexpr std::size_t packet_overhead = 28;  // of a packet with one payload, as packet() writes it
constexpr std::size_t mark_size = 24, mark_crc_at = 20;
constexpr std::string_view magic = "WMLB";
constexpr std::string_view description_start = "wmlab synthetic, seed ";
constexpr std::uint32_t bitrate_min = 8000, bitrate_max = 20'000'000;
constexpr std::size_t streams_max = 16;
constexpr std::size_t title_max = 255;
constexpr std::uint64_t interval_max = 100'000;  // microseconds: smooth enough, and a packet lost is little
constexpr std::uint64_t second = 1'000'000;      // microseconds
constexpr milliseconds preroll{1000};
constexpr std::uint64_t creation_date =
    0x01BF53EB256D4000;  // 1 January 2000: the same options always give the same bytes

// G.711: 8 bits of sign, exponent and mantissa, all inverted.
std::byte mu_law(int sample) {
    constexpr int bias = 132, clip = 32635;
    const int sign = sample < 0 ? 0x80 : 0;
    const int magnitude = std::min(std::abs(sample), clip) + bias;
    int exponent = 7;
    while (exponent > 0 && magnitude < 1 << (exponent + 7)) --exponent;
    const int mantissa = magnitude >> (exponent + 3) & 0x0F;
    return static_cast<std::byte>(~(sign | exponent << 4 | mantissa) & 0xFF);
}

std::uint32_t payload_crc(Bytes payload) {
    return bytes::crc32(payload.subspan(mark_size), bytes::crc32(payload.first(mark_crc_at)));
}

std::u16string description_of(std::uint32_t seed) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string text{description_start};
    for (int shift = 28; shift >= 0; shift -= 4) text.push_back(digits[seed >> shift & 15]);
    return bytes::to_utf16(text);
}

// An object with its size patched in when its fields are written.
template <class Fields>
void object(bytes::Writer& out, const bytes::Guid& id, Fields&& fields) {
    const auto start = out.size();
    out.guid(id);
    out.u64(0);
    fields();
    out.patch_u64(start + 16, out.size() - start);
}

}  // namespace

ContentResult<std::shared_ptr<const Synthesiser>> Synthesiser::make(const SyntheticOptions& options) {
    const auto refuse = [](std::string problem, std::string advice) {
        return ContentError{"synthetic", std::nullopt, std::move(problem), std::move(advice)};
    };
    if (options.bitrates.empty() || options.bitrates.size() > streams_max)
        return refuse(std::to_string(options.bitrates.size()) + " streams", "use 1 to 16");
    for (const auto bitrate : options.bitrates)
        if (bitrate < bitrate_min || bitrate > bitrate_max)
            return refuse("a bitrate of " + std::to_string(bitrate) + " bit/s", "use 8000 to 20000000");
    if (options.packet_size_max < 100 || options.packet_size_max > asf::packet_size_max)
        return refuse("a packet size of " + std::to_string(options.packet_size_max), "use 100 to 65536");
    if (!options.live && !options.duration) return refuse("stored content without an end", "give it a duration");
    constexpr milliseconds duration_max{std::int64_t{30} * 24 * 3600 * 1000};
    if (options.duration && (options.duration->count() <= 0 || *options.duration > duration_max))
        return refuse("a duration of " + std::to_string(options.duration->count()) + " ms", "use 1 ms to 30 days");

    std::shared_ptr<Synthesiser> content{new Synthesiser};
    content->seed_ = options.seed;
    content->interval_ = interval_max;
    for (const auto bitrate : options.bitrates) {
        Track track;
        if (bitrate > 384'000) {  // beyond mu-law at 48 kHz
            track.sample_size = 2;
            track.channels = bitrate <= 6'144'000 ? 2 : 8;
        }
        track.rate = bitrate / static_cast<std::uint32_t>(8 * track.frame_size());
        for (std::uint32_t i = 0; i < track.rate; ++i) {
            const auto sample =
                static_cast<int>(std::lround(8000 * std::sin(2 * std::numbers::pi * 440 * i / track.rate)));
            for (unsigned channel = 0; channel < track.channels; ++channel) {
                if (track.sample_size == 1) {
                    track.one_second.push_back(mu_law(sample));
                } else {
                    track.one_second.push_back(static_cast<std::byte>(sample & 0xFF));
                    track.one_second.push_back(static_cast<std::byte>(sample >> 8 & 0xFF));
                }
            }
        }
        const auto frames_max = (options.packet_size_max - packet_overhead) / track.frame_size();
        content->interval_ = std::min<std::uint64_t>(content->interval_, frames_max * second / track.rate);
        content->tracks_.push_back(std::move(track));
    }
    if (content->interval_ >= 10'000)
        content->interval_ -= content->interval_ % 1000;  // whole milliseconds where they fit
    std::size_t payload_max = 0;
    for (const auto& track : content->tracks_) {
        const auto frames = content->interval_ * track.rate;  // in millionths
        if (frames / second * track.frame_size() < mark_size)
            return refuse("the slowest stream has no room for the mark in a packet every " +
                              std::to_string(content->interval_) + " us",
                          "use bitrates that differ less, or larger packets");
        payload_max = std::max(payload_max, (frames + second - 1) / second * track.frame_size());
    }
    content->packet_size_ = static_cast<std::uint32_t>(payload_max + packet_overhead);
    if (options.duration) {
        const auto length = static_cast<std::uint64_t>(options.duration->count()) * 1000;
        content->packet_count_ = (length + content->interval_ - 1) / content->interval_ * content->tracks_.size();
    }
    content->header_ = content->make_header(options);
    return std::shared_ptr<const Synthesiser>{std::move(content)};
}

// Sample frames before a turn; computed in two parts so that no product overflows in 10000 years.
std::uint64_t Synthesiser::first_frame(const Track& track, std::uint64_t turn) const {
    const auto frames = interval_ * track.rate;  // of one turn, in millionths
    return turn / second * frames + turn % second * frames / second;
}

milliseconds Synthesiser::time_of_turn(std::uint64_t turn) const {
    return milliseconds{static_cast<std::int64_t>(turn / 1000 * interval_ + turn % 1000 * interval_ / 1000)};
}

Header Synthesiser::make_header(const SyntheticOptions& options) const {
    const auto count = packet_count_.value_or(0);
    const auto send_duration = time_of_turn(count / tracks_.size());
    const bytes::Guid file_id = bytes::Guid::named("wmlab synthetic " + std::to_string(seed_));
    const auto title = bytes::to_utf16(options.title).substr(0, title_max);
    const auto description = description_of(seed_);
    const auto text_size = [](std::u16string_view text) { return static_cast<std::uint16_t>(text.size() * 2 + 2); };
    const auto bit_rate = std::uint64_t{packet_size_} * 8 * second / interval_ * tracks_.size();

    bytes::Writer out;
    object(out, guids::Header_Object, [&] {
        out.u32(static_cast<std::uint32_t>(4 + tracks_.size()));
        out.u8(1), out.u8(2);
        object(out, guids::File_Properties_Object, [&] {
            out.guid(file_id);
            out.u64(0);  // File Size: set with the counts
            out.u64(creation_date);
            out.u64(0), out.u64(0), out.u64(0);  // Data Packets Count, Play Duration, Send Duration
            out.u64(static_cast<std::uint64_t>(preroll.count()));
            out.u32(0);
            out.u32(packet_size_), out.u32(packet_size_);
            out.u32(static_cast<std::uint32_t>(std::min<std::uint64_t>(bit_rate, 0xFFFFFFFF)));
        });
        object(out, guids::Header_Extension_Object, [&] {
            out.guid(guids::Header_Extension_Reserved1);
            out.u16(6);
            out.u32(0);
        });
        for (std::size_t i = 0; i < tracks_.size(); ++i) {
            const auto& track = tracks_[i];
            object(out, guids::Stream_Properties_Object, [&] {
                out.guid(guids::Audio_Media);
                out.guid(guids::No_Error_Correction);
                out.u64(0);
                out.u32(18), out.u32(0);  // Type-Specific Data Length, Error Correction Data Length
                out.u16(static_cast<std::uint16_t>(i + 1));
                out.u32(0);
                out.u16(track.sample_size == 1 ? 7 : 1);  // WAVEFORMATEX: mu-law or PCM
                out.u16(track.channels);
                out.u32(track.rate);
                out.u32(static_cast<std::uint32_t>(track.rate * track.frame_size()));
                out.u16(static_cast<std::uint16_t>(track.frame_size()));
                out.u16(static_cast<std::uint16_t>(track.sample_size * 8));
                out.u16(0);
            });
        }
        object(out, guids::Content_Description_Object, [&] {
            out.u16(text_size(title)), out.u16(2), out.u16(2), out.u16(text_size(description)), out.u16(2);
            out.utf16z(title), out.utf16z(u""), out.utf16z(u""), out.utf16z(description), out.utf16z(u"");
        });
        object(out, guids::Stream_Bitrate_Properties_Object, [&] {
            out.u16(static_cast<std::uint16_t>(tracks_.size()));
            for (std::size_t i = 0; i < tracks_.size(); ++i) {
                out.u16(static_cast<std::uint16_t>(i + 1));
                out.u32(static_cast<std::uint32_t>(tracks_[i].rate * tracks_[i].frame_size() * 8));
            }
        });
    });
    out.guid(guids::Data_Object);
    out.u64(0);
    out.guid(file_id);
    out.u64(0);
    out.u8(1), out.u8(1);
    const auto header = Header::parse(out.bytes()).value();
    return options.live ? live_header(header) : stored_header(header, count, send_duration);
}

std::vector<std::byte> Synthesiser::packet(std::uint64_t number) const {
    if (packet_count_ && number >= *packet_count_) return {};
    const auto index = static_cast<std::size_t>(number % tracks_.size());
    const auto turn = number / tracks_.size();
    const auto& track = tracks_[index];
    const auto from = first_frame(track, turn), to = first_frame(track, turn + 1);
    const auto payload_size = static_cast<std::uint32_t>((to - from) * track.frame_size());
    const auto time = time_of_turn(turn);

    bytes::Writer out;
    out.u8(0x82), out.u16(0);  // error correction data: players look for these bytes
    out.u8(0x10);              // one payload, Padding Length is a WORD
    out.u8(0x5D);
    out.u16(static_cast<std::uint16_t>(packet_size_ - packet_overhead - payload_size));
    out.u32(static_cast<std::uint32_t>(time.count()));
    out.u16(static_cast<std::uint16_t>((time_of_turn(turn + 1) - time).count()));
    out.u8(static_cast<std::uint8_t>(0x80 | (index + 1)));
    out.u8(static_cast<std::uint8_t>(turn));
    out.u32(0);
    out.u8(8);
    out.u32(payload_size);
    out.u32(static_cast<std::uint32_t>((time + preroll).count()));

    const auto payload_at = out.size();
    const auto& tone = track.one_second;
    for (auto at = from % track.rate * track.frame_size(); out.size() < payload_at + payload_size; at = 0) {
        const auto left = payload_at + payload_size - out.size();
        out.raw(Bytes{tone}.subspan(at, std::min<std::size_t>(left, tone.size() - at)));
    }
    bytes::Writer mark;
    mark.raw(magic);
    mark.u32(seed_);
    mark.u64(number);
    mark.u32(payload_size);
    mark.u32(0);
    out.zeros(packet_size_ - out.size());
    auto packet = out.take();
    const auto payload = std::span{packet}.subspan(payload_at, payload_size);
    std::copy(mark.bytes().begin(), mark.bytes().end(), payload.begin());
    const auto crc = payload_crc(payload);
    for (std::size_t i = 0; i < 4; ++i) payload[mark_crc_at + i] = static_cast<std::byte>(crc >> (8 * i) & 0xFF);
    return packet;
}

milliseconds Synthesiser::send_time(std::uint64_t number) const { return time_of_turn(number / tracks_.size()); }

std::uint64_t Synthesiser::packets_before(milliseconds time) const {
    const auto wanted = static_cast<std::uint64_t>(std::max(time, milliseconds{0}).count());
    // The first turn whose time, rounded down to milliseconds, is not earlier.
    auto turn = (wanted / interval_) * 1000 + (wanted % interval_ * 1000 + interval_ - 1) / interval_;
    while (time_of_turn(turn) < milliseconds{static_cast<std::int64_t>(wanted)}) ++turn;
    const auto number = turn * tracks_.size();
    return packet_count_ ? std::min(number, *packet_count_) : number;
}

std::uint64_t Synthesiser::packet_at_time(milliseconds time, const StreamSet&) const {
    if (time <= milliseconds{0}) return 0;
    const auto next = packets_before(time + milliseconds{1});
    const bool past_the_end = packet_count_ && next >= *packet_count_ &&
                              time >= time_of_turn((*packet_count_ + tracks_.size() - 1) / tracks_.size());
    if (past_the_end) return *packet_count_;
    return (next - 1) / tracks_.size() * tracks_.size();  // all streams of that turn
}

std::optional<std::uint32_t> synthetic_seed(const Header& header) {
    const auto text = bytes::to_utf8(header.description);
    if (!text.starts_with(description_start) || text.size() != description_start.size() + 8) return std::nullopt;
    std::uint32_t seed = 0;
    for (const char c : text.substr(description_start.size())) {
        const bool digit = c >= '0' && c <= '9', letter = c >= 'A' && c <= 'F';
        if (!digit && !letter) return std::nullopt;
        seed = seed << 4 | static_cast<std::uint32_t>(digit ? c - '0' : c - 'A' + 10);
    }
    return seed;
}

SyntheticCheck verify_synthetic(Bytes packet, const Header& header) {
    const auto seed = synthetic_seed(header);
    if (!seed) return {};
    SyntheticCheck check{SyntheticCheck::Outcome::damaged, 0, *seed, {}};
    const auto parsed = parse_packet(packet, header.packet_size);
    if (parsed.has_error()) {
        check.problem = parsed.error().text();
        return check;
    }
    if (parsed->payloads.size() != 1) {
        check.problem = "one payload expected, " + std::to_string(parsed->payloads.size()) + " found";
        return check;
    }
    const auto& payload = parsed->payloads.front();
    bytes::Reader in{payload.data};
    const auto start = in.raw(magic.size(), "magic");
    in.check(std::ranges::equal(start, std::as_bytes(std::span{magic})), "is not WMLB");
    in.check(in.u32("seed") == *seed, "is another content's");
    check.number = in.u64("packet number");
    const auto size = in.u32("size");
    in.check(size == payload.data.size(), "is not the payload's");
    const auto crc = in.u32("CRC-32");
    in.check(in.failed() || crc == payload_crc(payload.data), "is not the payload's");
    in.check(in.failed() || payload.stream == 1 + check.number % header.streams.size(),
             "is of a packet of another stream");
    if (in.failed()) {
        check.problem = in.error()->text();
        return check;
    }
    check.outcome = SyntheticCheck::Outcome::good;
    return check;
}

}  // namespace wmlab::asf
