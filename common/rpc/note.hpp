// What a state machine tells the journal: one message sent or received, by its specification's name.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/rpc/ndr.hpp"

namespace wmlab::rpc {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Note {
    enum class What { received, sent, malformed };
    What what = What::received;
    std::string message;  // "ept_map", "RemoteActivation", "bind"
    std::string pdu;      // "request", "response", "fault", ...
    std::size_t bytes = 0;
    std::optional<std::uint32_t> hr;           // HRESULT or status, where the message has one
    Guid causality;                            // of ORPCTHIS; nil where there is none. Both ends of a call know it.
    Fields fields;                             // what is telling: interface, ports, bindings
    std::optional<bytes::ParseError> problem;  // malformed only
    std::string head;                          // malformed only: the first bytes in hex
};

}  // namespace wmlab::rpc
