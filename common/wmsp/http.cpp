#include "common/wmsp/http.hpp"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <cassert>
#include <cctype>

namespace wmlab::wmsp {
namespace {

namespace http = boost::beast::http;
namespace beast = boost::beast;

using bytes::as_text;

// Where the head ends (behind its blank line), if it does. Lines may end in CRLF or LF.
std::optional<std::size_t> end_of_head(std::string_view text, std::size_t from) {
    for (auto at = text.find('\n', from); at != std::string_view::npos; at = text.find('\n', at + 1)) {
        auto next = at + 1;
        if (next < text.size() && text[next] == '\r') ++next;
        if (next < text.size() && text[next] == '\n') return next + 1;
    }
    return std::nullopt;
}

std::vector<std::string_view> lines_of(std::string_view head) {
    std::vector<std::string_view> lines;
    while (!head.empty()) {
        const auto end = head.find('\n');
        auto line = head.substr(0, end);
        head.remove_prefix(end == std::string_view::npos ? head.size() : end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        lines.push_back(line);
    }
    while (!lines.empty() && lines.back().empty()) lines.pop_back();
    return lines;
}

// Collects one head, bounded. Blank lines in front of it are skipped, as RFC 9112 2.2 wants.
struct HeadCollector {
    std::string text;
    bool done = false, overflow = false;

    std::size_t put(std::string_view more) {  // how much of `more` belongs to the head
        std::size_t skipped = 0;
        while (text.empty() && skipped < more.size() && (more[skipped] == '\r' || more[skipped] == '\n')) ++skipped;
        const auto had = text.size();
        text.append(more.substr(skipped, head_size_max + 1 - had));
        const auto end = end_of_head(text, had < 3 ? 0 : had - 3);
        overflow = end.value_or(text.size()) > head_size_max;
        if (!end) return more.size();
        done = true;
        text.resize(*end);
        return skipped + *end - had;
    }
};

std::string problem_text(const beast::error_code& error) { return error.message(); }

struct Parts {  // what both kinds of parser collect
    Fields fields;
    std::string reason, method, target;
    unsigned status = 0;
    int version = 10;
    bool head_done = false, body_done = false;
    std::function<void(std::string_view)> body;
};

template <bool is_request>
class Parser : public http::basic_parser<is_request> {
public:
    Parts parts;
    Parser() {
        this->eager(true);
        this->header_limit(head_size_max * 2);  // tidying may lengthen a head of bare line feeds
        this->body_limit(boost::none);
    }

private:
    using text = beast::string_view;
    static std::string_view view(text t) { return {t.data(), t.size()}; }
    void on_request_impl(http::verb, text method, text target, int version, beast::error_code&) override {
        parts.method = view(method), parts.target = view(target), parts.version = version;
    }
    void on_response_impl(int code, text reason, int version, beast::error_code&) override {
        parts.status = static_cast<unsigned>(code), parts.reason = view(reason), parts.version = version;
    }
    void on_field_impl(http::field, text name, text value, beast::error_code&) override {
        if (!parts.head_done) parts.fields.push_back({std::string{view(name)}, std::string{view(value)}});
    }
    void on_header_impl(beast::error_code&) override { parts.head_done = true; }
    void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}
    std::size_t on_body_impl(text piece, beast::error_code&) override {
        if (parts.body) parts.body(view(piece));
        return piece.size();
    }
    void on_chunk_header_impl(std::uint64_t, text, beast::error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, text piece, beast::error_code&) override {
        if (parts.body) parts.body(view(piece));
        return piece.size();
    }
    void on_finish_impl(beast::error_code&) override { parts.body_done = true; }
};

// Feeds all of `text`; what the parser cannot use yet stays in `left`.
template <bool is_request>
beast::error_code feed(Parser<is_request>& parser, std::string& left, std::string_view text) {
    beast::error_code error;
    if (!left.empty()) {
        left.append(text);
        text = left;
    }
    std::size_t used = 0;
    while (used < text.size() && !parser.is_done()) {
        const auto n = parser.put(boost::asio::const_buffer{text.data() + used, text.size() - used}, error);
        used += n;
        if (error || n == 0) break;
    }
    std::string kept{text.substr(used)};
    left = std::move(kept);
    if (error == http::error::need_more) error = {};
    return error;
}

}  // namespace

std::string_view trimmed(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
}

std::optional<std::uint64_t> decimal(std::string_view text, std::uint64_t max) {
    if (text.empty()) return std::nullopt;
    std::uint64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (digit > max || value > (max - digit) / 10) return std::nullopt;
        value = value * 10 + digit;
    }
    return value;
}

std::optional<std::string_view> Fields::find(std::string_view name) const {
    for (const auto& field : *this)
        if (same_word(field.name, name)) return field.value;
    return std::nullopt;
}

std::size_t Fields::count(std::string_view name) const {
    return static_cast<std::size_t>(
        std::count_if(begin(), end(), [&](const Field& field) { return same_word(field.name, name); }));
}

bool Fields::has_word(std::string_view name, std::string_view word) const {
    for (const auto& field : *this) {
        if (!same_word(field.name, name)) continue;
        std::string_view list = field.value;
        while (!list.empty()) {
            const auto comma = list.find(',');
            if (same_word(trimmed(list.substr(0, comma)), word)) return true;
            list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
        }
    }
    return false;
}

namespace {
std::string fields_text(std::string first_line, const Fields& fields) {
    std::string text = std::move(first_line) + "\r\n";
    for (const auto& field : fields) text += field.name + ": " + field.value + "\r\n";
    return text + "\r\n";
}
std::string version_text(unsigned version) { return version == 11 ? "HTTP/1.1" : "HTTP/1.0"; }
}  // namespace

std::string RequestHead::text() const {
    return fields_text(method + ' ' + target + ' ' + version_text(version), fields);
}

std::string ResponseHead::text() const {
    return fields_text(version_text(version) + ' ' + std::to_string(status) + ' ' + reason, fields);
}

// --- requests ---------------------------------------------------------------------------------------------------

namespace {
// Players and people send names as they are typed: blanks and other bytes that a target may not hold are escaped.
std::string with_escaped_target(std::string_view line) {
    const auto method = line.find(' ');
    const auto version = line.rfind(" HTTP/");
    if (method == std::string_view::npos || version == std::string_view::npos || version <= method)
        return std::string{line};
    std::string tidy{line.substr(0, method + 1)};
    for (const char c : line.substr(method + 1, version - method - 1)) {
        constexpr std::string_view digits = "0123456789ABCDEF";
        const auto byte = static_cast<unsigned char>(c);
        const bool escape = byte >= 0x7F || std::string_view{" \"<>\\^`{|}"}.find(c) != std::string_view::npos;
        if (escape)
            tidy.append({'%', digits[byte >> 4], digits[byte & 15]});
        else
            tidy += c;
    }
    return tidy.append(line.substr(version));
}
}  // namespace

struct RequestReader::State {
    HeadCollector collector;
    std::optional<Parser<true>> parser;
    std::string left;  // not yet parsed, or behind a complete request
    std::string body;
    RequestHead head;
    bool complete = false;
    std::optional<HttpProblem> problem;

    void fail(unsigned status, std::string text) {
        if (!problem) problem = HttpProblem{status, std::move(text)};
        left.clear();
    }

    // Shapes that two parsers may read in two ways are refused before a proxy and we can disagree.
    void check_lines(const std::vector<std::string_view>& lines) {
        if (lines.size() > head_fields_max + 1) return fail(431, "more than 100 header lines");
        std::size_t lengths = 0, codings = 0;
        for (std::size_t i = 1; i < lines.size(); ++i) {
            const auto line = lines[i];
            if (line.front() == ' ' || line.front() == '\t') return fail(400, "a folded header line");
            const auto colon = line.find(':');
            if (colon == std::string_view::npos) return fail(400, "a header line without a colon");
            if (colon == 0 || line[colon - 1] == ' ' || line[colon - 1] == '\t')
                return fail(400, "a blank before the colon of a header line");
            if (line.find('\r') != std::string_view::npos) return fail(400, "a carriage return inside a header line");
            lengths += same_word(line.substr(0, colon), "Content-Length") ? 1 : 0;
            codings += same_word(line.substr(0, colon), "Transfer-Encoding") ? 1 : 0;
        }
        if (lengths > 1) return fail(400, "two Content-Length lines");
        if (lengths != 0 && codings != 0) return fail(400, "both Content-Length and Transfer-Encoding");
        if (codings != 0) return fail(501, "a request with Transfer-Encoding");
    }

    void check_size() {
        const auto length = head.fields.find("Content-Length");
        if (!length) return;
        const auto size = decimal(*length, UINT64_MAX);
        if (!size) return fail(400, "Content-Length is not a number");
        // A push announces 2147483647 bytes; its head alone decides the answer.
        if (*size > request_body_max && !head.fields.get("Content-Type").starts_with("application/x-wms-push"))
            return fail(413, "a body of " + std::to_string(*size) + " bytes");
    }

    void put(std::string_view text) {
        if (problem) return;
        if (complete) {
            if (left.size() + text.size() > head_size_max) return fail(400, "too much sent ahead");
            left.append(text);
            return;
        }
        if (!collector.done) {
            text.remove_prefix(collector.put(text));
            if (collector.overflow) return fail(431, "a head of more than 64 KiB");
            if (!collector.done) return;
            begin();
            if (!problem) put(text);
            return;
        }
        body_bytes(text);
    }

    void begin() {
        const auto lines = lines_of(collector.text);
        if (lines.empty()) return fail(400, "an empty request");
        check_lines(lines);
        if (problem) return;
        std::string tidy = with_escaped_target(lines.front()) + "\r\n";
        for (std::size_t i = 1; i < lines.size(); ++i) tidy.append(lines[i]).append("\r\n");
        tidy += "\r\n";
        parser.emplace();
        parser->parts.body = [this](std::string_view piece) { body.append(piece); };
        const auto error = feed(*parser, left, tidy);
        if (error) return fail(error == http::error::bad_version ? 505 : 400, problem_text(error));
        if (!parser->parts.head_done) return fail(400, "a head that does not end");
        head = {parser->parts.method, parser->parts.target, static_cast<unsigned>(parser->parts.version),
                parser->parts.fields};
        check_size();
        if (problem) return;
        complete = parser->is_done() || head.fields.get("Content-Type").starts_with("application/x-wms-push");
    }

    void body_bytes(std::string_view text) {
        if (text.empty()) return;
        const auto error = feed(*parser, left, text);
        if (error) return fail(400, problem_text(error));
        complete = parser->is_done();
        if (left.size() > head_size_max) fail(400, "too much sent ahead");
    }
};

RequestReader::RequestReader() : state_{std::make_unique<State>()} {}
RequestReader::~RequestReader() = default;
RequestReader::RequestReader(RequestReader&&) noexcept = default;
RequestReader& RequestReader::operator=(RequestReader&&) noexcept = default;
void RequestReader::put(Bytes bytes) { state_->put(as_text(bytes)); }
bool RequestReader::complete() const { return state_->complete && !state_->problem; }
const std::optional<HttpProblem>& RequestReader::problem() const { return state_->problem; }
const RequestHead& RequestReader::head() const { return state_->head; }
const std::string& RequestReader::body() const { return state_->body; }
bool RequestReader::started() const { return state_->complete || !state_->collector.text.empty(); }
void RequestReader::next() {
    if (state_->problem) return;
    const auto left = std::move(state_->left);
    state_ = std::make_unique<State>();
    state_->put(left);
}

// --- responses --------------------------------------------------------------------------------------------------

struct ResponseReader::State {
    HeadCollector collector;
    std::optional<Parser<false>> parser;
    std::string left;
    ResponseHead head;
    bool to_head_request = false, has_head = false, complete = false;
    unsigned interim = 0;
    std::optional<HttpProblem> problem;

    void fail(std::string text) {
        if (!problem) problem = HttpProblem{502, std::move(text)};
        left.clear();
    }

    // Responses come from servers and proxies we are here to examine, so their slips are mended, not refused.
    std::optional<std::string> tidied() {
        const auto lines = lines_of(collector.text);
        std::string status{lines.empty() ? std::string_view{} : lines.front()};
        if (status.starts_with("ICY ")) status.replace(0, 3, "HTTP/1.0");  // Shoutcast's spelling
        if (!status.starts_with("HTTP/")) {
            fail("the answer does not begin with an HTTP status line");
            return std::nullopt;
        }
        if (std::count(status.begin(), status.end(), ' ') < 2) status += ' ';  // "HTTP/1.0 200" without a reason
        std::string tidy = status + "\r\n";
        std::size_t fields = 0;
        for (std::size_t i = 1; i < lines.size(); ++i) {
            auto line = lines[i];
            const bool folded = line.front() == ' ' || line.front() == '\t';
            const auto colon = line.find(':');
            if (!folded && (colon == std::string_view::npos || colon == 0)) continue;
            if (folded && fields == 0) continue;
            if (!folded && ++fields > head_fields_max) {
                fail("more than 100 header lines");
                return std::nullopt;
            }
            if (folded) {
                tidy.append(line);
            } else {
                const auto name = trimmed(line.substr(0, colon));
                if (name.find_first_of(" \t") != std::string_view::npos) continue;
                tidy.append(name).append(line.substr(colon));
            }
            tidy += "\r\n";
        }
        return tidy + "\r\n";
    }

    void put(std::string_view text, const Sink& sink) {
        if (problem || complete) return;
        if (!collector.done) {
            text.remove_prefix(collector.put(text));
            if (collector.overflow) return fail("a head of more than 64 KiB");
            const auto& begun = collector.text;  // what is no HTTP at all is told at once
            if (begun.size() >= 5 && !begun.starts_with("HTTP/") && !begun.starts_with("ICY "))
                return fail("the answer does not begin with an HTTP status line");
            if (!collector.done) return;
            begin();
            if (head.status / 100 == 1 && head.status != 101 && !problem) {  // interim: the real answer follows
                if (++interim > 8) return fail("more than 8 interim answers");
                collector = {}, parser.reset(), left.clear(), has_head = false, complete = false;
            }
            put(text, sink);
            return;
        }
        if (!text.empty()) body_bytes(text, sink);
    }

    void begin() {
        const auto tidy = tidied();
        if (!tidy) return;
        parser.emplace();
        if (to_head_request) parser->skip(true);
        const auto error = feed(*parser, left, *tidy);
        if (error) return fail(problem_text(error));
        if (!parser->parts.head_done) return fail("a head that does not end");
        head = {static_cast<unsigned>(parser->parts.version), parser->parts.status, parser->parts.reason,
                parser->parts.fields};
        if (head.fields.count("Content-Length") > 1) return fail("two Content-Length lines");
        has_head = true;
        complete = parser->is_done();
    }

    void body_bytes(std::string_view text, const Sink& sink) {
        parser->parts.body = [&](std::string_view piece) {
            sink(std::as_bytes(std::span{piece.data(), piece.size()}));
        };
        const auto error = feed(*parser, left, text);
        parser->parts.body = nullptr;
        if (error) return fail(problem_text(error));
        complete = parser->is_done();
        if (left.size() > head_size_max) fail("a chunk header of more than 64 KiB");
    }

    void end() {
        if (problem || complete) return;
        if (!has_head)
            return fail(collector.text.empty() ? "closed without an answer" : "closed inside the head of the answer");
        beast::error_code error;
        parser->put_eof(error);
        if (error) return fail("closed before the announced end of the body");
        complete = true;
    }
};

ResponseReader::ResponseReader(bool to_head_request) : state_{std::make_unique<State>()} {
    state_->to_head_request = to_head_request;
}
ResponseReader::~ResponseReader() = default;
ResponseReader::ResponseReader(ResponseReader&&) noexcept = default;
ResponseReader& ResponseReader::operator=(ResponseReader&&) noexcept = default;
void ResponseReader::put(Bytes bytes, const Sink& sink) { state_->put(as_text(bytes), sink); }
void ResponseReader::end() { state_->end(); }
bool ResponseReader::has_head() const { return state_->has_head; }
const ResponseHead& ResponseReader::head() const { return state_->head; }
bool ResponseReader::complete() const { return state_->complete; }
bool ResponseReader::chunked() const { return state_->parser && state_->parser->chunked(); }
const std::optional<HttpProblem>& ResponseReader::problem() const { return state_->problem; }

}  // namespace wmlab::wmsp
