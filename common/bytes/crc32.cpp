#include "common/bytes/crc32.hpp"

#include <boost/crc.hpp>

namespace wmlab::bytes {

std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before) {
    boost::crc_optimal<32, 0x04C11DB7, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc{before ^ 0xFFFFFFFF};
    crc.process_bytes(bytes.data(), bytes.size());
    return crc.checksum();
}

}  // namespace wmlab::bytes
