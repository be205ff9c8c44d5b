// The list of services: one line for each protocol.
#include "server_sim/http.hpp"
#include "server_sim/mms.hpp"
#include "server_sim/multicast.hpp"
#include "server_sim/probe.hpp"
#include "server_sim/server.hpp"

namespace wmlab::server_sim {

std::vector<MakeService> services() {
    return {
        make_mms,    // TCP and UDP 1755
        make_http,   // TCP 80
        make_multicast,  // to groups
        make_probe,  // echoes on the ports of probe flows
    };
}

}  // namespace wmlab::server_sim
