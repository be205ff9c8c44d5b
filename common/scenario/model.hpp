// A scenario as its YAML file says it, validated (loader.hpp) and with defaults filled in. Plain data.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/scenario/verdict.hpp"

namespace wmlab::scenario {

using std::chrono::milliseconds;

struct Ipv4 {  // host byte order
    std::uint32_t value = 0;
    static std::optional<Ipv4> from(std::string_view text);
    std::string text() const;
    auto operator<=>(const Ipv4&) const = default;
};

struct Subnet {
    Ipv4 network;
    unsigned prefix = 24;
    static std::optional<Subnet> from(std::string_view text);  // the host bits must be zero
    bool contains(Ipv4 address) const;
    Ipv4 broadcast() const;
    std::string text() const;
    auto operator<=>(const Subnet&) const = default;
};

struct PortRange {  // both ends included
    std::uint16_t first = 0, last = 0;
    bool contains(std::uint16_t port) const { return first <= port && port <= last; }
    unsigned size() const { return unsigned{last} - first + 1; }
    static std::optional<PortRange> from(std::string_view text);  // "7007" or "1024-5000"; 1 to 65535
    std::string text() const;                                     // "7007" or "1024-5000"
    auto operator<=>(const PortRange&) const = default;
};
using PortList = std::vector<PortRange>;
inline PortList one(std::uint16_t port) { return {{port, port}}; }
std::string text(const PortList& ports);  // "3001-3010 135"

const std::vector<Subnet>& networks_not_public();
bool is_public(Ipv4 address);  // neither of a private network nor special; those for documentation count as public

enum class Protocol { tcp, udp, igmp };
std::string_view text(Protocol protocol);

struct Sample {  // an address from which `anyone` of a zone is played
    Ipv4 address;
    std::string stands_for{};  // in words: addresses that no rule tells from it; empty: not known
};

struct Zone {
    std::string name;
    Subnet subnet;
    std::string interface;   // the name the ruleset under test uses for the firewall's interface in this zone
    Ipv4 gateway;            // the firewall's address; .1 of the subnet unless gateway: says else
    bool igmp_lost = false;  // `igmp: lost`: the zone's switch keeps multicast, IGMP included, from the firewall
    // What other zones can route to. Neither is given: all but hosts that are `published`.
    std::optional<bool> is_private{};    // `private`: true: nothing, false: everything
    std::vector<Subnet> reachable{};     // `reachable`: only these; a single address is a /32
    std::vector<Sample> samples{};       // `samples`
};

struct Host {
    std::string name, zone;
    Ipv4 address;
    bool asked = false;               // `address: auto`, and its machine has not said yet which it is
    std::vector<std::string> run;     // a real program to run on the host (a proxy ...), empty: none
    std::vector<std::string> launch;  // command prefix by which the host is reached, empty: built-in lab
    // By zone, the address by which that zone reaches it, where the firewall translates; "": every other zone.
    std::map<std::string, Ipv4, std::less<>> published{};
    bool sample = false;  // made for `anyone`, not one of `hosts:`

    std::optional<Ipv4> published_to(std::string_view from_zone) const;  // nothing: it is known by its own address
    bool published_at(Ipv4 known_as) const;
};

struct Content {  // also the name of the publishing point on every server
    enum class Kind { audio, file };
    std::string name;
    Kind kind = Kind::audio;
    unsigned bitrate = 64000;    // bit/s of media, synthetic only
    milliseconds duration{0};    // synthetic: 0 is live, otherwise stored content of that length
    std::filesystem::path file;  // absolute
};

enum class FlowType {
    mms_udp,
    mms_tcp,
    http,
    mms_auto,
    msbd,
    http_distribution,
    multicast,
    dcom,
    encoder_alias,
    probe,
    command
};

enum class Source { encoder, server };  // msbd, http-distribution: who serves
struct MsbdPort {
    bool fallback = false;  // 7007 is taken: a random port in 1024-5000
    std::uint16_t port = 7007;
};
struct Proxy {
    std::string host;
    std::uint16_t port = 3128;
};

struct Expectation {                 // every part given must match
    std::optional<Verdict> verdict;  // the loader makes an omitted `expect` into pass
    std::optional<std::string> leg;
    std::optional<Cause> cause;
    std::optional<std::string> transport;
    struct Line {
        std::string file;
        unsigned line = 0;
    };
    std::optional<Line> rule;                // that decides; the file's name may be the end of a path
    std::optional<Ipv4> seen_as;             // the address from which the far end sees the first leg come
    std::optional<double> loss;              // below this part of the packets, 0..1
    std::optional<milliseconds> setup_p95;   // 95 of 100 instances of the flow are set up in less
};

struct Anyone {  // of `from: anyone@ZONE`: one of the hosts that it is played from
    std::string host, zone;
    Sample sample;
};

struct Load {              // that many players come one after another, and then stay together
    milliseconds ramp{0};  // over which they come; Flow::count says how many they are, Flow::play how long all of them play
};

struct Flow {  // one entry of `flows`; options that its type does not take are refused by the loader
    std::string id;
    FlowType type = FlowType::mms_tcp;
    std::vector<std::string> from, to;
    std::vector<Anyone> anyone{};  // those of `from` that stand for any address of a zone
    std::string content;  // of that name; or the name of a flow whose pull brings it (feeder())
    Expectation expect;
    milliseconds deadline{3000}, play{1000};
    milliseconds idle{0};   // mms-udp, mms-tcp: how long the stream is paused in its midst; 0: not at all
    double max_loss = 0.0;  // part of the packets that may be lost, 0..1
    unsigned count = 1;
    std::optional<Load> load{};  // mms-udp, mms-tcp, http, mms-auto

    PortRange client_ports{1024, 5000};  // mms-udp, mms-auto: the player's UDP port
    std::uint16_t port = 0;              // http, http-distribution (80), multicast
    std::optional<Proxy> proxy;          // http, mms-auto
    Source source = Source::server;      // msbd, http-distribution
    MsbdPort msbd_port;                  // msbd (`port`), encoder-alias (`msbd_port`)
    Ipv4 group;                          // multicast
    unsigned ttl = 5;                    // multicast
    unsigned igmp_version = 3;           // multicast
    unsigned processes = 1;              // dcom
    Protocol transport = Protocol::tcp;  // dcom
    PortList reserved_ports;             // dcom, encoder-alias; from `reserved_ports` or `registry`
    std::filesystem::path registry;
    std::string alias;                  // encoder-alias
    Protocol protocol = Protocol::tcp;  // probe
    PortList ports;                     // probe
    std::vector<std::string> run;       // command

    unsigned line = 0;                            // of the scenario file, from 1
    const Anyone* anyone_at(std::string_view host) const;  // null: the scenario names this host
    std::vector<std::string> tags{};              // for --tag and the table of many sites: "site=lyon"
    std::string tag(std::string_view key) const;  // the value of the first tag `key=value`; empty: none
};

struct MulticastRouteRule {  // which streams the firewall's multicast router takes from one zone to others
    std::string from;
    std::vector<std::string> to;
    std::vector<Subnet> groups;  // one group is a /32
};

struct DeviceLog {                     // where the firewall's own log is read, for the names of its rules
    std::string format;                // "asa"; one of device_log_formats()
    std::string pattern;               // of the format `regex`
    std::filesystem::path file;        // absolute; or
    std::vector<std::string> command;  // what prints it (ssh fw tail -F ...); or
    std::string listen;                // "udp://192.0.2.1:5514": what it is sent to
    bool empty() const { return format.empty(); }
};

struct FurtherInterface {  // of the gateway; no zone of the scenario is behind it
    std::string name;
    std::optional<Ipv4> address;  // with the subnet below
    Subnet subnet;
};

struct DefaultRoute {  // where the gateway sends what it has no other route for; nobody is there unless a host is named
    enum class To { nowhere, none, zone } to = To::nowhere;  // nowhere: out of an interface of its own
    std::string zone;
    std::optional<Ipv4> gateway;  // in the zone
};

struct Side {  // of a firewall, in a zone
    std::string zone, interface;
    Ipv4 address;
};

struct Firewall {
    std::filesystem::path ruleset;  // absolute; empty: forwards everything
    // What the real gateway has besides rules and zones.
    std::vector<std::pair<std::string, std::string>> sysctls;  // "net/ipv4/ip_forward" and its value
    DefaultRoute default_route;
    std::vector<FurtherInterface> interfaces;
    std::vector<std::filesystem::path> include_path;                  // absolute
    std::vector<std::string> users, groups;                           // that rules name
    std::vector<std::pair<std::string, Ipv4>> names;                  // of hosts that rules name
    std::optional<std::vector<MulticastRouteRule>> multicast_routes;  // absent: whatever the flows need
    std::vector<std::string> launch{};  // command prefix by which it is joined where it is a machine; empty: it is not
    DeviceLog log{};
    std::vector<std::string> apply{};  // how the gateway gets a new ruleset; empty: all at once (Incident::Manner)
    // Of `firewalls:`; see boxes.hpp.
    std::string name{"firewall"};
    std::vector<Side> sides{};
    std::vector<std::pair<std::string, std::string>> routes{};  // zone, and the next firewall on the way there
};

// An entry of `events:`: what is done to the lab while the flows run.
struct Incident {
    enum class Kind { reload, flush_conntrack, link, kill, restart, block, sysctl };
    enum class Manner { at_once, flush_first, program };  // how a ruleset is loaded
    enum class Wish { none, untouched, survived };         // what flows that run are to come to
    Kind kind = Kind::reload;
    milliseconds at{0};              // after the flows were told to start
    std::filesystem::path ruleset{};  // reload: absolute
    Manner manner = Manner::at_once;
    std::vector<std::string> program{};  // with {ruleset}
    std::string subject{};  // link: the zone; kill, restart: the host; block: what it matches; sysctl: "net/ipv4/ip_forward"
    std::string value{};    // sysctl
    milliseconds lasts{0};  // link, block; 0: to the end
    Wish expect = Wish::none;
    unsigned line = 0;
};
std::string_view text(Incident::Kind kind);  // the key of the scenario file: "flush-conntrack"
// The manner that a word or a list of words stands for: `at-once`, `flush-first`, or a program.
void set_manner(Incident& incident, std::vector<std::string> apply);

// An opening that is known and accepted (`accepted:`), or that a change may make (`allow_open:`): all that is given must
// fit.
struct Accepted {
    std::string rule;        // a part of the rule's text, or FILE:LINE
    std::string from, to;    // a host, a zone, or an address as reports have it
    std::string protocol;    // "tcp", "udp", "icmp", "ip" ...
    PortList ports;          // all ports of the opening are among them
    std::string reason, until;  // "2027-03-31": the last day; empty: for good
    unsigned line = 0;
};

struct Scenario {
    std::string name;
    std::filesystem::path file;  // where it came from; "-" for standard input
    std::vector<Zone> zones;
    std::vector<Host> hosts;
    Firewall firewall;
    std::vector<Firewall> firewalls{};  // `firewalls:`; empty: there is one, `firewall`
    std::vector<Content> contents;
    std::vector<Flow> flows;
    std::vector<std::string> launch{};  // for hosts without one of their own, with {address}, {host}, {zone}
    std::vector<Accepted> accepted, allow_open;
    std::vector<Incident> events{};  // in order of time

    const Zone* zone(std::string_view name) const;
    const Host* host(std::string_view name) const;
    const Host* host_at(Ipv4 address) const;
    // Addresses of the zone by which hosts are published and that nobody else has: the zone's gateway answers for them.
    std::vector<Ipv4> published_in(const Zone& zone) const;
    const Zone* zone_of(Ipv4 address) const;  // also of a sample beyond its zone's subnet
    // The zone that has no end: where the default route goes, or else the only one with public addresses. Null: none has.
    const Zone* boundless() const;
    // Whether routers outside of the address's zone know a way to it, as on the real outside of a private network.
    bool routed(Ipv4 address, std::string_view from_zone) const;
    const Content* content(std::string_view name) const;
};

Scenario without_samples(Scenario scenario);  // without the hosts that are made for `anyone`

// One pair of hosts of one flow: what is run, judged and reported.
struct FlowInstance {
    // "station", "station[media->edge]" where a list has more than one, "load#17" with count, "web@203.0.113.7" and
    // "web[203.0.113.7->media]" for an address of `anyone`
    std::string id;
    const Flow* flow = nullptr;
    std::string from, to;
    unsigned copy = 1;  // of `count`, or of the players of a load
    // All players of a load from one host to another: "crowd", "crowd[anna->media]". Empty: the flow is none.
    std::string load() const;
    milliseconds starts() const;  // after the flows were told to start
    milliseconds plays() const;   // the players of a load play until the last one has had its time
};
std::vector<FlowInstance> instances(const Scenario& scenario);  // in the file's order

// The server that the flow's media comes from; empty: none does, or an encoder's.
std::vector<std::string> serving_hosts(const Flow& flow);
// The servers that a flow brings a stream to, which they offer by the flow's name. Empty: it brings none.
std::vector<std::string> fed_hosts(const Flow& flow);
// The instance that brings this one's content to its server; nothing: the server has the content.
std::optional<FlowInstance> feeder(const Scenario& scenario, const FlowInstance& instance);

}  // namespace wmlab::scenario
