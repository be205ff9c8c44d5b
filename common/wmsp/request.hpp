// Requests of MS-WMSP (2.2.2) with their Pragma tokens, and how the era's players and servers spell them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/guid.hpp"
#include "common/wmsp/http.hpp"
#include "common/wmsp/pragma.hpp"

namespace wmlab::wmsp {

enum class RequestKind {
    PlayNextEntry,
    Pipeline,
    Play,
    SelectStream,
    Describe,
    GetContentInfo,
    PushSetup,
    PushStart,
    Log,      // a client's log lines
    Unknown,  // another method, or a POST of nothing we know
};
std::string_view text(RequestKind kind);  // "Describe"

// MS-WMSP 2.2.1.8.
struct UserAgent {
    enum class Product { NSPlayer, NSServer, WMCacheProxy, WMEncoder, other };
    Product product = Product::other;
    std::string text;  // as sent
    unsigned major = 0, minor = 0;
    static UserAgent from(std::string_view text);
    bool windows_media() const { return product != Product::other; }
    bool browser() const;  // calls itself Mozilla, Opera or Lynx
};

struct Request {
    RequestKind kind = RequestKind::Unknown;
    RequestHead head;
    std::string host;         // of an absolute target, else of the Host line; may be empty
    bool absolute = false;    // the target was a whole URL, as sent to a proxy
    std::string path, query;  // "/lecture", still percent-encoded; MSWMExt is taken out of the query
    UserAgent user_agent;
    Pragmas pragmas;
    std::string xClientGUID;  // as sent: VLC's is malformed
    std::optional<std::uint32_t> client_id, stream_time, packet_num, max_duration, request_context;
    std::optional<std::uint64_t> stream_offset;  // bytes of packets; absent where unused
    std::optional<double> rate;
    std::vector<StreamSwitchEntry> stream_switch;
    std::string body;  // of a POST

    bool keep_alive() const;  // the client says so in so many words
};

// A request that can be read as HTTP is never a failure here: tokens that cannot be read are ignored : VLC and
// ffmpeg break the syntax. A target that is neither a path nor an http URL is one.
bytes::Parsed<Request> request_from(const RequestHead& head, std::string body = {});

// How a request is spelled.
struct RequestForm {
    std::string host;        // "media" or "media:8080"
    std::string path = "/";  // with query
    bool proxied = false;    // absolute URI, and one_line
    bool one_line = false;   // all tokens on one Pragma line: some proxies keep only the first
    std::string user_agent = std::string{player_agent};
    std::string client_guid;  // with braces
    bool keep_alive = false;
    static constexpr std::string_view player_agent = "NSPlayer/4.1.0.3857";
    static constexpr std::string_view server_agent = "NSServer/4.1.0.3923";
};
struct PlayFrom {
    std::uint32_t stream_time = 0;  // ms
    std::uint64_t stream_offset = 0;
    std::optional<std::uint32_t> packet_num;
    std::vector<StreamChoice> streams;
};
RequestHead describe_request(const RequestForm& form, unsigned request_context = 1);
RequestHead play_request(const RequestForm& form, const PlayFrom& from, unsigned request_context = 2);
RequestHead select_stream_request(const RequestForm& form, std::uint32_t client_id,
                                  const std::vector<StreamChoice>& streams, unsigned request_context = 3);

// Where a stored stream starts (3.2.5.6: stream-time unless it is 0, else packet-num, else stream-offset).
struct StartPoint {
    enum class By { packet, time } by = By::packet;
    std::uint64_t packet = 0;
    std::uint32_t time = 0;  // ms, as presentation time without preroll
};
StartPoint start_point(const Request& request, std::uint32_t packet_size);

}  // namespace wmlab::wmsp
