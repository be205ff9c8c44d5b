#include "common/wmsp/response.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace wmlab::wmsp {
namespace {

std::size_t find_word(std::string_view text, std::string_view word, std::size_t from = 0) {
    for (auto at = from; at + word.size() <= text.size(); ++at)
        if (same_word(text.substr(at, word.size()), word)) return at;
    return std::string_view::npos;
}

struct Entity {
    std::string_view name, text;
};
constexpr std::array<Entity, 6> entities = {
    {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&nbsp;", " "}, {"&#39;", "'"}}};

// The text of HTML: tags, comments, styles and scripts taken out, blanks folded. No more than size_max bytes.
std::string text_of_html(std::string_view html, std::size_t size_max) {
    std::string text;
    bool blank = false;
    const auto put = [&](std::string_view piece) {
        for (const char c : piece) {
            if (static_cast<unsigned char>(c) <= ' ' || c == 0x7F) {
                blank = !text.empty();
                continue;
            }
            if (blank) text += ' ';
            blank = false;
            text += c;
        }
    };
    while (!html.empty() && text.size() < size_max) {
        if (html.starts_with("<!--")) {
            const auto end = html.find("-->");
            html.remove_prefix(end == std::string_view::npos ? html.size() : end + 3);
        } else if (html.front() == '<') {
            std::size_t end = html.find('>');
            for (const std::string_view hidden : {"style", "script", "title"}) {
                if (!same_word(html.substr(1, hidden.size()), hidden)) continue;
                const auto close = find_word(html, "</" + std::string{hidden});
                end = close == std::string_view::npos ? close : html.find('>', close);
            }
            html.remove_prefix(end == std::string_view::npos ? html.size() : end + 1);
            put(" ");
        } else if (html.front() == '&') {
            const auto* entity = std::find_if(entities.begin(), entities.end(),
                                              [&](const Entity& e) { return html.starts_with(e.name); });
            put(entity == entities.end() ? "&" : entity->text);
            html.remove_prefix(entity == entities.end() ? 1 : entity->name.size());
        } else {
            const auto end = std::min(html.find_first_of("<&"), html.size());
            put(html.substr(0, std::min(end, size_max * 4)));
            html.remove_prefix(end);
        }
    }
    if (text.size() > size_max) {
        text.resize(size_max);
        while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80) text.pop_back();
        if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xC0) text.pop_back();
    }
    return text;
}

}  // namespace

std::string_view reason_phrase(unsigned status) {
    switch (status) {
        case 200:
            return "OK";
        case 204:
            return "No Content";
        case 400:
            return "Bad Request";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 413:
            return "Payload Too Large";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return status < 400 ? "OK" : "Error";
    }
}

ResponseHead media_answer(const AnswerForm& form) {
    ResponseHead head;
    head.reason = "OK";
    std::string pragma = "no-cache, client-id=" + std::to_string(form.client_id) + ", features=\"" +
                         (form.broadcast ? "broadcast" : "seekable") + '"';
    if (form.reset_stream) pragma += ", xResetStrm=1";
    head.fields = {{"Server", form.server},
                   {"Content-Type", "application/octet-stream"},
                   {"Cache-Control", "no-cache"},
                   {"Pragma", std::move(pragma)}};
    if (form.content_length) head.fields.push_back({"Content-Length", std::to_string(*form.content_length)});
    head.fields.push_back({"Connection", form.keep_alive ? "Keep-Alive" : "close"});
    return head;
}

ResponseHead document_answer(unsigned status, std::string_view server, std::string_view content_type,
                             std::optional<std::uint64_t> content_length) {
    ResponseHead head;
    head.status = status;
    head.reason = reason_phrase(status);
    head.fields = {{"Server", std::string{server}},
                   {"Content-Type", std::string{content_type}},
                   {"Cache-Control", "no-cache"},
                   {"Pragma", "no-cache"}};
    if (content_length) head.fields.push_back({"Content-Length", std::to_string(*content_length)});
    head.fields.push_back({"Connection", "close"});
    return head;
}

ResponseHead bare_answer(unsigned status, std::string_view server) {
    ResponseHead head;
    head.status = status;
    head.reason = reason_phrase(status);
    head.fields = {{"Server", std::string{server}}};
    return head;
}

bool Answer::windows_media() const { return server != Server::other; }

Answer answer_from(const ResponseHead& head) {
    Answer answer;
    answer.head = head;
    answer.server_text = trimmed(head.fields.get("Server"));
    const auto product = std::string_view{answer.server_text}.substr(0, answer.server_text.find_first_of(" /"));
    if (same_word(product, "Cougar")) answer.server = Answer::Server::Cougar;
    if (same_word(product, "Rex")) answer.server = Answer::Server::Rex;
    answer.pragmas = Pragmas::of(head.fields);
    answer.client_id = answer.pragmas.number("client-id");
    if (const auto features = answer.pragmas.find("features")) {
        if (find_word(*features, "broadcast") != std::string_view::npos)
            answer.features = Answer::Features::broadcast;
        else if (find_word(*features, "seekable") != std::string_view::npos)
            answer.features = Answer::Features::seekable;
    }
    return answer;
}

std::optional<std::int64_t> http_date(std::string_view text) {
    // Sun, 06 Nov 1994 08:49:37 GMT
    constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    if (text.size() != 29 || text.substr(25) != " GMT" || text[3] != ',') return std::nullopt;
    const auto number = [&](std::size_t at, std::size_t size) { return decimal(text.substr(at, size), 9999); };
    const auto* month = std::find(months.begin(), months.end(), text.substr(8, 3));
    const auto day = number(5, 2), year = number(12, 4), hour = number(17, 2), minute = number(20, 2),
               second = number(23, 2);
    if (month == months.end() || !day || !year || !hour || !minute || !second) return std::nullopt;
    namespace chrono = std::chrono;
    const chrono::year_month_day date{chrono::year{static_cast<int>(*year)},
                                      chrono::month{static_cast<unsigned>(month - months.begin()) + 1},
                                      chrono::day{static_cast<unsigned>(*day)}};
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
    const auto days = chrono::sys_days{date}.time_since_epoch();
    return chrono::seconds{days}.count() + static_cast<std::int64_t>(*hour * 3600 + *minute * 60 + *second);
}

CacheMarks cache_marks(const ResponseHead& head) {
    CacheMarks marks;
    if (const auto age = head.fields.find("Age")) marks.age = decimal(trimmed(*age), UINT32_MAX);
    for (const auto& field : head.fields) {
        // "HIT from proxy", "TCP_HIT", "Hit from cloudfront"; X-Cache-Lookup alone may be HIT where a fresh copy was
        // fetched.
        if (same_word(field.name, "X-Cache")) {
            const auto first = std::string_view{field.value}.substr(0, field.value.find(' '));
            marks.hit |= find_word(first, "HIT") != std::string_view::npos;
        }
        if (same_word(field.name, "Via")) marks.via.push_back(field.value);
    }
    if (const auto date = head.fields.find("Date")) marks.date = http_date(trimmed(*date));
    return marks;
}

ErrorWords error_words(const ResponseHead& head, std::string_view body, std::size_t size_max) {
    ErrorWords words;
    if (const auto error = head.fields.find("X-Squid-Error"))
        words.code = text_of_html(error->substr(0, error->find(' ')), 60);
    const auto type = head.fields.get("Content-Type");
    const bool html =
        find_word(type, "html") != std::string_view::npos || find_word(body.substr(0, 256), "<html") < 256;
    if (html) {
        std::string title;
        if (const auto at = find_word(body, "<title"); at != std::string_view::npos) {
            const auto begin = body.find('>', at);
            const auto end = begin == std::string_view::npos ? begin : find_word(body, "</title", begin);
            if (end != std::string_view::npos) title = text_of_html(body.substr(begin + 1, end - begin - 1), 120);
        }
        const auto rest = text_of_html(body, size_max);
        words.text = title.empty() || rest.starts_with(title) ? rest : rest.empty() ? title : title + ": " + rest;
    } else {
        words.text = text_of_html(body.substr(0, size_max * 4), size_max);
    }
    if (words.text.size() > size_max) words.text = text_of_html(words.text, size_max);
    return words;
}

}  // namespace wmlab::wmsp
