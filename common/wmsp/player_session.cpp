#include "common/wmsp/player_session.hpp"

#include <algorithm>
#include <array>

#include "common/asf/packet.hpp"
#include "common/url/asx.hpp"

namespace wmlab::wmsp {
namespace {

constexpr std::size_t text_size_max = url::asx_size_max;

using bytes::as_text;
using bytes::to_bytes;

bool over_http(url::Scheme scheme) { return scheme == url::Scheme::http || scheme == url::Scheme::mmsh; }

// An mms:// URL names the MMS port, if any: over HTTP the server is on 80.
url::Url http_url(url::Url url) {
    if (!over_http(url.scheme)) url.port.reset();
    url.scheme = url::Scheme::http;
    return url;
}

bool contains_word(std::string_view text, std::string_view word) {
    for (std::size_t at = 0; at + word.size() <= text.size(); ++at)
        if (same_word(text.substr(at, word.size()), word)) return true;
    return false;
}

// Whether a proxy wrote this refusal itself. What an origin server wrote carries that server's name.
bool written_by_proxy(const Answer& answer, bool proxied) {
    const auto& fields = answer.head.fields;
    if (answer.windows_media()) return false;
    if (answer.head.status == 407 || fields.find("X-Squid-Error") || fields.find("Proxy-Authenticate")) return true;
    for (const std::string_view name : {"squid", "tinyproxy", "proxy"})
        if (contains_word(answer.server_text, name)) return true;
    return proxied && answer.server_text.empty();
}

bool redirects(unsigned status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string status_text(const ResponseHead& head) {
    auto text = std::to_string(head.status);
    if (!head.reason.empty()) text += ' ' + head.reason;
    return text;
}

std::string seconds_text(milliseconds time) {
    const auto tenths = time.count() / 100;
    return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) + " s";
}

MessageFields fields_of(const Answer& answer) {
    MessageFields fields = {{"status", std::to_string(answer.head.status)}};
    const auto add = [&](std::string name, std::string_view value) {
        if (!value.empty()) fields.emplace_back(std::move(name), value);
    };
    add("Server", answer.server_text);
    add("client-id", answer.pragmas.find("client-id").value_or(""));
    add("features", answer.pragmas.find("features").value_or(""));
    for (const std::string_view name : {"Via", "Age", "Date", "X-Cache", "Location"})
        add(std::string{name}, answer.head.fields.get(name));
    return fields;
}

}  // namespace

PlayerSession::PlayerSession(PlayerOptions options)
    : options_{std::move(options)}, url_{http_url(options_.url)}, assembler_{options_.header_size_max} {}

PlayerActions PlayerSession::start(TimePoint now) {
    PlayerActions out;
    if (state_ != State::start) return out;
    started_ = now;
    visited_.push_back(url_.text());
    connect(now, out);
    return out;
}

void PlayerSession::connect(TimePoint now, PlayerActions& out) {
    state_ = State::connecting;
    deadline_ = now + options_.connect_timeout;
    ++statistics_.connections;
    const Endpoint server{url_.host, url_.port_or_default()};
    out.push_back(Connect{options_.proxy.value_or(server), options_.proxy.has_value(), request_name()});
}

PlayerActions PlayerSession::connected(TimePoint now) {
    PlayerActions out;
    if (state_ == State::connecting) request(now, out);
    return out;
}

void PlayerSession::request(TimePoint now, PlayerActions& out) {
    reader_ = ResponseReader{};
    answer_.reset();
    frames_ = FrameReader{};
    assembler_.clear();
    text_ = false;
    text_body_.clear();
    first_bytes_.clear();
    header_due_ = entry_ended_ = false;
    keep_connection_ = options_.keep_alive && !play_;

    RequestForm form;
    form.host = url_.authority();
    form.path = url_.path_and_query();
    form.proxied = options_.proxy.has_value();
    form.one_line = options_.one_line;
    form.user_agent = options_.user_agent;
    form.client_guid = '{' + options_.guid.text() + '}';
    form.keep_alive = keep_connection_;
    ++requests_;
    auto from = options_.start;
    if (play_ && from.streams.empty() && options_.select_streams && header_)
        for (const auto& stream : header_->streams) from.streams.push_back({stream.number, 0});
    if (!options_.select_streams) from.streams.clear();
    const auto head = play_ ? play_request(form, from, requests_) : describe_request(form, requests_);
    out.push_back(Send{request_name(), to_bytes(head.text()), {{"target", head.target}}});
    state_ = State::head;
    deadline_ = now + options_.head_timeout;
}

PlayerActions PlayerSession::receive(Bytes bytes, TimePoint now) {
    PlayerActions out;
    if (state_ != State::head && state_ != State::header && state_ != State::media) return out;
    std::vector<std::byte> piece;
    reader_.put(bytes, [&](Bytes body) { piece.insert(piece.end(), body.begin(), body.end()); });
    if (first_bytes_.size() < 64) {
        const auto more = bytes.first(std::min(bytes.size(), 64 - first_bytes_.size()));
        first_bytes_.insert(first_bytes_.end(), more.begin(), more.end());
    }
    const auto connections = statistics_.connections;
    const auto requests = requests_;
    const auto moved_on = [&] {  // to an end, or to another request
        return finished() || statistics_.connections != connections || requests_ != requests;
    };
    if (state_ == State::head && reader_.has_head()) head(now, out);
    if (!moved_on() && !piece.empty()) body(piece, now, out);
    if (moved_on()) return out;
    if (reader_.problem()) {
        malformed({0, "response", reader_.problem()->text}, "response", out);
    } else if (reader_.complete()) {
        end_of_answer(now, out);
    }
    return out;
}

void PlayerSession::head(TimePoint now, PlayerActions& out) {
    answer_ = answer_from(reader_.head());
    const auto marks = cache_marks(answer_->head);
    state_ = State::header;
    deadline_ = now + options_.frame_timeout;
    const auto status = answer_->head.status;
    const auto location = answer_->head.fields.find("Location");
    Received received{request_name() + "Response", answer_->head.text().size(), fields_of(*answer_)};
    if (status / 100 != 2 && !(redirects(status) && location)) {
        text_ = true;
        refusal_ = std::move(received);
        out.push_back(Answered{request_name(), *answer_, marks});
        return;
    }
    out.push_back(std::move(received));
    out.push_back(Answered{request_name(), *answer_, marks});
    if (redirects(status) && location) return follow(*location, status_text(answer_->head), now, out);
    keep_connection_ = keep_connection_ && answer_->head.fields.has_word("Connection", "keep-alive") &&
                       (answer_->head.fields.find("Content-Length") || reader_.chunked());
    judge_cache(marks, now, out);
}

void PlayerSession::judge_cache(const CacheMarks& marks, TimePoint now, PlayerActions& out) {
    std::string why;
    if (marks.age.value_or(0) > 0) why = "Age: " + std::to_string(*marks.age);
    if (marks.hit) why = "X-Cache: " + std::string{answer_->head.fields.get("X-Cache")};
    if (why.empty() && marks.date && options_.utc) {
        const auto elapsed = std::chrono::duration_cast<std::chrono::seconds>(now - started_).count();
        const auto old = *options_.utc + elapsed - *marks.date;
        if (old > options_.stale_date.count()) why = "the Date of the answer is " + std::to_string(old) + " s old";
    }
    if (why.empty() || reported_cached_) return;
    reported_cached_ = true;
    out.push_back(MediaStale{MediaStale::Kind::cached, std::move(why), milliseconds{0}});
}

void PlayerSession::body(Bytes bytes, TimePoint now, PlayerActions& out) {
    if (!text_ && frames_.between_frames() && statistics_.packets == 0 && text_body_.empty() &&
        !assembler_.complete() && assembler_.header().empty()) {
        const auto first = std::to_integer<unsigned>(bytes.front());
        text_ = first != 0x24 && first != 0xA4;
    }
    if (text_) {
        text_body_.append(as_text(bytes).substr(0, text_size_max - std::min(text_size_max, text_body_.size())));
        if (text_body_.size() >= text_size_max) judge_text(now, out);
        return;
    }
    frames_.put(bytes);
    frames(now, out);
}

void PlayerSession::frames(TimePoint now, PlayerActions& out) {
    const auto requests = requests_;
    while (!finished() && state_ != State::connecting && requests_ == requests) {
        auto frame = frames_.next();
        if (!frame) break;
        deadline_ = now + options_.frame_timeout;
        switch (frame->packet_id) {
            case PacketID::Header:
                on_header(*frame, now, out);
                break;
            case PacketID::Data:
                on_data(std::move(*frame), now, out);
                break;
            case PacketID::EndOfStream:
                on_end(*frame, out);
                break;
            case PacketID::StreamChange:
                out.push_back(Received{"$C", frame->payload.size(), {{"Reason", std::to_string(*frame->Reason)}}});
                header_due_ = true;
                assembler_.clear();
                break;
            default:
                out.push_back(Received{frame->name(), frame->payload.size(), {}});
                break;
        }
    }
    if (!finished() && frames_.problem()) malformed(*frames_.problem(), "frame", out);
}

void PlayerSession::on_header(const Frame& frame, TimePoint now, PlayerActions& out) {
    out.push_back(Received{"$H", frame.payload.size(), {}});
    if (const auto problem = assembler_.add(frame)) return malformed(*problem, "$H", out);
    if (!assembler_.complete()) return;
    auto header = asf::Header::parse(assembler_.header());
    if (header.has_error()) return malformed(header.error(), "$H", out);
    const bool changed = play_ && state_ == State::media;
    header_ = std::move(header.value());
    if (!play_) {
        // Where the connection is kept, the announced end of the answer is awaited first.
        if (!keep_connection_ || reader_.complete()) described(now, out);
        return;
    }
    state_ = State::media;
    header_due_ = entry_ended_ = false;
    first_packet_.reset();
    earliest_ = milliseconds{0};
    out.push_back(HeaderComplete{*header_, changed});
}

void PlayerSession::described(TimePoint now, PlayerActions& out) {
    play_ = true;
    visited_ = {url_.text()};
    state_ = State::between;
    if (keep_connection_) return request(now, out);
    connect(now, out);
}

void PlayerSession::on_data(Frame frame, TimePoint now, PlayerActions& out) {
    if (!play_) return;  // Describe asks for none
    if (!header_ || state_ != State::media) return malformed({0, "$D", "came before the ASF header"}, "$D", out);
    if (header_due_) return malformed({0, "$D", "came after $C, before the new ASF header"}, "$D", out);
    if (frame.payload.size() > header_->packet_size)
        return malformed({framing_header_size + mms_packet_header_size, "$D",
                          "has " + std::to_string(frame.payload.size()) + " bytes of media, a packet " +
                              std::to_string(header_->packet_size)},
                         "$D", out);
    ++statistics_.packets;
    statistics_.bytes += frame.payload.size();
    last_location_ = frame.LocationId;
    judge_pace(frame.payload, now, out);
    out.push_back(MediaReceived{frame.LocationId, std::move(frame.payload)});
}

void PlayerSession::judge_pace(Bytes packet, TimePoint now, PlayerActions& out) {
    const auto send_time = asf::send_time(packet);
    if (send_time.has_error()) return;
    if (!first_packet_ || send_time.value() < first_packet_->send_time) {
        first_packet_ = Pace{now, send_time.value()};
        earliest_ = milliseconds{0};
    }
    const auto lateness = std::chrono::duration_cast<milliseconds>(now - first_packet_->arrival) -
                          (send_time.value() - first_packet_->send_time);
    earliest_ = std::min(earliest_, lateness);
    const auto delay = lateness - earliest_;
    statistics_.largest_delay = std::max(statistics_.largest_delay, delay);
    if (delay <= options_.late_max || reported_delayed_) return;
    reported_delayed_ = true;
    out.push_back(MediaStale{MediaStale::Kind::delayed,
                             "the media came " + seconds_text(delay) + " later than its own pace", delay});
}

void PlayerSession::on_end(const Frame& frame, PlayerActions& out) {
    // VLC's $E is longer and holds a counter where the Reason should be.
    const auto reason = frame.PacketLength == 4 || (*frame.Reason & 0x80000000) != 0 ? *frame.Reason : reason_finished;
    out.push_back(Received{"$E", frame.payload.size(), {{"Reason", std::to_string(*frame.Reason)}}});
    if (!play_ && header_) return;  // an end behind the header of Describe is no news
    out.push_back(StreamEnded{reason});
    if (reason == reason_entry_finished) {
        entry_ended_ = true;
        return;
    }
    Finished finished;
    if ((reason & 0x80000000) != 0) {
        finished.cause = Finished::Cause::ended_by_server;
        finished.hr = reason;
        finished.reason = "the server ended the stream with an error";
    } else if (statistics_.packets == 0) {
        finished.cause = Finished::Cause::ended_by_server;
        finished.reason = header_ ? "the stream ended before any media" : "the stream ended before its header";
    } else {
        finished.worked = true;
        finished.reason = "the stream ended";
    }
    finish(std::move(finished), out);
}

PlayerActions PlayerSession::disconnected(TimePoint now) {
    PlayerActions out;
    if (state_ != State::head && state_ != State::header && state_ != State::media) return out;
    reader_.end();
    if (state_ != State::head && (reader_.complete() || text_)) {
        end_of_answer(now, out);
        return out;
    }
    Finished finished;
    finished.cause = Finished::Cause::closed_early;
    finished.reason = reader_.problem() ? reader_.problem()->text : "closed without an answer";
    finish(std::move(finished), out);
    return out;
}

void PlayerSession::end_of_answer(TimePoint now, PlayerActions& out) {
    if (text_) return judge_text(now, out);
    if (!play_ && header_ && keep_connection_) return described(now, out);
    Finished finished;
    finished.cause = Finished::Cause::closed_early;
    const bool through_proxy = options_.proxy || (answer_ && answer_->head.fields.find("Via"));
    if (!frames_.between_frames()) {
        finished.reason = "the answer ended in the middle of a frame";
    } else if (state_ != State::media) {
        finished.reason = "the answer ended before the whole ASF header";
    } else if (statistics_.packets == 0) {
        finished.reason = "the answer to Play holds a header and no media";
        if (through_proxy) {
            finished.cause = Finished::Cause::modified;
            finished.reason += ", as an answer to Describe does: a proxy dropped xPlayStrm=1 from the request";
        }
    } else if (header_due_ || entry_ended_) {
        finished.reason = "the answer ended where another stream was announced";
    } else if (!header_->broadcast && header_->packets_count != 0 && last_location_ &&
               std::uint64_t{*last_location_} + 1 < header_->packets_count) {
        finished.reason = "the answer ended after packet " + std::to_string(*last_location_) + " of " +
                          std::to_string(header_->packets_count);
    } else {
        finished.cause = Finished::Cause::none;
        finished.worked = true;
        finished.reason = "the server closed the connection at the end of the stream";
    }
    finish(std::move(finished), out);
}

void PlayerSession::judge_text(TimePoint now, PlayerActions& out) {
    Finished finished;
    finished.status = answer_->head.status;
    if (finished.status / 100 == 2 && url::looks_like_asx(text_body_)) {
        const auto asx = url::parse_asx(text_body_);
        if (asx.has_value()) return follow_asx(*asx, now, out);
        finished.cause = Finished::Cause::not_media;
        finished.reason = "the answer " + asx.error().text;
        out.push_back(Malformed{{0, "redirector", finished.reason}, first_bytes_, "response"});
        return finish(std::move(finished), out);
    }
    finished.words = error_words(answer_->head, text_body_);
    if (finished.status / 100 == 2) {
        finished.cause = Finished::Cause::not_media;
        const bool asf = text_body_.starts_with("\x30\x26\xB2\x75");
        finished.reason = asf                         ? "the answer is an unframed ASF file: not a Windows Media server"
                          : text_body_.empty()        ? "the answer is empty"
                          : text_body_.front() == '<' ? "HTML came in place of media"
                                                      : "the answer is no media";
        if (asf) finished.words = {};
        if (!finished.words.text.empty()) finished.reason += ": " + finished.words.text;
        out.push_back(Malformed{{0, "Frame", finished.reason}, first_bytes_, "response"});
        return finish(std::move(finished), out);
    }
    const bool proxy = written_by_proxy(*answer_, options_.proxy.has_value());
    finished.cause = proxy ? Finished::Cause::proxy_status : Finished::Cause::server_status;
    finished.reason = std::string{proxy ? "the proxy" : "the server"} + " answered " + status_text(answer_->head);
    if (!finished.words.code.empty()) finished.reason += " (" + finished.words.code + ')';
    const auto& said = finished.words.text;  // many pages begin with the status again
    const auto again = status_text(answer_->head);
    const auto more = trimmed(said.starts_with(again) ? std::string_view{said}.substr(again.size()) : said);
    if (!more.empty()) finished.reason += (more.front() == ':' ? "" : ": ") + std::string{more};
    const auto words = finished.reason.substr(finished.reason.find(status_text(answer_->head)));
    tell_refusal(words, out);
    finish(std::move(finished), out);
}

void PlayerSession::tell_refusal(const std::string& words, PlayerActions& out) {
    if (!refusal_) return;
    if (!words.empty()) refusal_->fields.emplace_back("reason", words);
    out.push_back(std::move(*refusal_));
    refusal_.reset();
}

// One place over HTTP is followed here; a choice of places is the embedder's to try in order.
void PlayerSession::follow_asx(const url::Asx& asx, TimePoint now, PlayerActions& out) {
    Finished finished;
    finished.status = answer_->head.status;
    std::string unplayable;
    for (const auto& entry : asx.entries)
        for (const auto& ref : entry.refs) {
            if (const auto target = url::resolve(url_, ref))
                finished.alternatives.push_back(target->text());
            else if (unplayable.empty())
                unplayable = "`" + ref.substr(0, 200) + "` " + target.error().text;
        }
    if (finished.alternatives.empty()) {
        finished.cause = Finished::Cause::not_media;
        finished.reason = "a redirector file names nothing that is played here: " + unplayable;
        return finish(std::move(finished), out);
    }
    if (finished.alternatives.size() == 1) return follow(finished.alternatives.front(), "a redirector file", now, out);
    finished.cause = Finished::Cause::elsewhere;
    finished.redirect = finished.alternatives.front();
    finished.alternatives.erase(finished.alternatives.begin());
    finished.reason = "a redirector file leads to " + finished.redirect;
    finish(std::move(finished), out);
}

void PlayerSession::be_patient(milliseconds head_timeout, milliseconds frame_timeout, TimePoint now) {
    options_.head_timeout = head_timeout;
    options_.frame_timeout = frame_timeout;
    if (!deadline_ || state_ == State::connecting) return;
    deadline_ = now + (state_ == State::head ? head_timeout : frame_timeout);
}

void PlayerSession::follow(std::string_view location, std::string_view how, TimePoint now, PlayerActions& out) {
    Finished finished;
    finished.status = answer_->head.status;
    const auto target = url::resolve(url_, location);
    if (target.has_error()) {
        finished.cause = Finished::Cause::malformed;
        finished.reason =
            std::string{how} + " leads to `" + std::string{location.substr(0, 200)} + "`, which " + target.error().text;
        return finish(std::move(finished), out);
    }
    finished.redirect = target->text();
    if (!over_http(target->scheme)) {
        finished.cause = Finished::Cause::elsewhere;
        finished.reason = std::string{how} + " leads to " + finished.redirect;
        return finish(std::move(finished), out);
    }
    const auto next = http_url(*target);
    const bool circle = std::find(visited_.begin(), visited_.end(), next.text()) != visited_.end();
    // A redirector that names the page it came from means: ask again, as a player. We are one already.
    if (++statistics_.redirects > options_.redirects_max || circle) {
        finished.cause = Finished::Cause::too_many_redirects;
        finished.reason = circle ? "redirected in a circle, by " + std::string{how} + " to " + next.text()
                                 : "redirected more than " + std::to_string(options_.redirects_max) + " times";
        return finish(std::move(finished), out);
    }
    url_ = next;
    visited_.push_back(url_.text());
    connect(now, out);
}

PlayerActions PlayerSession::stop(TimePoint) {
    PlayerActions out;
    if (finished()) return out;
    Finished finished;
    finished.worked = statistics_.packets != 0;
    finished.cause = finished.worked ? Finished::Cause::none : Finished::Cause::gave_up;
    finished.reason = finished.worked ? "enough was played" : "stopped before any media came";
    finish(std::move(finished), out);
    return out;
}

PlayerActions PlayerSession::failed(std::string reason, TimePoint) {
    PlayerActions out;
    if (finished()) return out;
    Finished finished;
    finished.cause = Finished::Cause::gave_up;
    finished.reason = std::move(reason);
    finish(std::move(finished), out);
    return out;
}

PlayerActions PlayerSession::tick(TimePoint now) {
    PlayerActions out;
    if (finished() || !deadline_ || now < *deadline_) return out;
    if (text_ && answer_) {  // an error page that does not end: what is there is enough
        judge_text(now, out);
        return out;
    }
    Finished finished;
    finished.cause = Finished::Cause::silent;
    switch (state_) {
        case State::connecting:
            finished.reason = "no connection for " + request_name() + " in time";
            break;
        case State::head:
            finished.reason = "no answer to " + request_name() + " in time";
            break;
        case State::media:
            finished.reason = statistics_.packets == 0 ? "no media after the header" : "the media stopped coming";
            break;
        default:
            finished.reason = "the ASF header did not come in time";
            break;
    }
    finish(std::move(finished), out);
    return out;
}

void PlayerSession::malformed(bytes::ParseError error, std::string what, PlayerActions& out) {
    Finished finished;
    finished.cause = Finished::Cause::malformed;
    finished.reason = what + ": " + error.text();
    tell_refusal("", out);
    out.push_back(Malformed{std::move(error), first_bytes_, std::move(what)});
    finish(std::move(finished), out);
}

void PlayerSession::finish(Finished finished, PlayerActions& out) {
    state_ = State::finished;
    deadline_.reset();
    if (answer_ && finished.status == 0 && !finished.worked) finished.status = answer_->head.status;
    out.push_back(std::move(finished));
}

}  // namespace wmlab::wmsp
