#include "common/mms/redirect.hpp"

#include "common/mms/message_io.hpp"

namespace wmlab::mms {

bytes::Parsed<LinkMacToViewerReportRedirect> LinkMacToViewerReportRedirect::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkMacToViewerReportRedirect report;
    report.hr = in.u32("hr");
    report.RedirectType = in.u16("RedirectType");
    const std::size_t cbLocation = in.u16("cbLocation");
    in.check(cbLocation % 2 == 0, "is odd");
    in.check(cbLocation <= in.left(), "is more than the message holds");
    report.wszLocation = in.utf16(cbLocation / 2, "wszLocation");
    if (!report.wszLocation.empty() && report.wszLocation.back() == 0) report.wszLocation.pop_back();
    return in.complete(std::move(report));
}

std::vector<std::byte> LinkMacToViewerReportRedirect::serialise() const {
    MessageWriter out{MID};
    out.u32(hr);
    out.u16(RedirectType);
    const auto location = std::u16string_view{wszLocation}.substr(0, 0x7FFE);
    out.u16(static_cast<std::uint16_t>((location.size() + 1) * 2));
    out.utf16z(location);
    return out.complete(extra);
}

}  // namespace wmlab::mms
