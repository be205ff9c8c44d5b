// The pulling end of one MSBD connection (MS-MSBD 3.1): a server that fetches a stream from an encoder or upstream
// server. Bytes and time in, actions out; no socket, no clock. Perform the actions in order; after Finished nothing
// more comes. Connecting again after a loss is not decided here.
#pragma once
#include <set>
#include <variant>

#include "common/msbd/serving_session.hpp"
#include "common/msbd/session.hpp"

namespace wmlab::msbd {

struct PullingOptions {
    bool multicast = false;
    std::u16string channel = u"NetShow";
    std::chrono::milliseconds connect_timeout = std::chrono::seconds{10};  // for RES_CONNECT
    std::chrono::milliseconds stream_timeout =
        std::chrono::seconds{15};  // for IND_STREAMINFO: a live encoder may take its time
    // Nothing at all received, not even a ping, for so long: the stream is lost. Serving ends ping every two minutes.
    std::chrono::milliseconds silence_timeout = std::chrono::minutes{5};
};

struct JoinGroup {  // the packets come by multicast: give its datagrams to datagram()
    Group group;
};

struct StreamStarted {  // a header, the first or a new one
    StreamInfo stream;
};

struct PacketReceived {
    std::uint32_t dwPacketId = 0;
    std::uint16_t wStreamId = 0;
    std::vector<std::byte> payload;  // one ASF packet
    std::uint32_t missing = 0;       // packets between the one before and this
};

struct StreamEnded {  // IND_EOS; StreamStarted or Finished follows
};

struct Finished {  // close the connection
    bool worked = false;
    std::uint32_t hr = bytes::S_OK;
    std::string reason;
};

using PullingAction =
    std::variant<Received, Malformed, Send, JoinGroup, StreamStarted, PacketReceived, StreamEnded, Finished>;
using PullingActions = std::vector<PullingAction>;

struct PullingStatistics {
    std::uint64_t packets = 0, bytes = 0;
    std::uint64_t missing = 0;   // by gaps of dwPacketId, those that came late taken off
    std::uint64_t repeated = 0;  // came before: parity, which repeats an id, or a datagram that came twice
    std::uint64_t dropped = 0;   // of another stream, of none, or larger than announced
    std::uint64_t pings = 0;
};

class PullingSession {
public:
    enum class State {
        start,
        wait_res,     // REQ_CONNECT sent
        wait_stream,  // accepted, or a stream has ended; IND_STREAMINFO to come
        receiving,
        finished,
    };

    explicit PullingSession(PullingOptions options = {}) : options_{std::move(options)} {}

    PullingActions start(TimePoint now);  // the connection stands
    PullingActions receive(bytes::Bytes received, TimePoint now);
    PullingActions datagram(bytes::Bytes datagram, TimePoint now);  // of the joined group
    PullingActions disconnected(TimePoint now);                     // the serving end closed the connection
    PullingActions request_stream_info(TimePoint now);              // REQ_STREAMINFO, once connected
    PullingActions stop(TimePoint now);                             // enough

    std::optional<TimePoint> next_deadline() const;
    PullingActions tick(TimePoint now);

    State state() const { return state_; }
    bool finished() const { return state_ == State::finished; }
    const std::optional<StreamInfo>& stream() const { return stream_; }
    const PullingStatistics& statistics() const { return statistics_; }

private:
    void handle(Message message, TimePoint now, PullingActions& out);
    void connected(const MSB_MSG_RES_CONNECT& message, TimePoint now, PullingActions& out);
    void stream_info(std::uint32_t hr, StreamInfo stream, bool asked_for, PullingActions& out);
    void packet(MSB_MSG_IND_PACKET packet, PullingActions& out);
    void send(Message message, PullingActions& out);
    void finish(Finished finished, PullingActions& out);

    PullingOptions options_;
    MessageSplitter splitter_;
    State state_ = State::start;
    bool multicast_ = false;
    bool stream_ended_ = false;
    std::optional<StreamInfo> stream_;
    std::optional<std::uint32_t> last_id_;
    std::set<std::uint32_t> missing_ids_;  // the latest of them: over UDP they may only be late
    PullingStatistics statistics_;
    std::optional<TimePoint> deadline_;  // for the answer awaited
    std::optional<TimePoint> silence_deadline_;
};

}  // namespace wmlab::msbd
