// Playing over MMS: UDP media (MMSU) or everything on the control connection (MMST).
#pragma once
#include "client_sim/client.hpp"

namespace wmlab::client_sim {

asio::awaitable<Outcome> play_mms_udp(Client& client, Play play);
asio::awaitable<Outcome> play_mms_tcp(Client& client, Play play);

// Flow types.
asio::awaitable<Outcome> mms_udp_flow(Client& client, scenario::FlowInstance flow);
asio::awaitable<Outcome> mms_tcp_flow(Client& client, scenario::FlowInstance flow);

}  // namespace wmlab::client_sim
