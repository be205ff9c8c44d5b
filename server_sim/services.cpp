// The list of services: one line for each protocol.
#include "common/serving/http.hpp"
#include "common/serving/msbd.hpp"
#include "server_sim/dcom.hpp"
#include "server_sim/mms.hpp"
#include "server_sim/multicast.hpp"
#include "server_sim/probe.hpp"
#include "server_sim/pull.hpp"
#include "server_sim/server.hpp"

namespace wmlab::server_sim {

std::vector<MakeService> services() {
    return {
        make_mms,        // TCP and UDP 1755
        make_http,       // TCP 80
        make_msbd,       // TCP 7007, or where it fell back to
        make_pulls,      // what is fetched from encoders and upstream servers
        make_multicast,  // to groups
        make_probe,      // echoes on the ports of probe flows
        make_dcom,       // TCP and UDP 135, and for each simulated process a port that nobody above has taken
    };
}

}  // namespace wmlab::server_sim
