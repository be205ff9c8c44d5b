// Which function plays which flow type, and which URL: one line each.
#include <utility>

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

asio::awaitable<Outcome> not_played(std::string scheme) {
    Outcome outcome;
    outcome.reason = "client_sim does not play " + scheme + ":// URLs";
    co_return outcome;
}

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
            return not_played(std::string{url::text(play.url.scheme)});
    }
}

// What one URL may lead to, in all: redirector files may name each other.
struct Budget {
    static constexpr unsigned attempts_max = 64;
    unsigned attempts = attempts_max;
    bool told = false;
};

// False: the place is no URL and no station.
bool aim(Play& play, const std::string& place) {
    const auto target = url::parse(place);
    if (!target && !names_station(place)) return false;
    play.station = names_station(place) ? place : "";
    if (target) {
        play.url = *target;
        play.server = {play.url.host, play.url.port_or_default()};
    }
    return true;
}

asio::awaitable<Outcome> play_or_follow(Client& client, Play play, unsigned depth, std::shared_ptr<Budget> budget);

// The first place that works counts; of failures the last one's is told.
asio::awaitable<Outcome> play_first_of(Client& client, Play play, std::vector<std::string> places, Outcome otherwise,
                                       unsigned depth, std::shared_ptr<Budget> budget) {
    for (const auto& place : places) {
        if (!aim(play, place)) continue;
        if (budget->attempts == 0) {
            if (!std::exchange(budget->told, true))
                otherwise.reason += " (" + std::to_string(Budget::attempts_max) + " places were tried, the rest of the redirector's was not)";
            break;
        }
        --budget->attempts;
        auto playing = play_or_follow(client, play, depth, budget);
        otherwise = co_await std::move(playing);
        if (otherwise.worked) break;
        ++play.attempt;
    }
    co_return otherwise;
}

// An answer may lead to a URL of another protocol, or to a choice of several.
asio::awaitable<Outcome> play_or_follow(Client& client, Play play, unsigned depth, std::shared_ptr<Budget> budget) {
    const bool station = !play.station.empty();
    auto playing = station ? play_station(client, play) : play_as_it_says(client, play);
    auto outcome = co_await std::move(playing);
    play.station.clear();
    if (outcome.elsewhere.empty() || depth >= elsewhere_max) co_return outcome;
    auto places = std::move(outcome.elsewhere);
    outcome.elsewhere.clear();
    ++play.attempt;
    auto following = play_first_of(client, std::move(play), std::move(places), std::move(outcome), depth + 1, budget);
    co_return co_await std::move(following);
}

}  // namespace

asio::awaitable<Outcome> play_url(Client& client, Play play) {
    auto budget = std::make_shared<Budget>();
    if (play.places.empty()) {
        auto playing = play_or_follow(client, std::move(play), 0, budget);
        co_return co_await std::move(playing);
    }
    auto places = std::exchange(play.places, {});
    Outcome none;
    none.reason = "the redirector file names nothing that is played here";
    auto playing = play_first_of(client, std::move(play), std::move(places), std::move(none), 0, budget);
    co_return co_await std::move(playing);
}

}  // namespace wmlab::client_sim
