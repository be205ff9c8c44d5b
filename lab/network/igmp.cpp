#include "lab/network/igmp.hpp"

#include <algorithm>

namespace wmlab::lab {
namespace {

constexpr unsigned report_v1 = 0x12, report_v2 = 0x16, leave_v2 = 0x17, report_v3 = 0x22;
// Record types of IGMPv3 whose sources are those wanted; of the others they are those not wanted.
constexpr unsigned mode_is_include = 1, change_to_include = 3, allow_new_sources = 5, block_old_sources = 6;

std::uint32_t big_endian(std::span<const std::byte> bytes) {
    std::uint32_t value = 0;
    for (const auto byte : bytes) value = value << 8 | std::to_integer<std::uint32_t>(byte);
    return value;
}

void settle(std::vector<std::uint32_t>& groups) {
    std::ranges::sort(groups);
    groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
}

}  // namespace

IgmpSeen read_igmp(std::span<const std::byte> message) {
    IgmpSeen seen;
    if (message.size() < 8) return seen;
    const auto type = std::to_integer<unsigned>(message[0]);
    if (type == report_v1 || type == report_v2) seen.joined.push_back(big_endian(message.subspan(4, 4)));
    if (type == leave_v2) seen.left.push_back(big_endian(message.subspan(4, 4)));
    if (type != report_v3) return seen;
    constexpr std::size_t record_head = 8;
    auto records = big_endian(message.subspan(6, 2));
    for (auto rest = message.subspan(8); records > 0 && rest.size() >= record_head; --records) {
        const auto record_type = std::to_integer<unsigned>(rest[0]);
        const std::size_t auxiliary = std::to_integer<std::size_t>(rest[1]), sources = big_endian(rest.subspan(2, 2));
        const auto group = big_endian(rest.subspan(4, 4));
        const bool wants_listed =
            record_type == mode_is_include || record_type == change_to_include || record_type == allow_new_sources;
        if (record_type != block_old_sources) (wants_listed && sources == 0 ? seen.left : seen.joined).push_back(group);
        rest = rest.subspan(std::min(rest.size(), record_head + 4 * (sources + auxiliary)));
    }
    settle(seen.joined);
    settle(seen.left);
    return seen;
}

}  // namespace wmlab::lab
