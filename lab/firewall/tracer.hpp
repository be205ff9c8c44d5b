// Watches the firewall's kernel decide, for as long as it lives, and says at the end which rule of the user's file
// decided what. The user's ruleset stays as it is: tracing is switched on by a table of its own, loaded beside it.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "common/evidence/event.hpp"
#include "common/scenario/model.hpp"
#include "lab/firewall/kernel_rules.hpp"
#include "lab/rules/decision_log.hpp"
#include "lab/rules/trace.hpp"

namespace wmlab::lab {

// Loads the tables of rules/trace.hpp, for this ruleset. SetupFailed.
void switch_trace_on(const Namespace& firewall, const rules::Ruleset& ruleset, unsigned packets_per_second = 4000);

// The packets that began something at the scenario's `firewall`, as its own interfaces saw them.
std::vector<rules::Packet> arrivals(const scenario::Scenario& scenario, std::span<const evidence::Event> events);

class Tracer {
public:
    // `ruleset` has been loaded into the firewall. SetupFailed: this system cannot trace; flows are judged all the
    // same.
    // `buffer`: of messages the kernel has written and this has not read yet, in bytes.
    // `seen`: called with each decision, on the listener's thread.
    Tracer(const Namespace& firewall, const std::filesystem::path& ruleset,
           unsigned buffer = rules::trace_buffer_wanted, std::function<void(const rules::Decision&)> seen = {},
           rules::IncludePath include_path = {});
    const rules::Ruleset& ruleset() const { return ruleset_; }
    // What happened before the call belongs to the waves before, what happens now to this one.
    void begin_wave(std::size_t wave);
    // Another ruleset has been loaded: what happened before the call is told by the old one's rules, what happens from
    // now on by this one's. Packets between the loading and the call are not traced. SetupFailed.
    void reloaded(const std::filesystem::path& ruleset);
    // The `trace` events of all that happened before this call; the last ones say so where messages were lost, or
    // packets went untraced. Once. `every_rule`: DecisionLog::take(). `arrivals`: for Counted.
    std::vector<evidence::Event> finish(bool every_rule, std::vector<rules::Packet> arrivals = {});

private:
    const Namespace& firewall_;
    std::filesystem::path file_;
    rules::IncludePath include_path_;
    rules::Ruleset ruleset_;
    rules::DecisionLog log_;
    std::function<void(const rules::Decision&)> seen_;
    std::unique_ptr<rules::TraceListener> listener_;
    std::vector<evidence::Event> earlier_;  // by rulesets that were loaded before
};

}  // namespace wmlab::lab
