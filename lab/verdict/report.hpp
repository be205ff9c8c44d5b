// What a run found: the contract of the JSON report (schema wmlab.report/1) as plain data. Filled by judge(), printed
// by lab/report. Nothing here knows sockets, namespaces or the clock.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"

namespace wmlab::lab {

using scenario::Cause;
using scenario::says_nothing;
using scenario::Verdict;

// The rule of the user's file that decided; filled by rule attribution after judging, absent where it is not known.
struct RuleRef {
    std::string file;
    unsigned line = 0;
    std::string text, chain;  // "policy drop", "inet filter forward"
    std::string via = {};     // "rules.v4:212": the rule that led to its chain, where packets come to it from others
    std::string box = {};     // of several firewalls the one whose rule it is
};
struct NearMiss {  // the rule that almost matched
    RuleRef rule;
    std::string differs;  // "destination port 5000 is above 4999"
};

struct Icmp {  // a destination-unreachable message that ended something
    unsigned type = 3, code = 0;
    std::string from;  // address of the sender of the ICMP message
    std::string name;  // "firewall (outside)", "media"; the address where nobody is known by it
};

// Why no verdict about the firewall is possible. text() gives the stable code: `wmlab explain not-listening`.
enum class Reason {
    no_journal,          // a process that takes part left no journal
    not_ready,           // a process never said that it is ready
    process_died,        // a process ended without having been told to
    journal_incomplete,  // lines or the end of a journal are missing
    not_listening,       // the port was not bound at the far end
    not_tried,           // the leg was never used
    no_outcome,          // the opening end does not say how it ended
    not_sent,            // nothing left the sending host
    host_silent,         // packets arrived at the far host, which did not answer or whose program did not see them
    control_failed,      // the same flow does not work with the firewall open either
    control_missing,     // the flow was not run with the firewall open although that lab was built
    lab_broken,          // the lab itself did not stand
    contradiction,       // what the two ends say does not fit together
    overloaded,          // the machine, not the firewall, was the limit
};
std::string_view text(Reason reason);

// What became of a leg's packets, in each direction.
struct Ledger {
    struct Lane {
        std::string direction;  // "from->to"
        std::uint64_t left = 0, arrived = 0, changed = 0, dropped = 0;
        // IP id and TCP sequence of those that left and did not arrive: how the kernel's trace knows them.
        std::vector<std::pair<std::uint16_t, std::uint32_t>> lost;
    } there, back;
    bool complete = false;
    std::string unknown;  // why it is not complete
};

struct LegResult {
    std::string name, protocol;                 // "media", "udp"
    std::string source, destination;            // "10.10.0.10:1755" as the sending end sees them; a port may be missing
    std::string source_seen, destination_seen;  // the same as the receiving end sees them, where that differs (NAT)
    bool optional = false;
    Verdict verdict = Verdict::inconclusive;
    std::optional<Cause> cause;
    std::optional<Reason> reason;  // inconclusive only
    std::string direction;         // "from->to": the packets that were stopped; empty where unknown
    std::string box;               // of several firewalls the one that stopped them; empty: not known, or there is one
    std::string other_way;         // the other direction does not pass that one, but this: it sees half of the connection
    bool no_state = false;         // for want of the other half it did not know the connection, and stopped it
    bool certain = false;          // stopped by what no ruleset changes: needs no positive control
    std::optional<double> milliseconds;
    std::optional<Icmp> icmp;
    std::optional<Ledger> ledger;
    std::string explanation;            // sentences; empty for a leg that simply worked
    std::vector<std::string> evidence;  // one sentence for each thing that both ends and both wires say
    std::optional<RuleRef> rule;        // also for passing legs: the rule that accepted
    std::optional<NearMiss> near_miss;
};

struct Media {
    std::uint64_t packets_sent = 0, packets_received = 0, bytes_received = 0;
    double loss = 0;  // 0..1 of the packets sent while the receiver was there
    std::uint64_t duplicates = 0, damaged = 0;
    std::optional<double> longest_gap{};  // milliseconds
    std::uint64_t lost = 0;               // packets
    std::uint64_t gaps = 0;               // times that the receiver had nothing more to play
    std::optional<double> jitter{};       // milliseconds (RFC 3550)
};

struct Attempt {  // one transport of the player's rollover
    std::string transport;
    Verdict verdict = Verdict::inconclusive;
    std::string leg, explanation;
    std::optional<Cause> cause;
    std::optional<Reason> reason;
    std::vector<LegResult> legs;
};

struct Suggestion {
    std::string dialect, rule;  // "nft"
    std::string file;           // of the ruleset, and the line before which it belongs; 0 unknown
    unsigned line = 0;
    std::string chain{}, command{};  // "inet filter forward"; how it is written there: rules::as_command()
    std::string bare{};          // the rule without the command
    std::string narrower{};      // the same for this flow's source alone, where `bare` is for everybody's packets
};

struct Patch {              // one change of the user's files that makes the flows pass (--suggest)
    std::string diff;       // unified, for `patch -p0`; empty: there is nothing to change, or nothing helps
    std::string directory;  // where patch is to be run; empty: here
    unsigned rules = 0;
    bool proven = false;             // the flows it is for pass with it, and no other flow does worse
    std::vector<std::string> flows;  // that it is for
    std::vector<std::string> notes;
};

// What an entry of the scenario's `events:` did to a flow, told from the account of its packets.
enum class Impact {
    untouched,    // no packet lost, nothing came late
    lost,         // packets lost, and the rest came without a stop
    interrupted,  // nothing came for a time, then the same connection went on
    resumed,      // the program opened another connection and went on
    rolled_over,  // the player went on over another transport
    died,         // nothing came any more
    opened,       // it began afterwards, and works
    stopped,      // it began afterwards, and does not work
};
std::string_view text(Impact impact);  // "rolled-over"

struct Effect {
    std::size_t incident = 0;  // index into Report::incidents
    Impact impact = Impact::untouched;
    std::uint64_t lost = 0;     // packets that left a wire after it, and before the next one, and never arrived
    std::uint64_t slipped = 0;  // that came through while no rules were loaded, though the rules before or after stop them
    double interrupted = 0;     // ms, the longest time in which nothing came
    std::string leg;            // where most was lost, or the interruption was the longest
    std::string transport;      // rolled_over: to which
    bool complete = true;       // every packet is accounted for
    bool as_expected = true;
};

// A stream that was paused in its midst (`idle`).
struct Idle {
    enum class Outcome {
        not_reached,  // it ended before
        survived,     // it went on
        died,         // it did not go on
        unknown,
    } outcome = Outcome::not_reached;
    double seconds = 0, played = 0;  // that it was to last, and that it lasted here
    double divisor = 1;              // by which it and the firewall's time-outs were divided
    std::string leg;                 // died: whose packets no longer passed; empty: not known
    std::string time_out;            // died: "nf_conntrack_udp_timeout", by which the firewall forgot the connection; empty: none did, or not known
    double time_out_seconds = 0;     // its real value
    std::string words;               // a sentence or two
};
std::string_view text(Idle::Outcome outcome);  // "survived"

// An entry of `events:` as it was done.
struct Happening {
    double at = 0, took = 0;  // seconds after the flows were told to start; ms
    std::string kind, what;   // "reload", "reload of new.nft, all at once"
    std::string problem;      // it could not be done, or not as a whole
    std::string expect;       // "untouched", "survived"; empty: nothing
};

struct FromAnyone {
    std::string flow, zone;  // of the scenario
    std::string address, stands_for;  // of the sample, and in words what no rule tells from it; may be empty
};

struct FlowResult {
    std::string id, type, from, to;
    std::optional<FromAnyone> anyone{};  // one address of `from: anyone@ZONE`
    Verdict verdict = Verdict::inconclusive;
    bool as_expected = false;
    scenario::Expectation expected;
    std::vector<std::string> unmet;  // sentences: what was measured and is not as expected (rule, address, loss, time)
    std::string leg;  // where it stopped, or which leg is degraded; empty for a plain pass
    std::optional<Cause> cause;
    std::optional<Reason> reason;
    bool certain = false;  // as of the leg that decided
    std::string because;   // not_tested: the flow it depends on
    std::string direction, transport;
    std::string box{};  // as of the leg that decided
    std::optional<Icmp> icmp;
    std::optional<RuleRef> rule;
    std::optional<NearMiss> near_miss;
    std::vector<Suggestion> suggestions;
    std::string change;                     // what must be changed, where no further rule would help
    std::optional<bool> suggestion_proven;  // run again with the suggested rules: it passes
    bool by_proxy = false;                  // a proxy's or cache's own doing, which an open firewall does not change
    std::string explanation;
    std::vector<LegResult> legs;
    std::optional<Media> media;
    std::vector<Attempt> attempts;     // mms-auto
    std::optional<scenario::PortList> open_ports;  // probe: at which something arrived
    std::vector<std::string> retries;  // "control: tried again after 3000 ms of silence"
    std::vector<std::string> notes;    // translation seen, resend not exercised ...
    unsigned line = 0;                 // of the scenario file
    std::optional<double> seconds;     // from its start to its end, where the journals tell
    std::optional<Idle> idle{};        // of a flow with a pause
    std::string load{};                // whose player it is; empty: of none
    std::optional<double> setup{};     // a player's: ms from its beginning to the first packet of media
    std::vector<Effect> effects;       // of the scenario's `events:`, in their order
};

// The players of one load together.
struct Percentiles {
    double p50 = 0, p95 = 0, p99 = 0;
};
struct LoadResult {
    std::string load, type, from, to;  // "crowd", "crowd[anna->media]"
    unsigned players = 0, set_up = 0, worked = 0;
    double ramp = 0, duration = 0;                  // s
    std::optional<Percentiles> setup{}, jitter{};   // ms; of those that were set up
    std::optional<double> setup_p95{};              // of all; nothing: fewer than 95 of 100 were set up
    std::uint64_t packets = 0, lost = 0, gaps = 0;  // packets that came
    double loss = 0, gaps_per_second = 0;           // 0..1; of all players together
    struct Second {
        double at = 0, seconds = 0;  // from the beginning of the load
        unsigned set_up = 0, playing = 0;
        std::uint64_t packets = 0, lost = 0, gaps = 0;
        double jitter = 0;  // the worst player's
    };
    std::vector<Second> seconds{};
    // What the firewall did.
    std::uint64_t withheld = 0;  // packets that left a wire and did not reach the other, TCP's that were sent again included
    struct Dropped {
        RuleRef rule;
        std::uint64_t packets = 0;
        unsigned players = 0;
    };
    std::vector<Dropped> dropped{};  // by rule, filled by rule attribution
    // What the machine did.
    std::optional<double> busy{}, late{};   // the worst second: part of all processors, 0..1; ms that an event loop was late
    std::uint64_t skipped = 0, unsent = 0;  // packets that the server did not make in time, that its kernel did not take
    unsigned unread = 0;                    // players whose packets came to their wire and not to their program
    enum class Limit { none, firewall, machine } limit = Limit::none;
};

struct Summary {
    unsigned flows = 0, as_expected = 0, unexpected = 0, inconclusive = 0;
    double seconds = 0;
};

// What packets can do through a firewall or, `hook` input and output, to and from it: of the rules' making, whether a
// flow needs it or not. Neighbouring ports, types and addresses with the same answer are one.
struct Opened {
    std::string family = "ipv4", hook = "forward";  // "ipv6"; "input", "output": the firewall's own
    std::string box;                                // of several firewalls the one through which
    std::string from_zone, to_zone;
    std::vector<std::string> from, to;        // hosts, "anyone" of the zone, addresses
    std::string protocol;                     // "tcp", "udp", "icmp", "icmpv6", "ip" (others, by number)
    std::vector<scenario::PortRange> ports;   // destination ports; of icmp types, of ip the protocols' numbers
    std::string condition;                    // "from port 53"; empty: none
    std::string leads_to;                     // translated: "media:22"
    std::optional<RuleRef> rule, translated_by;  // that lets it through, that translates it
    std::optional<RuleRef> other;             // of a change: what decides on the other side
    std::vector<std::string> flows;           // that need it
    bool proven = true;                       // false: told from the rule alone, no packet of ours can meet it
    std::string accepted;                     // why it is accepted; empty: it is not
    bool counts() const { return flows.empty() && accepted.empty(); }
};

// A rule that asks for something no sweep goes through: a length, a mark, the time, a set that packets fill.
struct Conditional {
    RuleRef rule;
    std::string condition, could_open;
    std::optional<bool> proven;  // by one packet made to meet it: it came through or not; nothing: none can be made
    std::string accepted;
};

struct Picture;  // lab/verdict/picture.hpp: what the html report draws

// What a change of the rules did to a flow (--baseline).
enum class Change { broken, worse, newly_open, newly_closed, repaired, better, unchanged, unknown };
std::string_view text(Change change);  // "broken", "newly_open"

struct FlowChange {
    std::string id;
    Change change = Change::unknown;
    std::string before, after;  // "pass", "blocked at media: dropped"
    bool as_expected = false;   // what it is now
    std::vector<std::string> differences{};  // "transport udp -> http"
    std::string note{};                    // "decided by chance or count: ..."
    bool chance = false;                   // it may be: loss and time are never twice the same
    bool explained = false;                // the scenario expects just this
    std::optional<RuleRef> by{};           // the rule that made it worse, where known
    std::optional<RuleRef> rule_before{};  // that stopped it before the change
};
// The change while it is made (--live): what each flow that was running noticed.
struct Live {
    Happening happening;
    struct Noticed {
        std::string id;
        Effect effect;
    };
    std::vector<Noticed> flows;
    std::vector<std::string> notes;
};
struct Comparison {
    std::string ruleset;  // the old one
    std::vector<FlowChange> flows;
    std::shared_ptr<const Picture> picture{};  // of the run before the change; may be missing
    std::vector<Opened> opened{}, closed{};
    std::vector<std::string> tried{}, not_tried{}, notes{};  // of the sweep of both rulesets
    double seconds = 0;                                // it took
    std::optional<Live> live{};
};

// What a rule of the user's ruleset did (--coverage; lab/rules/coverage).
enum class Use { needed, hit, never };
constexpr std::string_view text(Use use) {
    return use == Use::needed ? "needed" : use == Use::hit ? "hit" : "never hit";
}
struct RuleUse {
    RuleRef rule;
    std::uint64_t packets = 0;       // traced
    std::vector<std::string> flows;  // that need it
    Use use() const { return !flows.empty() ? Use::needed : packets > 0 ? Use::hit : Use::never; }
};

// When, with what and on what a report came to be: by which somebody else can do it again.
struct Hashed {
    std::string name, sha256;  // the file as the user named it, or the content's name
};
struct Identity {
    std::string when;                   // UTC, "2026-11-24T16:31:32Z"; of the start
    std::string version, commit;        // of wmlab; commit empty: built from no repository
    std::string kernel, nft, iptables;  // "6.1.0-18-amd64", "1.0.6"; empty: there is none
    std::string machine;                // "x86_64, virtual machine"
    std::string lab;                    // where the hosts are: "built-in", "attached", "machines", "journals"
    std::optional<Hashed> scenario;     // empty: it came by a pipe that cannot be read again
    std::vector<Hashed> rulesets;       // with what they include; of --baseline too
    std::vector<Hashed> contents;       // files are hashed, synthetic ones by what makes them
};

struct Report {
    std::string scenario, file, ruleset;  // the scenario's name, its file; ruleset empty: forwards everything
    Summary summary;
    std::vector<FlowResult> flows;
    std::vector<std::string> notes;  // about the whole run
    std::optional<Comparison> baseline;
    std::optional<std::vector<RuleUse>> coverage;
    Identity identity;
    std::shared_ptr<const Picture> picture;  // may be missing
    std::optional<Patch> patch;
    std::vector<Happening> incidents;  // the scenario's `events:`
    std::vector<LoadResult> loads{};
};

}  // namespace wmlab::lab
