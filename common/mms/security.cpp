#include "common/mms/security.hpp"

#include "common/mms/message_io.hpp"

namespace wmlab::mms {

bytes::Parsed<LinkMacToViewerSecurityChallenge> LinkMacToViewerSecurityChallenge::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkMacToViewerSecurityChallenge challenge;
    challenge.playIncarnation = in.u32("playIncarnation");
    challenge.cookie = in.u32("cookie");
    const auto cbToken = in.u32("cbToken");
    challenge.pToken = in.bytes_of(cbToken, "pToken");
    return in.complete(std::move(challenge));
}

std::vector<std::byte> LinkMacToViewerSecurityChallenge::serialise() const {
    MessageWriter out{MID};
    out.u32(playIncarnation);
    out.u32(cookie);
    out.u32(static_cast<std::uint32_t>(pToken.size()));
    out.raw(pToken);
    return out.complete(extra);
}

bytes::Parsed<LinkViewerToMacSecurityResponse> LinkViewerToMacSecurityResponse::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkViewerToMacSecurityResponse response;
    response.playIncarnation = in.u32("playIncarnation");
    response.cookie = in.u32("cookie");
    const auto cbToken = in.u32("cbToken");
    response.pToken = in.bytes_of(cbToken, "pToken");
    return in.complete(std::move(response));
}

std::vector<std::byte> LinkViewerToMacSecurityResponse::serialise() const {
    MessageWriter out{MID};
    out.u32(playIncarnation);
    out.u32(cookie);
    out.u32(static_cast<std::uint32_t>(pToken.size()));
    out.raw(pToken);
    return out.complete(extra);
}

}  // namespace wmlab::mms
