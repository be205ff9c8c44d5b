#include "lab/commands/run_evidence.hpp"

#include <algorithm>

#include "lab/audit/accepted.hpp"

namespace wmlab::lab::commands {

void add_swept(Comparison& comparison, const SweptChange& swept, const scenario::Scenario& scenario) {
    const auto& found = swept.found;
    comparison.opened = found.opened, comparison.closed = found.closed;
    comparison.tried = found.tried, comparison.not_tried = found.not_tried, comparison.notes = found.notes;
    comparison.seconds = found.seconds;
    for (const auto* list : {&scenario.accepted, &scenario.allow_open})
        for (auto& entry : accept(comparison.opened, *list, swept.day))
            if (entry.why == Unused::Why::expired) comparison.notes.push_back(std::move(entry.sentence));
    if (swept.allow_open)
        for (auto& opened : comparison.opened)
            if (opened.accepted.empty()) opened.accepted = "--allow-open";
}

Proof proof_of(const Report& report) {
    Proof proof;
    proof.patch = report.patch;
    for (const auto& flow : report.flows)
        if (flow.suggestion_proven) proof.flows[flow.id] = *flow.suggestion_proven;
    return proof;
}

void add_proof(Report& report, const Proof& proof) {
    report.patch = proof.patch;
    for (auto& flow : report.flows)
        if (const auto found = proof.flows.find(flow.id); found != proof.flows.end()) flow.suggestion_proven = found->second;
}

}  // namespace wmlab::lab::commands
