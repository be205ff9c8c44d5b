#include "tests/catch.hpp"
#include "tests/fuzz/replay.hpp"

extern "C" int scenario_fuzz(const std::uint8_t* data, std::size_t size);

TEST_CASE("what was fuzzed stays mended", "[scenario]") { CHECK(wmlab::tests::replay("scenario", scenario_fuzz) > 5); }
