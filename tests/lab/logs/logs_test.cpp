#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <random>

#include "lab/logs/attribution.hpp"
#include "lab/logs/log.hpp"
#include "tests/catch.hpp"
#include "tests/fuzz/replay.hpp"

extern "C" int device_log_fuzz(const std::uint8_t* data, std::size_t size);

using namespace wmlab;
using namespace wmlab::lab;
using namespace std::chrono_literals;
using logs::Entry;
using Time = std::chrono::sys_time<std::chrono::nanoseconds>;

namespace {

const Time run_start = Time{std::chrono::sys_days{std::chrono::year{2026} / 11 / 30}} + 8h;

struct Packet {
    std::string protocol;
    std::string source, destination;
    unsigned source_port = 0, destination_port = 0;
    bool denied = true;
    std::string rule;  // the device's own name for it
};

std::string dashed(Time time) {
    return fmt::format("{:%Y-%m-%d %H:%M:%S}", std::chrono::floor<std::chrono::seconds>(time));
}
std::string month(Time time) {
    return fmt::format("{:%b %d %H:%M:%S}", std::chrono::floor<std::chrono::seconds>(time));
}
std::string upper(std::string text) {
    for (auto& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
}
unsigned number(const std::string& protocol) { return protocol == "tcp" ? 6 : 17; }

// A device: what it writes about a packet, in our own words after the vendor's reference of messages, and what a rule
// of it is called in a report.
struct Device {
    std::string format;
    std::function<std::string(const Packet&, Time)> line;
    std::function<std::string(const std::string& rule, const Packet&)> named;
    std::string pattern = {};
};

std::vector<Device> devices() {
    const auto quoted = [](std::string before) {
        return [before](const std::string& rule, const Packet&) { return before + rule; };
    };
    return {
        {"asa",
         [](const Packet& p, Time t) {
             const auto head = fmt::format(
                 "{} fw : ", fmt::format("{:%b %d %Y %H:%M:%S}", std::chrono::floor<std::chrono::seconds>(t)));
             if (p.denied)
                 return head + fmt::format(
                                   "%ASA-4-106023: Deny {} src outside:{}/{} dst inside:{}/{} by access-group \"{}\" "
                                   "[0x0, 0x0]",
                                   p.protocol, p.source, p.source_port, p.destination, p.destination_port, p.rule);
             return head + fmt::format("%ASA-6-106100: access-list {} permitted {} outside/{}({}) -> inside/{}({}) hit-cnt 1 first hit [0x1, 0x0]", p.rule,
                                       p.protocol, p.source, p.source_port, p.destination, p.destination_port);
         },
         [](const std::string& rule, const Packet& p) { return p.denied ? "access-group \"" + rule + "\"" : "access-list " + rule; }},
        {"pan-os",
         [](const Packet& p, Time t) {
             const auto at = fmt::format("{:%Y/%m/%d %H:%M:%S}", std::chrono::floor<std::chrono::seconds>(t));
             return fmt::format(
                 "<14>{} fw 1,{},007051000000001,TRAFFIC,{},2049,{},{},{},0.0.0.0,0.0.0.0,{},,,incomplete,vsys1,untrust,trust,ethernet1/1,ethernet1/2,default,{},1234,1,{},{},0,0,0x0,{},{},60,60,0,1",
                 month(t), at, p.denied ? "drop" : "start", at, p.source, p.destination, p.rule, at, p.source_port, p.destination_port, p.protocol,
                 p.denied ? "deny" : "allow");
         },
         quoted("")},
        {"fortios",
         [](const Packet& p, Time t) {
             return fmt::format(
                 "date={:%Y-%m-%d} time={:%H:%M:%S} devname=\"fw\" type=\"traffic\" subtype=\"forward\" srcip={} srcport={} srcintf=\"port1\" dstip={} dstport={} dstintf=\"port2\" proto={} action=\"{}\" policyid={} service=\"x\"",
                 std::chrono::floor<std::chrono::seconds>(t), std::chrono::floor<std::chrono::seconds>(t), p.source, p.source_port, p.destination,
                 p.destination_port, number(p.protocol), p.denied ? "deny" : "accept", p.rule);
         },
         quoted("policyid=")},
        {"junos",
         [](const Packet& p, Time t) {
             if (p.denied)
                 return fmt::format(
                     "{} srx RT_FLOW: RT_FLOW_SESSION_DENY: session denied {}/{}->{}/{} 0x0 None {}(0) {} untrust trust UNKNOWN UNKNOWN N/A(N/A) ge-0/0/0.0 No Denied by policy",
                     month(t), p.source, p.source_port, p.destination, p.destination_port, number(p.protocol), p.rule);
             return fmt::format(
                 "{0} srx RT_FLOW: RT_FLOW_SESSION_CREATE: session created {1}/{2}->{3}/{4} 0x0 None {1}/{2}->{3}/{4} 0x0 N/A N/A N/A N/A {5} {6} untrust trust 77 N/A(N/A) ge-0/0/0.0",
                 month(t), p.source, p.source_port, p.destination, p.destination_port, number(p.protocol), p.rule);
         },
         quoted("policy ")},
        {"pf",
         [](const Packet& p, Time t) {
             return fmt::format("{}.250000 rule {}/0(match): {} in on em0: {}.{} > {}.{}: {}", dashed(t), p.rule,
                                p.denied ? "block" : "pass", p.source, p.source_port, p.destination, p.destination_port,
                                p.protocol == "tcp" ? "Flags [S], seq 1, win 64240, length 0" : "UDP, length 100");
         },
         [](const std::string& rule, const Packet&) { return "rule " + rule + "/0"; }},
        {"opnsense",
         [](const Packet& p, Time t) {
             return fmt::format(
                 "<134>1 {:%Y-%m-%dT%H:%M:%S}+00:00 fw filterlog 77 - [meta sequenceId=\"1\"] {},,,{},em0,match,{},in,4,0x0,,63,1,0,DF,{},{},60,{},{},{},{},0,S,1,,64240,,mss",
                 std::chrono::floor<std::chrono::seconds>(t), p.rule, "b1" + p.rule, p.denied ? "block" : "pass", number(p.protocol), p.protocol, p.source,
                 p.destination, p.source_port, p.destination_port);
         },
         [](const std::string& rule, const Packet&) { return "rule " + rule + " (b1" + rule + ")"; }},
        {"iptables",
         [](const Packet& p, Time t) {
             return fmt::format(
                 "{} fw kernel: [  123.456789] {} {}: IN=outside OUT=inside MAC=00 SRC={} DST={} LEN=60 TTL=63 ID=1 DF PROTO={} SPT={} DPT={} WINDOW=64240 RES=0x00 SYN URGP=0",
                 month(t), p.denied ? "DROP" : "ACCEPT", p.rule, p.source, p.destination, upper(p.protocol), p.source_port, p.destination_port);
         },
         [](const std::string& rule, const Packet& p) { return std::string{"log prefix \""} + (p.denied ? "DROP " : "ACCEPT ") + rule + ":\""; }},
        {"nft",
         [](const Packet& p, Time t) {
             return fmt::format("{:%Y-%m-%dT%H:%M:%S}.5+00:00 fw kernel: {}-{} IN=outside OUT=inside SRC={} DST={} LEN=60 PROTO={} SPT={} DPT={} ",
                                std::chrono::floor<std::chrono::seconds>(t), p.denied ? "reject" : "accept", p.rule, p.source, p.destination, upper(p.protocol),
                                p.source_port, p.destination_port);
         },
         [](const std::string& rule, const Packet& p) { return std::string{"log prefix \""} + (p.denied ? "reject-" : "accept-") + rule + "\""; }},
        {"windows",
         [](const Packet& p, Time t) {
             return fmt::format("{} {} {} {} {} {} {} 60 S 1 0 8192 - - - RECEIVE", dashed(t),
                                p.denied ? "DROP" : "ALLOW", upper(p.protocol), p.source, p.destination, p.source_port,
                                p.destination_port);
         },
         [](const std::string&, const Packet& p) { return std::string{p.denied ? "DROP" : "ALLOW"} + " RECEIVE"; }},
        {"cisco-ios",
         [](const Packet& p, Time t) {
             return fmt::format("{} rtr 77: *{}.123: %SEC-6-IPACCESSLOGP: list {} {} {} {}({}) (GigabitEthernet0/1 0011.2233.4455) -> {}({}), 1 packet",
                                month(t), month(t), p.rule, p.denied ? "denied" : "permitted", p.protocol, p.source, p.source_port, p.destination,
                                p.destination_port);
         },
         quoted("list ")},
        {"regex",
         [](const Packet& p, Time t) {
             return fmt::format("{} box fwd act={} by={} {} {}:{} to {}:{}", dashed(t), p.denied ? "deny" : "allow",
                                p.rule, p.protocol, p.source, p.source_port, p.destination, p.destination_port);
         },
         quoted(""),
         R"(act=(?<action>\w+) by=(?<rule>\S+) (?<protocol>\w+) (?<source>[\d.]+):(?<source_port>\d+) to (?<destination>[\d.]+):(?<destination_port>\d+))"},
    };
}

struct World {
    Report report;
    std::vector<evidence::Event> events;
    std::vector<Packet> packets;  // one a flow
};

World world(unsigned flows, unsigned passing_every = 4) {
    World made;
    for (unsigned i = 0; i < flows; ++i) {
        Packet packet;
        packet.protocol = i % 3 == 0 ? "udp" : "tcp";
        packet.source = fmt::format("10.20.0.{}", 10 + i % 20);
        packet.destination = "10.10.0.10";
        packet.source_port = 40000 + i;
        packet.destination_port = i % 2 == 0 ? 1755 : 80;
        packet.denied = passing_every == 0 || i % passing_every != 0;
        packet.rule = std::to_string(100 + i % 7);
        FlowResult flow;
        flow.id = fmt::format("flow-{}", i);
        flow.from = "player", flow.to = "media";
        LegResult leg;
        leg.name = "control";
        leg.protocol = packet.protocol;
        leg.source = fmt::format("{}:{}", packet.source, packet.source_port);
        leg.destination = fmt::format("{}:{}", packet.destination, packet.destination_port);
        leg.verdict = flow.verdict = packet.denied ? Verdict::blocked : Verdict::pass;
        if (packet.denied) leg.cause = flow.cause = Cause::dropped, flow.leg = leg.name, leg.direction = "from->to";
        flow.legs.push_back(leg);
        made.report.flows.push_back(flow);
        evidence::Event event;
        event.event = evidence::What::connecting;
        event.host = "player", event.flow = flow.id, event.leg = "control";
        event.utc = std::chrono::time_point_cast<std::chrono::nanoseconds>(run_start + i * 37ms);
        made.events.push_back(event);
        event.utc += 3s;
        event.event = evidence::What::connect_failed;
        made.events.push_back(event);
        made.packets.push_back(packet);
    }
    return made;
}

struct Damage {
    std::chrono::nanoseconds offset = 5s;
    unsigned lost_percent = 10;
    bool shuffled = true;
};

// What the device writes: a line when a packet comes and one for each retry, some lost, in any order.
std::string written(const Device& device, const World& world, const Damage& damage, unsigned seed) {
    std::mt19937 random{seed};
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < world.packets.size(); ++i) {
        const auto at = run_start + i * 37ms + damage.offset;
        for (const auto later : {std::chrono::nanoseconds{0}, std::chrono::nanoseconds{1s}})
            if (random() % 100 >= damage.lost_percent) lines.push_back(device.line(world.packets[i], at + later));
        if (i % 10 == 0) lines.push_back(month(at) + " fw last message repeated 3 times");
    }
    if (damage.shuffled) std::ranges::shuffle(lines, random);
    std::string text;
    for (const auto& line : lines) text += line + "\n";
    return text;
}

scenario::DeviceLog log_of(const Device& device) {
    scenario::DeviceLog log;
    log.format = device.format;
    log.pattern = device.pattern;
    return log;
}

struct Count {
    unsigned named = 0, wrong = 0;
};
Count count(const Device& device, const World& world) {
    Count counted;
    for (std::size_t i = 0; i < world.packets.size(); ++i) {
        const auto& leg = world.report.flows[i].legs.front();
        if (!leg.rule) continue;
        ++counted.named;
        if (leg.rule->text != device.named(world.packets[i].rule, world.packets[i])) ++counted.wrong;
    }
    return counted;
}

}  // namespace

TEST_CASE("device logs: of 100 flows 95 are named and none wrongly, whatever the clock, the order and the losses",
          "[logs]") {
    for (const auto& device : devices())
        for (const auto offset : std::initializer_list<std::chrono::nanoseconds>{5s, -5s, 0s, 7200s, -39600s})
            for (unsigned seed = 1; seed <= 3; ++seed) {
                auto made = world(100);
                const auto before = made.report;
                const auto text = written(device, made, {offset, 10, true}, seed);
                const auto log = logs::read_log(log_of(device), text, run_start);
                logs::attribute(made.report, made.events, log, "fw.log");
                const auto counted = count(device, made);
                INFO(device.format << " offset " << offset / 1s << " s, seed " << seed << "\n" << text.substr(0, 600));
                for (const auto& note : made.report.notes) UNSCOPED_INFO(note);
                CHECK(counted.named >= 95);
                CHECK(counted.wrong == 0);
                // Never a verdict.
                for (std::size_t i = 0; i < before.flows.size(); ++i) {
                    CHECK(made.report.flows[i].verdict == before.flows[i].verdict);
                    CHECK(made.report.flows[i].cause == before.flows[i].cause);
                    CHECK(made.report.flows[i].legs.front().verdict == before.flows[i].legs.front().verdict);
                }
            }
}

TEST_CASE("device logs: where nothing passed, what was stopped tells the clock", "[logs]") {
    for (const auto& device : devices()) {
        auto made = world(100, 0);
        logs::attribute(made.report, made.events,
                        logs::read_log(log_of(device), written(device, made, {3600s, 10, true}, 5), run_start),
                        "fw.log");
        INFO(device.format);
        CHECK(count(device, made).named >= 95);
        CHECK(count(device, made).wrong == 0);
    }
}

TEST_CASE("device logs: another day's log, another run's lines and two rules name nothing", "[logs]") {
    for (const auto& device : devices()) {
        INFO(device.format);
        auto made = world(20);
        logs::attribute(made.report, made.events,
                        logs::read_log(log_of(device),
                                       written(device, made, {-std::chrono::nanoseconds{24h}, 0, false}, 1), run_start),
                        "fw.log");
        CHECK(count(device, made).named == 0);
        CHECK_FALSE(made.report.notes.empty());

        // The same ports five minutes before, by other rules, and this run's own lines.
        auto twice = world(20);
        auto earlier = twice;
        for (auto& packet : earlier.packets) packet.rule = "666";
        const auto text = written(device, earlier, {-300s, 0, false}, 1) + written(device, twice, {0s, 0, false}, 1);
        logs::attribute(twice.report, twice.events, logs::read_log(log_of(device), text, run_start), "fw.log");
        CHECK(count(device, twice).wrong == 0);

        // Two rules for every packet: which is it?
        if (device.format == "windows") continue;  // it has no names
        auto both = world(20);
        auto others = both;
        for (auto& packet : others.packets) packet.rule = "666";
        const auto mixed = written(device, both, {0s, 0, false}, 1) + written(device, others, {0s, 0, false}, 1);
        logs::attribute(both.report, both.events, logs::read_log(log_of(device), mixed, run_start), "fw.log");
        CHECK(count(device, both).named == 0);
    }
}

TEST_CASE("device logs: a format that is not the log's is told, and names nothing", "[logs]") {
    const auto all = devices();
    for (const auto& wrote : all)
        for (const auto& read : all) {
            const bool alike = wrote.format == read.format || (wrote.format == "iptables" && read.format == "nft") ||
                               (wrote.format == "nft" && read.format == "iptables") ||
                               (wrote.format == "opnsense" && read.format == "pf");
            if (alike) continue;
            INFO(wrote.format << " read as " << read.format);
            auto made = world(10);
            const auto text = written(wrote, made, {0s, 0, false}, 1);
            logs::attribute(made.report, made.events, logs::read_log(log_of(read), text, run_start), "fw.log");
            CHECK(count(read, made).named == 0);
            CHECK_FALSE(made.report.notes.empty());
        }
}

TEST_CASE("device logs: messages before and after translation, and those about connections that are none", "[logs]") {
    const auto built = logs::read_asa(
        "%ASA-6-302013: Built inbound TCP connection 17 for outside:10.20.0.10/1217 (10.20.0.10/1217) to inside:10.10.0.10/1755 (192.0.2.5/1755)");
    REQUIRE(built);
    CHECK(built->action == Entry::Action::build);
    CHECK(built->source == logs::End{"10.20.0.10", 1217});
    REQUIRE(built->destination_as);
    CHECK(*built->destination_as == logs::End{"192.0.2.5", 1755});
    const auto outbound = logs::read_asa(
        "%ASA-6-302013: Built outbound TCP connection 18 for outside:10.20.0.11/7007 (10.20.0.11/7007) to inside:10.10.0.10/4000 (192.0.2.5/4001)");
    REQUIRE(outbound);
    CHECK(outbound->source == logs::End{"10.10.0.10", 4000});
    REQUIRE(outbound->source_as);
    CHECK(*outbound->source_as == logs::End{"192.0.2.5", 4001});
    const auto stray = logs::read_asa("%ASA-6-106015: Deny TCP (no connection) from 10.20.0.10/1217 to 10.10.0.10/1755 flags RST on interface outside");
    REQUIRE(stray);
    CHECK(stray->stray);
    const auto structured = logs::read_junos(
        "<14>1 2026-11-30T08:00:00.1Z srx RT_FLOW - RT_FLOW_SESSION_DENY [junos@2636.1.1.1.2.40 source-address=\"10.20.0.10\" "
        "source-port=\"1217\" destination-address=\"10.10.0.10\" destination-port=\"1755\" protocol-id=\"6\" "
        "policy-name=\"deny-all\"]");
    REQUIRE(structured);
    CHECK(structured->rule == "policy deny-all");
    CHECK(structured->protocol == "tcp");
    const auto zone =
        logs::read_cisco_ios("%FW-6-DROP_PKT: Dropping tcp session 10.20.0.10:1217 10.10.0.10:1755 on zone-pair out-in class class-default due to policy");
    REQUIRE(zone);
    CHECK(zone->rule == "zone-pair out-in class class-default");
}

TEST_CASE("device logs: times as devices write them", "[logs]") {
    for (const auto* text : {"2026-11-30 08:00:00 x", "2026/11/30 08:00:00 x", "<14>1 2026-11-30T08:00:00.000+02:00 x",
                             "Nov 30 08:00:00 fw x", "Nov 30 2026 08:00:00: x", "date=2026-11-30 time=08:00:00 x"}) {
        INFO(text);
        const auto time = logs::time_of(text, 2026);
        REQUIRE(time);
        CHECK(*time == run_start);
    }
    CHECK_FALSE(logs::time_of("Nov 31 08:00:00 fw", 2026));
    CHECK_FALSE(logs::time_of("no time at all in here", 2026));
    CHECK_FALSE(logs::time_of("2026-11-30 25:00:00 x", 2026));
}

TEST_CASE("device logs: a pattern that is none is told", "[logs]") {
    scenario::DeviceLog device;
    device.format = "regex";
    for (const auto* pattern : {"", "(?<rule>x", "(?<rule>x)(?<source>y)", "(?<rule>(?<source>(?<destination>"}) {
        device.pattern = pattern;
        CHECK_FALSE(logs::read_log(device, "x\n", run_start).problem.empty());
    }
    // One that would take for ever ends.
    device.pattern = "(?<rule>(a+)+)(?<source>b)(?<destination>c)";
    CHECK(logs::read_log(device, std::string(5000, 'a') + "\n", run_start).understood == 0);
}

TEST_CASE("device logs: what was fuzzed stays mended", "[logs]") {
    CHECK(wmlab::tests::replay("device_log", device_log_fuzz) > 5);
}
