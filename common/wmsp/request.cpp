#include "common/wmsp/request.hpp"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "common/url/url.hpp"

namespace wmlab::wmsp {
namespace {

constexpr std::array<std::string_view, 10> kind_names = {"PlayNextEntry", "Pipeline",       "Play",      "SelectStream",
                                                         "Describe",      "GetContentInfo", "PushSetup", "PushStart",
                                                         "Log",           "Unknown"};

bool is_type(std::string_view content_type, std::string_view type) {
    return same_word(trimmed(content_type.substr(0, content_type.find(';'))), type);
}

// MS-WMSP 2.2.2 and its table of methods, in this order.
RequestKind classify(const Request& request) {
    const auto& pragmas = request.pragmas;
    const auto& method = request.head.method;
    if (method == "GET" || method == "HEAD") {
        if (pragmas.find("xPlayNextEntry")) return RequestKind::PlayNextEntry;
        if (pragmas.find("pipeline-request")) return RequestKind::Pipeline;
        if (pragmas.find("xPlayStrm") == "1") return RequestKind::Play;
        if (pragmas.find("stream-switch-entry") && !pragmas.find("xPlayStrm")) return RequestKind::SelectStream;
        return RequestKind::Describe;
    }
    if (method == "POST") {
        const auto type = request.head.fields.get("Content-Type");
        if (is_type(type, "application/x-wms-getcontentinfo")) return RequestKind::GetContentInfo;
        if (pragmas.find("stream-switch-entry")) return RequestKind::SelectStream;
        if (is_type(type, "application/x-wms-pushsetup")) return RequestKind::PushSetup;
        if (is_type(type, "application/x-wms-pushstart")) return RequestKind::PushStart;
        if (pragmas.find("log-line") || is_type(type, "application/x-wms-logging") ||
            request.body.starts_with("MX_STATS_LogLine"))
            return RequestKind::Log;
    }
    return RequestKind::Unknown;
}

std::optional<std::uint64_t> offset_from(std::string_view text) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto high = decimal(text.substr(0, colon), UINT32_MAX), low = decimal(text.substr(colon + 1), UINT32_MAX);
    if (!high || !low) return std::nullopt;
    const auto offset = *high << 32 | *low;
    if (offset == 0 || offset == UINT64_MAX || *low == UINT32_MAX) return std::nullopt;  // "unused"
    return offset;
}

// ffmpeg forgets a line end: `stream-time=0Connection: Close`. The number in front of it is meant.
std::optional<std::uint32_t> leading_number(std::string_view text) {
    const auto end = text.find_first_not_of("0123456789");
    const auto value = decimal(text.substr(0, end), UINT32_MAX);
    return value ? std::optional{static_cast<std::uint32_t>(*value)} : std::nullopt;
}

std::optional<double> rate_from(std::string_view text) {
    double value = 0;
    const auto* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, value);
    return error == std::errc{} && at == end && std::isfinite(value) ? std::optional{value} : std::nullopt;
}

std::string entries_text(const std::vector<StreamChoice>& streams) {
    std::string text;
    for (const auto& choice : streams) {
        std::array<char, 32> entry{};
        std::snprintf(entry.data(), entry.size(), "%sffff:%x:%x", text.empty() ? "" : " ", unsigned{choice.stream},
                      unsigned{choice.thinning});
        text += entry.data();
    }
    return text;
}

// `lines` holds the tokens as an era player groups them in lines; a proxied request has them all on one.
RequestHead request_in(const RequestForm& form, const std::vector<std::string>& lines, std::string method = "GET") {
    RequestHead head;
    head.method = std::move(method);
    head.target = form.proxied ? "http://" + form.host + form.path : form.path;
    auto& fields = head.fields;
    if (form.proxied || form.one_line) {
        std::string all;
        for (const auto& line : lines) all += (all.empty() ? "" : ",") + line;
        fields = {{"Host", form.host}, {"User-Agent", form.user_agent}, {"Accept", "*/*"}};
        if (!form.keep_alive) fields.push_back({"Connection", "Close"});
        if (form.keep_alive) fields.push_back({form.proxied ? "Proxy-Connection" : "Connection", "Keep-Alive"});
        fields.push_back({"Pragma", all});
        return head;
    }
    fields = {{"Accept", "*/*"}, {"User-Agent", form.user_agent}, {"Host", form.host}};
    for (const auto& line : lines) fields.push_back({"Pragma", line});
    fields.push_back({"Connection", form.keep_alive ? "Keep-Alive" : "Close"});
    return head;
}

std::string first_line(const PlayFrom& from, unsigned request_context) {
    std::string line = "no-cache,rate=1.000000,stream-time=" + std::to_string(from.stream_time) +
                       ",stream-offset=" + std::to_string(from.stream_offset >> 32) + ':' +
                       std::to_string(from.stream_offset & UINT32_MAX);
    if (from.packet_num) line += ",packet-num=" + std::to_string(*from.packet_num);
    return line + ",request-context=" + std::to_string(request_context) + ",max-duration=0";
}

void add_streams(std::vector<std::string>& lines, const std::vector<StreamChoice>& streams) {
    if (streams.empty()) return;
    lines.push_back("stream-switch-count=" + std::to_string(streams.size()));
    lines.push_back("stream-switch-entry=" + entries_text(streams));
}

}  // namespace

std::string_view text(RequestKind kind) { return kind_names[static_cast<std::size_t>(kind)]; }

UserAgent UserAgent::from(std::string_view text) {
    UserAgent agent;
    agent.text = text;
    const auto slash = text.find('/');
    const auto name = text.substr(0, slash);
    if (same_word(name, "NSPlayer")) agent.product = Product::NSPlayer;
    if (same_word(name, "NSServer")) agent.product = Product::NSServer;
    if (same_word(name, "WMCacheProxy")) agent.product = Product::WMCacheProxy;
    if (same_word(name, "WMEncoder")) agent.product = Product::WMEncoder;
    if (slash == std::string_view::npos) return agent;
    const auto version = text.substr(slash + 1);
    const auto* end = version.data() + version.size();
    const auto major = std::from_chars(version.data(), end, agent.major);
    if (major.ec == std::errc{} && major.ptr != end && *major.ptr == '.')
        std::from_chars(major.ptr + 1, end, agent.minor);
    return agent;
}

bool UserAgent::browser() const {
    return text.starts_with("Mozilla/") || text.starts_with("Opera/") || text.starts_with("Lynx/");
}

bool Request::keep_alive() const {
    return head.fields.has_word("Connection", "keep-alive") && !head.fields.has_word("Connection", "close");
}

bytes::Parsed<Request> request_from(const RequestHead& head, std::string body) {
    const auto problem = [&](std::string what) -> bytes::Parsed<Request> {
        return {boost::system::in_place_error,
                bytes::ParseError{head.method.size() + 1, "Request-URI", std::move(what)}};
    };
    Request request;
    request.head = head;
    request.body = std::move(body);
    std::string_view target = head.target;
    target = target.substr(0, target.find('#'));
    request.host = trimmed(head.fields.get("Host"));
    if (!target.starts_with('/')) {
        const auto scheme = target.find("://");
        if (scheme == std::string_view::npos) return problem("is neither a path nor a URL");
        if (!same_word(target.substr(0, scheme), "http")) return problem("has another scheme than http");
        target.remove_prefix(scheme + 3);
        const auto end = target.find_first_of("/?");
        request.host = target.substr(0, end);
        if (request.host.empty()) return problem("has no host");
        target = end == std::string_view::npos ? "/" : target.substr(end);
        request.absolute = true;
    }
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    if (!request.path.starts_with('/')) request.path.insert(0, "/");
    if (question != std::string_view::npos) request.query = url::without_extension_hint(target.substr(question + 1));

    request.user_agent = UserAgent::from(trimmed(head.fields.get("User-Agent")));
    request.pragmas = Pragmas::of(head.fields);
    const auto& pragmas = request.pragmas;
    request.xClientGUID = pragmas.find("xClientGUID").value_or("");
    request.client_id = pragmas.number("client-id");
    request.max_duration = pragmas.number("max-duration");
    request.request_context = pragmas.number("request-context");
    request.packet_num = pragmas.number("packet-num");
    if (request.packet_num == UINT32_MAX) request.packet_num.reset();
    if (const auto time = pragmas.find("stream-time")) request.stream_time = leading_number(*time);
    if (const auto offset = pragmas.find("stream-offset")) request.stream_offset = offset_from(*offset);
    if (const auto rate = pragmas.find("rate")) request.rate = rate_from(*rate);
    request.stream_switch = stream_switch_entries(pragmas);
    request.kind = classify(request);
    return {boost::system::in_place_value, std::move(request)};
}

RequestHead describe_request(const RequestForm& form, unsigned request_context) {
    std::vector<std::string> lines = {first_line({}, request_context)};
    if (!form.client_guid.empty()) lines.push_back("xClientGUID=" + form.client_guid);
    return request_in(form, lines);
}

RequestHead play_request(const RequestForm& form, const PlayFrom& from, unsigned request_context) {
    std::vector<std::string> lines = {first_line(from, request_context)};
    if (!form.client_guid.empty()) lines.push_back("xClientGUID=" + form.client_guid);
    lines.push_back("xPlayStrm=1");
    add_streams(lines, from.streams);
    return request_in(form, lines);
}

RequestHead select_stream_request(const RequestForm& form, std::uint32_t client_id,
                                  const std::vector<StreamChoice>& streams, unsigned request_context) {
    std::vector<std::string> lines = {"no-cache,client-id=" + std::to_string(client_id) +
                                      ",request-context=" + std::to_string(request_context)};
    if (!form.client_guid.empty()) lines.push_back("xClientGUID=" + form.client_guid);
    add_streams(lines, streams);
    auto head = request_in(form, lines, "POST");
    head.fields.push_back({"Content-Length", "0"});
    return head;
}

StartPoint start_point(const Request& request, std::uint32_t packet_size) {
    StartPoint start;
    if (request.stream_time.value_or(0) != 0 && request.stream_time != UINT32_MAX) {
        start.by = StartPoint::By::time;
        start.time = *request.stream_time;
    } else if (request.packet_num) {
        start.packet = *request.packet_num;
    } else if (request.stream_offset && packet_size != 0) {
        start.packet = *request.stream_offset / packet_size;
    }
    return start;
}

}  // namespace wmlab::wmsp
