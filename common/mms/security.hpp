// Authentication (MS-MMSP 2.2.4.14, 2.2.4.24).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::mms {

// 2.2.4.14: in place of ReportOpenFile; has no hr.
struct LinkMacToViewerSecurityChallenge {
    static constexpr std::uint32_t MID = 0x0004001A;
    static constexpr std::string_view name = "LinkMacToViewerSecurityChallenge";

    std::uint32_t playIncarnation = 1;  // of OpenFile
    std::uint32_t cookie = 0;
    std::vector<std::byte> pToken;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkMacToViewerSecurityChallenge> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkMacToViewerSecurityChallenge&) const = default;
};

// 2.2.4.24: credentials (Basic: ASCII and a NUL; NTLM: 00 00 and the token).
struct LinkViewerToMacSecurityResponse {
    static constexpr std::uint32_t MID = 0x0003001A;
    static constexpr std::string_view name = "LinkViewerToMacSecurityResponse";

    std::uint32_t playIncarnation = 1;
    std::uint32_t cookie = 0;  // of the challenge
    std::vector<std::byte> pToken;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkViewerToMacSecurityResponse> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkViewerToMacSecurityResponse&) const = default;
};

}  // namespace wmlab::mms
