#include "common/wmsp/response.hpp"

#include "tests/common/wmsp/tools.hpp"

using namespace wmlab::wmsp;

TEST_CASE("answers of a server and of an encoder, byte for byte", "[wmsp]") {
    AnswerForm form;
    form.client_id = 2058721080;
    form.broadcast = false;
    CHECK(media_answer(form).text() ==
          "HTTP/1.0 200 OK\r\nServer: Cougar 4.1.0.3923\r\nContent-Type: application/octet-stream\r\n"
          "Cache-Control: no-cache\r\nPragma: no-cache, client-id=2058721080, features=\"seekable\"\r\n"
          "Connection: close\r\n\r\n");
    form.server = rex;
    form.broadcast = true;
    form.content_length = 442;
    form.keep_alive = true;
    form.reset_stream = true;
    CHECK(media_answer(form).text() ==
          "HTTP/1.0 200 OK\r\nServer: Rex 4.1.0.3923\r\nContent-Type: application/octet-stream\r\n"
          "Cache-Control: no-cache\r\nPragma: no-cache, client-id=2058721080, features=\"broadcast\", xResetStrm=1\r\n"
          "Content-Length: 442\r\nConnection: Keep-Alive\r\n\r\n");
}

TEST_CASE("answers of real servers are understood", "[wmsp]") {
    struct Row {
        std::string name;
        Fields fields;
        Answer::Server server;
        Answer::Features features;
        std::optional<std::uint32_t> client_id;
    };
    const auto row = GENERATE(values<Row>({
        {"4.1, one line",
         {{"Server", "Cougar 4.1.0.3923"}, {"Pragma", "no-cache, client-id=7, features=\"broadcast\""}},
         Answer::Server::Cougar,
         Answer::Features::broadcast,
         7},
        {"9.x, a slash",
         {{"Server", "Cougar/9.5.6001.6266"}, {"Pragma", "client-id=1"}, {"Pragma", "features=\"seekable,stridable\""}},
         Answer::Server::Cougar,
         Answer::Features::seekable,
         1},
        {"an encoder",
         {{"server", "Rex/9.0"}, {"pragma", "features=broadcast"}},
         Answer::Server::Rex,
         Answer::Features::broadcast,
         std::nullopt},
        {"broadcast goes before seekable",
         {{"Server", "Cougar"}, {"Pragma", "features=\"seekable,broadcast\""}},
         Answer::Server::Cougar,
         Answer::Features::broadcast,
         std::nullopt},
        {"a web server", {{"Server", "Apache"}}, Answer::Server::other, Answer::Features::none, std::nullopt},
        {"a client-id that is none",
         {{"Server", "Cougar 4"}, {"Pragma", "client-id=x"}},
         Answer::Server::Cougar,
         Answer::Features::none,
         std::nullopt},
    }));
    DYNAMIC_SECTION(row.name) {
        ResponseHead head;
        head.fields = row.fields;
        const auto answer = answer_from(head);
        CHECK(answer.server == row.server);
        CHECK(answer.features == row.features);
        CHECK(answer.client_id == row.client_id);
    }
}

TEST_CASE("marks of caches", "[wmsp]") {
    ResponseHead head;
    head.fields = {{"Age", "31"},
                   {"X-Cache", "HIT from proxy.lab"},
                   {"Date", "Sun, 06 Nov 1994 08:49:37 GMT"},
                   {"Via", "1.0 inner"},
                   {"Via", "1.1 outer (squid/5.7)"}};
    const auto marks = cache_marks(head);
    CHECK(marks.age == 31U);
    CHECK(marks.hit);
    CHECK(marks.date == 784111777);
    CHECK(marks.via == std::vector<std::string>{"1.0 inner", "1.1 outer (squid/5.7)"});
    head.fields = {{"X-Cache", "MISS from proxy.lab"}, {"X-Cache-Lookup", "HIT from proxy.lab:3128"}, {"Age", "x"}};
    CHECK_FALSE(cache_marks(head).hit);
    CHECK_FALSE(cache_marks(head).age);
}

TEST_CASE("dates of answers", "[wmsp]") {
    CHECK(http_date("Thu, 01 Jan 1970 00:00:00 GMT") == 0);
    CHECK(http_date("Tue, 24 Nov 2026 14:25:46 GMT") == 1795530346);
    for (const std::string text : {"", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 31 Feb 1994 08:49:37 GMT",
                                   "Sun, 06 Nov 1994 24:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT"})
        CHECK_FALSE(http_date(text));
}

TEST_CASE("the words of an error page", "[wmsp]") {
    struct Row {
        std::string name;
        Fields fields;
        std::string body, code, text;
    };
    const auto row = GENERATE(values<Row>({
        {"squid's page",
         {{"X-Squid-Error", "ERR_ACCESS_DENIED 0"}, {"Content-Type", "text/html;charset=utf-8"}},
         "<html><head><title>ERROR: not retrieved</title><style>a { b }</style></head>\n<body><h1>Access &lt;Denied&gt;</h1><!-- hidden -->\n<script>x()</script></body></html>",
         "ERR_ACCESS_DENIED",
         "ERROR: not retrieved: Access <Denied>"},
        {"plain text", {{"Content-Type", "text/plain"}}, "Filtered\r\nby policy\x07 7", "", "Filtered by policy 7"},
        {"HTML that does not say so", {}, "<HTML><TITLE>Oops</TITLE>Go &amp; away", "", "Oops: Go & away"},
        {"nothing", {}, "", "", ""},
        {"a tag never closed", {{"Content-Type", "text/html"}}, "before <b and so on", "", "before"},
    }));
    DYNAMIC_SECTION(row.name) {
        ResponseHead head;
        head.fields = row.fields;
        const auto words = error_words(head, row.body);
        CHECK(words.code == row.code);
        CHECK(words.text == row.text);
    }
}

TEST_CASE("the words of an error page are bounded and whole characters", "[wmsp]") {
    ResponseHead head;
    std::string body;
    while (body.size() < 60000) body += "\xE2\x82\xAC";
    const auto words = error_words(head, body, 100);
    CHECK(words.text.size() <= 100);
    CHECK(words.text.size() % 3 == 0);
    head.fields = {{"Content-Type", "text/html"}};
    CHECK(error_words(head, "<title>" + body + "</title>" + body, 100).text.size() <= 100);
}
