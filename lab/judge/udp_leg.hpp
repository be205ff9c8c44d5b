// The judge of a UDP leg: datagrams go one way; how many were sent, how many arrived, and what came back instead.
#pragma once
#include "lab/judge/leg.hpp"

namespace wmlab::lab {

struct Datagrams {
    std::string sender, receiver;            // hosts
    Endpoint source, destination;            // as the sender sees them
    Endpoint bound;                          // the receiver's socket, empty: nothing shows one
    Endpoint source_seen, destination_seen;  // as the receiver sees them
    std::uint64_t sent = 0, received = 0;
    std::optional<Failure> failure;      // of the sender's socket
    const Event* bind_failed = nullptr;  // of the receiver
    bool receiver_speaks = true;
};

// `pass` means: at least one datagram arrived at the receiver's program.
LegResult judge_udp(const LegContext& context, const Datagrams& datagrams);

// The media leg of a session and the leg by which the player asks for packets again.
Datagrams media_datagrams(const LegContext& context, const std::string& sender, const std::string& receiver);
Datagrams resend_datagrams(const LegContext& context);

// Requests and answers over UDP (DCOM): both must arrive.
LegResult judge_udp_calls(const LegContext& context);

}  // namespace wmlab::lab
