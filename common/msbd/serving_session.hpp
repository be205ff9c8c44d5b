// The serving end of one MSBD connection (MS-MSBD 3.2): an encoder, or an upstream server, that was connected to.
// Bytes, time and media in, actions out; no socket, no clock. Perform the actions in order; after Close nothing more
// comes.
#pragma once
#include <memory>
#include <variant>

#include "common/msbd/session.hpp"

namespace wmlab::msbd {

struct Group {
    std::uint32_t address = 0;  // 0xEFC00109 is 239.192.1.9
    std::uint16_t port = 0;
    bool operator==(const Group&) const = default;
};

struct ServingOptions {
    std::optional<Group> multicast;                         // grant multicast to this group; none: it is refused
    bool header_in_nsc = false;                             // dwFlags of RES_CONNECT
    std::vector<std::u16string> channels;                   // accepted szChannel; empty: any
    std::uint32_t refused_hr = bytes::NS_E_FILE_NOT_FOUND;  // of RES_CONNECT, for a channel or multicast not to be had
    std::optional<std::uint32_t> refuse_all_hr;             // refuse whoever connects (limits, access list)
    std::uint32_t first_packet_id = 0;

    std::chrono::milliseconds connect_timeout = std::chrono::seconds{30};  // for REQ_CONNECT
    std::chrono::milliseconds ping_interval = std::chrono::minutes{2};
    std::chrono::milliseconds ping_timeout = std::chrono::minutes{2};  // for RES_PING
    std::chrono::milliseconds drain = std::chrono::seconds{10};        // after the end, for the puller to close
};

// A message with media, the bytes shared by whoever still has to write them.
struct SendPacket {
    std::uint32_t dwPacketId = 0;
    std::uint16_t wStreamId = 0;
    std::shared_ptr<const std::vector<std::byte>> bytes;
};

// The puller was accepted: give it the stream with stream() (now, or when it is known) and packet().
struct Connected {
    std::u16string szChannel;
    bool multicast = false;  // packets go to the group, once for all pullers: packet() does nothing here
};

struct Close {  // close the connection, after what was sent before
    std::string reason;
    std::uint32_t hr = bytes::S_OK;  // S_OK: by agreement
};

using ServingAction = std::variant<Received, Malformed, Send, SendPacket, Connected, Close>;
using ServingActions = std::vector<ServingAction>;

class ServingSession {
public:
    enum class State {
        wait_connect,
        connected,  // accepted; no stream announced yet
        streaming,
        drain,  // the end was said; the puller closes
        finished,
    };

    ServingSession(ServingOptions options, TimePoint now);

    ServingActions receive(bytes::Bytes received, TimePoint now);
    ServingActions disconnected(TimePoint now);  // the puller closed the connection
    // From the embedder. Before Connected a stream is only remembered.
    ServingActions stream(StreamInfo stream, TimePoint now);       // begins, or changes on the way
    ServingActions packet(bytes::Bytes payload, TimePoint now);    // an ASF packet, with its padding
    ServingActions next_stream(StreamInfo stream, TimePoint now);  // IND_EOS, and the next entry of the playlist
    ServingActions end(TimePoint now);                             // IND_EOS, and nothing follows
    ServingActions close(std::string reason, std::uint32_t hr, TimePoint now);

    std::optional<TimePoint> next_deadline() const;
    ServingActions tick(TimePoint now);

    State state() const { return state_; }
    bool finished() const { return state_ == State::finished; }
    bool streaming() const { return state_ == State::streaming; }
    bool multicast() const { return multicast_; }
    std::uint32_t next_packet_id() const { return packet_id_; }
    // Of the packet that comes next: so that a puller that comes back can count what it missed.
    void number_from(std::uint32_t dwPacketId) { packet_id_ = dwPacketId; }

private:
    void handle(const Message& message, TimePoint now, ServingActions& out);
    void connect(const MSB_MSG_REQ_CONNECT& message, TimePoint now, ServingActions& out);
    void refuse(std::uint32_t hr, std::string reason, ServingActions& out);
    void announce(ServingActions& out);
    void send(Message message, ServingActions& out);
    void finish(std::string reason, std::uint32_t hr, ServingActions& out);

    ServingOptions options_;
    MessageSplitter splitter_;
    State state_ = State::wait_connect;
    bool multicast_ = false;
    std::optional<StreamInfo> stream_;
    std::uint32_t packet_id_;
    std::optional<TimePoint> connect_deadline_, ping_due_, pong_deadline_, drain_deadline_;
};

}  // namespace wmlab::msbd
