// ASF from a peer or a file: a header, then packets of its packet size. What must hold whatever the bytes are is
// checked.
#include <algorithm>
#include <cstdlib>
#include <span>

#include "common/asf/packet.hpp"
#include "common/asf/synthesiser.hpp"

using namespace wmlab::asf;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void try_packet(Bytes packet, const Header& header) {
    const auto parsed = parse_packet(packet, header.packet_size);
    if (parsed.has_value()) {
        const auto time = send_time(packet);
        require(time.has_value() && *time == parsed->send_time);
        std::size_t payload_bytes = 0;
        for (const auto& payload : parsed->payloads) {
            require(payload.data.empty() ||
                    (payload.data.data() >= packet.data() &&
                     payload.data.data() + payload.data.size() <= packet.data() + packet.size()));
            payload_bytes += payload.data.size();
        }
        require(payload_bytes + parsed->padding <= packet.size());
        starts_key_frame(*parsed, header);
        std::vector<std::byte> copy{packet.begin(), packet.end()};
        shift_times(copy, header.packet_size, milliseconds{1000});
        const auto shifted = send_time(copy);
        require(shifted.has_value() && (shifted->count() - time->count() - 1000) % (std::int64_t{1} << 32) == 0);
    }
    const auto whole = padded(packet, header.packet_size);
    require(whole.size() == header.packet_size);
    if (parsed.has_value() && packet.size() == header.packet_size) require(std::ranges::equal(whole, packet));
    verify_synthetic(packet, header);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes input{reinterpret_cast<const std::byte*>(data), size};
    const auto needed = header_bytes_needed(input);
    const auto parsed = Header::parse(input);
    if (parsed.has_error()) {
        // No header: then the input is one packet of a stream like the test vectors.
        static const auto header = Synthesiser::make({})->get()->header();
        if (needed.has_error()) try_packet(input.first(std::min<std::size_t>(size, header.packet_size)), header);
        return 0;
    }
    const auto& header = *parsed;
    require(needed.has_value() && *needed == header.raw.size() && *needed <= size);
    require(Header::parse(header.raw).value() == header);
    const auto live = Header::parse(live_header(header).raw);
    require(live.has_value() && live->broadcast && live->packet_size == header.packet_size);
    require(Header::parse(stored_header(header, 7, milliseconds{700}).raw).value().packets_count == 7);

    Pacing pacing{header};
    milliseconds before{0};
    for (auto rest = input.subspan(*needed); !rest.empty();) {
        const auto packet = rest.first(std::min<std::size_t>(rest.size(), header.packet_size));
        rest = rest.subspan(packet.size());
        try_packet(packet, header);
        const auto time = pacing.next(packet);
        require(time >= before);
        before = time;
    }
    return 0;
}
