#include "lab/rules/near_miss.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "lab/rules/deciders.hpp"
#include "lab/rules/json_fields.hpp"
#include "lab/rules/reach.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
namespace {

using Outcome = Condition::Result;

using Kind = Difference::Kind;

struct Candidate {
    const Rule* rule;
    enum class By { condition, untold, order } by;
    std::vector<Difference> differs;  // of several it is one or the other
    unsigned fits;                    // selective conditions that hold
    Subject subject = Subject::unknown;
    std::uint32_t distance = 0;  // of ports
};
using By = Candidate::By;

// The packet as it would look going the other way to the same port.
Packet other_way_to_port(Packet packet) {
    std::swap(packet.in, packet.out);
    std::swap(packet.source, packet.destination);
    return packet;
}

bool is_selective(const Condition& c) { return c.selective && c.result == Outcome::yes; }

bool by_interface(const Condition& c) { return is_interface(c.subject); }

bool leads_to_accept(const Ruleset& ruleset, const Rule& rule, const Packet& packet, unsigned depth = 0);

unsigned fitting(const Comparison& comparison) {
    unsigned fits = 0;
    for (const auto& c : comparison.conditions) fits += c.others + (is_selective(c) ? 1 : 0);
    return fits;
}

// Nothing that holds tells more than where the packet comes from and goes to.
bool by_interface_only(const Comparison& comparison) {
    return std::ranges::none_of(comparison.conditions,
                                [](const Condition& c) { return is_selective(c) && !by_interface(c); });
}

constexpr unsigned jumps_max = 4;

// Whether the chain certainly accepts the packet.
bool accepts_there(const Ruleset& ruleset, const ChainName& name, const Packet& packet, unsigned depth = 0) {
    const auto* chain = ruleset.chain(name);
    if (!chain || depth == jumps_max) return false;
    for (const auto index : chain->rules) {
        const auto& rule = ruleset.rules()[index];
        const auto comparison = compare(ruleset, rule, packet);
        if (comparison.count(Outcome::no) > 0) continue;
        if (!comparison.matches() || comparison.limited()) {
            if (has_effect(ruleset, rule)) return false;
            continue;
        }
        if (comparison.accepts || comparison.drops) return comparison.accepts && !comparison.drops;
        if (leads_to_accept(ruleset, rule, packet, depth + 1)) return true;
        if (has_effect(ruleset, rule)) return false;
    }
    return false;
}

bool leads_to_accept(const Ruleset& ruleset, const Rule& rule, const Packet& packet, unsigned depth) {
    return std::ranges::any_of(rule.expr, [&](const json::value& part) {
        const auto* object = part.if_object();
        for (const auto* word : {"jump", "goto"})
            if (const auto* body = object ? object_at(*object, word) : nullptr)
                return accepts_there(ruleset, {rule.chain.family, rule.chain.table, text_at(*body, "target")}, packet,
                                     depth);
        return false;
    });
}

// A rule the packet came by, of which everything holds that can be told: of the rest something did not hold.
std::optional<Candidate> untold(const Rule& rule, const Comparison& comparison) {
    constexpr unsigned open_max = 2;
    std::vector<Difference> differs;
    bool limited = false;
    for (const auto& c : comparison.conditions) {
        if (c.result != Outcome::unknown && c.subject != Subject::limit) continue;
        if (differs.size() == open_max || c.difference.kind == Kind::none) return std::nullopt;
        limited = limited || c.subject == Subject::limit;
        differs.push_back(c.difference);
    }
    const auto fits = fitting(comparison);
    if (differs.empty() || (fits == 0 && !limited)) return std::nullopt;
    return Candidate{&rule, By::untold, std::move(differs), fits};
}

// `far`: also where one port is meant and the packet's is far from it.
std::optional<Candidate> candidate_from(const Ruleset& ruleset, const Rule& rule, const Comparison& comparison, const Packet& packet, bool far) {
    if (!comparison.accepts || comparison.count(Outcome::unknown) > 0) return std::nullopt;
    Condition differs;
    for (const auto& c : comparison.conditions)
        if (c.result == Outcome::no) differs = c;
    const auto fits = fitting(comparison);
    if (comparison.count(Outcome::no) >= 2) {
        const auto other_way = compare(ruleset, rule, other_way_to_port(packet));
        if (!other_way.matches() || !other_way.accepts || by_interface_only(other_way)) return std::nullopt;
        return Candidate{&rule, By::condition, {{Kind::other_way, Subject::unknown, packet.out, packet.in}}, fits};
    }
    if (comparison.count(Outcome::no) != 1) return std::nullopt;
    // `ct state established accept` differs from every first packet: that says nothing. So does a bare port far away.
    if (differs.subject == Subject::connection_state) return std::nullopt;
    const bool port = is_port(differs.subject), near_port = port && differs.distance <= near_ports;
    if (fits == 0 && !near_port) return std::nullopt;
    // Nor does a rule that names nothing but interfaces, such as one for the traffic within a zone.
    if (by_interface(differs) && by_interface_only(comparison)) return std::nullopt;
    // A rule for one port says nothing about a port far from it; a set may well lack an element.
    const bool one_port = port && differs.difference.kind == Kind::wanted;
    if ((one_port || differs.far) && !near_port && !far) return std::nullopt;
    return Candidate{&rule, By::condition, {differs.difference}, fits, differs.subject, differs.distance};
}

// A walk through the chains as the packet took it, as far as that can be told.
struct Walk {
    const Ruleset& ruleset;
    const Packet& packet;
    const Rule* stop;
    bool passing;
    bool translating = false;  // what is looked for is another destination, not an accept
    bool stopped = false;  // `stop` is behind
    std::set<ChainName> visited = {};
    std::vector<Candidate> candidates = {};

    void rule(const Rule& rule, const Comparison& comparison, bool sure) {
        if (stopped && comparison.accepts && comparison.matches() && sure && fitting(comparison) > 0 &&
            !comparison.limited()) {
            candidates.push_back({&rule, By::order, {{Kind::behind}}, fitting(comparison)});
        } else if (passing) {
            return;
        } else if (!stopped && sure && comparison.accepts && comparison.count(Outcome::no) == 0) {
            if (const auto found = untold(rule, comparison)) candidates.push_back(*found);
        } else if (const auto found = candidate_from(ruleset, rule, comparison, packet, translating)) {
            candidates.push_back(*found);
        }
    }

    void chain(const ChainName& name, bool sure) {
        if (!visited.insert(name).second) return;
        const auto* chain = ruleset.chain(name);
        if (!chain) return;
        for (const auto index : chain->rules) {
            const auto& each = ruleset.rules()[index];
            if (&each == stop) {
                stopped = true;
                continue;
            }
            auto comparison = compare(ruleset, each, packet);
            if (translating)
                comparison.accepts = leads_elsewhere(each);
            else if (!comparison.accepts && !comparison.drops)
                comparison.accepts = leads_to_accept(ruleset, each, packet);
            rule(each, comparison, sure);
            if (comparison.count(Outcome::no) > 0) continue;
            bool away = false;  // the packet goes no further in this chain
            const auto follow = [&](const json::object& verdict, bool certain) {
                for (const auto* word : {"jump", "goto"})
                    if (const auto* body = object_at(verdict, word)) {
                        this->chain({name.family, name.table, text_at(*body, "target")}, sure && certain);
                        away = away || (certain && std::string_view{word} == "goto");
                    }
                away = away || (certain && verdict.contains("return"));
            };
            const bool certain = comparison.matches() && !comparison.limited();
            for (const auto& map : verdict_maps(ruleset, each))
                for (const auto& entry : map.entries)
                    if (!entry.verdict->contains("accept") && !entry.verdict->contains("drop") &&
                        compare_value(ruleset, each, *map.key, "==", *entry.key, packet).result != Outcome::no)
                        follow(*entry.verdict, certain);
            for (const auto& part : each.expr)
                if (const auto* object = part.if_object()) follow(*object, certain);
            if (away) return;
        }
    }
};

std::optional<NearMiss> nearest(std::vector<Candidate> candidates) {
    if (candidates.empty()) return std::nullopt;
    // A rule that holds and is not come to, or of which one condition did not hold that nothing can be said of; then a
    // port just beside what a rule allows, the likeliest slip of all; then the rule that agrees in most.
    const auto rank = [](const Candidate& c) { return static_cast<int>(c.by); };
    const auto beside = [](const Candidate& c) { return is_port(c.subject) && c.distance <= near_ports; };
    const auto nearer = [&](const Candidate& a, const Candidate& b) {
        if (rank(a) != rank(b)) return rank(a) > rank(b);
        if (a.by == By::order) return false;  // the first of them
        if (beside(a) != beside(b)) return beside(a);
        if (a.fits != b.fits) return a.fits > b.fits;
        return a.distance < b.distance;
    };
    std::ranges::stable_sort(candidates, nearer);
    if (candidates.size() > 1 && !nearer(candidates[0], candidates[1])) {
        // Two rules are equally near: only name one if they differ in the same way from the packet.
        if (candidates[0].differs != candidates[1].differs) return std::nullopt;
    }
    std::string differs;
    for (const auto& each : candidates[0].differs) differs += (differs.empty() ? "" : ", or ") + words(each);
    return NearMiss{candidates[0].rule, differs};
}

}  // namespace

std::optional<NearMiss> near_miss(const Ruleset& ruleset, const ChainName& chain, const Packet& packet, const Rule* stop, bool passing) {
    Walk walk{ruleset, packet, stop, passing};
    walk.chain(chain, true);
    auto& candidates = walk.candidates;
    if (stop && !walk.stopped)  // it was not followed to where it ended
        std::erase_if(candidates, [](const Candidate& c) { return c.by == By::untold; });
    return nearest(std::move(candidates));
}

std::optional<NearMiss> near_miss_of_translation(const Ruleset& ruleset, const Packet& arrived) {
    Walk walk{ruleset, arrived, nullptr, false};
    walk.translating = true;
    for (const auto& [name, chain] : ruleset.chains())
        if (chain.type == "nat" && chain.hook == "prerouting") walk.chain(name, true);
    return nearest(std::move(walk.candidates));
}

}  // namespace wmlab::lab::rules
