#include "common/bytes/crc32.hpp"

#include <boost/crc.hpp>

namespace wmlab::bytes {

std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before) {
    // The register to start with; Boost takes it with its bits the other way round.
    std::uint32_t start = 0;
    for (unsigned bit = 0; bit < 32; ++bit) start = start << 1 | ((before ^ 0xFFFFFFFF) >> bit & 1);
    boost::crc_optimal<32, 0x04C11DB7, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc{start};
    crc.process_bytes(bytes.data(), bytes.size());
    return crc.checksum();
}

}  // namespace wmlab::bytes
