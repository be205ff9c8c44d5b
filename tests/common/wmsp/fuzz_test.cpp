#include "tests/catch.hpp"
#include "tests/fuzz/replay.hpp"

extern "C" int wmsp_fuzz(const std::uint8_t* data, std::size_t size);
extern "C" int wmsp_answer_fuzz(const std::uint8_t* data, std::size_t size);

TEST_CASE("the fuzz corpus of requests and frames, whole, cut and changed", "[wmsp]") {
    CHECK(wmlab::tests::replay("wmsp", wmsp_fuzz) > 5);
}

TEST_CASE("the fuzz corpus of answers, whole, cut and changed", "[wmsp]") {
    CHECK(wmlab::tests::replay("wmsp_answer", wmsp_answer_fuzz) > 5);
}
