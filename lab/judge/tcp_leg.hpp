// The judge of a TCP leg: who opened, what came of it, and where it stopped, from both ends and both wires.
#pragma once
#include <string>

#include "lab/judge/conversation.hpp"

namespace wmlab::lab {

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

// A listener in the journal, or a port that was seen to answer; else the leg says what is missing.
bool listener_known(const LegContext& context, const Path& path, LegResult& leg);

// An ICMP error ended the attempt or the connection, `what`: whose was it? `waited`: " after 12 ms", or nothing.
LegResult& icmp_ended(const LegContext& context, const Path& path, const Icmp& icmp, const std::string& direction,
                      const std::string& what, const std::string& waited, LegResult& leg);

}  // namespace wmlab::lab
