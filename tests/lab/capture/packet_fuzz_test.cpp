#include "tests/catch.hpp"
#include "tests/fuzz/replay.hpp"

extern "C" int packet_fuzz(const std::uint8_t* data, std::size_t size);

TEST_CASE("captured packets: the fuzz corpus, cut short and damaged, does no harm", "[capture][fuzz]") {
    CHECK(wmlab::tests::replay("packet", packet_fuzz) >= 10);
}
