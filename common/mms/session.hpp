// What the server's and the player's session have in common: the time they are told, and the actions both can ask for.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes/reader.hpp"
#include "common/mms/message.hpp"

namespace wmlab::mms {

using TimePoint = std::chrono::steady_clock::time_point;  // passed in; nothing in here reads a clock
using Duration = std::chrono::steady_clock::duration;

// For the journal: a message came. Stands before the actions that answer it.
struct Received {
    Message message;
    std::size_t size = 0;  // bytes of the message, TcpMessageHeader not counted
};

// For the journal: something unreadable came. A control stream is at an end with it (a Close or Finished follows); a
// bad datagram is only noted.
struct Malformed {
    bytes::ParseError error;
    std::vector<std::byte> head;  // first bytes of the message
    std::string what;             // "LinkViewerToMacOpenFile", "TcpMessageHeader", "Data", ...
};

// Write `packet` to the control connection: all of it, in order, in one segment if possible (TCP_NODELAY on).
struct Send {
    Message message;
    std::vector<std::byte> packet;
};

// Where to start: the first of the three that is given; none: from the start (or now, when live).
struct StartPosition {
    std::optional<std::uint32_t> locationId;  // ASF packet number
    std::optional<std::uint32_t> asfOffset;   // byte of the ASF file, its header included
    std::optional<std::chrono::duration<double>> position;
    std::optional<std::chrono::milliseconds> length;  // stop after so much; none: play to the end
    bool operator==(const StartPosition&) const = default;
};

}  // namespace wmlab::mms
