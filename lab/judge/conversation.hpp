// The TCP connections of a leg, put together from the journals of both ends.
#pragma once
#include <vector>

#include "lab/judge/leg.hpp"
#include "lab/judge/path.hpp"

namespace wmlab::lab {

// One connection of a leg as its two ends tell it.
struct Conversation {
    const Event *connecting = nullptr, *connected = nullptr, *failed = nullptr, *closed = nullptr;
    Events sent, received;
    Endpoint local, remote;  // as the opening end sees them
    const Event *accepted = nullptr, *peer_closed = nullptr;
    Events peer_sent, peer_received;

    bool answered() const { return !received.empty(); }    // application data reached the opening end
    bool heard() const { return !peer_received.empty(); }  // application data reached the answering end
    bool tried() const { return connecting != nullptr || connected != nullptr || failed != nullptr; }
};
std::vector<Conversation> conversations(const LegContext& context);

// Local and remote address of the opening end, as far as they are known.
Between ends_of(const LegContext& context, const Conversation& conversation);

}  // namespace wmlab::lab
