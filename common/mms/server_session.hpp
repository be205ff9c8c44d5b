// The server's side of one control connection (MS-MMSP 3.2): bytes, time and media in, actions out. Holds no socket and
// no clock. Perform the actions in order; after Close nothing more comes and `finished()` is true.
#pragma once
#include <array>
#include <functional>
#include <list>
#include <variant>

#include "common/bytes/hresult.hpp"
#include "common/mms/framing.hpp"
#include "common/mms/session.hpp"

namespace wmlab::mms {

// What the embedder knows of a file or live stream.
struct Content {
    std::vector<std::byte>
        header;  // ASF Header Object and the first 50 bytes of the Data Object, so that it ends 01 01
    std::uint32_t packet_size = 0;
    std::uint64_t packet_count = 0;             // 0 when live
    std::chrono::duration<double> duration{0};  // 0 when live
    std::uint32_t bit_rate = 0;                 // bit/s of all streams
    bool live = false;
    bool has_video = false;
    bool can_seek = true;    // never when live
    bool can_stride = true;  // stored video at other rates than 1
    bool playlist = false;
};

struct ServerOptions {
    std::uint32_t client_id = 1;  // nCubs: unique among the server's sessions, hard to guess
    std::string server_version = "4.1.0.3930";
    bool allow_udp = true, allow_tcp = true;
    std::uint32_t transport_refused_hr =
        bytes::NS_E_NOFUNNEL;                         // of ReportDisconnectedFunnel, for a transport not allowed
    bool packet_pair = true;                          // offer it to players that ask
    std::optional<std::uint32_t> connect_refused_hr;  // answer Connect with this and close (limits)

    std::size_t message_size_max = 64 * 1024;
    std::size_t header_part_max = 1464;  // bytes of the header in one Data packet; never more than packet_size
    bool pace_header = true;             // parts of the header no faster than bit_rate (3.2.5.8.1)
    std::size_t history_packets = 512;   // kept for resends over UDP
    std::size_t history_bytes = 512 * 1024;
    std::uint32_t resends_per_second = 200;

    std::chrono::milliseconds connect_timeout = std::chrono::seconds{30};     // for the player's Connect
    std::chrono::milliseconds idle_timeout = std::chrono::hours{1};           // not streaming and nothing received
    std::chrono::milliseconds keep_alive = std::chrono::seconds{30};          // nothing received for so long: Ping
    std::chrono::milliseconds end_of_stream_delay = std::chrono::seconds{1};  // UDP: after the last datagram
    std::optional<std::chrono::milliseconds> close_after_end;  // MPlayer ends only when the server closes
    std::uint64_t seed = 1;                                    // of the packet-pair bytes
    // The ASF packet of shared_media() once more, for a resend; null: it is no longer kept.
    std::function<std::shared_ptr<const std::vector<std::byte>>(std::uint32_t LocationId)> again;
};

enum class DataKind { packet_pair, header, media, resend };

// One Data packet: over UDP one datagram to the TCP peer's address and `udp_port()`, else to the control connection, in
// order.
struct SendData {
    DataKind kind = DataKind::media;
    Transport transport = Transport::tcp;
    std::uint32_t LocationId = 0;
    std::uint32_t sequence = 0;  // of media and resends
    std::shared_ptr<const std::vector<std::byte>> packet;
};

// The first 8 bytes of a Data packet of media; the ASF packet follows.
struct MediaHead {
    std::array<std::byte, Data::header_size> octets{};
    std::uint32_t sequence = 0;
};

// Answer with opened(), open_failed() or redirect(), now or later.
struct OpenRequest {
    std::string fileName;  // UTF-8; whatever the peer sent, so check it
};

// Send media with media(), from this position on, at `content.bit_rate`; live: from now on.
struct StartMedia {
    StartPosition from;
    std::optional<Acceleration> acceleration;  // the first dwAccelDuration ms at dwAccelBandwidth, if you like
};

struct StopMedia {
};  // the player paused, stopped or left, or reads another header first; media() is ignored from here on

struct StreamsSelected {
    std::vector<STREAM_SWITCH_ENTRY> entries;  // payloads of streams switched off need not be sent
};

struct Close {  // close the control connection, after what was sent before
    std::string reason;
    std::uint32_t hr = bytes::S_OK;  // S_OK: by agreement
};

using ServerAction =
    std::variant<Received, Malformed, Send, SendData, OpenRequest, StartMedia, StopMedia, StreamsSelected, Close>;
using ServerActions = std::vector<ServerAction>;

class ServerSession {
public:
    enum class State { init, ready, streaming, finished };

    ServerSession(ServerOptions options, TimePoint now);

    // From the network.
    ServerActions receive(bytes::Bytes control, TimePoint now);    // any piece of the TCP stream
    ServerActions datagram(bytes::Bytes datagram, TimePoint now);  // UDP 1755, from the TCP peer's address
    // From the embedder.
    ServerActions opened(Content content, TimePoint now);
    ServerActions open_failed(std::uint32_t hr, TimePoint now);
    ServerActions redirect(std::string location, TimePoint now);  // an mms:, mmsu: or mmst: URL
    ServerActions media(std::uint32_t LocationId, bytes::Bytes asf_packet, TimePoint now);
    // For a packet that many players get: only what goes before it is made here, and the embedder keeps it for resends
    // (ServerOptions::again). Nothing: it is not to be sent now.
    std::optional<MediaHead> shared_media(std::uint32_t LocationId, std::size_t packet_size);
    ServerActions end_of_media(TimePoint now);                   // the last packet was given
    ServerActions next_content(Content content, TimePoint now);  // the next entry of a playlist begins
    ServerActions close(std::string reason, std::uint32_t hr, TimePoint now);
    // From the clock: call tick() when next_deadline() has come.
    std::optional<TimePoint> next_deadline() const;
    ServerActions tick(TimePoint now);

    State state() const { return state_; }
    bool finished() const { return state_ == State::finished; }
    bool streaming() const { return state_ == State::streaming; }
    std::uint32_t client_id() const { return options_.client_id; }
    const std::optional<SubscriberName>& player() const { return player_; }  // after Connect
    const std::optional<FunnelName>& funnel() const { return funnel_; }      // after an accepted ConnectFunnel
    std::optional<std::uint16_t> udp_port() const;                           // where datagrams go
    std::uint32_t next_sequence() const { return sequence_; }
    std::uint64_t resends() const { return resends_; }

private:
    void handle(const Message& message, TimePoint now, ServerActions& out);
    void on(const LinkViewerToMacConnect& message, TimePoint now, ServerActions& out);
    void on(const LinkViewerToMacFunnelInfo& message, TimePoint now, ServerActions& out);
    void on(const LinkViewerToMacConnectFunnel& message, TimePoint now, ServerActions& out);
    void on(const LinkViewerToMacOpenFile& message, TimePoint now, ServerActions& out);
    void on(const LinkViewerToMacSecurityResponse& message, TimePoint now, ServerActions& out);
    void on(const LinkViewerToMacReadBlock& message, TimePoint now, ServerActions& out);
    void on(const LinkViewerToMacCancelReadBlock& message, TimePoint now, ServerActions& out);
    void on(const LinkViewerToMacStreamSwitch& message, TimePoint now, ServerActions& out);
    void on(const LinkViewerToMacStartPlaying& message, TimePoint now, ServerActions& out);
    void on(const LinkViewerToMacStartStriding& message, TimePoint now, ServerActions& out);
    void on(const LinkViewerToMacStopPlaying& message, TimePoint now, ServerActions& out);
    void on(const LinkViewerToMacLogging& message, TimePoint now, ServerActions& out);
    void on(const LinkViewerToMacPong& message, TimePoint now, ServerActions& out);
    void on(const LinkViewerToMacCloseFile& message, TimePoint now, ServerActions& out);

    void send(Message message, TimePoint now, ServerActions& out);
    void send_header(std::uint8_t incarnation, bool paced, TimePoint now, ServerActions& out);
    void send_header_parts(TimePoint now, ServerActions& out);
    void send_packet_pair(ServerActions& out);
    void send_data(SendData data, ServerActions& out);
    // Answers a request that is wrong in this state and ends the session.
    void refuse(Message report, std::string_view request, std::uint32_t hr, std::string_view why, TimePoint now,
                ServerActions& out);
    void start(StartPosition from, std::optional<Acceleration> acceleration, std::uint32_t incarnation,
               ServerActions& out);
    void stop_streaming(TimePoint now, ServerActions& out);
    void end_of_stream(TimePoint now, ServerActions& out);
    void finish(std::string reason, std::uint32_t hr, ServerActions& out);
    std::vector<std::byte> random_bytes(std::size_t count);
    void keep_run(std::uint32_t sequence, std::uint32_t LocationId);
    std::optional<SendData> sent_before(std::uint32_t sequence) const;

    ServerOptions options_;
    StreamSplitter splitter_;
    Framer framer_;
    State state_ = State::init;
    std::optional<SubscriberName> player_;
    std::optional<FunnelName> funnel_;
    bool udp_pair_wanted_ = false;
    bool opening_ = false;
    std::uint32_t open_incarnation_ = 1;
    std::optional<Content> content_;
    std::list<SendData> header_parts_;   // still to be sent
    TimePoint header_due_{};             // the next of them
    std::uint8_t media_incarnation_ = 0;
    std::uint32_t end_incarnation_ = 0;

    std::uint32_t sequence_ = 0;
    // What may be asked for again: of packets that many get no more than their numbers, in runs; the others whole.
    struct Run {
        std::uint32_t sequence, LocationId, count;
        std::uint8_t incarnation;
    };
    std::vector<Run> runs_;
    std::size_t in_runs_ = 0;  // packets
    std::list<SendData> history_;
    std::size_t history_size_ = 0;
    double resend_tokens_ = 0;
    TimePoint resend_time_;
    std::uint64_t resends_ = 0;
    std::uint64_t random_;

    std::optional<TimePoint> first_sent_;
    std::optional<TimePoint> idle_deadline_, ping_deadline_, header_deadline_, end_deadline_, close_deadline_;
};

}  // namespace wmlab::mms
