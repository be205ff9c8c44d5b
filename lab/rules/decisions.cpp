#include "lab/rules/decisions.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "common/evidence/fields.hpp"
#include "lab/rules/endpoints.hpp"
#include "lab/rules/json_fields.hpp"
#include "lab/rules/rule_fields.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
using evidence::Event;

namespace {

bool whole(const Tuple& tuple) {  // with both ports
    return tuple.source.find(':') != std::string_view::npos && tuple.destination.find(':') != std::string_view::npos;
}

std::string key(std::string_view protocol, std::string_view source, std::string_view destination) {
    std::string all{protocol};
    all.append(" ").append(source).append(" ").append(destination);
    return all;
}

}  // namespace

bool between(const json::object& packet, std::string_view source, std::string_view destination) {
    return fits(source, text_at(packet, field::source)) && (destination.empty() || fits(destination, text_at(packet, field::destination)));
}

void Decisions::take(const Event& event) {
    if (event.fields.if_contains(field::own)) return;
    add(event, event.fields);
    if (const auto* as = object_at(event.fields, field::as)) add(event, *as);
}

std::vector<const Event*> Decisions::near(const Tuple& tuple) const {
    std::vector<const Event*> found;
    const auto take = [&](const Index& index, std::string_view source, std::string_view destination) {
        const auto entry = index.find(key(tuple.protocol, source, destination));
        if (entry != index.end()) found.insert(found.end(), entry->second.begin(), entry->second.end());
    };
    if (whole(tuple)) {
        take(exact_, tuple.source, tuple.destination);
        take(portless_, address_of(tuple.source), address_of(tuple.destination));
    } else if (tuple.source.empty() || tuple.destination.empty()) {
        found = all_;
    } else {
        take(hosts_, address_of(tuple.source), address_of(tuple.destination));
    }
    std::ranges::sort(found);
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

void Decisions::add(const Event& event, const json::object& packet) {
    const auto protocol = text_at(event.fields, field::protocol);
    const auto source = text_at(packet, field::source), destination = text_at(packet, field::destination);
    const bool ports = source.find(':') != std::string::npos && destination.find(':') != std::string::npos;
    (ports ? exact_[key(protocol, source, destination)] : portless_[key(protocol, address_of(source), address_of(destination))]).push_back(&event);
    hosts_[key(protocol, address_of(source), address_of(destination))].push_back(&event);
    all_.push_back(&event);
}

const Event* decision_for(const Decisions& decisions, const Tuple& tuple, evidence::Fate fate, std::string_view with) {
    const Event* best = nullptr;
    for (const auto* event : decisions.near(tuple)) {
        const auto& f = event->fields;
        if (evidence::fate_of(*event) != fate || text_at(f, field::protocol) != tuple.protocol) continue;
        if (!with.empty() && !f.contains(with)) continue;
        // An answer to a translated address has its own one back only where the ruleset sees it.
        const auto* as = fate == evidence::Fate::dropped && whole(tuple) ? object_at(f, field::as) : nullptr;
        if (!between(f, tuple.source, tuple.destination) && !(as && between(*as, tuple.source, tuple.destination))) continue;
        if (!tuple.box.empty() && text_at(f, field::box) != tuple.box) continue;
        if (!tuple.out.empty() && !text_at(f, field::out).empty() && text_at(f, field::out) != tuple.out) continue;
        const auto better = [&] {
            // What an end sent when it gave up stopped nothing.
            const bool late = f.contains(field::reset), best_late = best->fields.contains(field::reset);
            if (late != best_late) return best_late;
            if (fate == evidence::Fate::dropped) return number_at(f, field::packets) > number_at(best->fields, field::packets);
            return number_at(f, field::first) < number_at(best->fields, field::first);
        };
        if (!best || better()) best = event;
    }
    return best;
}

}  // namespace wmlab::lab::rules
