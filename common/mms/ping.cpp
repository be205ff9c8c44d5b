#include "common/mms/ping.hpp"

#include "common/mms/message_io.hpp"

namespace wmlab::mms {

bytes::Parsed<LinkMacToViewerPing> LinkMacToViewerPing::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkMacToViewerPing ping;
    ping.dwParam1 = in.u32("dwParam1");
    ping.dwParam2 = in.u32("dwParam2");
    return in.complete(std::move(ping));
}

std::vector<std::byte> LinkMacToViewerPing::serialise() const {
    MessageWriter out{MID};
    out.u32(dwParam1);
    out.u32(dwParam2);
    return out.complete(extra);
}

bytes::Parsed<LinkViewerToMacPong> LinkViewerToMacPong::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkViewerToMacPong pong;
    pong.dwParam1 = in.u32("dwParam1");
    pong.dwParam2 = in.u32("dwParam2");
    return in.complete(std::move(pong));
}

std::vector<std::byte> LinkViewerToMacPong::serialise() const {
    MessageWriter out{MID};
    out.u32(dwParam1);
    out.u32(dwParam2);
    return out.complete(extra);
}

}  // namespace wmlab::mms
