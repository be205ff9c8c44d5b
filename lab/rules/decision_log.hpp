// The summary of the kernel's decisions as `trace` events, made where the firewall is.
#pragma once
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/evidence/event.hpp"
#include "lab/rules/ruleset.hpp"
#include "lab/rules/trace.hpp"

namespace wmlab::lab::rules {

// By what packets are explained that the trace has lost track of, where it leaves no doubt.
struct Counted {
    const Ruleset& ruleset;        // read again at the end: its rules' own counters
    std::vector<Packet> arrivals;  // at the firewall's interfaces; `out` is the one its destination is behind
};

// Sums decisions up by the packet's addresses and ports, what became of it and who decided. add() may be called on the
// listener's thread.
class DecisionLog {
public:
    struct Row {
        Decision decision;
        std::uint64_t packets = 0;
        std::size_t wave = 0;
        std::vector<std::pair<std::uint16_t, std::uint32_t>> each;  // dropped: IP id and TCP sequence
        std::set<std::pair<ChainName, std::uint64_t>> matched;      // rules, by any of the packets
        std::chrono::nanoseconds first{}, last{};
    };
    using Rows = std::map<std::string, Row>;
    using Hits = std::map<std::pair<ChainName, std::uint64_t>, std::uint64_t>;

    void add(const Decision& decision);
    // What is added from now on belongs to this wave of flows.
    void begin_wave(std::size_t wave);
    // One `trace` event a row (docs/journal.md), each rule with its place in the user's file and, where a policy or a
    // catch-all dropped, the rule that almost matched.
    // `every_rule`: for coverage(), also one event with all `rules` and their packets, and in each row the `steps`, the
    // indices of those by whose effect it came to this.
    std::vector<evidence::Event> take(const Ruleset& ruleset, bool every_rule = false,
                                      const Counted* counted = nullptr);

private:
    std::mutex mutex_;
    Rows rows_;
    Hits hits_;
    std::size_t wave_ = 0, listed_ = 0;
};

}  // namespace wmlab::lab::rules
