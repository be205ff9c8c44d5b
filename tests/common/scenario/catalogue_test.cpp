#include "common/scenario/catalogue.hpp"

#include <set>

#include "common/scenario/options.hpp"
#include "tests/catch.hpp"
#include "tests/common/scenario/scenarios.hpp"

using namespace wmlab::scenario;

namespace {

// "control tcp player:any -> media:1755"
std::string line(const Leg& leg) {
    const auto ports = [](const PortList& list) { return list.empty() ? std::string{"any"} : text(list); };
    return leg.name + ' ' + std::string{text(leg.protocol)} + ' ' + leg.source + ':' + ports(leg.source_ports) +
           " -> " + leg.destination + ':' + ports(leg.destination_ports) + (leg.optional ? " optional" : "");
}

}  // namespace

TEST_CASE("every flow type has the legs of KB189416, from the end that opens them", "[catalogue]") {
    struct Row {
        std::string flow;
        std::vector<std::string> legs;
    };
    const auto row = GENERATE(values<Row>({
        {"type: mms-udp, from: player, to: media, client_ports: 1024-4999",
         {"control tcp player:any -> media:1755", "media udp media:1024-65535 -> player:1024-4999",
          "resend udp player:any -> media:1755 optional"}},
        {"type: mms-tcp, from: player, to: media", {"control tcp player:any -> media:1755"}},
        {"type: http, from: player, to: media", {"http tcp player:any -> media:80"}},
        {"type: http, from: player, to: media, port: 8080, proxy: { host: edge, port: 3128 }",
         {"proxy tcp player:any -> edge:3128", "http tcp edge:any -> media:8080"}},
        {"type: mms-auto, from: player, to: media",
         {"control tcp player:any -> media:1755", "media udp media:1024-65535 -> player:1024-5000",
          "resend udp player:any -> media:1755 optional", "http tcp player:any -> media:80"}},
        {"type: mms-auto, from: player, to: media, proxy: { host: edge }",
         {"control tcp player:any -> media:1755", "media udp media:1024-65535 -> player:1024-5000",
          "resend udp player:any -> media:1755 optional", "proxy tcp player:any -> edge:3128",
          "http tcp edge:any -> media:80"}},
        {"type: msbd, from: media, to: studio, source: encoder", {"msbd tcp media:any -> studio:7007"}},
        {"type: msbd, from: media, to: studio, port: 65000", {"msbd tcp media:any -> studio:65000"}},
        {"type: msbd, from: edge, to: media, port: fallback", {"msbd tcp edge:any -> media:1024-5000"}},
        {"type: http-distribution, from: edge, to: media", {"http tcp edge:any -> media:80"}},
        {"type: multicast, from: media, to: player, group: 239.1.2.3, port: 8080",
         {"join igmp player:any -> 239.1.2.3:any", "media udp media:any -> 239.1.2.3:8080"}},
        {"type: dcom, from: studio, to: media, reserved_ports: 3001-3010 135",
         {"mapper tcp studio:any -> media:135", "object tcp studio:any -> media:3001-3010"}},
        {"type: dcom, from: studio, to: media, reserved_ports: 3001-3010, transport: udp",
         {"mapper udp studio:any -> media:135", "object udp studio:any -> media:3001-3010"}},
        {"type: encoder-alias, from: studio, to: media, alias: live, reserved_ports: 3001-3010, msbd_port: 7008",
         {"mapper tcp studio:any -> media:135", "object tcp studio:any -> media:3001-3010",
          "msbd tcp media:any -> studio:7008"}},
        {"type: probe, from: player, to: media, ports: 23", {"probe tcp player:any -> media:23"}},
        {"type: probe, from: player, to: media, protocol: udp, ports: 1023 5001",
         {"probe udp player:any -> media:1023 5001"}},
        {"type: command, from: player, to: media, run: [curl, x]", {}},
    }));
    DYNAMIC_SECTION(row.flow) {
        const auto loaded = load_flows("  - { id: x, " + row.flow + " }\n");
        REQUIRE(explain(loaded.problems) == "");
        std::vector<std::string> lines;
        for (const auto& leg : legs(loaded.scenario, instances(loaded.scenario).front())) lines.push_back(line(leg));
        CHECK(lines == row.legs);
    }
}

TEST_CASE("legs have the addresses of their hosts", "[catalogue]") {
    const auto scenario = good_flows(
        "  - { id: x, type: encoder-alias, from: studio, to: media, alias: live, reserved_ports: 3001 }\n"
        "  - { id: y, type: multicast, from: media, to: player, group: 239.1.2.3, port: 8080 }\n");
    const auto all = instances(scenario);
    const auto alias = legs(scenario, all[0]);
    CHECK(alias[2].source_address.text() == "10.10.0.10");
    CHECK(alias[2].destination_address.text() == "10.20.0.11");
    const auto station = legs(scenario, all[1]);
    CHECK(station[0].source_address.text() == "10.20.0.10");
    CHECK(station[1].destination_address.text() == "239.1.2.3");
}

TEST_CASE("the catalogue: names, order, options", "[catalogue]") {
    std::set<std::string_view> names;
    for (const auto& type : catalogue()) {
        CHECK(names.insert(type.name).second);
        CHECK(&spec(type.type) == &type);
        CHECK(spec(type.name) == &type);
        for (const auto* common : {"id", "type", "from", "to", "expect", "deadline"})
            CHECK(flow_option(common)->taken_by(type.type));
    }
    CHECK(names.size() == 11);
    CHECK(spec("mms") == nullptr);
    for (const auto& option : flow_options()) CHECK(flow_option(option.name) == &option);
    CHECK(flow_option("colour") == nullptr);
    CHECK(types_text(*flow_option("client_ports")) == "`mms-udp` and `mms-auto`");
}

TEST_CASE("which program speaks at which end", "[catalogue]") {
    const auto scenario = good_flows(
        "  - { id: a, type: mms-udp, from: player, to: media }\n"
        "  - { id: b, type: msbd, from: media, to: studio, source: encoder }\n"
        "  - { id: c, type: msbd, from: edge, to: media, source: server }\n"
        "  - { id: d, type: http-distribution, from: media, to: studio, source: encoder }\n"
        "  - { id: e, type: encoder-alias, from: studio, to: media, alias: live, reserved_ports: 3001 }\n"
        "  - { id: f, type: multicast, from: media, to: player, group: 239.1.2.3, port: 8080 }\n"
        "  - { id: g, type: command, from: player, to: media, run: [curl, x] }\n"
        "  - { id: h, type: command, from: player, to: real, run: [curl, x] }\n"
        "  - { id: i, type: probe, from: player, to: media, ports: 23 }\n",
        "  real: { zone: outside, address: 10.20.0.20, run: [httpd] }\n");
    const auto all = instances(scenario);
    const auto ends = [&](std::size_t i) {
        return std::string{text(program_at(scenario, all[i], End::from))} + " " +
               std::string{text(program_at(scenario, all[i], End::to))};
    };
    CHECK(ends(0) == "client_sim server_sim");
    CHECK(ends(1) == "server_sim encoder_sim");
    CHECK(ends(2) == "server_sim server_sim");
    CHECK(ends(3) == "server_sim encoder_sim");
    CHECK(ends(4) == "encoder_sim server_sim");
    CHECK(ends(5) == "server_sim client_sim");
    CHECK(ends(6) == "none server_sim");
    CHECK(ends(7) == "none none");
    CHECK(ends(8) == "client_sim server_sim");
    CHECK(program_at(scenario, all[0], End::proxy) == Program::none);
}

TEST_CASE("the rollover's transports, in the order in which they are tried", "[catalogue]") {
    const auto scenario = good_flows(
        "  - { id: a, type: mms-auto, from: player, to: media }\n"
        "  - { id: b, type: mms-auto, from: player, to: media, proxy: { host: edge } }\n"
        "  - { id: c, type: mms-udp, from: player, to: media }\n"
        "  - { id: d, type: http, from: player, to: media, proxy: { host: edge } }\n"
        "  - { id: e, type: dcom, from: studio, to: media, reserved_ports: 3001, transport: udp }\n"
        "  - { id: f, type: probe, from: player, to: media, ports: 23 }\n");
    const auto words = [&](std::size_t i) {
        std::string all;
        for (const auto& transport : transports(scenario.flows[i])) {
            all += std::string{transport.name} + ":";
            for (const auto leg : transport.legs) all += " " + std::string{leg};
            all += "; ";
        }
        return all;
    };
    CHECK(words(0) == "udp: control media resend; tcp: control; http: http; ");
    CHECK(words(1) == "udp: control media resend; tcp: control; http-proxy: proxy http; ");
    CHECK(words(2) == "udp: control media resend; ");
    CHECK(words(3) == "http-proxy: proxy http; ");
    CHECK(words(4) == "udp: mapper object; ");
    CHECK(words(5) == ": probe; ");
}
