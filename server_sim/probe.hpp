// The answering end of `probe` flows: takes and echoes nonces on every port the flow names.
#pragma once
#include "server_sim/server.hpp"

namespace wmlab::server_sim {

std::unique_ptr<Service> make_probe(Server& server);  // null: no probe comes to this host

}  // namespace wmlab::server_sim
