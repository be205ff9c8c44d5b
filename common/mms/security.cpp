#include "common/mms/security.hpp"

#include "common/mms/message_io.hpp"

namespace wmlab::mms {
namespace {

// Challenge and response have the same fields.
template <class Message>
bytes::Parsed<Message> parse_token(bytes::Bytes message) {
    MessageReader in{message, Message::MID};
    Message parsed;
    parsed.playIncarnation = in.u32("playIncarnation");
    parsed.cookie = in.u32("cookie");
    const auto cbToken = in.u32("cbToken");
    parsed.pToken = in.bytes_of(cbToken, "pToken");
    return in.complete(std::move(parsed));
}

template <class Message>
std::vector<std::byte> serialise_token(const Message& message) {
    MessageWriter out{Message::MID};
    out.u32(message.playIncarnation);
    out.u32(message.cookie);
    out.u32(static_cast<std::uint32_t>(message.pToken.size()));
    out.raw(message.pToken);
    return out.complete(message.extra);
}

}  // namespace

bytes::Parsed<LinkMacToViewerSecurityChallenge> LinkMacToViewerSecurityChallenge::parse(bytes::Bytes message) {
    return parse_token<LinkMacToViewerSecurityChallenge>(message);
}

std::vector<std::byte> LinkMacToViewerSecurityChallenge::serialise() const { return serialise_token(*this); }

bytes::Parsed<LinkViewerToMacSecurityResponse> LinkViewerToMacSecurityResponse::parse(bytes::Bytes message) {
    return parse_token<LinkViewerToMacSecurityResponse>(message);
}

std::vector<std::byte> LinkViewerToMacSecurityResponse::serialise() const { return serialise_token(*this); }

}  // namespace wmlab::mms
