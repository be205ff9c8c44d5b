#include "common/process/media_digest.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json/array.hpp>

#include "common/asf/header.hpp"
#include "common/bytes/crc32.hpp"
#include "common/evidence/fields.hpp"

namespace wmlab::process {

void MediaDigest::header(std::span<const std::byte> asf_header) {
    constexpr std::size_t from_end = asf::data_object_head - 16;  // of the Data Object's size
    std::vector<std::byte> copy{asf_header.begin(), asf_header.end()};
    if (copy.size() >= from_end) std::fill_n(copy.end() - static_cast<std::ptrdiff_t>(from_end), 8, std::byte{});
    header_crc_ = bytes::crc32(copy);
    has_header_ = true;
}

void MediaDigest::packet(std::uint64_t number, std::span<const std::byte> asf_packet) {
    packet(number, asf_packet.size(), bytes::crc32(asf_packet));
}

void MediaDigest::packet(std::uint64_t number, std::size_t size, std::uint32_t crc) {
    ++packets_;
    bytes_ += size;
    sum_ += crc;
    if (listed_ && list_.size() < list_max) list_.emplace_back(number, crc);
}

boost::json::object MediaDigest::fields() const {
    boost::json::object out;
    out[field::packets] = packets_;
    out[field::bytes] = bytes_;
    boost::json::array list;
    list.reserve(list_.size());
    for (const auto& [number, crc] : list_) list.push_back(boost::json::array{number, crc});
    out[field::digests] = std::move(list);
    out[field::digest] = fmt::format("{:016x}", sum_);
    if (has_header_) out[field::header_digest] = fmt::format("{:08x}", header_crc_);
    return out;
}

}  // namespace wmlab::process
