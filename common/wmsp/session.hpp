// What the server's and the player's session have in common; shaped like common/mms/session.hpp.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::wmsp {

using bytes::Bytes;
using TimePoint = std::chrono::steady_clock::time_point;  // passed in; nothing in here reads a clock
using std::chrono::milliseconds;

// For the journal: telling fields of a message, by their spec name.
using MessageFields = std::vector<std::pair<std::string, std::string>>;

// For the journal: a message came. Stands before the actions that answer it. $D is not announced one by one.
struct Received {
    std::string message;  // "Describe", "Play", "DescribeResponse", "$H", "$E"
    std::size_t size = 0;
    MessageFields fields;
};

// For the journal: something unreadable came. The session is at an end with it (a Close or Finished follows).
struct Malformed {
    bytes::ParseError error;
    std::vector<std::byte> head;  // first bytes of what came
    std::string what;             // "request", "response", "$D"
};

// Write `bytes` to the connection: all of it, in order.
struct Send {
    std::string message;  // as in Received
    std::vector<std::byte> bytes;
    MessageFields fields;
};

}  // namespace wmlab::wmsp
