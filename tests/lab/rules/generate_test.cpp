#include "lab/rules/generate.hpp"

#include "common/scenario/loader.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::lab::rules;

namespace {

scenario::Scenario site() {
    auto loaded = scenario::load(R"(
version: 1
name: site
zones:
  inside:  { subnet: 10.10.0.0/24, interface: fw-in }
  outside: { subnet: 10.20.0.0/24, interface: fw-out }
hosts:
  media:  { zone: inside,  address: 10.10.0.10 }
  edge:   { zone: inside,  address: 10.10.0.11 }
  player: { zone: outside, address: 10.20.0.10 }
content:
  lecture: { synthetic: audio }
defaults: { content: lecture }
flows:
  - { id: u, type: mms-udp, from: player, to: media }
  - { id: t, type: mms-tcp, from: player, to: media }
  - { id: local, type: mms-tcp, from: edge, to: media }
  - { id: shut, type: probe, from: player, to: media, protocol: tcp, ports: 23, expect: blocked }
  - { id: range, type: probe, from: player, to: media, protocol: tcp, ports: 1700-1800 }
  - { id: station, type: multicast, from: media, to: player, group: 239.1.2.3, port: 8080 }
)",
                                 "site.yaml", "/", scenario::Files::not_checked);
    for (const auto& problem : loaded.problems) UNSCOPED_INFO(scenario::explain(problem));
    REQUIRE(loaded.ok());
    return loaded.scenario;
}

}  // namespace

TEST_CASE("needs: one row for each pair of hosts and protocol, nothing that stays inside a zone or must be shut",
          "[rules]") {
    const auto found = needs(site());
    std::vector<std::string> rows;
    for (const auto& need : found.needs)
        rows.push_back(need.source + " " + need.destination + " " + std::string{text(need.protocol)} + " " +
                       ports_text(need.ports, "-", ","));
    CHECK(rows.size() == 4);
    CHECK(rows[0] == "player media tcp 1700-1800");
    CHECK(flows_text(found.needs[0]) == "u control, t control, range probe");
    CHECK(rows[1] == "media player udp 1024-5000");
    CHECK(rows[2] == "player media udp 1755");
    CHECK(found.needs[3].destination_address.text() == "239.1.2.3");
    REQUIRE(found.notes.size() == 1);
    CHECK(found.notes[0].find("IGMP") != std::string::npos);
    REQUIRE(found.memberships.size() == 1);
    CHECK(found.memberships[0].host == "player");
}

TEST_CASE("a rollover needs the transport it is to play over, and without one the first", "[rules]") {
    struct Row {
        std::string name, expect;
        std::vector<std::string> needed, perhaps;
    };
    const auto row = GENERATE(values<Row>({
        {"http", "{ verdict: pass, transport: http }", {"r http"}, {}},
        {"tcp", "{ verdict: pass, transport: tcp }", {"r control"}, {}},
        {"none", "pass", {"r control", "r media", "r resend"}, {"r http"}},
    }));
    CAPTURE(row.name);
    auto loaded = scenario::load(R"(
version: 1
name: site
zones:
  inside:  { subnet: 10.10.0.0/24, interface: fw-in }
  outside: { subnet: 10.20.0.0/24, interface: fw-out }
hosts:
  media:  { zone: inside,  address: 10.10.0.10 }
  player: { zone: outside, address: 10.20.0.10 }
content: { lecture: { synthetic: audio } }
defaults: { content: lecture }
flows:
  - { id: r, type: mms-auto, from: player, to: media, expect: )" +
                                     row.expect + " }\n",
                                 "site.yaml", "/", scenario::Files::not_checked);
    REQUIRE(loaded.ok());
    const auto found = needs(loaded.scenario);
    const auto flows = [](const std::vector<Need>& list) {
        std::vector<std::string> all;
        for (const auto& need : list) all.push_back(flows_text(need));
        return all;
    };
    CHECK(flows(found.needs) == row.needed);
    CHECK(flows(found.alternatives) == row.perhaps);
}

TEST_CASE("each dialect says the same needs", "[rules]") {
    const auto scenario = site();
    struct Row {
        std::string dialect, contains;
    };
    const auto row = GENERATE(values<Row>({
        {"nft",
         "iifname \"fw-in\" oifname \"fw-out\" ip saddr 10.10.0.10 ip daddr 10.20.0.10 udp dport 1024-5000 accept"},
        {"nft", "ct state established,related accept"},
        {"iptables",
         "-A FORWARD -i fw-in -o fw-out -s 10.10.0.10/32 -d 10.20.0.10/32 -p udp -m udp --dport 1024:5000 -j ACCEPT"},
        {"asa", "access-list wmlab_fw-in extended permit udp host 10.10.0.10 host 10.20.0.10 range 1024 5000"},
        {"asa", "access-group wmlab_fw-out in interface fw-out"},
        {"pf", "pass quick on { $inside_if $outside_if } inet proto udp from 10.10.0.10 to 10.20.0.10 port 1024:5000 keep state"},
        {"netsh", "dir=in action=allow protocol=UDP localip=10.20.0.10 remoteip=10.10.0.10 localport=1024-5000"},
    }));
    DYNAMIC_SECTION(row.dialect << ": " << row.contains) {
        const auto text = generate(scenario, row.dialect);
        REQUIRE(text.has_value());
        INFO(*text);
        CHECK(text->find(row.contains) != std::string::npos);
    }
    CHECK_FALSE(generate(scenario, "checkpoint").has_value());
}

TEST_CASE("anyone of a zone is its subnet in every dialect, and of a zone without an end no address at all", "[rules]") {
    const auto loaded = [](const std::string& subnet) {
        auto read =
            scenario::load("version: 1\nzones:\n  inside: { subnet: 10.10.0.0/24, interface: fw-in }\n  outside: { subnet: " + subnet +
                               ", interface: fw-out }\nhosts:\n  media: { zone: inside, address: 10.10.0.10 }\ncontent: { lecture: { synthetic: audio } }\n"
                               "flows:\n  - { id: web, type: http, from: anyone@outside, to: media, content: lecture }\n",
                           "site.yaml", "/", scenario::Files::not_checked);
        CHECK(explain(read.problems) == "");
        return read.scenario;
    };
    struct Row {
        const char *dialect, *bounded, *endless;
    };
    const std::vector<Row> rows = {
        {"nft", "iifname \"fw-out\" oifname \"fw-in\" ip saddr 10.20.0.0/23 ip daddr 10.10.0.10 tcp dport 80 accept",
         "iifname \"fw-out\" oifname \"fw-in\" ip daddr 10.10.0.10 tcp dport 80 accept"},
        {"iptables", "-A FORWARD -i fw-out -o fw-in -s 10.20.0.0/23 -d 10.10.0.10/32 -p tcp -m tcp --dport 80 -j ACCEPT",
         "-A FORWARD -i fw-out -o fw-in -d 10.10.0.10/32 -p tcp -m tcp --dport 80 -j ACCEPT"},
        {"asa", "access-list wmlab_fw-out extended permit tcp 10.20.0.0 255.255.254.0 host 10.10.0.10 eq 80",
         "access-list wmlab_fw-out extended permit tcp any host 10.10.0.10 eq 80"},
        {"pf", "pass quick on { $outside_if $inside_if } inet proto tcp from 10.20.0.0/23 to 10.10.0.10 port 80 keep state",
         "pass quick on { $outside_if $inside_if } inet proto tcp from any to 10.10.0.10 port 80 keep state"},
        {"netsh", " dir=in action=allow protocol=TCP localip=10.10.0.10 remoteip=10.20.0.0/23 localport=80",
         " dir=in action=allow protocol=TCP localip=10.10.0.10 remoteip=any localport=80"},
    };
    for (const auto& row : rows)
        for (const bool endless : {false, true}) {
            const auto scenario = loaded(endless ? "203.0.113.0/24" : "10.20.0.0/23");
            const auto all = needs(scenario);
            REQUIRE(all.needs.size() == 1);
            const auto lines = letting_lines(scenario, row.dialect, all.needs[0]);
            const auto text = *generate(scenario, row.dialect);
            INFO(text);
            REQUIRE_FALSE(lines.empty());
            CHECK(lines.back().ends_with(endless ? row.endless : row.bounded));
            for (const auto& line : lines) CHECK(text.find(line + "\n") != std::string::npos);
            CHECK(text.find("dir=out") == std::string::npos);  // nobody's own firewall
        }
}

TEST_CASE("the lines that let a need through are those of the whole text, whatever hosts and flows are called", "[rules]") {
    const auto name = GENERATE(as<std::string>{}, "media", "established", "pass", "rem", "accept", "permit", "netsh");
    const auto dialect = GENERATE(from_range(dialect_names));
    DYNAMIC_SECTION(dialect << ", a host " << name) {
        const auto loaded = scenario::load(R"(
version: 1
name: site
zones:
  inside:  { subnet: 10.10.0.0/24, interface: established }
  outside: { subnet: 10.20.0.0/24, interface: accept }
hosts:
  )" + name + R"(:  { zone: inside,  address: 10.10.0.10 }
  player: { zone: outside, address: 10.20.0.10 }
content: { lecture: { synthetic: audio } }
defaults: { content: lecture }
flows:
  - { id: established, type: mms-udp, from: player, to: )" +
                                               name + R"(, client_ports: 1024-5000 }
  - { id: group, type: multicast, from: )" + name +
                                               R"(, to: player, group: 239.1.2.3, port: 8080 }
)",
                                           "site.yaml", "/", scenario::Files::not_checked);
        REQUIRE(loaded.ok());
        const auto text = *generate(loaded.scenario, dialect);
        const auto found = needs(loaded.scenario);
        REQUIRE_FALSE(found.needs.empty());
        for (const auto& need : found.needs) {
            const auto lines = letting_lines(loaded.scenario, dialect, need);
            INFO(flows_text(need) << "\n" << text);
            REQUIRE_FALSE(lines.empty());
            for (const auto& line : lines) {
                CHECK(text.find(line + "\n") != std::string::npos);
                CHECK(line.find("ESTABLISHED") == std::string::npos);
                CHECK(line.find("established,related") == std::string::npos);
            }
        }
    }
    CHECK(letting_lines({}, "checkpoint", {}).empty());
}
