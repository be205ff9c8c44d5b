#include "tests/catch.hpp"
#include "tests/fuzz/replay.hpp"

extern "C" int trace_fuzz(const std::uint8_t* data, std::size_t size);
extern "C" int ruleset_fuzz(const std::uint8_t* data, std::size_t size);

TEST_CASE("trace messages: the fuzz corpus, cut short and damaged, does no harm", "[rules][fuzz]") {
    CHECK(wmlab::tests::replay("trace", trace_fuzz) >= 2);
}

TEST_CASE("rulesets: the fuzz corpus, cut short and damaged, does no harm", "[rules][fuzz]") {
    CHECK(wmlab::tests::replay("ruleset", ruleset_fuzz) >= 5);
}
