#include "tests/catch.hpp"
#include "tests/fuzz/replay.hpp"

extern "C" int msbd_fuzz(const std::uint8_t* data, std::size_t size);

TEST_CASE("the fuzz corpus of MSBD, whole, cut and changed", "[msbd]") {
    CHECK(wmlab::tests::replay("msbd", msbd_fuzz) > 3);
}
