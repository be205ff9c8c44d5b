#include "common/wmsp/player_session.hpp"

#include "tests/common/wmsp/tools.hpp"

using namespace wmlab::wmsp;
using std::chrono::seconds;
using Cause = Finished::Cause;

namespace {

const TimePoint start{};

PlayerOptions options_for(std::string_view url, bool proxied = false) {
    PlayerOptions options;
    options.url = wmlab::url::parse(url).value();
    if (proxied) options.proxy = Endpoint{"proxy", 3128};
    options.guid = wmlab::bytes::Guid::named("flow");
    return options;
}

// Plays the part of everything the player connects to: one answer for each connection, the last one again and again.
struct Dialogue {
    PlayerSession session;
    std::vector<Connect> connects;
    std::string requests;
    PlayerActions all;
    std::optional<Finished> finished;
    bool connect_wanted = false;

    explicit Dialogue(PlayerOptions options) : session{std::move(options)} {}
    void perform(const PlayerActions& actions) {
        for (const auto& action : actions) {
            if (const auto* connect = std::get_if<Connect>(&action))
                connects.push_back(*connect), connect_wanted = true;
            if (const auto* send = std::get_if<Send>(&action)) requests += as_text(send->bytes);
            if (const auto* end = std::get_if<Finished>(&action)) finished = *end;
            all.push_back(action);
        }
    }
    void run(const std::vector<std::string>& answers, std::size_t piece = 1 << 20, TimePoint now = start) {
        perform(session.start(now));
        for (std::size_t i = 0; connect_wanted && i < 20; ++i) {
            connect_wanted = false;
            perform(session.connected(now));
            std::string_view answer = answers[std::min(i, answers.size() - 1)];
            while (!answer.empty() && !connect_wanted && !session.finished()) {
                perform(session.receive(as_bytes(answer.substr(0, piece)), now));
                answer.remove_prefix(std::min(piece, answer.size()));
            }
            if (!connect_wanted) perform(session.disconnected(now));
        }
    }
};

std::string ok(std::string_view lines = "Server: Cougar 4.1.0.3923\r\n", std::string_view version = "HTTP/1.0") {
    return std::string{version} + " 200 OK\r\n" + std::string{lines} + "\r\n";
}

std::string header_text(const wmlab::asf::Content& media) {
    std::string text;
    for (const auto& frame : header_frames(media.header().raw)) text += as_text(frame.serialise());
    return text;
}

std::string packets_text(const wmlab::asf::Content& media, std::uint32_t count, std::uint32_t from = 0) {
    std::string text;
    for (auto i = from; i < from + count; ++i) text += as_text(data_frame(i, media.packet(i)));
    return text;
}

std::string end_text(std::uint32_t reason = 0) { return std::string{as_text(end_frame(reason))}; }

std::string chunked(std::string_view body, std::size_t size) {
    std::string text;
    while (!body.empty()) {
        const auto part = body.substr(0, size);
        body.remove_prefix(part.size());
        std::array<char, 20> head{};
        std::snprintf(head.data(), head.size(), "%zx\r\n", part.size());
        text.append(head.data()).append(part).append("\r\n");
    }
    return text + "0\r\n\r\n";
}

}  // namespace

TEST_CASE("stored content is described on one connection and played on a second", "[wmsp]") {
    const auto media = tone();
    const auto count = static_cast<std::uint32_t>(*media->packet_count());
    const auto describe = ok() + header_text(*media);
    const auto play = ok() + header_text(*media) + packets_text(*media, count) + end_text();
    for (const std::size_t piece : {std::size_t{1} << 20, std::size_t{1}, std::size_t{1000}}) {
        Dialogue dialogue{options_for("http://media:8080/lecture")};
        dialogue.run({describe, play}, piece);
        REQUIRE(dialogue.finished);
        CHECK(dialogue.finished->worked);
        CHECK(dialogue.finished->reason == "the stream ended");
        REQUIRE(dialogue.connects.size() == 2);
        CHECK(dialogue.connects[0].to == Endpoint{"media", 8080});
        CHECK(dialogue.connects[1].purpose == "Play");
        const auto headers = of_kind<HeaderComplete>(dialogue.all);
        REQUIRE(headers.size() == 1);
        CHECK(headers[0].header.raw == media->header().raw);
        const auto received = of_kind<MediaReceived>(dialogue.all);
        REQUIRE(received.size() == count);
        for (std::uint32_t i = 0; i < count; ++i) {
            CHECK(received[i].LocationId == i);
            CHECK(received[i].packet == media->packet(i));
        }
        CHECK(dialogue.requests.find("Pragma: stream-switch-entry=ffff:1:0\r\n") != std::string::npos);
        CHECK(of_kind<MediaStale>(dialogue.all).empty());
    }
}

TEST_CASE("an MMS URL is played over HTTP on port 80", "[wmsp]") {
    Dialogue dialogue{options_for("mms://media:1755/lecture")};
    dialogue.perform(dialogue.session.start(start));
    CHECK(dialogue.connects.at(0).to == Endpoint{"media", 80});
}

TEST_CASE("through a proxy: whole URLs, one Pragma line, chunked answers", "[wmsp]") {
    const auto media = tone(true);
    const auto body = header_text(*media) + packets_text(*media, 3, 52);
    const auto lines = "Server: Cougar 4.1.0.3923\r\nVia: 1.1 proxy (squid/5.7)\r\nTransfer-Encoding: chunked\r\n";
    for (const std::size_t piece : {std::size_t{1} << 20, std::size_t{1}}) {
        Dialogue dialogue{options_for("http://media/lecture", true)};
        dialogue.run({ok() + header_text(*media), ok(lines, "HTTP/1.1") + chunked(body, 700)}, piece);
        CHECK(dialogue.connects.at(0).to == Endpoint{"proxy", 3128});
        CHECK(dialogue.connects.at(0).proxy);
        CHECK(dialogue.requests.starts_with("GET http://media/lecture HTTP/1.0\r\nHost: media\r\n"));
        CHECK(of_kind<MediaReceived>(dialogue.all).size() == 3);
        CHECK(of_kind<MediaReceived>(dialogue.all).at(0).LocationId == 52);
        REQUIRE(dialogue.finished);
        CHECK(dialogue.finished->worked);
    }
}

TEST_CASE("Play on the connection of Describe, where the server agrees", "[wmsp]") {
    const auto media = tone();
    const auto header = header_text(*media);
    auto options = options_for("http://media/lecture");
    options.keep_alive = true;
    Dialogue dialogue{options};
    dialogue.perform(dialogue.session.start(start));
    dialogue.perform(dialogue.session.connected(start));
    dialogue.perform(dialogue.session.receive(
        as_bytes(ok("Connection: Keep-Alive\r\nContent-Length: " + std::to_string(header.size()) + "\r\n") + header),
        start));
    CHECK(dialogue.connects.size() == 1);
    CHECK(dialogue.requests.find("xPlayStrm=1") != std::string::npos);
    dialogue.perform(dialogue.session.receive(as_bytes(ok() + header + packets_text(*media, 2) + end_text()), start));
    REQUIRE(dialogue.finished);
    CHECK(dialogue.finished->worked);
}

TEST_CASE("how playing ends", "[wmsp]") {
    struct Row {
        std::string name, play;
        bool worked;
        Cause cause;
        std::string reason;
    };
    const auto live = tone(true), stored = tone();
    const auto live_header = ok() + header_text(*live), stored_header = ok() + header_text(*stored);
    const auto row = GENERATE_COPY(values<Row>({
        {"live, and the server just closes", live_header + packets_text(*live, 2), true, Cause::none,
         "the server closed the connection at the end of the stream"},
        {"VLC's long $E with a counter in it",
         live_header + packets_text(*live, 2) + std::string("\x24\x45\x08\x00\x2a\x00\x00\x00\x00\x00\x00\x00", 12),
         true, Cause::none, "the stream ended"},
        {"stored, and cut off", stored_header + packets_text(*stored, 2), false, Cause::closed_early,
         "the answer ended after packet 1 of " + std::to_string(*stored->packet_count())},
        {"in the middle of a frame", live_header + packets_text(*live, 2).substr(0, 1500), false, Cause::closed_early,
         "the answer ended in the middle of a frame"},
        {"no media", live_header, false, Cause::closed_early, "the answer to Play holds a header and no media"},
        {"no header", ok(), false, Cause::closed_early, "the answer ended before the whole ASF header"},
        {"an error", live_header + end_text(0x80070005), false, Cause::ended_by_server,
         "the server ended the stream with an error"},
        {"an end before any media", live_header + end_text(), false, Cause::ended_by_server,
         "the stream ended before any media"},
        {"an end in place of the header", ok() + end_text(), false, Cause::ended_by_server,
         "the stream ended before any media"},
        {"other content follows",
         live_header + packets_text(*live, 2) + std::string{as_text(stream_change_frame(0))} + header_text(*live) +
             packets_text(*live, 2, 2) + end_text(),
         true, Cause::none, "the stream ended"},
        {"an entry ends and nothing follows", live_header + packets_text(*live, 2) + end_text(1), false,
         Cause::closed_early, "the answer ended where another stream was announced"},
        {"media before the header", ok() + packets_text(*live, 1), false, Cause::malformed,
         "$D: $D at offset 0: came before the ASF header"},
        {"media before the new header",
         live_header + std::string{as_text(stream_change_frame(0))} + packets_text(*live, 1), false, Cause::malformed,
         "$D: $D at offset 0: came after $C, before the new ASF header"},
        {"the framing is lost", live_header + packets_text(*live, 1) + "<html>", false, Cause::malformed, ""},
        {"HTML in place of media",
         ok("Content-Type: text/html\r\n") + "<html><title>Sign in</title>Please sign in</html>", false,
         Cause::not_media, "HTML came in place of media: Sign in: Please sign in"},
        {"text in place of media", ok() + "go away", false, Cause::not_media, "the answer is no media: go away"},
        {"a plain file", ok() + std::string{as_text(Bytes{live->header().raw})}, false, Cause::not_media,
         "the answer is an unframed ASF file: not a Windows Media server"},
        {"the wrong chunk length", ok("Transfer-Encoding: chunked\r\n", "HTTP/1.1") + "5\r\n" + header_text(*live),
         false, Cause::malformed, "response: response at offset 0: bad chunk"},
        {"a header that is none", ok() + "\x24\x48\x0b" + std::string("\0\0\0\0\0\0\x0c\x0b\0abc", 12), false,
         Cause::malformed, ""},
    }));
    DYNAMIC_SECTION(row.name) {
        for (const std::size_t piece : {std::size_t{1} << 20, std::size_t{1}}) {
            Dialogue dialogue{options_for("http://media/lecture")};
            dialogue.run({ok() + header_text(*live), row.play}, piece);
            REQUIRE(dialogue.finished);
            CHECK(dialogue.finished->worked == row.worked);
            CHECK(dialogue.finished->cause == row.cause);
            if (!row.reason.empty()) CHECK(dialogue.finished->reason == row.reason);
        }
    }
}

TEST_CASE("a packet larger than the header says is refused", "[wmsp]") {
    const auto media = tone(true);
    std::vector<std::byte> large(media->header().packet_size + 1);
    Dialogue dialogue{options_for("http://media/lecture")};
    dialogue.run({ok() + header_text(*media), ok() + header_text(*media) + std::string{as_text(data_frame(0, large))}});
    REQUIRE(dialogue.finished);
    CHECK(dialogue.finished->cause == Cause::malformed);
    CHECK(of_kind<Malformed>(dialogue.all).at(0).error.field == "$D");
}

TEST_CASE("refusals are told apart: the proxy's or the server's, with their own words", "[wmsp]") {
    struct Row {
        std::string name, answer;
        bool proxied;
        Cause cause;
        std::string reason;
    };
    const auto row = GENERATE(values<Row>({
        {"the server knows no such name", "HTTP/1.0 404 Not Found\r\nServer: Cougar 4.1.0.3923\r\n\r\n", false, Cause::server_status,
         "the server answered 404 Not Found"},
        {"the same through a proxy", "HTTP/1.1 404 Not Found\r\nServer: Cougar 4.1.0.3923\r\nVia: 1.1 proxy (squid/5.7)\r\n\r\n", true, Cause::server_status,
         "the server answered 404 Not Found"},
        {"squid refuses by ACL",
         "HTTP/1.1 403 Forbidden\r\nServer: squid/5.7\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nContent-Type: text/html\r\n\r\n"
         "<html><head><title>ERROR: no</title></head><body>Access Denied.</body></html>",
         true, Cause::proxy_status, "the proxy answered 403 Forbidden (ERR_ACCESS_DENIED): ERROR: no: Access Denied."},
        {"squid cannot reach the server", "HTTP/1.1 503 Service Unavailable\r\nServer: squid/5.7\r\nX-Squid-Error: ERR_CONNECT_FAIL 111\r\n\r\n", true,
         Cause::proxy_status, "the proxy answered 503 Service Unavailable (ERR_CONNECT_FAIL)"},
        {"tinyproxy refuses by filter",
         "HTTP/1.0 403 Filtered\r\nServer: tinyproxy/1.11.1\r\nContent-Type: text/html\r\n\r\n<html><title>403 Filtered</title></html>", true,
         Cause::proxy_status, "the proxy answered 403 Filtered"},
        {"the proxy wants a name and password",
         "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n", true, Cause::proxy_status,
         "the proxy answered 407 Proxy Authentication Required"},
        {"a proxy that does not give its name", "HTTP/1.0 403 Forbidden\r\n\r\n", true, Cause::proxy_status, "the proxy answered 403 Forbidden"},
        {"the server wants a name and password", "HTTP/1.0 401 Access Denied\r\nServer: Cougar 4.1.0.3923\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n",
         false, Cause::server_status, "the server answered 401 Access Denied"},
        {"a proxy in the way nobody told us of", "HTTP/1.1 403 Forbidden\r\nServer: squid/5.7\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\n\r\n", false,
         Cause::proxy_status, "the proxy answered 403 Forbidden (ERR_ACCESS_DENIED)"},
        {"a web server behind the proxy", "HTTP/1.1 404 Not Found\r\nServer: Apache\r\nVia: 1.1 proxy\r\n\r\n", true, Cause::server_status,
         "the server answered 404 Not Found"},
    }));
    DYNAMIC_SECTION(row.name) {
        Dialogue dialogue{options_for("http://media/lecture", row.proxied)};
        dialogue.run({row.answer}, 5);
        REQUIRE(dialogue.finished);
        CHECK(dialogue.finished->cause == row.cause);
        CHECK(dialogue.finished->reason == row.reason);
        CHECK(of_kind<Received>(dialogue.all).back().fields.back().first == "reason");
        CHECK(dialogue.finished->status == wmlab::wmsp::decimal(row.answer.substr(9, 3), 999));
    }
}

TEST_CASE("a proxy that drops Pragma lines is found out", "[wmsp]") {
    const auto media = tone();
    Dialogue dialogue{options_for("http://media/lecture", true)};
    dialogue.run({ok() + header_text(*media)});
    REQUIRE(dialogue.finished);
    CHECK(dialogue.finished->cause == Cause::modified);
    CHECK(dialogue.finished->reason.find("dropped xPlayStrm=1") != std::string::npos);
}

TEST_CASE("redirections", "[wmsp]") {
    struct Row {
        std::string name;
        std::vector<std::string> answers;
        Cause cause;
        std::string reason, redirect;
        std::size_t connections;
    };
    const auto found = [](std::string_view to) {
        return "HTTP/1.0 302 Found\r\nLocation: " + std::string{to} + "\r\n\r\n";
    };
    const auto row = GENERATE_COPY(values<Row>({
        {"a loop",
         {found("/lecture")},
         Cause::too_many_redirects,
         "redirected in a circle, by 302 Found to http://media/lecture",
         "http://media/lecture",
         1},
        {"a loop of two",
         {found("/b"), found("/lecture")},
         Cause::too_many_redirects,
         "redirected in a circle, by 302 Found to http://media/lecture",
         "http://media/lecture",
         2},
        {"ever on",
         {found("/1"), found("/2"), found("/3"), found("/4"), found("/5"), found("/6")},
         Cause::too_many_redirects,
         "redirected more than 5 times",
         "http://media/6",
         6},
        {"to MMS",
         {found("mms://media/lecture")},
         Cause::elsewhere,
         "302 Found leads to mms://media/lecture",
         "mms://media/lecture",
         1},
        {"to nowhere", {found("ftp://media/x")}, Cause::malformed, "", "", 1},
        {"without a place",
         {"HTTP/1.0 302 Found\r\n\r\n"},
         Cause::server_status,
         "the server answered 302 Found",
         "",
         1},
        {"a redirector file that leads to MMS",
         {ok("Content-Type: video/x-ms-asf\r\n") + "<ASX><Entry><Ref href=\"mms://media/x\"/></Entry></ASX>"},
         Cause::elsewhere,
         "a redirector file leads to mms://media/x",
         "mms://media/x",
         1},
    }));
    DYNAMIC_SECTION(row.name) {
        Dialogue dialogue{options_for("http://media/lecture")};
        dialogue.run(row.answers);
        REQUIRE(dialogue.finished);
        CHECK(dialogue.finished->cause == row.cause);
        if (!row.reason.empty()) CHECK(dialogue.finished->reason == row.reason);
        CHECK(dialogue.finished->redirect == row.redirect);
        CHECK(dialogue.connects.size() == row.connections);
    }
}

TEST_CASE("a redirector file with a choice of places leaves it to whoever asked", "[wmsp]") {
    Dialogue dialogue{options_for("http://media/lecture.asx")};
    dialogue.run({ok() + "<ASX><Entry><Ref href=\"mms://media/x\"/><Ref href=\"/y\"/></Entry></ASX>"});
    REQUIRE(dialogue.finished);
    CHECK(dialogue.finished->redirect == "mms://media/x");
    CHECK(dialogue.finished->alternatives == std::vector<std::string>{"http://media/y"});
}

TEST_CASE("of a redirector file all entries count, and what is not played here is passed over", "[wmsp]") {
    Dialogue dialogue{options_for("http://media/lecture.asx")};
    dialogue.run(
        {ok() +
         "<?xml version=\"1.0\"?>\n<asx version=\"3.0\"><entry><ref href=\"rtsp://media/x\"/><ref href=\"mms://media/x\"/></entry><entryref href=\"more.asx\"/><entry><ref href=\"/y\"/></entry></asx>"});
    REQUIRE(dialogue.finished);
    CHECK(dialogue.finished->cause == Cause::elsewhere);
    CHECK(dialogue.finished->redirect == "mms://media/x");
    CHECK(dialogue.finished->alternatives == std::vector<std::string>{"http://media/more.asx", "http://media/y"});
    Dialogue nothing{options_for("http://media/lecture.asx")};
    nothing.run({ok() + "<asx><entry><ref href=\"rtsp://media/x\"/></entry></asx>"});
    REQUIRE(nothing.finished);
    CHECK(nothing.finished->reason ==
          "a redirector file names nothing that is played here: `rtsp://media/x` has a scheme that is none of mms, mmsu, mmst, mmsh, http, msbd");
}

TEST_CASE("a redirection is followed to another host, and Play goes there", "[wmsp]") {
    const auto media = tone();
    Dialogue dialogue{options_for("http://media/lecture")};
    dialogue.run({"HTTP/1.0 302 Found\r\nLocation: http://other:8080/x\r\n\r\n", ok() + header_text(*media),
                  ok() + header_text(*media) + packets_text(*media, 2) + end_text()});
    REQUIRE(dialogue.finished);
    CHECK(dialogue.finished->worked);
    CHECK(dialogue.connects.at(2).to == Endpoint{"other", 8080});
}

TEST_CASE("stale and delayed media is told", "[wmsp]") {
    struct Row {
        std::string name, lines, why;
    };
    const auto row = GENERATE(values<Row>({
        {"Age", "Age: 31\r\n", "Age: 31"},
        {"a hit", "X-Cache: HIT from proxy\r\n", "X-Cache: HIT from proxy"},
        {"an old Date", "Date: Tue, 24 Nov 2026 14:25:46 GMT\r\n", "the Date of the answer is 60 s old"},
        {"a fresh answer", "Age: 0\r\nX-Cache: MISS from proxy\r\nDate: Tue, 24 Nov 2026 14:26:40 GMT\r\n", ""},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto media = tone();
        auto options = options_for("http://media/lecture");
        options.utc = 1795530346 + 60;
        Dialogue dialogue{options};
        dialogue.run(
            {ok() + header_text(*media), ok(row.lines) + header_text(*media) + packets_text(*media, 2) + end_text()});
        const auto stale = of_kind<MediaStale>(dialogue.all);
        REQUIRE(stale.size() == (row.why.empty() ? 0 : 1));
        if (stale.empty()) return;
        CHECK(stale[0].kind == MediaStale::Kind::cached);
        CHECK(stale[0].why == row.why);
        CHECK(dialogue.finished->worked);
    }
}

TEST_CASE("media that comes in lumps or ever later is delayed, a fast start is not", "[wmsp]") {
    const auto media = tone(true);
    struct Row {
        std::string name;
        std::function<milliseconds(milliseconds)> arrival;  // of a packet with this send time
        bool delayed;
    };
    const auto row = GENERATE(values<Row>({
        {"in its own pace", [](milliseconds time) { return time; }, false},
        {"a fast start, then in pace",
         [](milliseconds time) { return std::max(time - milliseconds{1500}, milliseconds{0}); }, false},
        {"lumps of three seconds", [](milliseconds time) { return milliseconds{time.count() / 3000 * 3000 + 3000}; },
         true},
        {"a stop of three seconds",
         [](milliseconds time) { return time > milliseconds{4000} ? time + milliseconds{3000} : time; }, true},
        {"half the speed", [](milliseconds time) { return time * 2; }, true},
    }));
    DYNAMIC_SECTION(row.name) {
        PlayerSession playing{options_for("http://media/lecture")};
        PlayerActions actions;
        const auto add = [&](PlayerActions more) { actions.insert(actions.end(), more.begin(), more.end()); };
        add(playing.start(start));
        add(playing.connected(start));
        add(playing.receive(as_bytes(ok() + header_text(*media)), start));
        add(playing.connected(start));
        add(playing.receive(as_bytes(ok() + header_text(*media)), start));
        for (std::uint32_t i = 0; media->send_time(i) < seconds{8}; ++i)
            add(playing.receive(as_bytes(packets_text(*media, 1, i)), start + row.arrival(media->send_time(i))));
        const auto stale = of_kind<MediaStale>(actions);
        REQUIRE(stale.size() == (row.delayed ? 1 : 0));
        if (row.delayed) CHECK(stale[0].delay > seconds{2});
    }
}

TEST_CASE("silence at every step ends the session in time", "[wmsp]") {
    const auto media = tone(true);
    PlayerSession session{options_for("http://media/lecture")};
    session.start(start);
    std::string reason = "no connection for Describe in time";
    auto wait = seconds{10};
    SECTION("no connection") {}
    SECTION("no answer") {
        session.connected(start);
        reason = "no answer to Describe in time", wait = seconds{15};
    }
    SECTION("half a head") {
        session.connected(start);
        session.receive(as_bytes("HTTP/1.0 200 OK\r\nServer: "), start);
        reason = "no answer to Describe in time", wait = seconds{15};
    }
    SECTION("no header") {
        session.connected(start);
        session.receive(as_bytes(ok()), start);
        reason = "the ASF header did not come in time", wait = seconds{30};
    }
    SECTION("no second connection") {
        session.connected(start);
        session.receive(as_bytes(ok() + header_text(*media)), start);
        reason = "no connection for Play in time";
    }
    SECTION("no media, or no more") {
        session.connected(start);
        session.receive(as_bytes(ok() + header_text(*media)), start);
        session.connected(start);
        session.receive(as_bytes(ok() + header_text(*media)), start);
        reason = "no media after the header", wait = seconds{30};
        SECTION("no more") {
            session.receive(as_bytes(packets_text(*media, 1)), start);
            reason = "the media stopped coming";
        }
    }
    SECTION("an error page that does not end is judged by what is there") {
        session.connected(start);
        session.receive(as_bytes("HTTP/1.0 404 Not Found\r\nServer: Cougar 4.1.0.3923\r\n\r\nnot"), start);
        reason = "the server answered 404 Not Found: not", wait = seconds{30};
    }
    REQUIRE(session.next_deadline() == start + wait);
    CHECK(session.tick(start + wait - milliseconds{1}).empty());
    const auto ended = of_kind<Finished>(session.tick(start + wait));
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].reason == reason);
    CHECK(session.finished());
}

TEST_CASE("stopping and giving up", "[wmsp]") {
    PlayerSession session{options_for("http://media/lecture")};
    session.start(start);
    SECTION("before media") { CHECK_FALSE(of_kind<Finished>(session.stop(start)).at(0).worked); }
    SECTION("the embedder gives up") {
        CHECK(of_kind<Finished>(session.failed("refused", start)).at(0).reason == "refused");
    }
    CHECK(session.stop(start).empty());
    CHECK(session.receive(as_bytes("x"), start).empty());
    CHECK(session.disconnected(start).empty());
}

TEST_CASE("every prefix and every changed byte of an answer ends the session", "[wmsp]") {
    const auto media = tone();
    const auto answer = ok("Content-Length: 9999\r\nServer: Cougar 4.1.0.3923\r\n") + header_text(*media) +
                        packets_text(*media, 1).substr(0, 100);
    const auto describe = ok() + header_text(*media);
    for (std::size_t size = 0; size < answer.size(); ++size) {
        Dialogue dialogue{options_for("http://media/lecture")};
        dialogue.run({describe, answer.substr(0, size)});
        CHECK(dialogue.session.finished());
    }
    for (std::size_t at = 0; at < answer.size(); ++at)
        for (const int change : {1, 0x80, 0xFF}) {
            auto damaged = answer;
            damaged[at] = static_cast<char>(damaged[at] ^ change);
            Dialogue dialogue{options_for("http://media/lecture", true)};
            dialogue.run({damaged, damaged});
            CHECK(dialogue.session.finished());
        }
}
