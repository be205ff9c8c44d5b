// The player's side of one control connection (MS-MMSP 3.1): bytes and time in, actions out. Holds no socket and no
// clock. Perform the actions in order; after Finished nothing more comes. Which transport to try next (rollover) is not
// decided here.
#pragma once
#include <variant>

#include "common/bytes/guid.hpp"
#include "common/bytes/hresult.hpp"
#include "common/mms/framing.hpp"
#include "common/mms/header_parts.hpp"
#include "common/mms/resends.hpp"
#include "common/mms/sequence.hpp"
#include "common/mms/session.hpp"

namespace wmlab::mms {

enum class PacketPair { none, tcp, udp };

// How playIncarnation is chosen.
enum class Incarnations {
    open_players,    // OpenFile 1, header 2, play 4, always (ffmpeg, libmms, VLC)
    shared_counter,  // one counter for all (Windows Media Player before 9)
    media_player_9,  // header 1 to 8, play and OpenFile 9 to FE
};

struct PlayerOptions {
    std::string host;      // of the URL, with ":port" if it has one; for subscriberName
    std::string fileName;  // UTF-8: the URL's path without the leading "/", not percent-encoded
    bytes::Guid guid;      // by which the server's journal knows the flow
    std::string product = "NSPlayer", version = "4.1.0.3928";
    Transport transport = Transport::udp;
    std::string local_address = "0.0.0.0";  // for funnelName
    std::uint16_t local_port = 0;           // the bound UDP port, or any number over TCP
    bool tcp_after_refusal = false;  // after ReportDisconnectedFunnel for UDP: go on with TCP on the same connection
    PacketPair packet_pair = PacketPair::none;
    bool funnel_info = true;  // without it there is no client id and so no resend request
    Incarnations incarnations = Incarnations::shared_counter;

    bool autoplay = true;  // StartPlaying as soon as the streams are selected; else wait for play()
    StartPosition start;
    std::optional<std::vector<STREAM_SWITCH_ENTRY>> streams;  // none: all streams the ASF header lists
    std::string url;                                          // for CLIENT_LOG
    bool logging = true;                                      // send LinkViewerToMacLogging when the stream ends

    std::chrono::milliseconds reply_timeout = std::chrono::seconds{10};  // for each answer, and each part of the header
    unsigned header_retries = 4;                                         // after the Header timer of 3.1.2
    std::chrono::milliseconds resend_delay = std::chrono::milliseconds{60};  // a gap may be mere reordering
    std::chrono::milliseconds resend_wait = std::chrono::milliseconds{300};  // for an answer, before asking again
    unsigned resend_attempts = 3;                                            // 0: never ask on our own
    std::chrono::milliseconds linger = std::chrono::milliseconds{250};  // UDP: EndOfStream overtakes the last datagrams

    std::size_t message_size_max = 128 * 1024;
    std::size_t header_size_max = 256 * 1024;
};

// Send to the server's address, UDP port number of the control connection (1755), from any port but best the media
// port.
struct SendDatagram {
    std::vector<std::uint32_t> sequences;
    std::vector<std::byte> packet;
    bool on_purpose = false;  // request_again(), not a loss
};

struct FunnelRefused {  // UDP was refused; tcp_after_refusal decides what follows
    std::uint32_t hr = 0;
};

struct FileOpened {
    LinkMacToViewerReportOpenFile file;
};

struct HeaderComplete {
    std::vector<std::byte> header;  // ASF Header Object and 50 bytes of the Data Object
};

// The player is ready to play (autoplay off), or paused.
struct Ready {};

struct PlayingStarted {};  // the server reports it; media may have come before

struct MediaReceived {
    std::uint32_t LocationId = 0;   // ASF packet number
    std::uint32_t sequence = 0;     // the full send counter
    std::vector<std::byte> packet;  // ASF packet; may be shorter than filePacketSize (padding removed)
    bool duplicate = false;         // was here before (among them the answers to request_again)
    bool resent = false;            // asked for with SendDatagram
};

struct MediaLost {  // given up
    std::vector<std::uint32_t> sequences;
};

struct MediaSilent {       // the Header timer ran out, or no part of the header came for reply_timeout
    unsigned attempt = 0;  // of ReadBlock, from 1
    std::chrono::milliseconds waited{0};
    bool retrying = false;  // else Finished follows
};

struct StreamEnded {
    std::uint32_t hr = 0;  // 1: another entry of the playlist follows
};

struct Finished {  // close the control connection, after what was sent before
    bool worked = false;
    std::uint32_t hr = bytes::S_OK;  // of the peer, or what a real player would report
    std::string reason;
    std::string redirect;  // play this URL instead
};

using PlayerAction = std::variant<Received, Malformed, Send, SendDatagram, FunnelRefused, FileOpened, HeaderComplete,
                                  Ready, PlayingStarted, MediaReceived, MediaLost, MediaSilent, StreamEnded, Finished>;
using PlayerActions = std::vector<PlayerAction>;

struct PlayerStatistics {
    std::uint64_t packets = 0, bytes = 0;  // media, duplicates not counted
    std::uint64_t duplicates = 0, lost = 0, resend_requests = 0, recovered = 0;
    std::uint64_t packet_pairs = 0, stray = 0;  // stray: of another incarnation or none we know
};

class PlayerSession {
public:
    enum class State {
        start,
        connecting,   // Connect sent
        funnel_info,  // FunnelInfo sent
        funnel,       // ConnectFunnel sent
        opening,      // OpenFile sent
        header,       // ReadBlock sent, or StreamChange over TCP received
        selecting,    // StreamSwitch sent
        ready,        // nothing under way
        starting,     // StartPlaying sent
        playing,      // started, or media is coming
        stopping,     // StopPlaying sent
        between,      // EndOfStream hr 1 received, StreamChange to come
        draining,     // EndOfStream received, resends under way
        finished,
    };

    explicit PlayerSession(PlayerOptions options);

    PlayerActions start(TimePoint now);                            // the control connection stands
    PlayerActions receive(bytes::Bytes control, TimePoint now);    // any piece of the TCP stream
    PlayerActions datagram(bytes::Bytes datagram, TimePoint now);  // from the server's address, on local_port
    PlayerActions disconnected(TimePoint now);                     // the server closed the control connection
    // Nothing that the server sends over UDP arrives, however often it is asked: ends the wait for the header as soon as the server says that it sends one.
    PlayerActions datagrams_lost(TimePoint now);
    std::optional<TimePoint> next_deadline() const;
    PlayerActions tick(TimePoint now);

    PlayerActions play(StartPosition from, TimePoint now);  // in Ready
    PlayerActions pause(TimePoint now);                     // StopPlaying; Ready follows
    PlayerActions resume(TimePoint now);                    // from the packet after the last received
    PlayerActions seek(StartPosition to, TimePoint now);    // pause and play
    PlayerActions stop(TimePoint now);                      // StopPlaying, Logging, CloseFile; Finished follows
    // Asks once for a packet again, so that the way of the resend request is tried. Nothing over TCP.
    PlayerActions request_again(std::uint32_t sequence, TimePoint now);

    State state() const { return state_; }
    bool finished() const { return state_ == State::finished; }
    Transport transport() const { return transport_; }
    const PlayerStatistics& statistics() const { return statistics_; }
    const std::optional<LinkMacToViewerReportOpenFile>& file() const { return file_; }
    std::optional<std::uint32_t> client_id() const { return client_id_; }
    std::u16string server_version() const { return server_version_; }

private:
    void handle(const Message& message, TimePoint now, PlayerActions& out);
    void on(const LinkMacToViewerReportConnectedEX& message, TimePoint now, PlayerActions& out);
    void on(const LinkMacToViewerReportFunnelInfo& message, TimePoint now, PlayerActions& out);
    void on(const LinkMacToViewerReportConnectedFunnel& message, TimePoint now, PlayerActions& out);
    void on(const LinkMacToViewerReportDisconnectedFunnel& message, TimePoint now, PlayerActions& out);
    void on(const LinkMacToViewerReportOpenFile& message, TimePoint now, PlayerActions& out);
    void on(const LinkMacToViewerReportRedirect& message, TimePoint now, PlayerActions& out);
    void on(const LinkMacToViewerSecurityChallenge& message, TimePoint now, PlayerActions& out);
    void on(const LinkMacToViewerReportReadBlock& message, TimePoint now, PlayerActions& out);
    void on(const LinkMacToViewerReportStreamSwitch& message, TimePoint now, PlayerActions& out);
    void on(const LinkMacToViewerReportStartedPlaying& message, TimePoint now, PlayerActions& out);
    void on(const LinkMacToViewerReportStartStriding& message, TimePoint now, PlayerActions& out);
    void on(const LinkMacToViewerReportEndOfStream& message, TimePoint now, PlayerActions& out);
    void on(const LinkMacToViewerReportStreamChange& message, TimePoint now, PlayerActions& out);
    void on(const LinkMacToViewerPing& message, TimePoint now, PlayerActions& out);

    void data(const Data& data, TimePoint now, PlayerActions& out);
    void header_part(const Data& data, TimePoint now, PlayerActions& out);
    void media(const Data& data, bool current, TimePoint now, PlayerActions& out);

    void send(Message message, PlayerActions& out);
    void request(Message message, State next, TimePoint now, PlayerActions& out);  // an answer is due
    void connect_funnel(TimePoint now, PlayerActions& out);
    void read_block(TimePoint now, PlayerActions& out);
    void select_streams(TimePoint now, PlayerActions& out);
    void start_playing(TimePoint now, PlayerActions& out);
    void stop_playing(TimePoint now, PlayerActions& out);
    void ask_resends(TimePoint now, PlayerActions& out);
    void send_resend_request(std::vector<std::uint32_t> sequences, bool on_purpose, PlayerActions& out);
    void begin_draining(TimePoint now, PlayerActions& out);
    void finish_stream(PlayerActions& out);  // Logging, CloseFile, Finished
    void finish(Finished finished, PlayerActions& out);
    void out_of_order(const Message& message, PlayerActions& out);
    bool refused(std::uint32_t hr, std::string_view what, PlayerActions& out);  // then finished
    void time_out(TimePoint now, PlayerActions& out);
    void header_silent(TimePoint now, PlayerActions& out);
    void header_missing(TimePoint now, PlayerActions& out);
    enum class Purpose { open, header, play };
    std::uint32_t incarnation(Purpose purpose);
    Duration header_timer() const;
    CLIENT_LOG log() const;

    PlayerOptions options_;
    StreamSplitter splitter_;
    Framer framer_;
    State state_ = State::start;
    Transport transport_;
    std::uint32_t next_incarnation_ = 1, next_header_incarnation_ = 1;

    std::u16string server_version_;
    std::optional<std::uint32_t> client_id_;
    unsigned funnel_reports_ = 0;  // of the three of a packet pair over TCP
    std::optional<LinkMacToViewerReportOpenFile> file_;
    std::uint32_t packet_size_ = 0, bit_rate_ = 0, header_size_ = 0;  // of the file, or of the playlist's entry

    std::uint32_t header_incarnation_ = 0;
    HeaderParts header_parts_;
    unsigned header_attempt_ = 0;
    bool datagrams_lost_ = false;
    unsigned reads_unanswered_ = 0;  // the header may overtake ReportReadBlock
    bool entry_follows_ = false;     // StreamChange over TCP: the media comes without StartPlaying
    std::vector<std::byte> header_;

    StartPosition start_at_;
    std::optional<StartPosition> after_stop_;  // a seek under way
    bool stop_for_good_ = false;
    std::uint32_t play_incarnation_ = 0;
    std::uint32_t earlier_incarnation_ = 0;  // its last datagrams may still be on their way
    std::optional<std::uint32_t> last_location_;
    SequenceTracker tracker_;
    std::uint32_t tcp_sequence_ = 0;
    Resends resends_;
    PlayerStatistics statistics_;
    std::optional<TimePoint> first_media_, last_media_;
    std::uint32_t end_hr_ = 0;

    std::optional<TimePoint> reply_deadline_, header_deadline_, silence_deadline_, drain_deadline_;
    TimePoint header_asked_{};
    std::string awaited_;
};

}  // namespace wmlab::mms
