#include "common/wmsp/server_session.hpp"

#include "common/url/asx.hpp"
#include "tests/common/wmsp/tools.hpp"

using namespace wmlab::wmsp;
using std::chrono::seconds;

namespace {

const TimePoint start{};

struct Exchange {
    ServerActions actions;
    std::string sent;
    std::vector<OpenRequest> opens;
    std::optional<Close> close;
};

// One request to a new session; publishing points with "lecture" in their name exist.
Exchange ask(ServerSession& session, std::string_view request, const wmlab::asf::Content& media) {
    Exchange exchange;
    exchange.actions = session.receive(as_bytes(request), start);
    exchange.opens = of_kind<OpenRequest>(exchange.actions);
    if (!exchange.opens.empty()) {
        const auto& name = exchange.opens.back().name;
        const auto more = name.find("lecture") != std::string::npos
                              ? session.opened(content_of(media), start)
                              : session.open_failed(404, "there is no publishing point `" + name + "`", start);
        exchange.actions.insert(exchange.actions.end(), more.begin(), more.end());
    }
    exchange.sent = sent_by(exchange.actions);
    const auto closes = of_kind<Close>(exchange.actions);
    if (!closes.empty()) exchange.close = closes.back();
    return exchange;
}

std::string request(std::string_view target, std::string_view agent, std::string_view lines = {},
                    std::string_view method = "GET") {
    return std::string{method} + ' ' + std::string{target} +
           " HTTP/1.0\r\nHost: media:8080\r\nUser-Agent: " + std::string{agent} + "\r\n" + std::string{lines} + "\r\n";
}

constexpr std::string_view player = "NSPlayer/4.1.0.3857";

}  // namespace

TEST_CASE("Describe: head and $H, then the connection is closed", "[wmsp]") {
    const auto media = tone();
    ServerOptions options;
    options.client_id = 2058721080;
    ServerSession session{options, start};
    const auto exchange = ask(session, request("/lecture", player), *media);
    REQUIRE(exchange.opens.size() == 1);
    CHECK(exchange.opens[0].name == "lecture");
    CHECK(exchange.opens[0].purpose == Purpose::describe);
    const auto frame = header_frames(media->header().raw).front().serialise();
    CHECK(exchange.sent ==
          "HTTP/1.0 200 OK\r\nServer: Cougar 4.1.0.3923\r\nContent-Type: application/octet-stream\r\n"
          "Cache-Control: no-cache\r\nPragma: no-cache, client-id=2058721080, features=\"seekable\"\r\nContent-Length: " +
              std::to_string(frame.size()) + "\r\nConnection: close\r\n\r\n" + std::string{as_text(frame)});
    REQUIRE(exchange.close);
    CHECK(exchange.close->by_agreement);
    CHECK(session.finished());
}

TEST_CASE("Play of stored content: $H, the packets, $E", "[wmsp]") {
    const auto media = tone();
    ServerSession session{{}, start};
    const auto exchange =
        ask(session,
            request("/lecture", player,
                    "Pragma: xPlayStrm=1,stream-time=500,max-duration=9\r\nPragma: stream-switch-count=1\r\nPragma: stream-switch-entry=ffff:1:0 \r\n"),
            *media);
    CHECK(exchange.opens.at(0).purpose == Purpose::play);
    CHECK(exchange.sent.find("Content-Length") == std::string::npos);
    const auto starts = of_kind<StartMedia>(exchange.actions);
    REQUIRE(starts.size() == 1);
    CHECK(starts[0].from.by == StartPoint::By::time);
    CHECK(starts[0].from.time == 500);
    CHECK(starts[0].max_duration == 9);
    CHECK(starts[0].streams == std::vector<StreamChoice>{{1, 0}});
    CHECK(session.streaming());
    CHECK_FALSE(session.next_deadline());

    const auto packet = media->packet(3);
    const auto data = session.media(3, packet, start);
    CHECK(sent_by(data) == as_text(data_frame(3, packet)));
    const auto shared = std::make_shared<const std::vector<std::byte>>(data_frame(4, packet));
    CHECK(of_kind<SendData>(session.media(4, shared, start)).at(0).frame == shared);
    const auto end = session.end_of_media(start);
    CHECK(sent_by(end) == as_text(end_frame(0)));
    CHECK(of_kind<StopMedia>(end).size() == 1);
    CHECK(session.finished());
    CHECK(session.packets_sent() == 2);
    CHECK(session.media(5, packet, start).empty());
}

TEST_CASE("Play of live content starts now, whatever the player asks", "[wmsp]") {
    const auto media = tone(true);
    ServerOptions options;
    options.server = rex;
    ServerSession session{options, start};
    const auto exchange = ask(session, request("/lecture", player, "Pragma: xPlayStrm=1,stream-time=500\r\n"), *media);
    CHECK(exchange.sent.find("features=\"broadcast\"") != std::string::npos);
    CHECK(exchange.sent.find("Server: Rex 4.1.0.3923\r\n") != std::string::npos);
    CHECK(of_kind<StartMedia>(exchange.actions).at(0).from.time == 0);
    SECTION("other content follows") {
        const auto next = session.next_content(content_of(*tone()), start);
        CHECK(sent_by(next).starts_with(as_text(stream_change_frame(0))));
        CHECK(session.streaming());
    }
    SECTION("the player leaves") {
        const auto left = session.disconnected(start);
        CHECK(of_kind<StopMedia>(left).size() == 1);
        CHECK(of_kind<Close>(left).at(0).by_agreement);
    }
    SECTION("the player chooses other streams on another connection") {
        const auto chosen = session.select({{0xFFFF, 1, 2, std::nullopt}}, start);
        CHECK(of_kind<StreamsSelected>(chosen).at(0).streams == std::vector<StreamChoice>{{1, 2}});
    }
    SECTION("the server stops") {
        const auto stopped = session.close("the encoder left", start);
        CHECK(of_kind<StopMedia>(stopped).size() == 1);
        CHECK_FALSE(of_kind<Close>(stopped).at(0).by_agreement);
    }
}

TEST_CASE("requests by others than players get what they can use", "[wmsp]") {
    struct Row {
        std::string name, text;
        Purpose purpose;
        std::string content, answer;
    };
    const auto row = GENERATE(values<Row>({
        {"a browser gets a redirector", request("/lecture", "Mozilla/4.0 (compatible; MSIE 5.0)"), Purpose::redirect, "lecture",
         "[Reference]\r\nRef1=http://media:8080/lecture?MSWMExt=.asf\r\nRef2=http://media:8080/lecture?MSWMExt=.asf\r\n"},
        {"an .asx for anybody", request("/my%20lecture.ASX", "curl/7.88"), Purpose::redirect, "my lecture",
         "<ASX version=\"3.0\">\r\n<Entry>\r\n<Ref href=\"mms://media/my%20lecture\"/>\r\n<Ref href=\"http://media:8080/my%20lecture\"/>\r\n</Entry>\r\n</ASX>\r\n"},
        {"a player may ask for an .asx too", request("/lecture.asx", player), Purpose::redirect, "lecture", "<ASX version"},
        {"the hint of a redirector is no part of the name", request("/lecture?MSWMExt=.asf", player), Purpose::describe, "lecture", "$H"},
        {"curl gets the file", request("/lecture", "curl/7.88"), Purpose::download, "lecture", "\x30\x26\xB2\x75"},
        {"ffmpeg's http:// gets the file", request("/lecture", "Lavf/59.27.100"), Purpose::download, "lecture", "Content-Type: video/x-ms-asf\r\n"},
    }));
    DYNAMIC_SECTION(row.name) {
        ServerSession session{{}, start};
        const auto exchange = ask(session, row.text, *tone());
        REQUIRE(exchange.opens.size() == 1);
        CHECK(exchange.opens[0].purpose == row.purpose);
        CHECK(exchange.opens[0].name == row.content);
        INFO(exchange.sent.substr(0, 400));
        CHECK(exchange.sent.find(row.answer) != std::string::npos);
    }
}

TEST_CASE("a Host line cannot write a redirector", "[wmsp]") {
    ServerOptions options;
    options.address = "10.10.0.10";
    ServerSession session{options, start};
    const auto exchange =
        ask(session, "GET /lecture.asx HTTP/1.0\r\nHost: a\"/><Ref href=\"http://evil/\r\n\r\n", *tone());
    CHECK(exchange.sent.find("evil") == std::string::npos);
    CHECK(exchange.sent.find("mms://10.10.0.10/lecture") != std::string::npos);
}

TEST_CASE("a download is header and packets without frames", "[wmsp]") {
    const auto media = tone();
    ServerSession session{{}, start};
    const auto exchange = ask(session, request("/lecture", "curl/7.88"), *media);
    const auto size = media->header().raw.size() + *media->packet_count() * media->header().packet_size;
    CHECK(exchange.sent.find("Content-Length: " + std::to_string(size) + "\r\n") != std::string::npos);
    CHECK_FALSE(of_kind<StartMedia>(exchange.actions).at(0).framed);
    const auto packet = media->packet(0);
    CHECK(sent_by(session.media(0, packet, start)) == as_text(packet));
    const auto shared = std::make_shared<const std::vector<std::byte>>(data_frame(1, packet));
    CHECK(sent_by(session.media(1, shared, start)) == as_text(packet));
    CHECK(sent_by(session.end_of_media(start)).empty());
}

TEST_CASE("the page of the root is the embedder's", "[wmsp]") {
    ServerSession session{{}, start};
    const auto actions = session.receive(as_bytes(request(index_path, "Mozilla/5.0")), start);
    CHECK(of_kind<OpenRequest>(actions).at(0).purpose == Purpose::index);
    const auto answer = sent_by(session.document("text/html", "<html>lecture</html>", start));
    CHECK(answer.starts_with("HTTP/1.0 200 OK\r\nServer: Cougar 4.1.0.3923\r\nContent-Type: text/html\r\n"));
    CHECK(answer.ends_with("\r\n\r\n<html>lecture</html>"));
}

TEST_CASE("errors say what they are", "[wmsp]") {
    struct Row {
        std::string name, text;
        unsigned status;
        std::string words;
        bool malformed;
    };
    const auto row = GENERATE(values<Row>({
        {"an unknown publishing point", request("/nothing", player), 404, "there is no publishing point `nothing`",
         false},
        {"an unknown method", request("/lecture", player, {}, "DELETE"), 501, "unknown here", false},
        {"push", request("/lecture", "WMEncoder/9.0", "Content-Type: application/x-wms-pushsetup\r\n", "POST"), 501,
         "PushSetup is of a later generation", false},
        {"the next playlist entry", request("/lecture", player, "Pragma: xPlayNextEntry\r\n"), 501,
         "PlayNextEntry is of a later generation", false},
        {"two lengths", request("/", player, "Content-Length: 1\r\nContent-Length: 2\r\n"), 400,
         "two Content-Length lines", true},
        {"no path", request("media:80", player), 400, "is neither a path nor a URL", true},
        {"not HTTP", "hello\r\n\r\n", 400, "bad method", true},
    }));
    DYNAMIC_SECTION(row.name) {
        ServerSession session{{}, start};
        const auto exchange = ask(session, row.text, *tone());
        INFO(exchange.sent);
        CHECK(exchange.sent.starts_with("HTTP/1.0 " + std::to_string(row.status) + ' '));
        CHECK(exchange.sent.find(row.words) != std::string::npos);
        CHECK(of_kind<Malformed>(exchange.actions).size() == (row.malformed ? 1 : 0));
        REQUIRE(exchange.close);
        CHECK_FALSE(exchange.close->by_agreement);
        CHECK(session.receive(as_bytes("GET / HTTP/1.0\r\n\r\n"), start).empty());
    }
}

TEST_CASE("words of an error page are text, whatever the name was", "[wmsp]") {
    ServerSession session{{}, start};
    CHECK(ask(session, request("/%3Cscript%3E", player), *tone()).sent.find("<script>") == std::string::npos);
}

TEST_CASE("content that is not ready or does not fit is 503", "[wmsp]") {
    ServerSession session{{}, start};
    session.receive(as_bytes(request("/lecture", player)), start);
    SECTION("too slow") {
        CHECK(session.next_deadline() == start + seconds{30});
        CHECK(session.tick(start + seconds{29}).empty());
        CHECK(sent_by(session.tick(start + seconds{30})).starts_with("HTTP/1.0 503 Service Unavailable\r\n"));
    }
    SECTION("too large") {
        auto content = content_of(*tone());
        content.packet_size = 65528;
        CHECK(sent_by(session.opened(content, start)).starts_with("HTTP/1.0 503"));
    }
    CHECK(session.finished());
}

TEST_CASE("logs, stream selection and content information are answered", "[wmsp]") {
    ServerSession session{{}, start};
    SECTION("a log") {
        const auto exchange = ask(
            session,
            request("/lecture", player, "Content-Type: application/x-wms-Logging\r\nContent-Length: 5\r\n", "POST") +
                "hello",
            *tone());
        CHECK(of_kind<LogUploaded>(exchange.actions).at(0).text == "hello");
        CHECK(exchange.sent ==
              "HTTP/1.0 200 OK\r\nServer: Cougar 4.1.0.3923\r\nCache-Control: no-cache\r\nPragma: no-cache\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    SECTION("a log in the Pragma line") {
        const auto exchange = ask(session, request("/lecture", player, "Pragma: log-line=a b\r\n", "POST"), *tone());
        CHECK(of_kind<LogUploaded>(exchange.actions).at(0).text == "a b");
    }
    SECTION("stream selection") {
        const auto exchange =
            ask(session, request("/lecture", player, "Pragma: client-id=7,stream-switch-entry=ffff:1:2\r\n", "POST"),
                *tone());
        const auto select = of_kind<SelectStreams>(exchange.actions).at(0);
        CHECK(select.client_id == 7U);
        CHECK(select.entries.size() == 1);
        CHECK(exchange.sent.starts_with("HTTP/1.0 200 OK\r\n"));
    }
    SECTION("content information has no body") {
        const auto exchange =
            ask(session, request("/lecture", player, "Content-Type: application/x-wms-getcontentinfo\r\n", "POST"),
                *tone());
        CHECK(exchange.sent.find("Content-Length: 0\r\n") != std::string::npos);
        CHECK(exchange.sent.ends_with("\r\n\r\n"));
    }
    SECTION("HEAD has no body either") {
        const auto exchange = ask(session, request("/lecture", "curl/7.88", {}, "HEAD"), *tone());
        CHECK(exchange.sent.starts_with("HTTP/1.0 200 OK\r\n"));
        CHECK(exchange.sent.ends_with("\r\n\r\n"));
    }
    CHECK(session.finished());
}

TEST_CASE("a connection is kept only for those who ask, and only behind a counted answer", "[wmsp]") {
    const auto media = tone();
    ServerSession session{{}, start};
    const auto describe = request("/lecture", player, "Connection: Keep-Alive\r\n");
    const auto first = ask(session, describe, *media);
    CHECK(first.sent.find("Connection: Keep-Alive\r\n") != std::string::npos);
    CHECK_FALSE(session.finished());
    const auto id = session.client_id();
    SECTION("Play follows and ends it") {
        const auto second =
            ask(session, request("/lecture", player, "Connection: Keep-Alive\r\nPragma: xPlayStrm=1\r\n"), *media);
        CHECK(second.sent.find("Connection: close\r\n") != std::string::npos);
        CHECK(session.streaming());
        CHECK(session.client_id() == id);
    }
    SECTION("silence ends it, by agreement") {
        CHECK(of_kind<Close>(session.tick(start + seconds{15})).at(0).by_agreement);
    }
    SECTION("the client may close it") { CHECK(of_kind<Close>(session.disconnected(start)).at(0).by_agreement); }
    SECTION("requests sent ahead are answered in order") {
        ServerSession other{{}, start};
        auto exchange = ask(other, describe + request("/nothing", player), *media);
        CHECK(exchange.opens.size() == 1);
        REQUIRE(of_kind<OpenRequest>(exchange.actions).size() == 2);
        CHECK(sent_by(other.open_failed(404, "no", start)).starts_with("HTTP/1.0 404"));
    }
    SECTION("not for ever") {
        ServerOptions options;
        options.requests_max = 1;
        ServerSession once{options, start};
        CHECK(ask(once, describe, *media).close);
    }
}

TEST_CASE("a request that does not come in time ends the connection", "[wmsp]") {
    ServerSession session{{}, start};
    CHECK(session.next_deadline() == start + seconds{15});
    SECTION("half a request") {
        session.receive(as_bytes("GET / HTTP/1.0\r\nHost"), start);
        const auto ended = session.tick(start + seconds{15});
        CHECK(of_kind<Close>(ended).at(0).reason == "no complete request in time");
        CHECK(sent_by(ended).empty());
    }
    SECTION("nothing") {
        CHECK(of_kind<Close>(session.tick(start + seconds{15})).at(0).reason == "no request in time");
    }
    SECTION("closed inside a request") {
        session.receive(as_bytes("GET / HTTP/1.0\r\nHost"), start);
        CHECK(of_kind<Close>(session.disconnected(start)).at(0).reason == "the client closed inside a request");
    }
    CHECK(session.finished());
}

TEST_CASE("a session the client names but we do not know is reset", "[wmsp]") {
    ServerSession session{{}, start};
    CHECK(ask(session, request("/lecture", player, "Pragma: xPlayStrm=1,client-id=99\r\n"), *tone())
              .sent.find("xResetStrm=1") != std::string::npos);
}

TEST_CASE("every prefix and every changed byte of a request leaves a server that can go on or has ended", "[wmsp]") {
    const auto text =
        request("/lecture", player, "Pragma: xPlayStrm=1,stream-switch-entry=ffff:1:0\r\nConnection: Keep-Alive\r\n");
    const auto media = tone();
    for (std::size_t size = 0; size < text.size(); ++size) {
        ServerSession session{{}, start};
        CHECK(session.receive(as_bytes(text.substr(0, size)), start).empty());
        session.disconnected(start);
        CHECK(session.finished());
    }
    for (std::size_t at = 0; at < text.size(); ++at)
        for (const int change : {1, 0x80, 0xFF, 0x20}) {
            auto damaged = text;
            damaged[at] = static_cast<char>(damaged[at] ^ change);
            ServerSession session{{}, start};
            ask(session, damaged, *media);
            session.disconnected(start);
            CHECK(session.finished());
        }
}

// --- departures of docs/protocols/http.md: a test for each

TEST_CASE("departure 2.2.1.4.27: stream-switch-entry is read on any Pragma line, and ours shares one for a proxy", "[wmsp]") {
    const auto media = tone();
    ServerSession session{{}, start};
    const auto exchange =
        ask(session, request("/lecture", player, "Pragma: no-cache,xPlayStrm=1,stream-switch-entry=ffff:1:0\r\n"), *media);
    CHECK(of_kind<StartMedia>(exchange.actions).at(0).streams == std::vector<StreamChoice>{{1, 0}});
    RequestForm form;
    form.host = "media";
    form.proxied = true;
    PlayFrom from;
    from.streams = {{1, 0}};
    CHECK(play_request(form, from).fields.count("Pragma") == 1);
}

TEST_CASE("departure 2.2.2.5: a pipelined request is a Describe", "[wmsp]") {
    const auto media = tone();
    ServerSession session{{}, start};
    const auto exchange = ask(session, request("/lecture", player, "Pragma: pipeline-request=1\r\n"), *media);
    CHECK(exchange.opens.at(0).purpose == Purpose::describe);
    CHECK(exchange.sent.find("Transfer-Encoding") == std::string::npos);
}

TEST_CASE("departure 2.2.2.7: PlayNextEntry is of a later generation", "[wmsp]") {
    const auto media = tone();
    ServerSession session{{}, start};
    CHECK(ask(session, request("/lecture", player, "Pragma: xPlayNextEntry=1\r\n"), *media).sent.starts_with("HTTP/1.0 501 "));
}

TEST_CASE("departure 2.2.3.3: padding is sent", "[wmsp]") {
    const auto media = tone();
    ServerSession session{{}, start};
    ask(session, request("/lecture", player, "Pragma: xPlayStrm=1,stream-switch-entry=ffff:1:0\r\n"), *media);
    const auto packet = media->packet(0);
    CHECK(sent_by(session.media(0, packet, start)) == as_text(data_frame(0, packet)));
}

TEST_CASE("departure 2.2.3.6: nobody gets $M", "[wmsp]") {
    const auto media = tone();
    ServerSession session{{}, start};
    const auto exchange =
        ask(session, request("/lecture", "NSPlayer/9.0.0.2980", "Pragma: xPlayStrm=1,stream-switch-entry=ffff:1:0\r\n"), *media);
    const auto body = exchange.sent.substr(exchange.sent.find("\r\n\r\n") + 4);
    CHECK(body.starts_with("$H"));
}

TEST_CASE("departure 3.2.5.9: what controls the pipelined mode is not done", "[wmsp]") {
    const auto media = tone();
    ServerSession session{{}, start};
    CHECK(ask(session, request("/lecture", player, "Content-Length: 0\r\nPragma: xStopStrm=1\r\n", "POST"), *media)
              .sent.starts_with("HTTP/1.0 501 "));
}
