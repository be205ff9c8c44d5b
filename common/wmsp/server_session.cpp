#include "common/wmsp/server_session.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cctype>

#include "common/bytes/hex.hpp"
#include "common/url/asx.hpp"
#include "common/url/url.hpp"

namespace wmlab::wmsp {
namespace {

constexpr std::size_t media_header_size = framing_header_size + mms_packet_header_size;

using bytes::to_bytes;

// A name to offer in a redirector comes from the client's Host line: only what a host and port can be.
bool plain_host(std::string_view host) {
    return !host.empty() && host.size() <= 255 && std::all_of(host.begin(), host.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_' || c == ':' ||
               c == '[' || c == ']';
    });
}

std::string without_port(std::string_view host) {
    const auto colon = host.rfind(':');
    if (colon == std::string_view::npos || host.find(']', colon) != std::string_view::npos) return std::string{host};
    return std::string{host.substr(0, colon)};
}

std::string escaped(std::string_view text) {
    std::string html;
    for (const char c : text) {
        if (c == '<')
            html += "&lt;";
        else if (c == '&')
            html += "&amp;";
        else
            html += c;
    }
    return html;
}

// ".asx" of /lecture.asx, and its kin for audio and video; empty: none.
std::string_view redirector_extension(std::string_view path) {
    for (const std::string_view extension : {".asx", ".wax", ".wvx", ".wmx"})
        if (path.size() > extension.size() + 1 && same_word(path.substr(path.size() - extension.size()), extension))
            return extension;
    return {};
}

MessageFields fields_of(const Request& request) {
    MessageFields fields = {{"path", request.path}, {"User-Agent", request.user_agent.text}};
    const auto add = [&](std::string name, std::string value) {
        if (!value.empty()) fields.emplace_back(std::move(name), std::move(value));
    };
    add("xClientGUID", request.xClientGUID);
    if (request.client_id) add("client-id", std::to_string(*request.client_id));
    if (request.stream_time) add("stream-time", std::to_string(*request.stream_time));
    if (request.stream_offset) add("stream-offset", std::to_string(*request.stream_offset));
    if (request.packet_num) add("packet-num", std::to_string(*request.packet_num));
    if (request.kind == RequestKind::Unknown) add("method", request.head.method);
    add("Via", std::string{request.head.fields.get("Via")});
    add("X-Forwarded-For", std::string{request.head.fields.get("X-Forwarded-For")});
    return fields;
}

// 3.2.5.6: whom a session that is not the one it named begins with the end of an entry.
bool entry_changes_for(const Request& request) {
    const auto& agent = request.user_agent;
    if (agent.product == UserAgent::Product::NSPlayer) return agent.major < 7 && request.request_context == 2u;
    return agent.product == UserAgent::Product::NSServer && agent.major < 7 && request.request_context == 3u;
}

std::string response_name(const Request& request) { return std::string{text(request.kind)} + "Response"; }

}  // namespace

ServerSession::ServerSession(ServerOptions options, TimePoint now)
    : options_{std::move(options)}, client_id_{options_.client_id}, deadline_{now + options_.head_timeout} {}

ServerActions ServerSession::receive(Bytes bytes, TimePoint now) {
    ServerActions out;
    if (finished()) return out;
    if (first_bytes_.size() < 64) {
        const auto more = bytes.first(std::min(bytes.size(), 64 - first_bytes_.size()));
        first_bytes_.insert(first_bytes_.end(), more.begin(), more.end());
    }
    reader_.put(bytes);
    read(now, out);
    return out;
}

void ServerSession::read(TimePoint now, ServerActions& out) {
    while (state_ == State::reading) {
        if (reader_.problem()) {
            const auto problem = *reader_.problem();
            out.push_back(Malformed{{0, "request", problem.text}, first_bytes_, "request"});
            return refuse(problem.status, problem.text, now, out);
        }
        if (!reader_.complete()) return;
        handle(now, out);
    }
}

void ServerSession::handle(TimePoint now, ServerActions& out) {
    ++requests_;
    const auto& head = reader_.head();
    auto parsed = request_from(head, reader_.body());
    if (parsed.has_error()) {
        out.push_back(Malformed{parsed.error(), first_bytes_, "request"});
        return refuse(400, parsed.error().problem, now, out);
    }
    request_ = std::move(parsed.value());
    const auto& request = *request_;
    keep_alive_ = options_.keep_alive && request.keep_alive() && requests_ < options_.requests_max;
    const auto size = head.text().size() + request.body.size();
    out.push_back(Received{std::string{text(request.kind)}, size, fields_of(request)});

    asx_ = false;
    OpenRequest open{url::decoded(request.path.substr(1)), Purpose::describe, request};
    const bool windows_media = request.user_agent.windows_media() || !request.xClientGUID.empty();
    switch (request.kind) {
        case RequestKind::Play:
            open.purpose = Purpose::play;
            break;
        case RequestKind::Describe:
        case RequestKind::Pipeline:  // of a later generation; to this one the token means nothing
            if (const auto extension = redirector_extension(request.path);
                !extension.empty() && !(options_.published && options_.published(open.name))) {
                asx_ = true;
                open.purpose = Purpose::redirect;
                open.name.resize(open.name.size() - extension.size());
            } else if (!windows_media) {
                // What nmap recorded of a 4.1 server, and knows it by.
                if (request.path == "/") return send_bare(500, "no content was named", out);
                open.purpose = request.path == index_path                            ? Purpose::index
                               : options_.redirector && request.user_agent.browser() ? Purpose::redirect
                                                                                     : Purpose::download;
            }
            break;
        case RequestKind::GetContentInfo:
            break;
        case RequestKind::SelectStream:
            out.push_back(SelectStreams{request.client_id, request.stream_switch});
            return send_document(200, {}, {}, response_name(request), now, out);
        case RequestKind::Log:
            out.push_back(LogUploaded{request.body.empty() ? std::string{request.pragmas.find("log-line").value_or("")}
                                                           : request.body});
            return send_document(200, {}, {}, response_name(request), now, out);
        case RequestKind::PlayNextEntry:
        case RequestKind::PushSetup:
        case RequestKind::PushStart:
            return refuse(501, std::string{text(request.kind)} + " is of a later generation of the protocol", now, out);
        case RequestKind::Unknown:
            return refuse(501, "the method or its content is unknown here", now, out);
    }
    state_ = State::opening;
    deadline_ = now + options_.answer_timeout;
    opening_ = std::move(open);
    out.push_back(*opening_);
}

ServerActions ServerSession::opened(Content content, TimePoint now) {
    ServerActions out;
    if (state_ != State::opening) return out;
    if (opening_->purpose == Purpose::redirect) {
        send_redirector(out, now);
    } else if (content.packet_size > frame_payload_max && opening_->purpose != Purpose::download) {
        refuse(503, "packets of " + std::to_string(content.packet_size) + " bytes do not fit into frames", now, out);
    } else {
        answer(content, now, out);
    }
    read(now, out);
    return out;
}

void ServerSession::answer(const Content& content, TimePoint now, ServerActions& out) {
    const auto& request = *request_;
    const auto purpose = opening_->purpose;
    const auto name = response_name(request);
    content_ = content;
    framed_ = purpose != Purpose::download && purpose != Purpose::index;
    if (!framed_) {
        std::optional<std::uint64_t> length;
        if (!content.live) length = content.header.size() + content.packet_count * content.packet_size;
        const auto head = document_answer(200, options_.server, url::asx_type, length).text();
        out.push_back(Send{"FileResponse", to_bytes(head), {{"status", "200"}}});
        if (head_only()) return finish("the head of the file was sent", true, out);
        out.push_back(Send{"ASF header", content.header, {}});
    } else {
        AnswerForm form;
        form.server = options_.server;
        form.client_id = client_id_;
        form.broadcast = content.live;
        form.reset_stream = purpose == Purpose::play && request.client_id && request.client_id != client_id_;
        const bool counted = purpose == Purpose::describe;
        std::vector<std::byte> frames;
        if (request.kind != RequestKind::GetContentInfo)
            for (const auto& frame : header_frames(content.header)) {
                const auto bytes = frame.serialise();
                frames.insert(frames.end(), bytes.begin(), bytes.end());
            }
        if (counted) form.content_length = frames.size();
        keep_alive_ = keep_alive_ && counted;
        form.keep_alive = keep_alive_;
        out.push_back(Send{name,
                           to_bytes(media_answer(form).text()),
                           {{"status", "200"},
                            {"client-id", std::to_string(client_id_)},
                            {"features", content.live ? "broadcast" : "seekable"}}});
        const bool again = form.reset_stream && !counted && entry_changes_for(request);
        if (!frames.empty() && !head_only()) out.push_back(Send{"$H", frames, {}});
        if (again && !frames.empty() && !head_only()) {
            out.push_back(Send{"$E", end_frame(reason_entry_finished), {{"Reason", "1"}}});
            out.push_back(Send{"$C", stream_change_frame(0), {{"Reason", "0"}}});
            out.push_back(Send{"$H", std::move(frames), {}});
        }
        if (counted || head_only()) return done(now, out);
    }
    state_ = State::streaming;
    deadline_.reset();
    opening_.reset();
    packets_ = 0;
    StartMedia start;
    start.framed = framed_;
    start.all_streams = !framed_;
    if (framed_) {
        if (!content.live && content.can_seek) start.from = start_point(request, content.packet_size);
        start.streams = resolve(request.stream_switch, content.streams);
        // 3.2.5.6: a server of that time chooses none and gets all; a player gets what it chooses.
        const auto& agent = request.user_agent;
        const bool old_server = agent.product == UserAgent::Product::NSServer &&
                                (agent.major < 5 || (agent.major == 5 && agent.minor == 0));
        start.all_streams = old_server && request.stream_switch.empty();
        start.max_duration = request.max_duration.value_or(0);
    }
    out.push_back(std::move(start));
}

bool ServerSession::head_only() const { return request_ && request_->head.method == "HEAD"; }

std::string ServerSession::own_address() const {
    if (request_ && plain_host(request_->host)) return request_->host;
    return plain_host(options_.address) ? options_.address : "localhost";
}

void ServerSession::send_redirector(ServerActions& out, TimePoint now) {
    const auto host = own_address();
    const auto path = url::encoded_path(opening_->name);
    std::string body;
    if (asx_) {
        url::AsxEntry entry;
        if (options_.mms) entry.refs.push_back("mms://" + without_port(host) + path);
        entry.refs.push_back("http://" + host + path);
        url::Asx asx;
        asx.entries.push_back(std::move(entry));
        body = url::write_asx(asx);
    } else {
        const auto ref = "http://" + host + path + "?MSWMExt=.asf";
        body = url::write_reference({ref, ref});
    }
    send_document(200, url::asx_type, std::move(body), "RedirectorResponse", now, out);
}

void ServerSession::send_document(unsigned status, std::string_view type, std::string body, std::string message,
                                  TimePoint now, ServerActions& out) {
    auto head = document_answer(status, options_.server, type, body.size());
    if (type.empty()) std::erase_if(head.fields, [](const Field& field) { return field.name == "Content-Type"; });
    if (keep_alive_) head.fields.back().value = "Keep-Alive";
    auto text = head.text();
    if (!head_only()) text += body;
    out.push_back(Send{std::move(message), to_bytes(text), {{"status", std::to_string(status)}}});
    done(now, out);
}

void ServerSession::send_bare(unsigned status, std::string why, ServerActions& out) {
    keep_alive_ = false;
    const auto head = bare_answer(status, options_.server);
    out.push_back(Send{"ErrorResponse", to_bytes(head.text()), {{"status", std::to_string(status)}}});
    finish(std::to_string(status) + ' ' + head.reason + ": " + why, true, out);
}

void ServerSession::refuse(unsigned status, std::string why, TimePoint now, ServerActions& out) {
    keep_alive_ = false;
    const auto title = std::to_string(status) + ' ' + std::string{reason_phrase(status)};
    auto body = "<html><head><title>" + title + "</title></head><body><p>" + escaped(why) + "</p></body></html>\r\n";
    auto head = document_answer(status, options_.server, "text/html", body.size()).text();
    if (!head_only()) head += body;
    out.push_back(Send{"ErrorResponse", to_bytes(head), {{"status", std::to_string(status)}}});
    (void)now;
    finish(title + ": " + why, false, out);
}

ServerActions ServerSession::open_failed(unsigned status, std::string why, TimePoint now) {
    ServerActions out;
    if (state_ != State::opening) return out;
    refuse(status, std::move(why), now, out);
    return out;
}

ServerActions ServerSession::document(std::string content_type, std::string body, TimePoint now) {
    ServerActions out;
    if (state_ != State::opening) return out;
    send_document(200, content_type, std::move(body), "DocumentResponse", now, out);
    read(now, out);
    return out;
}

ServerActions ServerSession::media(std::uint32_t LocationId, Bytes asf_packet, TimePoint now) {
    if (!streaming()) return {};
    if (framed_) {
        if (asf_packet.size() > frame_payload_max) return close("a packet that does not fit into a frame", now);
        return media(LocationId, std::make_shared<const std::vector<std::byte>>(data_frame(LocationId, asf_packet)),
                     now);
    }
    ++packets_;
    ServerActions out;
    auto packet = std::make_shared<const std::vector<std::byte>>(asf_packet.begin(), asf_packet.end());
    out.push_back(SendData{LocationId, std::move(packet), 0});
    return out;
}

ServerActions ServerSession::media(std::uint32_t LocationId, std::shared_ptr<const std::vector<std::byte>> frame,
                                   TimePoint) {
    ServerActions out;
    if (!streaming()) return out;
    assert(frame->size() >= media_header_size);
    ++packets_;
    out.push_back(SendData{LocationId, std::move(frame), framed_ ? 0 : media_header_size});
    return out;
}

bool ServerSession::shared_media() {
    if (!streaming() || !framed_) return false;
    ++packets_;
    return true;
}

ServerActions ServerSession::end_of_media(TimePoint) {
    ServerActions out;
    if (!streaming()) return out;
    if (framed_) out.push_back(Send{"$E", end_frame(reason_finished), {{"Reason", "0"}}});
    out.push_back(StopMedia{});
    finish("the last packet was sent", true, out);
    return out;
}

ServerActions ServerSession::next_content(Content content, TimePoint now) {
    ServerActions out;
    if (!streaming()) return out;
    if (!framed_ || content.packet_size > frame_payload_max) return close("other content begins", now);
    content_ = std::move(content);
    out.push_back(Send{"$C", stream_change_frame(0), {{"Reason", "0"}}});
    for (const auto& frame : header_frames(content_.header)) out.push_back(Send{"$H", frame.serialise(), {}});
    return out;
}

ServerActions ServerSession::select(std::vector<StreamSwitchEntry> entries, TimePoint) {
    ServerActions out;
    if (streaming()) out.push_back(StreamsSelected{resolve(entries, content_.streams)});
    return out;
}

ServerActions ServerSession::close(std::string reason, TimePoint) {
    ServerActions out;
    if (finished()) return out;
    if (streaming()) out.push_back(StopMedia{});
    finish(std::move(reason), false, out);
    return out;
}

ServerActions ServerSession::disconnected(TimePoint) {
    ServerActions out;
    if (finished()) return out;
    if (streaming()) {
        out.push_back(StopMedia{});
        finish("the client closed the connection", true, out);
    } else if (state_ == State::reading && reader_.started()) {
        finish("the client closed inside a request", false, out);
    } else {
        finish(requests_ == 0 ? "the client closed without a request" : "the client closed the connection",
               state_ == State::reading && requests_ != 0, out);
    }
    return out;
}

std::optional<TimePoint> ServerSession::next_deadline() const { return finished() ? std::nullopt : deadline_; }

ServerActions ServerSession::tick(TimePoint now) {
    ServerActions out;
    if (finished() || !deadline_ || now < *deadline_) return out;
    if (state_ == State::opening) {
        refuse(503, "the content did not become ready in time", now, out);
    } else if (reader_.started()) {
        finish("no complete request in time", false, out);
    } else {
        finish("no request in time", requests_ != 0, out);
    }
    return out;
}

void ServerSession::done(TimePoint now, ServerActions& out) {
    opening_.reset();
    if (!keep_alive_) return finish("the request was answered", true, out);
    state_ = State::reading;
    deadline_ = now + options_.head_timeout;
    first_bytes_.clear();
    client_id_ = client_id_ * 1664525 + 1013904223;  // the next session's; as hard to guess as the first
    reader_.next();
}

void ServerSession::finish(std::string reason, bool by_agreement, ServerActions& out) {
    state_ = State::finished;
    deadline_.reset();
    out.push_back(Close{std::move(reason), by_agreement});
}

}  // namespace wmlab::wmsp
