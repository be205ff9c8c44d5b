// Which function plays which flow type, and which URL: one line each.
#include "client_sim/client.hpp"
#include "client_sim/dcom.hpp"
#include "client_sim/http.hpp"
#include "client_sim/mms.hpp"
#include "client_sim/multicast.hpp"
#include "client_sim/probe.hpp"

namespace wmlab::client_sim {
namespace {

// What a player of the era tries for mms://, in its order.
std::vector<Attempt> rollover(const Play& play) {
    std::vector<Attempt> attempts = {play_mms_udp, play_mms_tcp, play_http};
    if (play.proxy) attempts.emplace_back(play_http_proxy);
    return attempts;
}

constexpr unsigned elsewhere_max = 5;  // redirections from one protocol to another

asio::awaitable<Outcome> mms_auto_flow(Client& client, scenario::FlowInstance flow) {
    auto play = play_of(client, flow, scenario::mms_port, url::Scheme::mms);
    auto attempts = rollover(play);
    co_return co_await roll_over(client, std::move(play), std::move(attempts));
}

}  // namespace

Flow flow_for(scenario::FlowType type) {
    switch (type) {
        case scenario::FlowType::mms_udp:
            return mms_udp_flow;
        case scenario::FlowType::mms_tcp:
            return mms_tcp_flow;
        case scenario::FlowType::http:
            return http_flow;
        case scenario::FlowType::mms_auto:
            return mms_auto_flow;
        case scenario::FlowType::dcom:
            return dcom_flow;
        case scenario::FlowType::probe:
            return probe_flow;
        default:
            return nullptr;
    }
}

namespace {

asio::awaitable<Outcome> play_as_it_says(Client& client, Play play) {
    switch (play.url.scheme) {
        case url::Scheme::mmsu:
            return play_mms_udp(client, std::move(play));
        case url::Scheme::mmst:
            return play_mms_tcp(client, std::move(play));
        case url::Scheme::mms:
            return roll_over(client, play, rollover(play));
        case url::Scheme::mmsh:
        case url::Scheme::http:
            return play.proxy ? play_http_proxy(client, std::move(play)) : play_http(client, std::move(play));
        default:
            throw process::UsageError{"client_sim does not play " + std::string{url::text(play.url.scheme)} +
                                      ":// URLs"};
    }
}

// An answer may lead to a URL of another protocol, or to a choice of several: the first one that works counts.
asio::awaitable<Outcome> play_or_follow(Client& client, Play play, unsigned depth) {
    const bool station = !play.station.empty();
    auto playing = station ? play_station(client, play) : play_as_it_says(client, play);
    auto outcome = co_await std::move(playing);
    play.station.clear();
    if (outcome.elsewhere.empty() || depth >= elsewhere_max) co_return outcome;
    const auto places = std::move(outcome.elsewhere);
    outcome.elsewhere.clear();
    for (const auto& place : places) {
        auto target = url::parse(place);
        if (!target) continue;
        play.url = std::move(*target);
        play.server = {play.url.host, play.url.port_or_default()};
        ++play.attempt;
        outcome = co_await play_or_follow(client, play, depth + 1);
        if (outcome.worked) break;
    }
    co_return outcome;
}

}  // namespace

asio::awaitable<Outcome> play_url(Client& client, Play play) {
    const auto alternatives = std::move(play.alternatives);
    play.alternatives.clear();
    auto outcome = co_await play_or_follow(client, play, 0);
    for (const auto& alternative : alternatives) {
        if (outcome.worked) break;
        play.url = alternative;
        play.server = {play.url.host, play.url.port_or_default()};
        ++play.attempt;
        outcome = co_await play_or_follow(client, play, 0);
    }
    co_return outcome;
}

}  // namespace wmlab::client_sim
