// The asking end of `probe` flows.
#pragma once
#include "client_sim/client.hpp"

namespace wmlab::client_sim {

asio::awaitable<Outcome> probe_flow(Client& client, scenario::FlowInstance flow);

}  // namespace wmlab::client_sim
