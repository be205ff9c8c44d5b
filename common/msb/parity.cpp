#include "common/msb/parity.hpp"

#include <algorithm>

namespace wmlab::msb {
namespace {

constexpr std::byte opaque_data_present{0x10};
constexpr std::uint8_t data_type = 1, parity_type = 2;

// Type in the low four bits, as ASF orders its bit fields (ASF 5.2.1).
std::byte type_and_number(std::uint8_t type, unsigned number) {
    return static_cast<std::byte>((type | number << 4) & 0xFF);
}

void exclusive_or(std::vector<std::byte>& sum, Bytes bytes) {
    if (sum.size() < bytes.size()) sum.resize(bytes.size());  // shorter ones count as zero padded
    for (std::size_t i = 0; i < bytes.size(); ++i) sum[i] ^= bytes[i];
}

}  // namespace

std::optional<ErrorCorrection> error_correction(Bytes asf_packet) {
    if (asf_packet.empty()) return std::nullopt;
    const auto flags = std::to_integer<unsigned>(asf_packet[0]);
    const std::size_t length = flags & 0x0F;
    if ((flags & 0xE0) != 0x80 || length < 2 || asf_packet.size() < 1 + length) return std::nullopt;
    auto type = std::to_integer<unsigned>(asf_packet[1]) & 0x0F, number = std::to_integer<unsigned>(asf_packet[1]) >> 4;
    if ((flags & 0x10) != 0) {
        // The flag alone makes a parity packet. No sender was at hand to prove the order of the two halves: both are
        // read.
        if (type != parity_type && number == parity_type) std::swap(type, number);
        type = parity_type;
    }
    return ErrorCorrection{static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(number),
                           std::to_integer<std::uint8_t>(asf_packet[2]), 1 + length};
}

std::optional<std::vector<std::byte>> ParityMaker::add(std::span<std::byte> asf_packet) {
    if (span_ == 0) return std::nullopt;
    const auto correction = error_correction(asf_packet);
    if (!correction || correction->size != 3) {  // no room for the numbers: this packet is in no span
        abandon();
        return std::nullopt;
    }
    ++number_;
    asf_packet[1] = type_and_number(data_type, number_);
    asf_packet[2] = static_cast<std::byte>(cycle_);
    exclusive_or(parity_, asf_packet.subspan(3));
    if (number_ < span_) return std::nullopt;
    std::vector<std::byte> packet = {std::byte{0x82} | opaque_data_present, type_and_number(parity_type, number_ + 1),
                                     static_cast<std::byte>(cycle_)};
    packet.insert(packet.end(), parity_.begin(), parity_.end());
    abandon();
    return packet;
}

void ParityMaker::abandon() {
    if (number_ != 0) ++cycle_;
    number_ = 0;
    parity_.clear();
}

void Repair::remember(std::uint32_t dwPacketID, Bytes asf_packet) {
    const auto correction = error_correction(asf_packet);
    if (!correction || correction->type != data_type) return;
    last_.push_back({dwPacketID, {asf_packet.begin(), asf_packet.end()}});
    if (last_.size() > span_max) last_.pop_front();
}

std::optional<Repair::Restored> Repair::restore(const Packet& parity) const {
    const auto correction = error_correction(parity.asf_packet);
    if (!correction || correction->type != parity_type) return std::nullopt;
    const bool numbered = correction->number != 1;
    unsigned span = std::min(default_span_, span_max);
    if (numbered) span = correction->number == 0 ? span_max : correction->number - 1u;  // 16 does not fit the four bits
    std::optional<std::uint32_t> missing;
    unsigned missing_number = 0;
    std::vector<std::byte> body{parity.asf_packet.begin() + static_cast<std::ptrdiff_t>(correction->size),
                                parity.asf_packet.end()};
    for (unsigned number = 1; number <= span; ++number) {
        const auto id = parity.dwPacketID - (span - number);  // wraps as dwPacketID does
        const auto kept = std::ranges::find(last_, id, &Kept::dwPacketID);
        if (kept == last_.end()) {
            if (missing) return std::nullopt;
            missing = id;
            missing_number = number;
            continue;
        }
        const auto of_kept = error_correction(kept->asf_packet);
        if (of_kept->cycle != correction->cycle || of_kept->size != correction->size ||
            kept->asf_packet.size() > parity.asf_packet.size())
            return std::nullopt;
        exclusive_or(body, Bytes{kept->asf_packet}.subspan(of_kept->size));
    }
    if (!missing) return std::nullopt;
    Restored restored{
        *missing,
        {parity.asf_packet.begin(), parity.asf_packet.begin() + static_cast<std::ptrdiff_t>(correction->size)}};
    restored.asf_packet[0] &= ~opaque_data_present;
    restored.asf_packet[1] = type_and_number(data_type, numbered ? missing_number : 1);
    restored.asf_packet.insert(restored.asf_packet.end(), body.begin(), body.end());
    return restored;
}

}  // namespace wmlab::msb
