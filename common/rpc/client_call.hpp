// What both clients, over TCP and over UDP, have in common: a call, its outcome, and what to do for it.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/rpc/identifiers.hpp"
#include "common/rpc/note.hpp"

namespace wmlab::rpc {

struct ClientCall {
    SyntaxId interface;
    std::uint16_t opnum = 0;
    std::optional<Guid> object;  // IPID of an object call
    Octets stub;
    Guid causality;  // for the journal
};

struct CallOutcome {
    enum class Kind {
        answered,  // `stub` is the answer
        faulted,   // `status` came instead: a fault or reject
        refused,   // the server would not bind: bind_nak or a rejected context
        broken     // the connection ended, the peer fell silent, or what it sent was no answer
    };
    Kind kind = Kind::answered;
    Octets stub;
    ByteOrder order = ByteOrder::little;  // of the stub
    std::uint32_t status = 0;
    std::string reason;  // in words, unless answered
};

struct ClientOutput {
    std::vector<Octets> send;  // TCP: to be written in order; UDP: one datagram each
    std::vector<Note> notes;
    std::optional<CallOutcome> outcome;  // ends the call
};

}  // namespace wmlab::rpc
