#include "common/url/url.hpp"

#include "tests/catch.hpp"

using namespace wmlab::url;

TEST_CASE("URLs of the era are read", "[url]") {
    struct Row {
        std::string name, text;
        Scheme scheme;
        std::string host;
        std::uint16_t port;
        std::string path, query, content;
    };
    const auto row = GENERATE(values<Row>({
        {"a publishing point", "mms://media/lecture", Scheme::mms, "media", 1755, "/lecture", "", "lecture"},
        {"UDP, with a port", "mmsu://10.10.0.10:1756/a/b.wmv", Scheme::mmsu, "10.10.0.10", 1756, "/a/b.wmv", "",
         "a/b.wmv"},
        {"capital letters in the scheme", "MMST://media/x", Scheme::mmst, "media", 1755, "/x", "", "x"},
        {"HTTP", "http://media/x", Scheme::http, "media", 80, "/x", "", "x"},
        {"HTTP by another name", "mmsh://media:8080/x", Scheme::mmsh, "media", 8080, "/x", "", "x"},
        {"an encoder", "msbd://studio/", Scheme::msbd, "studio", 7007, "/", "", ""},
        {"no path", "http://media", Scheme::http, "media", 80, "/", "", ""},
        {"the extension hint is no part of it", "http://media/x?MSWMExt=.asf", Scheme::http, "media", 80, "/x", "",
         "x"},
        {"the hint beside another parameter", "http://media/x?a=1&mswmext=.asf&b", Scheme::http, "media", 80, "/x",
         "a=1&b", "x"},
        {"blanks in the name", "mms://media/my lecture", Scheme::mms, "media", 1755, "/my%20lecture", "", "my lecture"},
        {"a lone percent sign", "mms://media/50%", Scheme::mms, "media", 1755, "/50%25", "", "50%"},
        {"blanks around it", "  http://media/x\r\n", Scheme::http, "media", 80, "/x", "", "x"},
        {"brackets in the name", "mms://media/a [b]", Scheme::mms, "media", 1755, "/a%20%5Bb%5D", "", "a [b]"},
        {"an address in brackets, and brackets in the name", "http://[fe80::1]/[x]", Scheme::http, "fe80::1", 80, "/%5Bx%5D", "", "[x]"},
        {"an IPv6 address", "http://[fe80::1]:81/x", Scheme::http, "fe80::1", 81, "/x", "", "x"},
        {"a user name is dropped", "http://me:secret@media/x", Scheme::http, "media", 80, "/x", "", "x"},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto url = parse(row.text);
        REQUIRE(url.has_value());
        CHECK(url->scheme == row.scheme);
        CHECK(url->host == row.host);
        CHECK(url->port_or_default() == row.port);
        CHECK(url->path == row.path);
        CHECK(url->query == row.query);
        CHECK(url->name() == row.content);
        CHECK(parse(url->text()).value() == *url);
    }
}

TEST_CASE("what is no URL says why", "[url]") {
    struct Row {
        std::string name, text, problem;
    };
    const auto row = GENERATE(values<Row>({
        {"nothing", "", "is empty"},
        {"no scheme", "media/lecture", "is no URL (scheme://host/name)"},
        {"another scheme", "rtsp://media/x", "has a scheme that is none of mms, mmsu, mmst, mmsh, http, msbd"},
        {"no host", "http:///x", "has no host"},
        {"a port of zero", "http://media:0/x", "has a port outside 1 to 65535"},
        {"a port too large", "http://media:65536/x", "has a port outside 1 to 65535"},
        {"a blank in the host", "http://me%20dia/x", "has a host that is no name"},
        {"too long", "http://media/" + std::string(3000, 'x'), "is longer than 2048 bytes"},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto url = parse(row.text);
        REQUIRE(url.has_error());
        CHECK(url.error().text == row.problem);
    }
}

TEST_CASE("references are resolved against the document they stand in", "[url]") {
    struct Row {
        std::string name, reference, result;
    };
    const auto row = GENERATE(values<Row>({
        {"a whole URL", "mms://other/y", "mms://other/y"},
        {"a path", "/y?a=1", "http://media:8080/y?a=1"},
        {"a name beside it", "y.asf", "http://media:8080/dir/y.asf"},
        {"another host of the same scheme", "//other/y", "http://other/y"},
    }));
    DYNAMIC_SECTION(row.name) {
        CHECK(resolve(parse("http://media:8080/dir/x.asx").value(), row.reference)->text() == row.result);
    }
    CHECK(resolve(parse("http://media/x").value(), "").has_error());
    CHECK(resolve(parse("http://media/x").value(), "ftp://media/x").has_error());
}

TEST_CASE("names become paths and come back", "[url]") {
    CHECK(encoded_path("my lecture/50%") == "/my%20lecture/50%25");
    CHECK(decoded("/my%20lecture/50%25") == "/my lecture/50%");
    CHECK(decoded("%zz%4") == "%zz%4");
}
