// The account of media: what one end sent, what the other received, packet by packet through their digests.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lab/judge/evidence.hpp"

namespace wmlab::lab {

struct MediaAccount {
    bool sender_told = false, receiver_told = false;  // media-ended of that end is there
    bool proven = false;        // what arrived is part of what was sent, checked by digests, and it is not nothing
    bool modified = false;      // a packet arrived with another content than it was sent with
    std::uint64_t altered = 0;  // such packets
    std::uint64_t tail = 0;     // sent after the last packet that arrived
    bool tail_lost = false;     // the receiver was still waiting for them
    bool silent = false;        // the receiver noticed that nothing came any more
    double behind = 0;          // ms of media that had been sent and had not arrived when the receiver had enough (TCP)
    bool header_differs = false;
    Media media;  // loss counts packets lost between the first sent and the last received, and a tail that was lost
    std::uint64_t lost = 0;
    std::uint64_t longest_hole = 0;  // packets lost in a row that later ones followed
    // It ended, rather than that the last hole of many lies at the end.
    bool stopped() const { return tail_lost && (silent || tail > 2 * longest_hole); }
};

// `udp`: packets may be lost on the way; on TCP a tail is what the receiver did not wait for.
MediaAccount account_media(const FlowView& view, std::string_view sender, std::string_view receiver, bool udp);

}  // namespace wmlab::lab
