// The fuzz entries over their corpus: what fuzzing found stays found.
#include "tests/catch.hpp"
#include "tests/fuzz/replay.hpp"

extern "C" {
int rpc_server_fuzz(const std::uint8_t* data, std::size_t size);
int rpc_client_fuzz(const std::uint8_t* data, std::size_t size);
int rpc_codec_fuzz(const std::uint8_t* data, std::size_t size);
int reg_fuzz(const std::uint8_t* data, std::size_t size);
}

TEST_CASE("rpc: the fuzz corpora, cut short and damaged, do no harm", "[rpc][fuzz]") {
    CHECK(wmlab::tests::replay("rpc_server", rpc_server_fuzz) >= 15);
    CHECK(wmlab::tests::replay("rpc_client", rpc_client_fuzz) >= 15);
    CHECK(wmlab::tests::replay("rpc_codec", rpc_codec_fuzz) >= 20);
    CHECK(wmlab::tests::replay("reg", reg_fuzz) >= 6);
}
