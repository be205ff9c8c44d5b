#include "tests/catch.hpp"
#include "tests/fuzz/replay.hpp"

extern "C" int journal_fuzz(const std::uint8_t* data, std::size_t size);

TEST_CASE("journals: the fuzz corpus, cut short and damaged, is judged", "[judge][fuzz]") {
    CHECK(wmlab::tests::replay("journal", journal_fuzz) >= 4);
}
