// MMS (MS-MMSP) on TCP and UDP 1755: every content, live and stored, to any number of players.
#pragma once
#include "server_sim/server.hpp"

namespace wmlab::server_sim {

std::unique_ptr<Service> make_mms(Server& server);  // null: no flow of the scenario needs it

}  // namespace wmlab::server_sim
