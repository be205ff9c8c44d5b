// Playing over HTTP (MS-WMSP), direct or through a web proxy.
#pragma once
#include "client_sim/client.hpp"

namespace wmlab::client_sim {

// The server is play.server's host with play.http_port; the proxy, where one is wanted, is play.proxy.
asio::awaitable<Outcome> play_http(Client& client, Play play);        // direct, whatever play.proxy says
asio::awaitable<Outcome> play_http_proxy(Client& client, Play play);  // through play.proxy

asio::awaitable<Outcome> http_flow(Client& client, scenario::FlowInstance flow);

}  // namespace wmlab::client_sim
