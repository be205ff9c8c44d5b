// Watches the firewall's kernel decide, for as long as it lives, and says at the end which rule of the user's file
// decided what. The user's ruleset stays as it is: tracing is switched on by a table of its own, loaded beside it.
#pragma once
#include <filesystem>
#include <memory>
#include <vector>

#include "common/evidence/event.hpp"
#include "lab/firewall_rules.hpp"
#include "lab/rules/attribution.hpp"
#include "lab/rules/trace.hpp"

namespace wmlab::lab {

class Tracer {
public:
    // `ruleset` has been loaded into the firewall. SetupFailed: this system cannot trace; flows are judged all the
    // same.
    Tracer(const Namespace& firewall, const std::filesystem::path& ruleset);
    // The `trace` events of all that happened before this call; the last one says so where messages were lost. Once.
    // `every_rule`: DecisionLog::take().
    std::vector<evidence::Event> finish(bool every_rule);

private:
    rules::Ruleset ruleset_;
    rules::DecisionLog log_;
    std::unique_ptr<rules::TraceListener> listener_;
};

}  // namespace wmlab::lab
