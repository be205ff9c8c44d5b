// Answers of servers and encoders (MS-WMSP 2.2.1, 3.2.5), and what a proxy on the way says instead.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/wmsp/http.hpp"
#include "common/wmsp/pragma.hpp"

namespace wmlab::wmsp {

// MS-WMSP 2.2.1.5. The 4.1 generation writes a blank, not a slash.
inline constexpr std::string_view cougar = "Cougar 4.1.0.3923", rex = "Rex 4.1.0.3923";

struct AnswerForm {
    std::string server = std::string{cougar};
    std::uint32_t client_id = 0;
    bool broadcast = true;      // features: "broadcast" or "seekable"
    bool keep_alive = false;    // needs a length
    bool reset_stream = false;  // xResetStrm: the client named a session we do not know
    std::optional<std::uint64_t> content_length;
};
ResponseHead media_answer(const AnswerForm& form);  // to Describe, Play and GetContentInfo; one Pragma line
ResponseHead document_answer(unsigned status, std::string_view server, std::string_view content_type,
                             std::optional<std::uint64_t> content_length);  // redirectors, pages, files, errors
// To a request for no content at all, as a server of the 4.1 generation gives it: a status and its name.
ResponseHead bare_answer(unsigned status, std::string_view server);
std::string_view reason_phrase(unsigned status);

struct Answer {  // a player's reading
    ResponseHead head;
    enum class Server { Cougar, Rex, other } server = Server::other;
    std::string server_text;  // "Cougar 4.1.0.3923"
    Pragmas pragmas;
    std::optional<std::uint32_t> client_id;
    enum class Features { none, broadcast, seekable } features = Features::none;
    bool windows_media() const;  // a Windows Media server or encoder wrote this, whoever passed it on
};
Answer answer_from(const ResponseHead& head);

// Marks that a cache or a buffering proxy leaves on an answer.
struct CacheMarks {
    std::optional<std::uint64_t> age;  // seconds
    bool hit = false;                  // X-Cache or X-Cache-Lookup says HIT
    std::optional<std::int64_t> date;  // of Date, seconds since 1970
    std::vector<std::string> via;      // each proxy, nearest last
};
CacheMarks cache_marks(const ResponseHead& head);
std::optional<std::int64_t> http_date(std::string_view text);  // RFC 9110 5.6.7, IMF-fixdate; seconds since 1970

// The words of an error page for a human: a proxy's own error header, else the title and text of the HTML, else the
// plain text; at most so many bytes, control characters taken out.
struct ErrorWords {
    std::string code;  // squid's ERR_ACCESS_DENIED, when there is one
    std::string text;
};
ErrorWords error_words(const ResponseHead& head, std::string_view body, std::size_t size_max = 400);

}  // namespace wmlab::wmsp
