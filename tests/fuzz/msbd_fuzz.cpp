// MSBD from a peer. The first byte chooses who reads: 0 a serving end, 1 a pulling end, 2 one message. What must hold
// whatever the bytes are is checked.
#include <algorithm>
#include <cstdlib>
#include <span>

#include "common/msbd/pulling_session.hpp"
#include "common/msbd/serving_session.hpp"

using namespace wmlab;
using namespace wmlab::msbd;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

// Cuts the input into steps: a byte that says what comes, a byte of length, and the bytes.
struct Steps {
    bytes::Bytes left;
    bool next(unsigned& what, bytes::Bytes& with) {
        if (left.size() < 2) return false;
        what = std::to_integer<unsigned>(left[0]);
        const auto size = std::min(std::to_integer<std::size_t>(left[1]), left.size() - 2);
        with = left.subspan(2, size);
        left = left.subspan(2 + size);
        return true;
    }
};

// The id and body given, with a proper header around them: reaches deeper than bytes that must invent one.
std::vector<std::byte> framed(bytes::Bytes with) {
    UnknownMessage message;
    if (!with.empty()) {
        message.wMessageId = std::to_integer<std::uint16_t>(with[0]);
        if (with.size() > 1 && (with[0] & std::byte{0x80}) != std::byte{0}) message.hr = bytes::NS_E_NO_STREAM;
        message.wMessageId &= 0x0F;
        message.body.assign(with.begin() + 1, with.end());
    }
    return serialise(message);
}

StreamInfo stream(bytes::Bytes with) {
    StreamInfo stream;
    stream.wStreamId = static_cast<std::uint16_t>(with.size() & 3);
    stream.cbPacketSize = 100;
    stream.header.assign(with.begin(), with.end());
    return stream;
}

void lead_serving(bytes::Bytes input) {
    if (input.empty()) return;
    TimePoint now{};
    ServingOptions options;
    const auto choice = std::to_integer<unsigned>(input[0]);
    if ((choice & 1U) != 0) options.multicast = Group{0xEFC00109, 7000};
    if ((choice & 2U) != 0) options.channels = {u"NetShow"};
    ServingSession session{options, now};
    std::size_t closes = 0;
    const auto take = [&](const ServingActions& actions) {
        for (const auto& action : actions) {
            require(closes == 0);
            closes += std::holds_alternative<Close>(action) ? 1 : 0;
            if (const auto* send = std::get_if<Send>(&action))
                require(parse_message(send->bytes) == bytes::Parsed<Message>{send->message});
            if (const auto* send = std::get_if<SendPacket>(&action)) require(parse_message(*send->bytes).has_value());
        }
    };
    Steps steps{input.subspan(1)};
    unsigned what = 0;
    bytes::Bytes with;
    while (steps.next(what, with)) {
        switch (what % 8) {
            case 0:
                take(session.receive(with, now));
                break;
            case 1:
            case 2:
                take(session.receive(framed(with), now));
                break;
            case 3:
                take(session.stream(stream(with), now));
                break;
            case 4:
                take(session.packet(with, now));
                break;
            case 5:
                take(session.next_stream(stream(with), now));
                break;
            case 6:
                take(session.end(now));
                break;
            default:
                now += std::chrono::milliseconds{1U << (with.size() % 24)};
        }
        take(session.tick(now));
        require(session.finished() == (closes != 0));
        require(!session.next_deadline() || *session.next_deadline() > now);
    }
    take(session.disconnected(now));
    require(closes == 1);
}

void lead_pulling(bytes::Bytes input) {
    if (input.empty()) return;
    TimePoint now{};
    PullingOptions options;
    options.multicast = (input[0] & std::byte{1}) != std::byte{0};
    PullingSession session{options};
    std::size_t ends = 0;
    const auto take = [&](const PullingActions& actions) {
        for (const auto& action : actions) {
            require(ends == 0);
            ends += std::holds_alternative<Finished>(action) ? 1 : 0;
            if (const auto* send = std::get_if<Send>(&action))
                require(parse_message(send->bytes) == bytes::Parsed<Message>{send->message});
        }
    };
    take(session.start(now));
    Steps steps{input.subspan(1)};
    unsigned what = 0;
    bytes::Bytes with;
    while (steps.next(what, with)) {
        switch (what % 8) {
            case 0:
                take(session.receive(with, now));
                break;
            case 1:
            case 2:
            case 3:
                take(session.receive(framed(with), now));
                break;
            case 4:
                take(session.datagram(with, now));
                break;
            case 5:
                take(session.datagram(framed(with), now));
                break;
            case 6:
                take(session.request_stream_info(now));
                break;
            default:
                now += std::chrono::milliseconds{1U << (with.size() % 24)};
        }
        take(session.tick(now));
        require(session.finished() == (ends != 0));
        require(!session.next_deadline() || *session.next_deadline() > now);
    }
    take(session.disconnected(now));
    require(ends == 1);
}

void one_message(bytes::Bytes input) {
    const auto parsed = parse_message(input);
    MessageSplitter splitter;
    const auto cut = splitter.feed(input);
    require(splitter.buffered() < MSBMSGBASE::message_size_max);
    if (!parsed.has_value()) return;
    require(cut.messages.size() == 1 && !cut.error);
    telling_fields(*parsed);
    const auto again = parse_message(serialise(*parsed));
    require(again.has_value() && serialise(*again) == serialise(*parsed));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto input = std::as_bytes(std::span{data, size}).subspan(1);
    switch (data[0] % 3) {
        case 0:
            lead_serving(input);
            break;
        case 1:
            lead_pulling(input);
            break;
        default:
            one_message(input);
    }
    return 0;
}
