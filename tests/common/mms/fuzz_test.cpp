#include "tests/catch.hpp"
#include "tests/fuzz/replay.hpp"

extern "C" int mms_fuzz(const std::uint8_t* data, std::size_t size);

TEST_CASE("the fuzz corpus of MMS, whole, cut and changed", "[mms]") {
    CHECK(wmlab::tests::replay("mms", mms_fuzz) > 3);
}
