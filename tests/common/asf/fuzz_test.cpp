#include "tests/catch.hpp"
#include "tests/fuzz/replay.hpp"

extern "C" int asf_fuzz(const std::uint8_t* data, std::size_t size);

TEST_CASE("the fuzz corpus of ASF, whole, cut and changed", "[asf]") {
    CHECK(wmlab::tests::replay("asf", asf_fuzz) > 3);
}
