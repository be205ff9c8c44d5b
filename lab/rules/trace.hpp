// The kernel's own word on which rule decided about a packet: nftables trace messages (NETLINK_NETFILTER, group
// NFNLGRP_NFTRACE) put together to packets, and packets summed up to decisions.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/evidence/trace.hpp"
#include "lab/rules/match.hpp"
#include "lab/rules/source.hpp"

namespace wmlab::lab::rules {

// The table that switches tracing on. It is loaded after the user's ruleset, into a table of its own, and changes no
// verdict. Above `packets_per_second` packets go untraced (and undisturbed): the listener must be able to follow. They
// are counted, by the counter `untraced` of that table.
std::string trace_table(unsigned packets_per_second = 4000);
// The same for rulesets with chains in the hooks ingress and egress, which lie outside of the ones above: a second
// table. Empty: `ruleset` has none.
std::string trace_edges(const Ruleset& ruleset, const std::vector<std::string>& interfaces);
bool has_egress(const Ruleset& ruleset);
inline constexpr std::string_view trace_table_name = "wmlab_trace";
inline constexpr unsigned trace_buffer_wanted =
    8 * 1024 * 1024;  // for messages not yet read; 4 MiB or less for ordinary users

struct TraceMessage {  // one netlink message, decoded
    std::uint32_t id = 0;
    ChainName chain;
    std::uint64_t handle = 0;  // 0: none
    enum class Type { other, policy, returned, rule } type = Type::other;
    enum class Verdict { none, drop, accept, proceed, jump, go_to, returned, queue } verdict = Verdict::none;
    std::string target;             // of a jump
    std::optional<Packet> packet;   // with headers only; interfaces by index
    std::uint16_t ip_id = 0;        // with headers only, as the three that follow
    std::uint32_t sequence = 0;     // TCP
    std::uint8_t ttl = 0;
    bool later_fragment = false;    // has no ports
    std::uint32_t in = 0, out = 0;  // interface indices
    std::optional<std::uint32_t> ct_state;
    bool reply = false;  // CT_DIRECTION
};
// `message` is one netlink message with its nlmsghdr. Nothing: not a trace message, or broken.
std::optional<TraceMessage> parse_trace(std::span<const std::byte> message);

// What became of a packet and who decided it.
struct Decision {
    Packet arrived;  // as it entered the firewall
    Packet packet;   // as it reached the deciding chain (after translation)
    std::uint16_t ip_id = 0;     // of the packet that arrived, as the wires' records have it
    std::uint32_t sequence = 0;  // the same, TCP
    bool later_fragment = false;
    using Fate = evidence::Fate;
    Fate fate = Fate::unfinished;
    bool by_policy = false;
    ChainName chain;           // of the decision
    std::uint64_t handle = 0;  // of the deciding rule
    struct Step {
        ChainName chain;
        std::uint64_t handle = 0;  // 0: the chain's policy
        bool accepts = false;
        TraceMessage::Verdict verdict = TraceMessage::Verdict::none;
        std::string target = {};  // of a jump or goto
    };
    std::vector<Step> steps;  // all rules that matched and policies that held, in order
    bool at_edge = false;     // has come no further than the hook ingress
    bool own = false;         // sent by the firewall itself (its ICMP errors, its RSTs)
    bool complete = true;     // false: messages were lost meanwhile; fate, steps and decider may be wrong
};

class TraceAssembler {
public:
    using Names = std::function<std::string(std::uint32_t index)>;
    // `egress`: a packet is through only when it has passed the hook egress.
    TraceAssembler(Names interface_name, std::function<void(const Decision&)> done, bool egress = false)
        : interface_name_{std::move(interface_name)}, done_{std::move(done)}, egress_{egress} {}
    void feed(const TraceMessage& message);
    void flush();  // what is still open is unfinished
    // Between doubt() and settle() messages may be missing anywhere: no packet that was open then is complete.
    void doubt();
    void settle();

private:
    void finish(std::uint32_t id, Decision::Fate fate);

    Names interface_name_;
    std::function<void(const Decision&)> done_;
    bool egress_;
    std::map<std::uint32_t, Decision> open_;
    bool doubt_ = false;
};

// Reads the trace of the network namespace the calling thread is in when the object is made, in a thread of its own.
class TraceListener {
public:
    // Throws std::system_error.
    explicit TraceListener(std::function<void(const Decision&)> done, bool egress = false,
                           unsigned buffer = trace_buffer_wanted);
    ~TraceListener();
    TraceListener(const TraceListener&) = delete;
    TraceListener& operator=(const TraceListener&) = delete;
    // Reads what has arrived, stops, and says whether messages were lost (then attribution is incomplete).
    bool stop_and_lost();
    // Returns when all that happened before the call has been told; packets still under way are told as unfinished.
    void settle();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace wmlab::lab::rules
