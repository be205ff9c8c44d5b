#include "common/msb/sender_session.hpp"

#include <algorithm>

namespace wmlab::msb {

SenderSession::SenderSession(SenderOptions options)
    : options_{options}, parity_{std::min(options.span, span_max)}, next_id_{options.first_dwPacketID} {
    using std::chrono::seconds;
    options_.beacon_interval = std::clamp<std::chrono::milliseconds>(options_.beacon_interval, seconds{1}, seconds{10});
}

void SenderSession::start(TimePoint now) { beacon_due_ = now; }

void SenderSession::start_stream(std::uint16_t format_id, TimePoint now) {
    const auto id = static_cast<std::uint16_t>(format_id & 0x07FF);
    // The bit changes with every entry (2.2.4), so that this wStreamID differs from the last one whatever the formats
    // are.
    const auto bit = static_cast<std::uint16_t>(streamed_ ? (wStreamID_ & Packet::entry_bit) ^ Packet::entry_bit : 0);
    wStreamID_ = static_cast<std::uint16_t>(id | bit);
    streaming_ = streamed_ = true;
    parity_.abandon();
    if (!options_.beacon_while_streaming)
        beacon_due_.reset();
    else if (!beacon_due_)
        beacon_due_ = now + options_.beacon_interval;
}

std::vector<Datagram> SenderSession::packet(Bytes asf_packet) {
    std::vector<Datagram> datagrams;
    if (!streaming_ || asf_packet.size() > asf_packet_max) return datagrams;
    std::vector<std::byte> numbered{asf_packet.begin(), asf_packet.end()};
    const auto parity = parity_.add(numbered);
    datagrams.push_back(Packet{next_id_, wStreamID_, numbered}.serialise());
    if (parity) datagrams.push_back(Packet{next_id_, wStreamID_, *parity}.serialise());
    ++next_id_;
    return datagrams;
}

void SenderSession::end_stream(TimePoint now) {
    streaming_ = false;
    parity_.abandon();  // an unfinished span gets no parity packet, as in Windows (<8>)
    if (!beacon_due_) beacon_due_ = now + options_.beacon_interval;
}

void SenderSession::stop() {
    streaming_ = false;
    beacon_due_.reset();
}

std::optional<Datagram> SenderSession::tick(TimePoint now) {
    if (!beacon_due_ || now < *beacon_due_) return std::nullopt;
    beacon_due_ = now + options_.beacon_interval;
    return Datagram{beacon_packet.begin(), beacon_packet.end()};
}

}  // namespace wmlab::msb
