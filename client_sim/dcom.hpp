// The administrator: a DCOM client of the server (endpoint mapper, activation, object calls). Scenario flows of type
// `dcom`, and `client_sim --admin HOST`.
#pragma once
#include "client_sim/client.hpp"

namespace wmlab::client_sim {

asio::awaitable<Outcome> dcom_flow(Client& client, scenario::FlowInstance flow);

struct Administration {  // of the plain tool
    net::HostPort server;
    bool udp = false;
    unsigned processes = 1;
    milliseconds deadline{3000};
};
asio::awaitable<Outcome> administrate(Client& client, Administration what);

// Plain tool, `client_sim --endpoints HOST`: prints the endpoint map, over TCP, one line an endpoint.
asio::awaitable<Outcome> list_endpoints(Client& client, Administration what);

}  // namespace wmlab::client_sim
