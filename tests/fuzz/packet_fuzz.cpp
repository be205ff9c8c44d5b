// Frames off a wire: whatever a neighbour sends reads as some sort of packet, or as none.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "lab/capture/packet.hpp"
#include "lab/network/igmp.hpp"

using namespace wmlab::lab;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto frame = std::as_bytes(std::span{data, size});
    const auto seen = read_packet(frame);
    if (seen) {
        const auto again = read_packet(frame);
        if (!again || again->sort != seen->sort || again->hash != seen->hash) std::abort();
        if (seen->payload > 0xFFFF) std::abort();
        if (seen->later_fragment && seen->sort.ports) std::abort();
        if (text(seen->sort.kind).empty()) std::abort();
        // Cut short by the capture it is never of another sender.
        for (std::size_t cut = 14; cut < size; cut += 7)
            if (const auto part = read_packet(frame.first(cut)); part && part->ttl != seen->ttl) std::abort();
    }
    const auto groups = read_igmp(frame);
    if (groups.joined.size() + groups.left.size() > size) std::abort();
    return 0;
}
