#include "lab/explain/pages.hpp"

#include <fstream>
#include <iterator>
#include <set>

#include "lab/verdict/report.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::lab;

TEST_CASE("every cause and every reason has a page, and nothing else has", "[explain]") {
    std::set<std::string_view> codes;
    for (const auto name : scenario::cause_names) {
        REQUIRE(page(name) != nullptr);
        CHECK(page(name)->cause);
        codes.insert(name);
    }
    for (auto i = 0; i <= static_cast<int>(Reason::overloaded); ++i) {
        const auto code = text(static_cast<Reason>(i));
        REQUIRE(page(code) != nullptr);
        CHECK_FALSE(page(code)->cause);
        codes.insert(code);
    }
    CHECK(codes.size() == pages().size());
    for (const auto& entry : pages()) {
        INFO(entry.code);
        CHECK_FALSE(entry.sentence.empty());
        CHECK_FALSE(entry.meaning.empty());
        CHECK_FALSE(entry.evidence.empty());
        CHECK_FALSE(entry.check.empty());
        CHECK_FALSE(entry.mend.empty());
    }
}

TEST_CASE("docs/causes.md is the table of pages", "[explain]") {
    std::ifstream file{WMLAB_SOURCE_DIR "/docs/causes.md"};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    CHECK(text == pages_markdown());
}

TEST_CASE("a mistyped code is recognised, nonsense is not", "[explain]") {
    CHECK(nearest_code("droped") == "dropped");
    CHECK(nearest_code("not-listning") == "not-listening");
    CHECK(nearest_code("banana").empty());
    CHECK(page("droped") == nullptr);
}

TEST_CASE("a page fits a terminal", "[explain]") {
    for (const auto& entry : pages()) {
        const auto text = page_text(entry);
        for (std::size_t at = 0; at < text.size();) {
            const auto end = text.find('\n', at);
            CHECK(end - at <= 80);
            at = end + 1;
        }
    }
}
