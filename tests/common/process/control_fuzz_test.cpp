#include "tests/catch.hpp"
#include "tests/fuzz/replay.hpp"

extern "C" int control_fuzz(const std::uint8_t* data, std::size_t size);

TEST_CASE("control channel: the fuzz corpus, cut short and damaged, does no harm", "[process][fuzz]") {
    CHECK(wmlab::tests::replay("control", control_fuzz) >= 5);
}
