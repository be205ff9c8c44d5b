// Play from somewhere else (MS-MMSP 2.2.4.9).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::mms {

// 2.2.4.9: in place of ReportOpenFile.
struct LinkMacToViewerReportRedirect {
    static constexpr std::uint32_t MID = 0x00040022;
    static constexpr std::string_view name = "LinkMacToViewerReportRedirect";

    static constexpr std::uint16_t to_url = 1, to_proxy = 2;  // RedirectType

    std::uint32_t hr = 0;
    std::uint16_t RedirectType = to_url;
    std::u16string wszLocation;    // mms:, mmsu: or mmst: URL, or proxy
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkMacToViewerReportRedirect> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkMacToViewerReportRedirect&) const = default;
};

}  // namespace wmlab::mms
