// VLC announces one UDP port for media, always the same, outside of those that KB189416 names for players.
#pragma once
#include <cstdint>

namespace wmlab::scenario {

inline constexpr std::uint16_t vlc_port = 7000;

}  // namespace wmlab::scenario
