#include "tests/catch.hpp"
#include "tests/fuzz/replay.hpp"

extern "C" int nsc_fuzz(const std::uint8_t* data, std::size_t size);
extern "C" int msb_fuzz(const std::uint8_t* data, std::size_t size);

TEST_CASE("the fuzz corpora of station files and of multicast packets, whole, cut and changed", "[msb]") {
    CHECK(wmlab::tests::replay("nsc", nsc_fuzz) > 3);
    CHECK(wmlab::tests::replay("msb", msb_fuzz) > 3);
}
