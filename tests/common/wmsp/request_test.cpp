#include "common/wmsp/request.hpp"

#include "tests/common/wmsp/tools.hpp"

using namespace wmlab::wmsp;

TEST_CASE("requests are classified in the order of the specification", "[wmsp]") {
    struct Row {
        std::string name, method, lines;
        RequestKind kind;
    };
    const auto row = GENERATE(values<Row>({
        {"no Pragma at all", "GET", "", RequestKind::Describe},
        {"xPlayStrm=0", "GET", "Pragma: xPlayStrm=0\r\n", RequestKind::Describe},
        {"xPlayStrm=1", "GET", "Pragma: no-cache\r\nPragma: xPlayStrm=1\r\n", RequestKind::Play},
        {"other letter case", "GET", "pragma: XPLAYSTRM=1\r\n", RequestKind::Play},
        {"blanks around the sign", "GET", "Pragma: no-cache , xPlayStrm = 1 \r\n", RequestKind::Play},
        {"xPlayNextEntry goes before all", "GET", "Pragma: pipeline-request,xPlayStrm=1,xPlayNextEntry\r\n",
         RequestKind::PlayNextEntry},
        {"pipeline-request goes before Play", "GET", "Pragma: xPlayStrm=1,pipeline-request=1\r\n",
         RequestKind::Pipeline},
        {"entries without xPlayStrm", "GET", "Pragma: stream-switch-entry=ffff:1:0\r\n", RequestKind::SelectStream},
        {"entries with xPlayStrm", "GET", "Pragma: xPlayStrm=1,stream-switch-entry=ffff:1:0\r\n", RequestKind::Play},
        {"entries with xPlayStrm=0", "GET", "Pragma: xPlayStrm=0,stream-switch-entry=ffff:1:0\r\n",
         RequestKind::Describe},
        {"content information", "POST", "Content-Type: application/x-wms-getcontentinfo\r\n",
         RequestKind::GetContentInfo},
        {"entries posted", "POST", "Pragma: stream-switch-entry=ffff:1:0\r\n", RequestKind::SelectStream},
        {"push set-up", "POST", "Content-Type: application/x-wms-pushsetup;charset=UTF-8\r\n", RequestKind::PushSetup},
        {"push", "POST", "Content-Type: application/x-wms-pushstart\r\n", RequestKind::PushStart},
        {"a log line", "POST", "Pragma: log-line=x\r\n", RequestKind::Log},
        {"a log", "POST", "Content-Type: application/x-wms-Logging\r\n", RequestKind::Log},
        {"some other POST", "POST", "Content-Type: text/plain\r\n", RequestKind::Unknown},
        {"another method", "OPTIONS", "Pragma: xPlayStrm=1\r\n", RequestKind::Unknown},
    }));
    DYNAMIC_SECTION(row.name) {
        CHECK(request_of(row.method + " /x HTTP/1.0\r\n" + row.lines + "\r\n").kind == row.kind);
    }
}

TEST_CASE("the tokens of ffmpeg's Play are read, with its forgotten line end", "[wmsp]") {
    const auto request = request_of(
        "GET /stored.asf HTTP/1.1\r\nUser-Agent: NSPlayer/4.1.0.3856\r\nHost: media:80\r\n"
        "Pragma: no-cache,rate=1.000000,request-context=2\r\nPragma: xPlayStrm=1\r\n"
        "Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}\r\nPragma: stream-switch-count=1\r\n"
        "Pragma: stream-switch-entry=ffff:1:0 \r\nPragma: no-cache,rate=1.000000,stream-time=7Connection: Close\r\n\r\n");
    CHECK(request.kind == RequestKind::Play);
    CHECK(request.stream_time == 7U);
    CHECK(request.rate == 1.0);
    CHECK(request.request_context == 2U);
    CHECK(request.xClientGUID == "{c77e7400-738a-11d2-9add-0020af0a3278}");
    CHECK(request.stream_switch == std::vector<StreamSwitchEntry>{{0xFFFF, 1, 0, std::uint16_t{1}}});
    CHECK(request.user_agent.product == UserAgent::Product::NSPlayer);
    CHECK(request.user_agent.major == 4);
    CHECK(request.user_agent.minor == 1);
    CHECK(request.path == "/stored.asf");
    CHECK(request.host == "media:80");
}

TEST_CASE("VLC's malformed GUID is taken as it is", "[wmsp]") {
    CHECK(request_of("GET / HTTP/1.0\r\nPragma: xClientGUID={0xbabac001-0xa494-0xe464-0x1ff6112da6c85c3f}\r\n\r\n")
              .xClientGUID == "{0xbabac001-0xa494-0xe464-0x1ff6112da6c85c3f}");
}

TEST_CASE("numbers that are none are ignored, not refused", "[wmsp]") {
    const auto request = request_of(
        "GET / HTTP/1.0\r\nPragma: client-id=12x,packet-num=-1,max-duration=,stream-time=x,rate=fast,stream-offset=1,request-context=4294967296,stream-switch-entry=ffff:1 g:1:0 ffff:2:0:1 \r\n\r\n");
    CHECK_FALSE(request.client_id);
    CHECK_FALSE(request.packet_num);
    CHECK_FALSE(request.max_duration);
    CHECK_FALSE(request.stream_time);
    CHECK_FALSE(request.stream_offset);
    CHECK_FALSE(request.request_context);
    CHECK_FALSE(request.rate);
    CHECK(request.stream_switch.empty());
}

TEST_CASE("a comma inside quotes ends no token, and the last of two counts", "[wmsp]") {
    const auto request =
        request_of("GET / HTTP/1.0\r\nPragma: features=\"a,b\",client-id=1\r\nPragma: client-id=2\r\n\r\n");
    CHECK(request.pragmas.find("features") == "a,b");
    CHECK(request.client_id == 2U);
}

TEST_CASE("targets: paths, whole URLs, hints of an extension", "[wmsp]") {
    struct Row {
        std::string name, target, path, query, host;
        bool absolute;
    };
    const auto row = GENERATE(values<Row>({
        {"a path", "/a/b.asf", "/a/b.asf", "", "given", false},
        {"a whole URL, as to a proxy", "http://media:8080/a?x=1", "/a", "x=1", "media:8080", true},
        {"a whole URL without a path", "HTTP://media", "/", "", "media", true},
        {"a whole URL with a query only", "http://media?x", "/", "x", "media", true},
        {"the hint", "/a?MSWMExt=.asf", "/a", "", "given", false},
        {"a fragment", "/a#b", "/a", "", "given", false},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto request = request_of("GET " + row.target + " HTTP/1.0\r\nHost: given\r\n\r\n");
        CHECK(request.path == row.path);
        CHECK(request.query == row.query);
        CHECK(request.host == row.host);
        CHECK(request.absolute == row.absolute);
    }
    for (const std::string target : {"*", "media:80", "ftp://media/x", "http:///x"}) {
        RequestHead head;
        head.method = "GET";
        head.target = target;
        const auto request = request_from(head);
        REQUIRE(request.has_error());
        CHECK(request.error().field == "Request-URI");
        CHECK(request.error().offset == 4);
    }
}

TEST_CASE("a name as it is typed becomes a target", "[wmsp]") {
    const auto typed = GENERATE(values<std::pair<std::string, std::string>>({{"/my clip", "/my%20clip"},
                                                                             {"/a  b.wmv?x=y z", "/a%20%20b.wmv"},
                                                                             {"/\xC3\xA4\"<>^`{|}", "/%C3%A4%22%3C%3E%5E%60%7B%7C%7D"},
                                                                             {"/50%", "/50%"},
                                                                             {"/a HTTP/1.0 b", "/a%20HTTP/1.0%20b"},
                                                                             {"/plain", "/plain"}}));
    CHECK(request_of("GET " + typed.first + " HTTP/1.0\r\n\r\n").path == typed.second);
}

TEST_CASE("stream numbers: hexadecimal, or decimal where only that names streams", "[wmsp]") {
    struct Row {
        std::string name, entries;
        std::vector<std::uint16_t> streams;
        std::vector<StreamChoice> choices;
    };
    const auto row = GENERATE(values<Row>({
        {"one digit", "ffff:1:0 ffff:2:2", {1, 2}, {{1, 0}, {2, 2}}},
        {"hexadecimal ten", "ffff:a:0", {10}, {{10, 0}}},
        {"decimal ten", "ffff:1:0 ffff:10:0", {1, 10}, {{1, 0}, {10, 0}}},
        {"hexadecimal sixteen", "ffff:10:0", {16}, {{16, 0}}},
        {"both could be meant: the specification's reading", "ffff:10:0", {10, 16}, {{16, 0}}},
        {"all decimal, one of them ambiguous", "ffff:10:0 ffff:16:0", {10, 16}, {{10, 0}, {16, 0}}},
        {"unknown either way", "ffff:7f:0", {1}, {{127, 0}}},
        {"one in place of another", "1:2:0", {1, 2}, {{2, 0, 1}}},
        {"one ends, by no destination", "2:ffff:0 ffff:1:0", {1, 2}, {{0xFFFF, 0, 2}, {1, 0}}},
        {"one thinned", "1:1:1", {1}, {{1, 1, 1}}},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto request =
            request_of("GET / HTTP/1.0\r\nPragma: xPlayStrm=1,stream-switch-entry=" + row.entries + "\r\n\r\n");
        CHECK(resolve(request.stream_switch, row.streams) == row.choices);
    }
}

TEST_CASE("no more than 128 entries are kept", "[wmsp]") {
    std::string entries;
    for (int i = 0; i < 200; ++i) entries += "ffff:1:0 ";
    CHECK(request_of("GET / HTTP/1.0\r\nPragma: stream-switch-entry=" + entries + "\r\n\r\n").stream_switch.size() ==
          128);
}

TEST_CASE("where a stored stream starts", "[wmsp]") {
    struct Row {
        std::string name, tokens;
        StartPoint::By by;
        std::uint64_t packet;
        std::uint32_t time;
    };
    const auto row = GENERATE(values<Row>({
        {"nothing said", "no-cache", StartPoint::By::packet, 0, 0},
        {"all zero", "stream-time=0,stream-offset=0:0", StartPoint::By::packet, 0, 0},
        {"a time goes before all", "packet-num=7,stream-offset=0:1800,stream-time=500", StartPoint::By::time, 0, 500},
        {"a packet goes before an offset", "packet-num=7,stream-offset=0:1800,stream-time=0", StartPoint::By::packet, 7, 0},
        {"an unused time", "packet-num=7,stream-time=4294967295", StartPoint::By::packet, 7, 0},
        {"an unused packet number", "packet-num=4294967295,stream-offset=0:1800", StartPoint::By::packet, 2, 0},
        {"an offset where the time is 0", "stream-offset=0:1800,stream-time=0", StartPoint::By::packet, 2, 0},
        {"an offset past 4 GiB", "stream-offset=1:900", StartPoint::By::packet, 4772186, 0},
        {"an unused offset", "stream-offset=4294967295:4294967295,stream-time=500", StartPoint::By::time, 0, 500},
        {"a time", "stream-time=500", StartPoint::By::time, 0, 500},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto start = start_point(request_of("GET / HTTP/1.0\r\nPragma: " + row.tokens + "\r\n\r\n"), 900);
        CHECK(start.by == row.by);
        CHECK(start.packet == row.packet);
        CHECK(start.time == row.time);
    }
}

TEST_CASE("requests of our player, byte for byte", "[wmsp]") {
    RequestForm form;
    form.host = "media";
    form.path = "/stored.asf";
    form.client_guid = "{3300AD50-2C39-46C0-AE0A-AC7B8159E203}";
    PlayFrom from;
    from.streams = {{1, 0}, {10, 2}};

    CHECK(describe_request(form).text() ==
          "GET /stored.asf HTTP/1.0\r\nAccept: */*\r\nUser-Agent: NSPlayer/4.1.0.3857\r\nHost: media\r\n"
          "Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0\r\n"
          "Pragma: xClientGUID={3300AD50-2C39-46C0-AE0A-AC7B8159E203}\r\nConnection: Close\r\n\r\n");
    CHECK(
        play_request(form, from).text() ==
        "GET /stored.asf HTTP/1.0\r\nAccept: */*\r\nUser-Agent: NSPlayer/4.1.0.3857\r\nHost: media\r\n"
        "Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=2,max-duration=0\r\n"
        "Pragma: xClientGUID={3300AD50-2C39-46C0-AE0A-AC7B8159E203}\r\nPragma: xPlayStrm=1\r\n"
        "Pragma: stream-switch-count=2\r\nPragma: stream-switch-entry=ffff:1:0 ffff:a:2\r\nConnection: Close\r\n\r\n");

    form.proxied = true;
    form.user_agent = RequestForm::server_agent;
    from = {5000, 0x100000384, 3, {}};
    CHECK(
        play_request(form, from, 4).text() ==
        "GET http://media/stored.asf HTTP/1.0\r\nHost: media\r\nUser-Agent: NSServer/4.1.0.3923\r\nAccept: */*\r\n"
        "Connection: Close\r\nPragma: no-cache,rate=1.000000,stream-time=5000,stream-offset=1:900,packet-num=3,request-context=4,max-duration=0,xClientGUID={3300AD50-2C39-46C0-AE0A-AC7B8159E203},xPlayStrm=1\r\n\r\n");
}

TEST_CASE("what our player asks our server reads", "[wmsp]") {
    RequestForm form;
    form.host = "media:8080";
    form.path = "/a?b=1";
    form.client_guid = "{3300AD50-2C39-46C0-AE0A-AC7B8159E203}";
    form.proxied = GENERATE(false, true);
    PlayFrom from{5000, 0x100000384, std::nullopt, {{1, 0}, {127, 2}}};
    const auto play = request_of(play_request(form, from).text());
    CHECK(play.kind == RequestKind::Play);
    CHECK(play.host == form.host);
    CHECK(play.path == "/a");
    CHECK(play.query == "b=1");
    CHECK(play.xClientGUID == form.client_guid);
    CHECK(play.stream_time == 5000U);
    CHECK(play.stream_offset == 0x100000384U);
    CHECK(resolve(play.stream_switch, {1, 127}) == from.streams);
    CHECK(request_of(describe_request(form).text()).kind == RequestKind::Describe);
    const auto select = request_of(select_stream_request(form, 77, from.streams).text());
    CHECK(select.kind == RequestKind::SelectStream);
    CHECK(select.client_id == 77U);
}
