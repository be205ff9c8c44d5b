#include "common/url/asx.hpp"

#include "tests/catch.hpp"
#include "tests/fuzz/replay.hpp"

using namespace wmlab::url;

extern "C" int asx_fuzz(const std::uint8_t* data, std::size_t size);

namespace {

std::string utf16(std::string mark, std::string_view ascii, bool little) {
    for (const char c : ascii) {
        if (!little) mark += '\0';
        mark += c;
        if (little) mark += '\0';
    }
    return mark;
}

}  // namespace

TEST_CASE("redirector files are read in every shape they come in", "[asx]") {
    struct Row {
        std::string name, document;
        std::vector<std::string> first_refs;
        std::size_t entries;
    };
    const auto row = GENERATE(values<Row>({
        {"as the SDK shows it", "<ASX version=\"3.0\"><Entry><Ref href=\"mms://media/lecture\"/></Entry></ASX>", {"mms://media/lecture"}, 1},
        {"lower case, several places for one entry",
         "<asx version=\"3.0\"><entry><ref href=\"mms://a/x\"/><ref href='http://b/x'/></entry></asx>",
         {"mms://a/x", "http://b/x"},
         1},
        {"no quotes", "<ASX VERSION=3.0><ENTRY><REF HREF=mms://a/x></ENTRY></ASX>", {"mms://a/x"}, 1},
        {"no quotes and a closing slash", "<ASX><Entry><Ref href=mms://a/x/></Entry></ASX>", {"mms://a/x"}, 1},
        {"elements never closed", "<ASX>\n<Entry>\n<Ref href=\"mms://a/x\"\n>", {"mms://a/x"}, 1},
        {"a quote never closed", "<ASX><Entry><Ref href=\"mms://a/x></Entry>\n</ASX>", {"mms://a/x"}, 1},
        {"references outside entries", "<ASX><Ref href=\"mms://a/x\"/><Ref href=\"mms://a/y\"/></ASX>", {"mms://a/x"}, 2},
        {"comments and unknown elements",
         "<ASX><!-- <Ref href=\"mms://no/no\"/> --><Banner href=\"http://ad/\"/><Entry><Param name=\"a\" "
         "value=\"b\"/><Ref href = \"mms://a/x\" /></Entry></ASX>",
         {"mms://a/x"},
         1},
        {"entities", "<ASX><Entry><Ref href=\"http://a/x?b=1&amp;c=&#50;\"/></Entry></ASX>", {"http://a/x?b=1&c=2"}, 1},
        {"a bare ampersand", "<ASX><Entry><Ref href=\"http://a/x?b=1&c=2\"/></Entry></ASX>", {"http://a/x?b=1&c=2"}, 1},
        {"a byte order mark and blanks in front", "\xEF\xBB\xBF \n<ASX><Ref href=\"mms://a/x\"/></ASX>", {"mms://a/x"}, 1},
        {"a playlist", "<ASX><Entry><Ref href=\"mms://a/1\"/></Entry><Entry><Ref href=\"mms://a/2\"/></Entry></ASX>", {"mms://a/1"}, 2},
        {"the older form", "[Reference]\r\nRef1=http://a/x?MSWMExt=.asf\r\nRef2=http://b/x\r\n", {"http://a/x?MSWMExt=.asf", "http://b/x"}, 1},
        {"an XML declaration, a comment and a DOCTYPE in front",
         "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- made by hand > here -->\n<!DOCTYPE asx [ <!ENTITY a \"b\"> ]>\n"
         "<asx version=\"3.0\"><entry><ref href=\"mms://a/x\"/></entry></asx>",
         {"mms://a/x"},
         1},
        {"a DOCTYPE whose end is written with blanks", "<!DOCTYPE asx [ <!ELEMENT asx ANY> ]\n >\n<ASX><Ref href=\"mms://a/x\"/></ASX>", {"mms://a/x"}, 1},
        {"a DOCTYPE that holds its own end in a text",
         "<!DOCTYPE asx [ <!ENTITY a \"]>\"> <!-- ' ]> --> ]><ASX><Ref href=\"mms://a/x\"/></ASX>",
         {"mms://a/x"},
         1},
        {"a DOCTYPE of somebody else's", "<!DOCTYPE asx PUBLIC \"-//X//> EN\" 'x.dtd'><ASX><Ref href=\"mms://a/x\"/></ASX>", {"mms://a/x"}, 1},
        {"a DOCTYPE whose quote is never closed", "<!DOCTYPE asx \"x><ASX><Ref href='mms://a/x'/></ASX>", {"mms://a/x"}, 1},
        {"elements in a text that is none", "<ASX><Title><![CDATA[ <Ref href=\"mms://no/no\"/> ]]></Title><Ref href=\"mms://a/x\"/></ASX>", {"mms://a/x"}, 1},
        {"a plain DOCTYPE", "<!DOCTYPE asx>\r\n<ASX><Ref href=\"mms://a/x\"/></ASX>", {"mms://a/x"}, 1},
        {"character references", "<ASX><Ref href=\"mms://a/&#228;&#xE4;&#x1F600;&#x2d;\"/></ASX>", {"mms://a/\xC3\xA4\xC3\xA4\xF0\x9F\x98\x80-"}, 1},
        {"references that name no character stay",
         "<ASX><Ref href=\"mms://a/&#0;&#xD800;&#x110000;&#;&nix;\"/></ASX>",
         {"mms://a/&#0;&#xD800;&#x110000;&#;&nix;"},
         1},
        {"UTF-16, little-endian, with a mark", utf16("\xFF\xFE", "<ASX><Ref href=\"mms://a/x\"/></ASX>", true), {"mms://a/x"}, 1},
        {"UTF-16, big-endian, with a mark", utf16("\xFE\xFF", "<ASX><Ref href=\"mms://a/x\"/></ASX>", false), {"mms://a/x"}, 1},
        {"UTF-16 without a mark", utf16("", "<ASX><Ref href=\"mms://a/x\"/></ASX>", true), {"mms://a/x"}, 1},
        {"Latin-1", "<ASX><Ref href=\"mms://a/\xE4\"/></ASX>", {"mms://a/\xC3\xA4"}, 1},
        {"one line", "ASF mms://a/x\r\n", {"mms://a/x"}, 1},
        {"one line, the URL alone", " http://a/x ", {"http://a/x"}, 1},
        {"a line a place", "mms://a/1\nmms://a/2\n", {"mms://a/1"}, 2},
        {"a base for references", "<ASX><Base href=\"http://b/dir/\"/><Entry><Ref href=\"x.wmv\"/></Entry></ASX>", {"http://b/dir/x.wmv"}, 1},
        {"a base of one entry is not the next one's",
         "<ASX><Base href=\"http://b/\"/><Entry><Base href=\"http://c/\"/><Ref href=\"x\"/></Entry><Entry><Ref href=\"x\"/></Entry></ASX>",
         {"http://c/x"},
         2},
        {"another redirector file", "<ASX><EntryRef href=\"more.asx\"/><Entry><Ref href=\"mms://a/x\"/></Entry></ASX>", {"more.asx"}, 2},
        {"carriage returns alone", "[Reference]\rRef1=http://a/x\rRef2=http://b/x\r", {"http://a/x", "http://b/x"}, 1},
        {"the older form, out of order and in small letters", "[reference]\nref2=http://b/x\nref1 = http://a/x\nother=1", {"http://a/x", "http://b/x"}, 1},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto asx = parse_asx(row.document);
        REQUIRE(asx.has_value());
        REQUIRE(asx->entries.size() == row.entries);
        CHECK(asx->entries.front().refs == row.first_refs);
    }
}

TEST_CASE("bases of redirector files: the file's, and an entry's own for that entry", "[asx]") {
    const auto asx = parse_asx(
        "<ASX><Base href=\"http://b/\"/><Entry><Base href=\"http://c/\"/><Ref href=\"1\"/></Entry>"
        "<Entry><Ref href=\"2\"/></Entry><Entry><Base href=\"http://d/\"/><Ref href=\"3\"/><EntryRef href=\"4\"/></ASX>");
    REQUIRE(asx.has_value());
    std::vector<std::string> refs;
    for (const auto& entry : asx->entries) refs.insert(refs.end(), entry.refs.begin(), entry.refs.end());
    CHECK(refs == std::vector<std::string>{"http://c/1", "http://b/2", "http://d/3", "http://b/4"});
}

TEST_CASE("what is no redirector file says why", "[asx]") {
    struct Row {
        std::string name, document, problem;
    };
    const auto row = GENERATE(values<Row>({
        {"a web page", "<html><body>hello</body></html>",
         "is no redirector file: it begins neither with <ASX nor with [Reference]"},
        {"a web page with a declaration", "<?xml version=\"1.0\"?><html><body>http://a/x</body></html>",
         "is no redirector file: it begins neither with <ASX nor with [Reference]"},
        {"words", "see http://a/x for more", "is no redirector file: it begins neither with <ASX nor with [Reference]"},
        {"nothing", "", "is no redirector file: it begins neither with <ASX nor with [Reference]"},
        {"no reference", "<ASX version=\"3.0\"></ASX>", "is a redirector file that names nothing"},
        {"an empty reference", "[Reference]\r\nRef1=\r\n", "is a redirector file that names nothing"},
        {"too large", "<ASX>" + std::string(70000, ' '), "is a redirector file of more than 64 KiB"},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto asx = parse_asx(row.document);
        REQUIRE(asx.has_error());
        CHECK(asx.error().text == row.problem);
    }
}

TEST_CASE("what is written is read back", "[asx]") {
    Asx asx;
    asx.title = "Monday & <Tuesday>";
    asx.entries = {{"One", {"mms://media/a b", "http://media/a?x=1&y=\"2\""}}, {"", {"mms://media/2"}}};
    asx.entries.push_back({"", {"http://media/more.asx"}, true});
    CHECK(parse_asx(write_asx(asx)).value() == asx);
    CHECK(write_asx(asx).starts_with("<ASX version=\"3.0\">"));
    CHECK(write_reference({"http://a/x", "http://b/x"}) == "[Reference]\r\nRef1=http://a/x\r\nRef2=http://b/x\r\n");
    CHECK(parse_asx(write_reference({"http://a/x"}))->entries.front().refs.front() == "http://a/x");
}

TEST_CASE("a redirector file cannot make the reader keep much", "[asx]") {
    std::string many = "<ASX>";
    while (many.size() < asx_size_max - 100) many += "<Entry><Ref href=a>";
    CHECK(parse_asx(many)->entries.size() == asx_entries_max);
    CHECK(parse_asx(many)->entries.back().refs.size() == 1);  // not those of the entries that have no room
    many = "<ASX><Entry>";
    while (many.size() < asx_size_max - 100) many += "<Ref href=a>";
    CHECK(parse_asx(many)->entries.front().refs.size() == asx_refs_max);
}

TEST_CASE("the fuzz corpus of redirector files, whole, cut and changed", "[asx]") {
    CHECK(wmlab::tests::replay("asx", asx_fuzz) > 2);
}
