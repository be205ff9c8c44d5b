// What the serving and the pulling session have in common.
#pragma once
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "common/bytes/hresult.hpp"
#include "common/msbd/message.hpp"

namespace wmlab::msbd {

using TimePoint = std::chrono::steady_clock::time_point;  // passed in; nothing in here reads a clock

// For the journal: a message came. Stands before the actions that answer it. IND_PACKET is not reported this way.
struct Received {
    Message message;
    std::size_t size = 0;
    bool other_version = false;  // wVersion is not 0106, and the message was read all the same
};

// For the journal: something unreadable came; the session ends with it, but for a bad datagram.
struct Malformed {
    bytes::ParseError error;
    std::vector<std::byte> head;  // the first 16 octets, as far as there are
};

// Write to the connection, all of it, in order.
struct Send {
    Message message;
    std::vector<std::byte> bytes;
};

}  // namespace wmlab::msbd
