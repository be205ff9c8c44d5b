#include "common/msb/receiver.hpp"

#include <algorithm>

namespace wmlab::msb {

std::string_view text(Kind kind) {
    switch (kind) {
        case Kind::media:
            return "media";
        case Kind::parity:
            return "parity";
        case Kind::beacon:
            return "beacon";
        case Kind::duplicate:
            return "duplicate";
        case Kind::unknown_format:
            return "unknown-format";
        case Kind::other_source:
            return "other-source";
        case Kind::damaged:
            return "damaged";
        case Kind::foreign:
            break;
    }
    return "foreign";
}

Receiver::Receiver(Station station) : station_{std::move(station)}, repair_{station_.default_ecc.value_or(0)} {}

Receipt Receiver::receive(Bytes datagram, std::string_view source) {
    Receipt receipt;
    ++counts_.datagrams;
    if (is_beacon(datagram)) {
        ++counts_.beacons;
        receipt.kind = Kind::beacon;
        return receipt;
    }
    const auto parsed = Packet::parse(datagram);
    if (parsed.has_error()) {
        ++counts_.foreign;
        receipt.problem = parsed.error().text();
        return receipt;
    }
    const auto& packet = *parsed;
    receipt.wStreamID = packet.wStreamID;
    const auto* format = station_.format(packet.format_id());
    const bool ours = format || station_.formats.empty();
    if (!source_.empty() && source != source_ && (source != station_.multicast_adapter || !ours)) {
        ++counts_.other_source;
        receipt.kind = Kind::other_source;
        return receipt;
    }
    if (!ours) {
        ++counts_.unknown_format;
        receipt.kind = Kind::unknown_format;
        return receipt;
    }
    if (packet.asf_packet.empty() || (format && packet.asf_packet.size() > format->header.packet_size)) {
        ++counts_.damaged;
        receipt.kind = Kind::damaged;
        receipt.problem = "an ASF packet of " + std::to_string(packet.asf_packet.size()) + " bytes";
        if (format) receipt.problem += ", the format has " + std::to_string(format->header.packet_size);
        return receipt;
    }
    const bool moved = source != source_;
    source_ = source;
    const auto correction = error_correction(packet.asf_packet);
    const bool parity = correction && correction->type == 2;
    const auto step = static_cast<std::int32_t>(packet.dwPacketID - last_id_);

    // Around a change of streams the last packets of the old one may still come. A new stream that numbers anew repeats
    // numbers that have been seen, or goes below the first.
    const auto number = last_number_ + static_cast<std::uint64_t>(std::int64_t{step});
    const bool of_previous = started_ && packet.wStreamID == previous_wStreamID_ && step < 0 &&
                             step > -late_stream_max && number >= first_number_ && !seen_.test(place(number));
    if (wStreamID_ != packet.wStreamID && !of_previous) {
        previous_wStreamID_ = wStreamID_;
        wStreamID_ = packet.wStreamID;
        receipt.stream_changed = true;
        ++counts_.streams;
        repair_.clear();
    }
    if (!started_ && parity) {  // of packets before we came
        receipt.kind = Kind::parity;
        ++counts_.parity;
        return receipt;
    }
    // A new stream may number on or anew.
    const bool anew = (receipt.stream_changed && step <= 0) || step <= -window || step > gap_max || moved;
    if (!started_)
        start(packet.dwPacketID);
    else if (anew)
        start_again(receipt, packet.dwPacketID - (parity ? 0 : 1));

    if (parity) {
        ++counts_.parity;
        receipt.kind = Kind::parity;
        // The last packet of the span may be the lost one: then its loss is first seen here.
        if (auto restored = repair_.restore(packet))
            take(receipt, restored->dwPacketID, packet.wStreamID, restored->asf_packet, true);
        return receipt;
    }
    if (starts_over(packet.dwPacketID)) start_again(receipt, packet.dwPacketID - 1);
    take(receipt, packet.dwPacketID, packet.wStreamID, packet.asf_packet, false);
    return receipt;
}

void Receiver::start(std::uint32_t dwPacketID) {
    started_ = true;
    last_id_ = dwPacketID - 1;                    // so that this packet is the next one
    last_number_ = (std::uint64_t{1} << 32) - 1;  // room below for packets that come late
    first_number_ = last_number_ + 1;
}

void Receiver::start_again(Receipt& receipt, std::uint32_t last_id) {
    receipt.started_again = true;
    ++counts_.starts;
    last_id_ = last_id;
    // As if all below had been seen: it belongs to the numbering before and is neither late nor lost.
    last_number_ += static_cast<std::uint64_t>(window);
    first_number_ = last_number_ + 1;
    seen_.set();
    repair_.clear();
    duplicates_in_row_ = 0;
}

// A sender restarted after few packets repeats their numbers: one duplicate after the other, in order and with nothing
// new between.
bool Receiver::starts_over(std::uint32_t dwPacketID) {
    const auto step = static_cast<std::int32_t>(dwPacketID - last_id_);
    const auto number = last_number_ + static_cast<std::uint64_t>(static_cast<std::int64_t>(step));
    if (step > 0 || !seen_.test(place(number))) {
        duplicates_in_row_ = 0;
        return false;
    }
    duplicates_in_row_ = dwPacketID == last_duplicate_ + 1 ? duplicates_in_row_ + 1 : 1;
    last_duplicate_ = dwPacketID;
    return duplicates_in_row_ > duplicates_in_row_max;
}

void Receiver::take(Receipt& receipt, std::uint32_t dwPacketID, std::uint16_t wStreamID, Bytes asf_packet,
                    bool restored) {
    const std::int64_t step = static_cast<std::int32_t>(dwPacketID - last_id_);
    const auto number = last_number_ + static_cast<std::uint64_t>(step);
    if (step > 0) {
        for (std::int64_t i = 1; i < step; ++i) {
            seen_.reset(place(last_number_ + static_cast<std::uint64_t>(i)));
            ++counts_.lost;
            if (lost_.size() < lost_max) lost_.insert(last_id_ + static_cast<std::uint32_t>(i));
        }
        last_id_ = dwPacketID;
        last_number_ = number;
    } else {
        if (step <= -window || seen_.test(place(number))) {
            if (restored) return;  // it came itself
            ++counts_.duplicates;
            receipt.kind = Kind::duplicate;
            return;
        }
        if (number >= first_number_) {
            --counts_.lost;
            lost_.erase(dwPacketID);
        }
    }
    seen_.set(place(number));
    ++counts_.media;
    counts_.media_bytes += asf_packet.size();
    counts_.restored += restored ? 1 : 0;
    counts_.late += step <= 0 && !restored ? 1 : 0;
    if (!restored) receipt.kind = Kind::media;
    repair_.remember(dwPacketID, asf_packet);
    receipt.media.push_back(
        {dwPacketID, wStreamID, number, {asf_packet.begin(), asf_packet.end()}, step <= 0 && !restored, restored});
}

}  // namespace wmlab::msb
