#include "lab/tracer.hpp"

#include <system_error>

#include "lab/error.hpp"

namespace wmlab::lab {

Tracer::Tracer(const Namespace& firewall, const std::filesystem::path& ruleset)
    : ruleset_{read_ruleset(firewall, ruleset)} {
    try {
        const Entered inside{firewall};
        listener_ =
            std::make_unique<rules::TraceListener>([this](const rules::Decision& decision) { log_.add(decision); });
    } catch (const std::system_error& failure) {
        throw SetupFailed{"listen to the kernel's trace", failure.what()};
    }
    load_rules(firewall, rules::trace_table());
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
