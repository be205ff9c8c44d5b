// The player's side (MS-WMSP 3.1): Describe on one connection, Play on a second. Bytes and time in, actions out; no
// socket, no clock. Perform the actions in order; after Finished nothing more comes. The downstream end of HTTP
// distribution is the same session with NSServer's name.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/asf/header.hpp"
#include "common/bytes/guid.hpp"
#include "common/url/asx.hpp"
#include "common/url/url.hpp"
#include "common/wmsp/frame.hpp"
#include "common/wmsp/request.hpp"
#include "common/wmsp/response.hpp"
#include "common/wmsp/session.hpp"

namespace wmlab::wmsp {

struct Endpoint {
    std::string host;
    std::uint16_t port = 80;
    bool operator==(const Endpoint&) const = default;
};

struct PlayerOptions {
    url::Url url;                   // http, mmsh, or an mms URL played over HTTP
    std::optional<Endpoint> proxy;  // requests then carry the whole URL and one Pragma line
    bytes::Guid guid;               // by which the server's journal knows the flow
    std::string user_agent = std::string{RequestForm::player_agent};
    bool one_line = false;    // one Pragma line without a proxy too
    bool keep_alive = false;  // Play on the connection of Describe where the server agrees
    PlayFrom start;           // streams empty: all the ASF header lists
    bool select_streams = true;

    milliseconds connect_timeout = std::chrono::seconds{10};  // for connected()
    milliseconds head_timeout = std::chrono::seconds{15};     // from the request to the end of the answer's head
    milliseconds frame_timeout = std::chrono::seconds{30};    // between frames
    unsigned redirects_max = 5;
    std::size_t header_size_max = 1 << 20;
    // Media later than its own pace by so much is reported as delayed; a Date older than stale_date as stale.
    milliseconds late_max = std::chrono::seconds{2};
    std::chrono::seconds stale_date{20};
    std::optional<std::int64_t> utc;  // seconds since 1970 when start() is called; absent: Date is not judged
};

// Open a connection there, closing the one before; then call connected(). What kept it from being opened is the
// embedder's to report: give up with failed().
struct Connect {
    Endpoint to;
    bool proxy = false;   // to the proxy
    std::string purpose;  // "Describe", "Play"
};

struct Answered {         // the head of an answer
    std::string request;  // "Describe", "Play"
    Answer answer;
    CacheMarks marks;
};

struct HeaderComplete {
    asf::Header header;
    bool changed = false;  // not the first one of Play: the server changed streams ($C)
};

struct MediaReceived {
    std::uint32_t LocationId = 0;   // ASF packet number
    std::vector<std::byte> packet;  // may be shorter than packet_size (padding removed)
};

struct MediaStale {  // once for each kind
    enum class Kind { cached, delayed } kind = Kind::cached;
    std::string why;        // "Age: 31", "X-Cache: HIT", "2.4 s later than its own pace"
    milliseconds delay{0};  // of delayed media
};

struct StreamEnded {
    std::uint32_t Reason = 0;  // 1: another entry of the playlist follows
};

struct Finished {  // close the connection
    enum class Cause {
        none,                // worked
        server_status,       // the server's own refusal
        proxy_status,        // the proxy's own refusal or failure
        too_many_redirects,  // more than five, or a circle
        elsewhere,           // the answer names a URL this protocol does not play: see redirect
        not_media,           // HTML or anything else in place of frames
        malformed,           // HTTP or framing that cannot be read
        closed_early,        // the connection ended in the middle
        silent,              // nothing came in time
        ended_by_server,     // $E with an error
        modified,            // something on the way changed the request or the answer
        gave_up,             // failed() or stop() before media
    };
    bool worked = false;
    Cause cause = Cause::none;
    std::string reason;                     // a sentence
    unsigned status = 0;                    // HTTP status that ended it
    std::uint32_t hr = 0;                   // Reason of $E that ended it
    ErrorWords words;                       // the refusing end's own words
    std::string redirect;                   // play this URL instead
    std::vector<std::string> alternatives;  // or, where that fails, one of these
};

using PlayerAction = std::variant<Connect, Received, Malformed, Send, Answered, HeaderComplete, MediaReceived,
                                  MediaStale, StreamEnded, Finished>;
using PlayerActions = std::vector<PlayerAction>;

struct PlayerStatistics {
    std::uint64_t packets = 0, bytes = 0;  // media
    unsigned connections = 0, redirects = 0;
    milliseconds largest_delay{0};  // behind the media's own pace
};

class PlayerSession {
public:
    enum class State { start, connecting, head, header, between, media, finished };

    explicit PlayerSession(PlayerOptions options);

    PlayerActions start(TimePoint now);  // Connect follows
    PlayerActions connected(TimePoint now);
    PlayerActions receive(Bytes bytes, TimePoint now);
    PlayerActions disconnected(TimePoint now);  // the other end closed the connection
    PlayerActions stop(TimePoint now);          // enough was played; Finished follows
    // From now on: once the round trip or the pace of the media is known.
    void be_patient(milliseconds head_timeout, milliseconds frame_timeout, TimePoint now);
    PlayerActions failed(std::string reason, TimePoint now);
    std::optional<TimePoint> next_deadline() const { return deadline_; }
    PlayerActions tick(TimePoint now);

    State state() const { return state_; }
    bool finished() const { return state_ == State::finished; }
    bool playing() const { return play_; }        // the second request, Play
    const url::Url& url() const { return url_; }  // after redirects
    const PlayerStatistics& statistics() const { return statistics_; }
    const std::optional<Answer>& answer() const { return answer_; }

private:
    void connect(TimePoint now, PlayerActions& out);
    void request(TimePoint now, PlayerActions& out);
    void head(TimePoint now, PlayerActions& out);
    void body(Bytes bytes, TimePoint now, PlayerActions& out);
    void frames(TimePoint now, PlayerActions& out);
    void on_header(const Frame& frame, TimePoint now, PlayerActions& out);
    void on_data(Frame frame, TimePoint now, PlayerActions& out);
    void on_end(const Frame& frame, PlayerActions& out);
    void described(TimePoint now, PlayerActions& out);
    void end_of_answer(TimePoint now, PlayerActions& out);
    void judge_text(TimePoint now, PlayerActions& out);
    void tell_refusal(const std::string& words, PlayerActions& out);
    void follow_asx(const url::Asx& asx, TimePoint now, PlayerActions& out);
    void follow(std::string_view location, std::string_view how, TimePoint now, PlayerActions& out);
    void judge_cache(const CacheMarks& marks, TimePoint now, PlayerActions& out);
    void judge_pace(Bytes packet, TimePoint now, PlayerActions& out);
    void malformed(bytes::ParseError error, std::string what, PlayerActions& out);
    void finish(Finished finished, PlayerActions& out);
    std::string request_name() const { return play_ ? "Play" : "Describe"; }

    PlayerOptions options_;
    url::Url url_;
    State state_ = State::start;
    bool play_ = false;
    TimePoint started_{};
    std::vector<std::string> visited_;
    unsigned requests_ = 0;
    bool keep_connection_ = false;

    ResponseReader reader_;
    std::optional<Answer> answer_;
    std::optional<Received> refusal_;  // told when its words are known
    FrameReader frames_;
    HeaderAssembler assembler_;
    std::optional<asf::Header> header_;
    bool text_ = false;  // the body is no frames: collected for its words
    std::string text_body_;
    std::vector<std::byte> first_bytes_;  // of the body, for the journal

    bool header_due_ = false;   // after $C
    bool entry_ended_ = false;  // $E 1: $C follows
    std::optional<std::uint32_t> last_location_;

    struct Pace {
        TimePoint arrival;
        milliseconds send_time;
    };
    std::optional<Pace> first_packet_;
    milliseconds earliest_{0};  // least lateness seen: a fast start is early
    bool reported_cached_ = false, reported_delayed_ = false;

    PlayerStatistics statistics_;
    std::optional<TimePoint> deadline_;
};

}  // namespace wmlab::wmsp
