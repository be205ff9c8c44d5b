#include "lab/tracer.hpp"

#include <net/if.h>

#include <system_error>

#include "lab/error.hpp"

namespace wmlab::lab {
namespace {

std::vector<std::string> interfaces_of(const Namespace& firewall) {
    const Entered inside{firewall};
    std::vector<std::string> names;
    auto* const all = ::if_nameindex();
    if (all == nullptr) return names;
    for (const auto* one = all; one->if_index != 0; ++one)
        if (std::string_view{one->if_name} != "lo") names.emplace_back(one->if_name);
    ::if_freenameindex(all);
    return names;
}

}  // namespace

Tracer::Tracer(const Namespace& firewall, const std::filesystem::path& ruleset)
    : ruleset_{read_ruleset(firewall, ruleset)} {
    try {
        const Entered inside{firewall};
        listener_ = std::make_unique<rules::TraceListener>(
            [this](const rules::Decision& decision) { log_.add(decision); }, rules::has_egress(ruleset_));
    } catch (const std::system_error& failure) {
        throw SetupFailed{"listen to the kernel's trace", failure.what()};
    }
    load_rules(firewall, rules::trace_table());
    if (const auto edges = rules::trace_edges(ruleset_, interfaces_of(firewall)); !edges.empty())
        load_rules(firewall, edges);
}

std::vector<evidence::Event> Tracer::finish(bool every_rule) {
    const bool lost = listener_->stop_and_lost();
    auto events = log_.take(ruleset_, every_rule);
    if (lost) {
        evidence::Event event;
        event.event = evidence::What::trace;
        event.fields["lost"] = true;
        events.push_back(std::move(event));
    }
    return events;
}

}  // namespace wmlab::lab
