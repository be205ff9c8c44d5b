// HTTP/1.0 and 1.1 messages as Windows Media players, servers and web proxies send them (RFC 9112, MS-WMSP 2.2.1).
// Boost.Beast's parser does the work; heads are first tidied where real programs break its rules
// (docs/protocols/http.md).
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/text.hpp"

namespace wmlab::wmsp {

using bytes::Bytes;

// No peer makes us keep more than this.
inline constexpr std::size_t head_size_max = 64 * 1024, head_fields_max = 100, request_body_max = 64 * 1024;

struct Field {
    std::string name, value;
    bool operator==(const Field&) const = default;
};

using bytes::same_word;
std::string_view trimmed(std::string_view text);                                 // without blanks and tabs at both ends
std::optional<std::uint64_t> decimal(std::string_view text, std::uint64_t max);  // digits only

struct Fields : std::vector<Field> {
    using std::vector<Field>::vector;
    std::optional<std::string_view> find(std::string_view name) const;  // the first one
    std::string_view get(std::string_view name) const { return find(name).value_or(""); }
    std::size_t count(std::string_view name) const;
    bool has_word(std::string_view name, std::string_view word) const;  // "Connection: close, x" has close
};

struct RequestHead {
    std::string method, target;
    unsigned version = 10;  // 10 or 11
    Fields fields;
    std::string text() const;  // as sent, blank line included
};

struct ResponseHead {
    unsigned version = 10;
    unsigned status = 200;
    std::string reason;
    Fields fields;
    std::string text() const;
};

// What is wrong with a message, and the status a server answers with.
struct HttpProblem {
    unsigned status = 400;
    std::string text;  // "two Content-Length lines"
};

// Reads requests from one connection, one after the other. At most one head and one body are kept.
class RequestReader {
public:
    RequestReader();
    ~RequestReader();
    RequestReader(RequestReader&&) noexcept;
    RequestReader& operator=(RequestReader&&) noexcept;

    void put(Bytes bytes);  // after a problem or while a request is complete, bytes beyond head_size_max are dropped
    bool complete() const;  // head() and body() are valid
    const std::optional<HttpProblem>& problem() const;
    const RequestHead& head() const;
    const std::string& body() const;
    bool started() const;  // some bytes of the next request have come
    void next();           // forget this request, go on with what came behind it

private:
    struct State;
    std::unique_ptr<State> state_;
};

// Reads one response; its body (identity, counted or chunked) goes to `sink` as it comes, in pieces.
class ResponseReader {
public:
    using Sink = std::function<void(Bytes)>;
    explicit ResponseReader(bool to_head_request = false);
    ~ResponseReader();
    ResponseReader(ResponseReader&&) noexcept;
    ResponseReader& operator=(ResponseReader&&) noexcept;

    void put(Bytes bytes, const Sink& sink);
    void end();  // the peer closed; an unfinished message becomes a problem
    bool has_head() const;
    const ResponseHead& head() const;
    bool complete() const;  // the body is at its end, as counted, as chunked, or by end()
    bool chunked() const;
    const std::optional<HttpProblem>& problem() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace wmlab::wmsp
