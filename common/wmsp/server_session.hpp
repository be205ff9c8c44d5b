// The server's side of one HTTP connection (MS-WMSP 3.2): bytes, time and media in, actions out. Holds no socket and no
// clock. Perform the actions in order; after Close nothing more comes and finished() is true. The upstream end of HTTP
// distribution is the same session: a server says Cougar, an encoder Rex.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/wmsp/frame.hpp"
#include "common/wmsp/request.hpp"
#include "common/wmsp/response.hpp"
#include "common/wmsp/session.hpp"

namespace wmlab::wmsp {

// What the embedder knows of a file or live stream.
struct Content {
    std::vector<std::byte> header;  // ASF Header Object and the first 50 bytes of the Data Object
    std::uint32_t packet_size = 0;
    std::uint64_t packet_count = 0;  // 0 when live
    bool live = false;
    bool can_seek = true;                // never when live
    std::vector<std::uint16_t> streams;  // numbers of the streams in the header
};

struct ServerOptions {
    std::string server = std::string{cougar};  // or rex
    std::uint32_t client_id = 1;               // unique among the server's sessions, hard to guess
    bool keep_alive = true;  // go on after an answer of known length, for clients that say Connection: Keep-Alive
    bool redirector = true;  // browsers that ask for a publishing point get a redirector; else the file itself
    std::string address;     // host or host:port for redirectors where the client sent no Host line
    bool mms = true;         // .asx documents name the publishing point as mms:// first
    // Whether a publishing point has this very name: then /NAME.asx is it, and no redirector to NAME.
    std::function<bool(const std::string& name)> published;

    milliseconds head_timeout =
        std::chrono::seconds{15};  // from the connection, or the answer before, to a whole request
    milliseconds answer_timeout = std::chrono::seconds{30};  // for opened() or open_failed()
    unsigned requests_max = 100;                             // on one connection
};

// Why a publishing point is wanted.
enum class Purpose {
    describe,  // Describe, GetContentInfo: the header only
    play,      // Play
    redirect,  // a browser: a redirector follows, or an .asx was asked for
    download,  // some other program: header and packets without frames
    index,     // the list of publishing points: answer with document(), or open_failed(404)
};

// Answer with opened(), open_failed() or document(), now or later.
struct OpenRequest {
    std::string
        name;  // the path decoded, without the first slash and without .asx; whatever the peer sent, so check it
    Purpose purpose = Purpose::describe;
    Request request;
};

// Send media with media(), from this position on, in its own pace (the first moments at once); live: from now on.
// A download (`framed` false) of stored content may be sent as fast as the connection takes it.
struct StartMedia {
    StartPoint from;
    bool framed = true;
    std::vector<StreamChoice> streams;  // switched on one after the other; none was before
    bool all_streams = false;           // all are on
    std::uint32_t max_duration = 0;     // ms; 0: to the end
};

struct StopMedia {};  // the player left; media() is ignored from here on

// A SelectStream for another connection's session: hand it to its select(). The request is answered either way.
struct SelectStreams {
    std::optional<std::uint32_t> client_id;
    std::vector<StreamSwitchEntry> entries;
};

// Payloads of streams with thinning 2 need not be sent any more.
struct StreamsSelected {
    std::vector<StreamChoice> streams;
};

struct LogUploaded {
    std::string text;  // as sent
};

// One packet for the connection: the last `size() - skip` bytes of `frame`, which live players share.
struct SendData {
    std::uint32_t LocationId = 0;
    std::shared_ptr<const std::vector<std::byte>> frame;
    std::size_t skip = 0;
};

struct Close {  // close the connection, after what was sent before
    std::string reason;
    bool by_agreement = true;  // the exchange was complete
};

using ServerAction = std::variant<Received, Malformed, Send, SendData, OpenRequest, StartMedia, StopMedia,
                                  SelectStreams, StreamsSelected, LogUploaded, Close>;
using ServerActions = std::vector<ServerAction>;

inline constexpr std::string_view index_path = "/publishing-points";

class ServerSession {
public:
    enum class State { reading, opening, streaming, finished };

    ServerSession(ServerOptions options, TimePoint now);

    // From the network.
    ServerActions receive(Bytes bytes, TimePoint now);
    ServerActions disconnected(TimePoint now);  // the peer closed or reset the connection
    // From the embedder.
    ServerActions opened(Content content, TimePoint now);
    // Before opened(), to Play: the session goes on that an earlier answer named (3.2.5.6).
    void go_on_as(std::uint32_t client_id) { client_id_ = client_id; }
    ServerActions open_failed(unsigned status, std::string why, TimePoint now);  // 404, 503; the words go to the client
    ServerActions document(std::string content_type, std::string body, TimePoint now);
    ServerActions media(std::uint32_t LocationId, Bytes asf_packet, TimePoint now);
    ServerActions media(std::uint32_t LocationId, std::shared_ptr<const std::vector<std::byte>> data_frame,
                        TimePoint now);                          // what data_frame() made, one for many players
    ServerActions end_of_media(TimePoint now);                   // the last packet was given
    ServerActions next_content(Content content, TimePoint now);  // the next entry of a playlist begins: $C, $H
    ServerActions select(std::vector<StreamSwitchEntry> entries, TimePoint now);
    ServerActions close(std::string reason, TimePoint now);
    // For a packet that many get: true: the frame that data_frame() makes of it is to be sent as it is.
    bool shared_media();
    // From the clock: call tick() when next_deadline() has come.
    std::optional<TimePoint> next_deadline() const;
    ServerActions tick(TimePoint now);

    State state() const { return state_; }
    bool finished() const { return state_ == State::finished; }
    bool streaming() const { return state_ == State::streaming; }
    std::uint32_t client_id() const { return client_id_; }  // of the session now running
    const std::optional<Request>& request() const { return request_; }
    std::uint64_t packets_sent() const { return packets_; }

private:
    void read(TimePoint now, ServerActions& out);
    void handle(TimePoint now, ServerActions& out);
    void refuse(unsigned status, std::string why, TimePoint now, ServerActions& out);
    void send_document(unsigned status, std::string_view type, std::string body, std::string message, TimePoint now,
                       ServerActions& out);
    void answer(const Content& content, TimePoint now, ServerActions& out);
    void send_redirector(ServerActions& out, TimePoint now);
    void send_bare(unsigned status, std::string why, ServerActions& out);
    void done(TimePoint now, ServerActions& out);  // with one request
    void finish(std::string reason, bool by_agreement, ServerActions& out);
    bool head_only() const;
    std::string own_address() const;

    ServerOptions options_;
    RequestReader reader_;
    State state_ = State::reading;
    std::optional<Request> request_;
    std::optional<OpenRequest> opening_;
    Content content_;
    bool framed_ = true, keep_alive_ = false;
    bool asx_ = false;  // the path named an .asx
    std::uint32_t client_id_ = 0;
    unsigned requests_ = 0;
    std::uint64_t packets_ = 0;
    std::vector<std::byte> first_bytes_;  // of the request, for the journal
    std::optional<TimePoint> deadline_;
};

}  // namespace wmlab::wmsp
