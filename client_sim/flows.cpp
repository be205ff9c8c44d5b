// Which function plays which flow type, and which URL: one line each.
#include "client_sim/client.hpp"
#include "client_sim/mms.hpp"
#include "client_sim/probe.hpp"

namespace wmlab::client_sim {
namespace {

// What a player of the era tries for mms://, in its order.
std::vector<Attempt> rollover() { return {play_mms_udp, play_mms_tcp}; }

asio::awaitable<Outcome> mms_auto_flow(Client& client, scenario::FlowInstance flow) {
    auto play = play_of(client, flow, scenario::mms_port, url::Scheme::mms);
    auto attempts = rollover();
    co_return co_await roll_over(client, std::move(play), std::move(attempts));
}

}  // namespace

Flow flow_for(scenario::FlowType type) {
    switch (type) {
        case scenario::FlowType::mms_udp:
            return mms_udp_flow;
        case scenario::FlowType::mms_tcp:
            return mms_tcp_flow;
        case scenario::FlowType::mms_auto:
            return mms_auto_flow;
        case scenario::FlowType::probe:
            return probe_flow;
        default:
            return nullptr;
    }
}

asio::awaitable<Outcome> play_url(Client& client, Play play) {
    switch (play.url.scheme) {
        case url::Scheme::mmsu:
            return play_mms_udp(client, std::move(play));
        case url::Scheme::mmst:
            return play_mms_tcp(client, std::move(play));
        case url::Scheme::mms:
            return roll_over(client, std::move(play), rollover());
        default:
            throw process::UsageError{"client_sim does not play " + std::string{url::text(play.url.scheme)} +
                                      ":// URLs"};
    }
}

}  // namespace wmlab::client_sim
