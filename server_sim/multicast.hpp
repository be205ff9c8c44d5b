// Multicast stations: one stream to a group for whoever joined it, announced by .nsc files (MS-MSB).
#pragma once
#include "server_sim/server.hpp"

namespace wmlab::server_sim {

std::unique_ptr<Service> make_multicast(Server& server);

}  // namespace wmlab::server_sim
