// A station file from anywhere: read it, and if it is one, write it and read it back.
#include <cstdlib>

#include "common/msb/encoded_block.hpp"
#include "common/msb/nsc.hpp"

using namespace wmlab::msb;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const auto reading = read_nsc(text);
    require(reading.station.has_value() == reading.errors.empty());
    if (reading.station) {
        require(problems_of(*reading.station).empty());
        const auto again = read_nsc(write_nsc(*reading.station));
        require(again.station.has_value());
        require(again.station->formats == reading.station->formats);
        require(again.station->ip_address == reading.station->ip_address);
    }
    const auto block = EncodedBlock::decode(text);
    if (block.has_value() && block->crc_matches) require(EncodedBlock::decode(block->encode()).value() == *block);
    return 0;
}
