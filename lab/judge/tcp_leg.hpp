// The judge of a TCP leg: who opened, what came of it, and where it stopped, from both ends and both wires.
#pragma once
#include <vector>

#include "lab/judge/leg.hpp"

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

// How media on the connection fared, where the leg carries it.
struct Carried {
    std::uint64_t sent = 0, received = 0;  // packets
    bool backwards = true;                 // media goes from the leg's destination to its source
    bool silent = false;                   // the receiver noticed the silence
};

// `pass` means: application data went both ways. Several connections to different ports make the worst of them.
LegResult judge_tcp(const LegContext& context);
LegResult judge_conversation(const LegContext& context, const Conversation& conversation);

// The leg was open, but the flow came to nothing: what stopped the connection afterwards. Leaves the leg as it is when
// nothing did.
void judge_breakage(const LegContext& context, const Conversation& conversation, const Carried& carried,
                    LegResult& leg);

}  // namespace wmlab::lab
