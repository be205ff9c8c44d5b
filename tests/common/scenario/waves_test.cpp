#include "common/scenario/waves.hpp"

#include <filesystem>

#include "tests/catch.hpp"
#include "tests/common/scenario/scenarios.hpp"

using namespace wmlab::scenario;

namespace {

// "a b | c": the ids of each wave.
std::string waves_of(const Scenario& scenario) {
    std::string all;
    for (const auto& wave : waves(scenario, instances(scenario))) {
        if (!all.empty()) all += " | ";
        for (const auto& instance : wave) all += (all.empty() || all.ends_with(' ') ? "" : " ") + instance.id;
    }
    return all;
}

}  // namespace

TEST_CASE("flows meet in a wave unless they need the same thing for themselves", "[waves]") {
    struct Row {
        std::string name;
        std::vector<std::string> flows;
        std::string waves;
    };
    const auto row = GENERATE(values<Row>({
        {"all transports of one server share its listeners",
         {"a, type: mms-udp, from: player, to: media", "b, type: mms-tcp, from: player, to: media", "c, type: http, from: player, to: media",
          "d, type: mms-auto, from: player, to: media"},
         "a b c d"},
        {"one port of one player for two flows",
         {"a, type: mms-udp, from: player, to: media, client_ports: 5000", "b, type: mms-udp, from: player, to: media, client_ports: 5000",
          "c, type: mms-udp, from: edge, to: media, client_ports: 5000"},
         "a c | b"},
        {"two flows on a range of two, a third has no port left",
         {"a, type: mms-udp, from: player, to: media, client_ports: 4000-4001", "b, type: mms-udp, from: player, to: media, client_ports: 4000-4001",
          "c, type: mms-udp, from: player, to: media, client_ports: 4000-4001"},
         "a b | c"},
        {"the players of a load are there together, though another flow took a port of theirs first",
         {"a, type: mms-udp, from: player, to: media, client_ports: 4000-4002",
          "b, type: mms-udp, from: player, to: media, client_ports: 4000-4002, load: { players: 3 }",
          "c, type: mms-udp, from: player, to: media, client_ports: 4000-4002"},
         "a c | b#1 b#2 b#3"},
        {"who chooses among many ports leaves alone the only one of another flow",
         {"a, type: mms-udp, from: player, to: media", "b, type: mms-udp, from: player, to: media, client_ports: 5000"},
         "a b"},
        {"who chooses among few does not",
         {"a, type: mms-udp, from: player, to: media, client_ports: 4990-5000", "b, type: mms-udp, from: player, to: media, client_ports: 5000"},
         "a | b"},
        {"a wide choice that a probe leaves one port of",
         {"a, type: mms-udp, from: player, to: media", "b, type: mms-udp, from: player, to: media",
          "c, type: probe, from: media, to: player, protocol: udp, ports: 1024-4999"},
         "a b | c"},
        {"a flow with a pause has the time-outs of the firewall for itself and others with the same pause",
         {"a, type: mms-udp, from: player, to: media, idle: 5m", "b, type: mms-tcp, from: player, to: media",
          "c, type: mms-tcp, from: player, to: media, idle: 300s", "d, type: mms-tcp, from: player, to: media, idle: 1m",
          "e, type: http, from: player, to: media"},
         "a c | b e | d"},
        {"who pauses what another flow brings takes that one along",
         {"a, type: msbd, from: edge, to: media", "b, type: mms-tcp, from: player, to: edge, content: a, idle: 1m",
          "c, type: mms-tcp, from: player, to: media, idle: 1m", "d, type: mms-tcp, from: player, to: media"},
         "a b c | d"},
        {"fallback leaves alone a reserved range that is used up",
         {"a, type: dcom, from: studio, to: media, reserved_ports: 3001-3010, processes: 10", "b, type: msbd, from: edge, to: media, port: fallback",
          "c, type: dcom, from: studio, to: media, reserved_ports: 3001-3010"},
         "a b | c"},
        {"who plays what a flow brings runs beside it, though another wave would be free",
         {"a, type: probe, from: player, to: media, ports: 7007", "b, type: msbd, from: edge, to: media", "c, type: http, from: player, to: edge, content: b",
          "d, type: http, from: player, to: edge, content: c-2", "c-2, type: msbd, from: edge, to: media, port: 7008, content: e",
          "e, type: msbd, from: media, to: studio, port: 7009"},
         "a d c-2 e | b c"},
        {"a probe of a port that the server serves",
         {"a, type: mms-tcp, from: player, to: media", "b, type: probe, from: player, to: media, ports: 1755",
          "c, type: probe, from: player, to: media, ports: 23", "d, type: probe, from: studio, to: media, ports: 1755"},
         "a c | b | d"},
        {"two probes of one port, each with a listener of its own",
         {"a, type: probe, from: player, to: media, ports: 23", "b, type: probe, from: studio, to: media, ports: 20-25",
          "c, type: probe, from: player, to: [media, edge], ports: 23", "d, type: probe, from: player, to: media, ports: 26"},
         "a c[player->edge] d | b | c[player->media]"},
        {"a probe of UDP 1755 as well, but TCP and UDP are two things",
         {"a, type: mms-tcp, from: player, to: media", "b, type: probe, from: player, to: media, protocol: udp, ports: 1755",
          "c, type: http, from: player, to: media", "d, type: probe, from: player, to: media, protocol: udp, ports: 80"},
         "a c d | b"},
        {"a probe of all the ports a player may choose from",
         {"a, type: mms-udp, from: player, to: media", "b, type: probe, from: media, to: player, protocol: udp, ports: 1024-5000",
          "c, type: probe, from: media, to: player, protocol: udp, ports: 1024-1030"},
         "a c | b"},
        {"flows on the same MSBD port share the listener, whoever takes the stream",
         {"a, type: msbd, from: edge, to: media", "b, type: msbd, from: studio, to: media", "c, type: msbd, from: edge, to: media, port: 7008"},
         "a b c"},
        {"an encoder and a server on one host cannot both have 7007",
         {"a, type: msbd, from: media, to: studio, source: encoder", "b, type: msbd, from: edge, to: studio, source: server"},
         "a | b"},
        {"fallback beside the flow that has 7007, and beside DCOM in the same range",
         {"a, type: msbd, from: edge, to: media", "b, type: msbd, from: edge, to: media, port: fallback",
          "c, type: dcom, from: studio, to: media, reserved_ports: 3001-3010"},
         "a b c"},
        {"a probe of 7007 where a flow needs it to be taken",
         {"a, type: msbd, from: edge, to: media, port: fallback", "b, type: probe, from: edge, to: media, ports: 7007"},
         "a | b"},
        {"one host has one reserved range",
         {"a, type: dcom, from: studio, to: media, reserved_ports: 3001-3010", "b, type: dcom, from: studio, to: media, reserved_ports: 4001-4010",
          "c, type: dcom, from: studio, to: edge, reserved_ports: 4001-4010"},
         "a c | b"},
        {"processes of several flows on one range, as long as there are ports",
         {"a, type: dcom, from: studio, to: media, reserved_ports: 3001-3010, processes: 6",
          "b, type: dcom, from: studio, to: media, reserved_ports: 3001-3010, processes: 4",
          "c, type: encoder-alias, from: studio, to: media, alias: live, reserved_ports: 3001-3010"},
         "a b | c"},
        {"eleven processes on ten ports spoil no other flow",
         {"a, type: dcom, from: studio, to: media, reserved_ports: 3001-3010, processes: 11",
          "b, type: dcom, from: studio, to: media, reserved_ports: 3001-3010", "c, type: probe, from: studio, to: media, ports: 3001",
          "d, type: mms-tcp, from: player, to: media"},
         "a d | b c"},
        {"the mapper's own port in the list is no port for a process",
         {"a, type: dcom, from: studio, to: media, reserved_ports: 3001 135", "b, type: dcom, from: studio, to: media, reserved_ports: 3001 135"},
         "a | b"},
        {"two groups on one port, and two senders on one group",
         {"a, type: multicast, from: media, to: player, group: 239.1.1.1, port: 8080",
          "b, type: multicast, from: media, to: player, group: 239.1.1.2, port: 8080",
          "c, type: multicast, from: studio, to: player, group: 239.1.1.1, port: 8080"},
         "a b | c"},
        {"a group with several receivers is one thing",
         {"a, type: multicast, from: media, to: [player, edge], group: 239.1.1.1, port: 8080"},
         "a[media->player] a[media->edge]"},
        {"the version of IGMP is the whole host's",
         {"a, type: multicast, from: media, to: player, group: 239.1.1.1, port: 8080",
          "b, type: multicast, from: media, to: player, group: 239.1.1.2, port: 8080, igmp_version: 2",
          "c, type: multicast, from: media, to: edge, group: 239.1.1.3, port: 8080, igmp_version: 2"},
         "a c | b"},
        {"commands never conflict",
         {"a, type: command, from: player, to: media, run: [x]", "b, type: command, from: player, to: media, run: [x]",
          "c, type: probe, from: player, to: media, ports: 1755"},
         "a b c"},
        {"later flows fill earlier waves",
         {"a, type: mms-udp, from: player, to: media, client_ports: 5000", "b, type: mms-udp, from: player, to: media, client_ports: 5000",
          "c, type: mms-tcp, from: player, to: media"},
         "a c | b"},
    }));
    DYNAMIC_SECTION(row.name) {
        std::string flows;
        for (const auto& flow : row.flows) flows += "  - { id: " + flow + " }\n";
        CHECK(waves_of(good_flows(flows)) == row.waves);
    }
}

TEST_CASE("a load of players runs in one wave while there are ports, and waves stay cheap", "[waves]") {
    const auto scenario = good_flows("  - { id: load, type: mms-udp, from: player, to: media, count: 10000 }\n");
    const auto all = waves(scenario, instances(scenario));
    REQUIRE(all.size() == 3);
    CHECK(all[0].size() == 3977);
    CHECK(all[2].size() == 10000 - 2 * 3977);
}

TEST_CASE("hosts that run a program of their own bind nothing for a flow", "[waves]") {
    const auto scenario = good_flows(
        "  - { id: a, type: http, from: player, to: media, proxy: { host: proxy, port: 3128 } }\n"
        "  - { id: b, type: probe, from: player, to: proxy, ports: 3128 }\n",
        "  proxy: { zone: outside, address: 10.20.0.20, run: [squid] }\n");
    CHECK(waves_of(scenario) == "a b");
}

TEST_CASE("the MMS mistakes are met in one wave", "[waves]") {
    const auto loaded = load_file(std::filesystem::path{WMLAB_SOURCE_DIR} / "scenarios/mms-blocked.yaml");
    REQUIRE(loaded.ok());
    CHECK(waves(loaded.scenario, instances(loaded.scenario)).size() == 1);
}
