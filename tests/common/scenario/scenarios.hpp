// Scenarios for tests, made from as little text as possible.
#pragma once
#include <stdexcept>
#include <string>

#include "common/scenario/loader.hpp"

namespace wmlab::scenario {

// Two zones, hosts media (inside), player, studio and edge, one content; `flows` are the list's items.
inline std::string scenario_text(const std::string& flows, const std::string& more_hosts = {}) {
    return "version: 1\n"
           "zones: { inside: { subnet: 10.10.0.0/24 }, outside: { subnet: 10.20.0.0/24 } }\n"
           "hosts:\n"
           "  media:  { zone: inside, address: 10.10.0.10 }\n"
           "  player: { zone: outside, address: 10.20.0.10 }\n"
           "  studio: { zone: outside, address: 10.20.0.11 }\n"
           "  edge:   { zone: outside, address: 10.20.0.12 }\n" +
           more_hosts +
           "content: { lecture: { synthetic: audio } }\n"
           "flows:\n" +
           flows;
}

inline Loaded load_flows(const std::string& flows, const std::string& more_hosts = {}) {
    return load(scenario_text(flows, more_hosts), "test.yaml", "/", Files::not_checked);
}

inline Scenario good_flows(const std::string& flows, const std::string& more_hosts = {}) {
    auto loaded = load_flows(flows, more_hosts);
    if (!loaded.ok()) throw std::invalid_argument{explain(loaded.problems)};
    return std::move(loaded.scenario);
}

}  // namespace wmlab::scenario
