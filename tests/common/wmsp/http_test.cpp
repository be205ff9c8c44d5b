#include "common/wmsp/http.hpp"

#include "tests/common/wmsp/tools.hpp"

using namespace wmlab::wmsp;

namespace {

std::string body_of(ResponseReader& reader, std::string_view text, std::size_t piece) {
    std::string body;
    while (!text.empty()) {
        const auto part = text.substr(0, piece);
        text.remove_prefix(part.size());
        reader.put(as_bytes(part), [&](Bytes bytes) { body += as_text(bytes); });
    }
    return body;
}

}  // namespace

TEST_CASE("a request is read whole, in single bytes, and with bare line feeds", "[http]") {
    struct Row {
        std::string name, text;
        std::size_t piece;
    };
    const std::string crlf = "GET /a?b HTTP/1.0\r\nHost: media\r\nPragma:  one \r\nPragma: two\r\n\r\n";
    std::string lf = crlf;
    std::erase(lf, '\r');
    const auto row = GENERATE_COPY(values<Row>({{"whole", crlf, 1000},
                                                {"single bytes", crlf, 1},
                                                {"bare line feeds", lf, 3},
                                                {"blank lines in front", "\r\n\r\n" + crlf, 1000}}));
    DYNAMIC_SECTION(row.name) {
        RequestReader reader;
        std::string_view text = row.text;
        while (!text.empty()) {
            CHECK_FALSE(reader.complete());
            reader.put(as_bytes(text.substr(0, row.piece)));
            text.remove_prefix(std::min(row.piece, text.size()));
        }
        REQUIRE(reader.complete());
        CHECK(reader.head().method == "GET");
        CHECK(reader.head().target == "/a?b");
        CHECK(reader.head().version == 10);
        CHECK(reader.head().fields == Fields{{"Host", "media"}, {"Pragma", "one"}, {"Pragma", "two"}});
    }
}

TEST_CASE("requests on one connection are read one after the other", "[http]") {
    RequestReader reader;
    reader.put(as_bytes("POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\n\r\nGET /c"));
    REQUIRE(reader.complete());
    CHECK(reader.body() == "hello");
    reader.next();
    REQUIRE(reader.complete());
    CHECK(reader.head().target == "/b");
    reader.next();
    CHECK_FALSE(reader.complete());
    CHECK(reader.started());
    reader.put(as_bytes(" HTTP/1.1\r\n\r\n"));
    REQUIRE(reader.complete());
    CHECK(reader.head().target == "/c");
    reader.next();
    CHECK_FALSE(reader.started());
}

TEST_CASE("requests that are refused, each with its reason and status", "[http]") {
    struct Row {
        std::string name, text;
        unsigned status;
        std::string problem;
    };
    std::string many = "GET / HTTP/1.0\r\n";
    for (int i = 0; i < 101; ++i) many += "X: y\r\n";
    const auto row = GENERATE_COPY(values<Row>({
        {"header lines without end", "GET / HTTP/1.0\r\nX: " + std::string(70000, 'x'), 431,
         "a head of more than 64 KiB"},
        {"a head of 64 KiB that does end", "GET / HTTP/1.0\r\nX: " + std::string(65536, 'x') + "\r\n\r\n", 431,
         "a head of more than 64 KiB"},
        {"101 header lines", many + "\r\n", 431, "more than 100 header lines"},
        {"two lengths", "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400,
         "two Content-Length lines"},
        {"the same length twice", "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400,
         "two Content-Length lines"},
        {"a length and chunks", "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
         "both Content-Length and Transfer-Encoding"},
        {"chunks", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501,
         "a request with Transfer-Encoding"},
        {"chunks in disguise", "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", 501,
         "a request with Transfer-Encoding"},
        {"a blank before the colon", "GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\n", 400,
         "a blank before the colon of a header line"},
        {"a folded line", "GET / HTTP/1.1\r\nX: a\r\n Content-Length: 5\r\n\r\n", 400, "a folded header line"},
        {"no colon", "GET / HTTP/1.1\r\nnonsense\r\n\r\n", 400, "a header line without a colon"},
        {"a carriage return inside a line", "GET / HTTP/1.1\r\nX: a\rContent-Length: 5\r\n\r\n", 400,
         "a carriage return inside a header line"},
        {"a negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "bad Content-Length"},
        {"a large body", "POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", 413, "a body of 65537 bytes"},
        {"another version", "GET / HTTP/2.0\r\n\r\n", 505, "bad version"},
        {"no version", "GET /\r\n\r\n", 400, "bad target"},
        {"not HTTP at all", "\x16\x03\x01\n\n", 400, "bad method"},
    }));
    DYNAMIC_SECTION(row.name) {
        for (const std::size_t piece : {row.text.size(), std::size_t{1}, std::size_t{1000}}) {
            RequestReader reader;
            std::string_view text = row.text;
            while (!text.empty()) {
                reader.put(as_bytes(text.substr(0, piece)));
                text.remove_prefix(std::min(piece, text.size()));
            }
            REQUIRE(reader.problem());
            CHECK_FALSE(reader.complete());
            CHECK(reader.problem()->status == row.status);
            CHECK(reader.problem()->text == row.problem);
        }
    }
}

TEST_CASE("a push announces a body without end, its head alone is a request", "[http]") {
    RequestReader reader;
    reader.put(as_bytes(
        "POST /x HTTP/1.1\r\nContent-Type: application/x-wms-pushstart\r\nContent-Length: 2147483647\r\n\r\n"));
    CHECK(reader.complete());
}

TEST_CASE("what is sent ahead of an answer is bounded", "[http]") {
    RequestReader reader;
    reader.put(as_bytes("GET / HTTP/1.0\r\n\r\n"));
    const std::string more(40000, 'x');
    reader.put(as_bytes(more));
    CHECK(reader.complete());
    reader.put(as_bytes(more));
    CHECK(reader.problem()->text == "too much sent ahead");
}

TEST_CASE("answers and their bodies are read in any pieces", "[http]") {
    struct Row {
        std::string name, text, body;
        bool complete;  // without the peer closing
    };
    const auto row = GENERATE(values<Row>({
        {"until the peer closes", "HTTP/1.0 200 OK\r\nServer: Cougar 4.1.0.3923\r\n\r\nhello", "hello", false},
        {"counted", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", true},
        {"empty", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "", true},
        {"chunked, with extensions and trailers",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n", "hello",
         true},
        {"no content", "HTTP/1.1 204 No Content\r\n\r\n", "", true},
        {"an interim answer first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
         "hello", true},
        {"bare line feeds", "HTTP/1.0 200 OK\nContent-Length: 5\n\nhello", "hello", true},
        {"no reason", "HTTP/1.0 200\r\nContent-Length: 5\r\n\r\nhello", "hello", true},
        {"Shoutcast", "ICY 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", true},
        {"junk among the header lines",
         "HTTP/1.0 200 OK\r\njunk\r\n: x\r\nContent-Length : 5\r\nX: a\r\n folded\r\nbad name: x\r\n\r\nhello", "hello",
         true},
    }));
    DYNAMIC_SECTION(row.name) {
        for (const std::size_t piece : {std::size_t{1000}, std::size_t{1}, std::size_t{7}}) {
            ResponseReader reader;
            CHECK(body_of(reader, row.text, piece) == row.body);
            INFO((reader.problem() ? reader.problem()->text : ""));
            CHECK_FALSE(reader.problem());
            CHECK(reader.complete() == row.complete);
            reader.end();
            CHECK(reader.complete());
            CHECK_FALSE(reader.problem());
        }
    }
}

TEST_CASE("answers that cannot be read, each with its reason", "[http]") {
    struct Row {
        std::string name, text, problem;
    };
    std::string many = "HTTP/1.0 200 OK\r\n";
    for (int i = 0; i < 101; ++i) many += "X: y\r\n";
    const auto row = GENERATE_COPY(values<Row>({
        {"nothing", "", "closed without an answer"},
        {"closed inside the head", "HTTP/1.0 200 OK\r\nServer", "closed inside the head of the answer"},
        {"closed inside a counted body", "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhello",
         "closed before the announced end of the body"},
        {"closed inside a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
         "closed before the announced end of the body"},
        {"a chunk of no length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello", "bad chunk"},
        {"a chunk longer than announced",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n", "bad chunk"},
        {"a chunk of more than 64 bits",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\nhello", "bad chunk"},
        {"a chunk header without end",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + std::string(70000, 'x'),
         "a chunk header of more than 64 KiB"},
        {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
         "two Content-Length lines"},
        {"a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
         "bad Transfer-Encoding"},
        {"header lines without end", "HTTP/1.0 200 OK\r\nX: " + std::string(70000, 'x'), "a head of more than 64 KiB"},
        {"101 header lines", many + "\r\n", "more than 100 header lines"},
        {"another protocol", "SSH-2.0-x\r\n", "the answer does not begin with an HTTP status line"},
        {"frames without a head", "$H.....", "the answer does not begin with an HTTP status line"},
        {"interim answers without end",
         [] {
             std::string all;
             for (int i = 0; i < 9; ++i) all += "HTTP/1.1 100 Continue\r\n\r\n";
             return all;
         }(),
         "more than 8 interim answers"},
    }));
    DYNAMIC_SECTION(row.name) {
        for (const std::size_t piece : {row.text.size() + 1, std::size_t{1}, std::size_t{1000}}) {
            ResponseReader reader;
            body_of(reader, row.text, piece);
            reader.end();
            REQUIRE(reader.problem());
            CHECK(reader.problem()->text == row.problem);
        }
    }
}

TEST_CASE("numbers are digits only and bounded", "[http]") {
    CHECK(decimal("4294967295", UINT32_MAX) == 4294967295U);
    CHECK_FALSE(decimal("4294967296", UINT32_MAX));
    CHECK_FALSE(decimal("99999999999999999999", UINT64_MAX));
    CHECK(decimal("18446744073709551615", UINT64_MAX) == UINT64_MAX);
    CHECK_FALSE(decimal("", 10));
    CHECK_FALSE(decimal("+1", 10));
    CHECK_FALSE(decimal("9", 5));
}
