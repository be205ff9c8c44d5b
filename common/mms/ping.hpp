// Keep-alive (MS-MMSP 2.2.4.1, 2.2.4.22).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::mms {

// 2.2.4.1: is the player still there?
struct LinkMacToViewerPing {
    static constexpr std::uint32_t MID = 0x0004001B;
    static constexpr std::string_view name = "LinkMacToViewerPing";

    std::uint32_t dwParam1 = 0;
    std::uint32_t dwParam2 = 0;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkMacToViewerPing> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkMacToViewerPing&) const = default;
};

// 2.2.4.22: the answer, which every player must give.
struct LinkViewerToMacPong {
    static constexpr std::uint32_t MID = 0x0003001B;
    static constexpr std::string_view name = "LinkViewerToMacPong";

    std::uint32_t dwParam1 = 0;
    std::uint32_t dwParam2 = 0;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkViewerToMacPong> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkViewerToMacPong&) const = default;
};

}  // namespace wmlab::mms
