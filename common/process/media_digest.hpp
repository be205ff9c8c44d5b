// What was sent or received of a stream, so that the journals of both ends prove whether it is the same: a CRC-32 of
// each ASF packet and of the header, and their sum (docs/journal.md, Media).
#pragma once
#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace wmlab::process {

class MediaDigest {
public:
    static constexpr std::size_t list_max = 4096;

    // Without the list of packets where no journal is kept: it grows with each session.
    explicit MediaDigest(bool listed = true) : listed_{listed} {}

    // Without the size of the Data Object, of which each kind of player of a live stream wants another.
    void header(std::span<const std::byte> asf_header);
    void packet(std::uint64_t number, std::span<const std::byte> asf_packet);
    void packet(std::uint64_t number, std::size_t size, std::uint32_t crc);

    std::uint64_t packets() const { return packets_; }
    std::uint64_t bytes() const { return bytes_; }
    // packets, bytes, digests, digest, header_digest: as `media-ended` has them.
    boost::json::object fields() const;

private:
    std::uint64_t packets_ = 0, bytes_ = 0, sum_ = 0;
    std::uint32_t header_crc_ = 0;
    bool has_header_ = false, listed_;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> list_;
};

}  // namespace wmlab::process
