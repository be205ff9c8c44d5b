#include "lab/audit/change.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "common/scenario/boxes.hpp"
#include "lab/audit/rows.hpp"
#include "lab/rules/past.hpp"

namespace wmlab::lab {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t traces_max = 3000;
constexpr double pasts_seconds_max = 20;
constexpr std::size_t asked_of_a_kind = 5;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct BothReasons {
    Reasons before, after;
};

// Of one ruleset: what becomes of a packet once one of its rules decides by what has come before.
struct Later {
    std::vector<rules::Limit> limits;  // that rule's
    bool opens = false;                // what is stopped at first; false: stops what is let through at first
    std::optional<std::size_t> rule;   // none: it takes several
    Outcome outcome;                   // then
    bool same(const Later& other) const { return limits == other.limits && opens == other.opens; }
};
using Place = std::pair<std::size_t, std::size_t>;  // phase and packet
using Laters = std::map<Place, std::vector<Later>>;

bool has(const std::vector<rules::Limit>& limits, rules::Limit::Sort sort) { return std::ranges::find(limits, sort, &rules::Limit::sort) != limits.end(); }

std::vector<rules::Limit> limits_of(const std::vector<Later>& all) {
    std::vector<rules::Limit> limits;
    for (const auto& one : all) limits.insert(limits.end(), one.limits.begin(), one.limits.end());
    std::ranges::sort(limits);
    return limits;
}

std::string condition_of(const std::vector<rules::Limit>& limits, bool goes, bool opens = false) {
    using enum rules::Limit::Sort;
    if (opens) return has(limits, set) ? "once earlier packets have filled a set" : has(limits, chance) ? "where chance is for it" : "once a limit is used up";
    const auto lets = goes ? "let through" : "lets through";
    if (has(limits, packets) || has(limits, bytes)) return fmt::format("more at once than a limit {}", lets);
    if (has(limits, connections)) return fmt::format("more connections at a time than a limit {}", lets);
    if (has(limits, quota)) return fmt::format("more in all than a quota {}", lets);
    if (has(limits, chance)) return goes ? "also where chance was against it" : "also where chance is against it";
    return goes ? "also once earlier packets have filled a set" : "once earlier packets have filled a set";
}

class ChangeSweep {
public:
    ChangeSweep(const scenario::Scenario& given, const std::filesystem::path& before, const std::filesystem::path& after, const Dimensions& dimensions)
        : scenario_{scenario::without_samples(given)},
          before_{scenario_, before},
          after_{scenario_, after},
          asked_{both_ask(given)},
          plan_{scenario_, asked_, dimensions, after_},
          needs_{given} {
        note_unsettled(before_, before_.settle()), note_unsettled(after_, after_.settle());
        old_ = explore(before_, plan_), now_ = explore(after_, plan_);
        // What no chain stops on either side is none of the rules' doing, also where a translation takes it away.
        for (const bool v6 : {false, true}) {
            const auto ruled = [&](std::string_view hook) { return filtered(before_.ruleset(), hook, v6) || filtered(after_.ruleset(), hook, v6); };
            input_[v6] = ruled("input"), output_[v6] = ruled("output");
        }
    }

    void tell(const Dimensions& dimensions, Comparison& comparison) {
        for (const auto& difference : differences()) tell_difference(difference);
        tell_limits(comparison);
        comparison.opened = told(std::move(opened_));
        comparison.closed = told(std::move(closed_));
        tell_conditions(asked_after_.odd, asked_before_.odd, comparison.opened);
        tell_conditions(asked_before_.odd, asked_after_.odd, comparison.closed);
        say_what_was_tried(dimensions, asked_, after_, asked_.filters_v6, {comparison.tried, comparison.not_tried, comparison.notes});
        if (unknown_ > 0) comparison.not_tried.push_back(fmt::format("{} crafted packets, which the lab lost", unknown_));
        for (const auto& rule : before_.listing() == after_.listing() ? std::set<std::string>{} : unsettled_)
            comparison.not_tried.push_back(asks_of_the_past(rule));
        if (plan_.reduced) comparison.notes.push_back("the rules name too much for every combination: what each rule asks for was tried by itself");
        comparison.seconds = since(start_);
    }

private:
    struct Difference {
        std::size_t phase, packet;
        bool opens;
    };

    Asked both_ask(const scenario::Scenario& given) {
        ask_for(before_.ruleset(), before_.listing(), asked_before_);
        ask_for(after_.ruleset(), after_.listing(), asked_after_);
        auto both = asked_after_;
        ask_for(before_.ruleset(), before_.listing(), both);  // neither can tell what is in one class
        split_by_needs(given, both);
        return both;
    }

    // Whether rules of either side have a say where this packet ends.
    bool ruled(const Crafted& packet, const Outcome& outcome) const {
        if (outcome.end == Outcome::End::local && !input_[packet.destination.v6]) return false;
        return packet.zone != firewall_itself || output_[packet.destination.v6];
    }

    template <class Each>
    void each_packet(const Each& each) const {
        for (std::size_t p = 0; p < plan_.phases.size(); ++p)
            for (std::size_t i = 0; i < plan_.phases[p].packets.size(); ++i) each(p, i);
    }

    // What differs also for plain packets is told of these.
    std::vector<Difference> differences() {
        std::set<std::tuple<unsigned, std::uint32_t, std::uint32_t, std::size_t, std::uint16_t, bool>> plainly;
        const auto key = [&](const Difference& d, std::size_t variant) {
            const auto& origin = plan_.phases[d.phase].origins[d.packet];
            return std::tuple{unsigned{plan_.phases[d.phase].packets[d.packet].zone}, origin.from, origin.to, variant, origin.ports, d.opens};
        };
        std::vector<Difference> all;
        each_packet([&](std::size_t p, std::size_t i) {
            const auto &was = old_[p][i], &is = now_[p][i];
            if (was.end == Outcome::End::unknown || is.end == Outcome::End::unknown) {
                ++unknown_;
                return;
            }
            if (was == is) return;
            for (const bool opens : {true, false}) {
                const auto& outcome = opens ? is : was;
                if (!outcome.open() || !ruled(plan_.phases[p].packets[i], outcome)) continue;
                const auto variant = plan_.phases[p].origins[i].variant;
                all.push_back({p, i, opens});
                if (plan_.variants[variant].words.empty()) plainly.insert(key(all.back(), variant));
            }
        });
        std::erase_if(all, [&](const Difference& d) {
            const auto& origin = plan_.phases[d.phase].origins[d.packet];
            const auto plain = plan_.plain_of(origin);
            return plain != origin.variant && plainly.contains(key(d, plain));
        });
        return all;
    }

    void note_unsettled(const Bench& bench, const std::vector<std::size_t>& left) {
        for (const auto i : left)
            if (const auto& past = bench.past_rules()[i]; past.decides)
                if (const auto* rule = bench.rule_of(past)) unsettled_.insert(named(*rule));
    }

    void come_to(Bench& bench, std::optional<std::size_t>& behind, std::size_t phase) const {
        if (behind != plan_.phases[phase].behind) bench.strangers_behind(plan_.phases[phase].behind);
        behind = plan_.phases[phase].behind;
    }

    BothReasons ask_both(const Place& place) {
        const auto& packet = plan_.phases[place.first].packets[place.second];
        come_to(before_, behind_before_, place.first), come_to(after_, behind_after_, place.first);
        before_.forget(), after_.forget();
        return {before_.ask(packet, plan_.shapes), after_.ask(packet, plan_.shapes)};
    }

    void tell_difference(const Difference& difference) {
        BothReasons reasons;
        if (traces_ < traces_max) {
            ++traces_;
            reasons = ask_both({difference.phase, difference.packet});
        }
        told_.insert({difference.phase, difference.packet});
        add_rows(difference, outcome_of(difference), reasons, {});
    }

    void add_rows(const Difference& difference, const Outcome& outcome, const BothReasons& reasons, std::string_view condition) {
        const auto& phase = plan_.phases[difference.phase];
        const auto& here = difference.opens ? reasons.after : reasons.before;
        const auto& there = difference.opens ? reasons.before : reasons.after;
        for (auto& row : rows_of(scenario_, plan_, phase.packets[difference.packet], phase.origins[difference.packet], outcome, needs_)) {
            row.told.rule = here.accepts;
            row.told.translated_by = row.told.leads_to.empty() ? std::nullopt : here.translates;
            row.told.other = there.last;
            if (!condition.empty()) row.conditions = {std::string{condition}};
            (difference.opens ? opened_ : closed_).push_back(std::move(row));
        }
    }

    static bool may_match(const Asked::ByRule& rule, const Crafted& packet, const Outcome& outcome) {
        if (!rule.protocols.empty() && !rule.protocols.contains(packet.protocol)) return false;
        const auto fits = [&](Field field, std::initializer_list<Wide> values) {
            const auto found = rule.values.find(field);
            if (found == rule.values.end() || rule.others.contains(field)) return true;
            return std::ranges::any_of(values,
                                       [&](Wide value) { return std::ranges::any_of(found->second, [&](const Span& span) { return span.contains(value); }); });
        };
        const bool v6 = packet.destination.v6;
        return fits(v6 ? Field::source_v6 : Field::source, {packet.source.value}) &&
               fits(v6 ? Field::destination_v6 : Field::destination, {packet.destination.value, outcome.destination.value}) &&
               fits(Field::destination_port, {packet.destination_port, outcome.port});
    }

    // What one packet after the other meets under one ruleset, with one rule after the other settled as if much had come before.
    // How many rules were left out, because it takes too long.
    std::size_t look_later(Bench& bench, const Asked& asked, const std::vector<std::vector<Outcome>>& first, std::optional<std::size_t>& behind,
                           Laters& laters) {
        const auto& rules = bench.past_rules();
        std::size_t left = 0, sets = 0;
        const auto try_as = [&](const std::function<rules::Past(std::size_t)>& past, std::optional<std::size_t> rule) {
            bench.settle(past);
            const auto* own = rule ? bench.rule_of(rules[*rule]) : nullptr;
            const auto by_itself =
                std::ranges::find_if(asked.rules, [&](const Asked::ByRule& one) { return own && one.chain == own->chain && one.handle == own->handle; });
            const auto concerned = [&](const Crafted& packet, const Outcome& outcome) {
                return by_itself == asked.rules.end() || may_match(*by_itself, packet, outcome);
            };
            each_of(bench, behind, first, concerned, [&](const Place& place, const Outcome& was, const Outcome& is) {
                if (was.open() == is.open() || was.end == Outcome::End::unknown) return;
                if (is.end == Outcome::End::unknown) {
                    ++unknown_;
                    return;
                }
                auto& known = laters[place];
                if (!rule && !known.empty()) return;  // one of them does it by itself
                Later later{rule ? rules[*rule].limits : std::vector<rules::Limit>{{rules::Limit::Sort::set, 0, 0, ""}}, is.open(), rule, is};
                if (std::ranges::none_of(known, [&](const Later& one) { return one.rule == rule && one.same(later); })) known.push_back(std::move(later));
            });
        };
        for (std::size_t r = 0; r < rules.size(); ++r) {
            if (!rules[r].decides || !rules[r].settles) continue;
            if (rules[r].asks_of_sets()) ++sets;
            if (since(start_later_) > pasts_seconds_max) {
                ++left;
                continue;
            }
            for (const auto past : {rules::Past::limits_used_up, rules::Past::sets_filled, rules::Past::both}) {
                const bool limits = past != rules::Past::sets_filled, filled = past != rules::Past::limits_used_up;
                if ((limits && !rules[r].asks_of_limits()) || (filled && !rules[r].asks_of_sets())) continue;
                try_as([&](std::size_t i) { return i == r ? past : rules::Past::nothing; }, r);
            }
        }
        if (sets > 1 && left == 0) try_as([](std::size_t) { return rules::Past::sets_filled; }, std::nullopt);
        return left;
    }

    // Sends those of the plan that are concerned once more.
    template <class Concerned, class Each>
    void each_of(Bench& bench, std::optional<std::size_t>& behind, const std::vector<std::vector<Outcome>>& first, const Concerned& concerned,
                 const Each& each) {
        for (std::size_t p = 0; p < plan_.phases.size(); ++p) {
            std::vector<std::size_t> which;
            std::vector<Crafted> packets;
            for (std::size_t i = 0; i < plan_.phases[p].packets.size(); ++i) {
                const auto& packet = plan_.phases[p].packets[i];
                if (told_.contains({p, i}) || old_[p][i] != now_[p][i] || !concerned(packet, first[p][i])) continue;
                which.push_back(i);
                packets.push_back(packet);
            }
            if (packets.empty()) continue;
            come_to(bench, behind, p);
            bench.forget();
            std::vector<Outcome> outcomes;
            bench.send(packets, plan_.shapes, outcomes);
            for (std::size_t i = 0; i < which.size(); ++i) each(Place{p, which[i]}, first[p][which[i]], outcomes[i]);
        }
    }

    void tell_limits(Comparison& comparison) {
        if (before_.past_rules().empty() && after_.past_rules().empty()) return;
        start_later_ = Clock::now();
        Laters before, after;
        const auto left = look_later(before_, asked_before_, old_, behind_before_, before) + look_later(after_, asked_after_, now_, behind_after_, after);
        if (left > 0)
            comparison.not_tried.push_back(
                fmt::format("what becomes of packets once {} rules have used up their limits, or their sets are filled: there are too many", left));
        std::set<Place> places;
        for (const auto* laters : {&before, &after})
            for (const auto& [place, _] : *laters) places.insert(place);
        for (const auto& place : places) {
            auto was = before[place], is = after[place];
            std::erase_if(was, [&](const Later& one) {
                const auto twin = std::ranges::find_if(is, [&](const Later& other) { return other.same(one); });
                if (twin == is.end()) return false;
                is.erase(twin);
                return true;
            });
            for (const bool opens : {true, false}) tell_later(place, opens, was, is);
        }
        tell_limited();
    }

    void tell_later(const Place& place, bool opens, std::vector<Later> was, std::vector<Later> is) {
        for (auto* laters : {&was, &is}) std::erase_if(*laters, [&](const Later& one) { return one.opens != opens; });
        if (was.empty() && is.empty()) return;
        const auto& packet = plan_.phases[place.first].packets[place.second];
        if (opens) {  // only once there was something before
            if (!was.empty() && !is.empty()) return;
            Difference difference{place.first, place.second, !is.empty()};
            BothReasons reasons;
            const auto& one = is.empty() ? was.front() : is.front();
            auto& side = is.empty() ? reasons.before : reasons.after;
            const auto& bench = is.empty() ? before_ : after_;
            if (const auto* rule = one.rule ? bench.rule_of(bench.past_rules()[*one.rule]) : nullptr) side.accepts = reference(*rule);
            if (ruled(packet, one.outcome)) add_rows(difference, one.outcome, reasons, condition_of(one.limits, false, true));
            return;
        }
        auto change = was.empty() ? rules::LimitChange::lower : is.empty() ? rules::LimitChange::higher : rules::compare_limits(limits_of(was), limits_of(is));
        if (change == rules::LimitChange::none) return;
        const Difference difference{place.first, place.second, change != rules::LimitChange::lower};
        const auto& outcome = outcome_of(difference);
        if (!ruled(packet, outcome)) return;
        const std::string condition = was.empty()                           ? condition_of(limits_of(is), false)
                                      : is.empty()                          ? condition_of(limits_of(was), true)
                                      : change == rules::LimitChange::other ? "by another limit than before"
                                      : difference.opens                    ? "more than before: a higher limit"
                                                                            : "less than before: a lower limit";
        const auto& others = difference.opens ? was : is;  // who stops, or stopped, what is more
        const auto& bench = difference.opens ? before_ : after_;
        std::optional<RuleRef> other;
        if (!others.empty() && others.front().rule)
            if (const auto* rule = bench.rule_of(bench.past_rules()[*others.front().rule])) other = reference(*rule);
        limited_.push_back({difference, outcome, condition, std::move(other)});
    }

    // By whose word: of the rule that still lets a packet through once all limits are used up, where one does.
    void ask_limited(const std::vector<std::size_t>& which, std::vector<std::optional<BothReasons>>& reasons) {
        for (const auto past : {rules::Past::limits_used_up, rules::Past::nothing}) {
            const auto asked = [&](std::size_t i) { return !reasons[i]; };
            if (std::ranges::none_of(which, asked)) return;
            for (auto* bench : {&before_, &after_}) bench->settle([&](std::size_t) { return past; });
            for (const auto i : which) {
                if (!asked(i)) continue;
                auto found = ask_both({limited_[i].difference.phase, limited_[i].difference.packet});
                const auto& more = limited_[i].difference.opens ? found.after : found.before;
                if (past == rules::Past::nothing || more.outcome == limited_[i].outcome) reasons[i] = std::move(found);
            }
        }
    }

    // Of what the same limit keeps back on the same way a few stand for all, where the same rule lets them through.
    using LimitedKind = std::tuple<bool, std::string, std::string, unsigned, unsigned, bool, Outcome::End, std::uint8_t>;
    void tell_limited() {
        std::map<LimitedKind, std::vector<std::size_t>> kinds;
        for (std::size_t i = 0; i < limited_.size(); ++i) {
            const auto& [difference, outcome, condition, other] = limited_[i];
            const auto& packet = plan_.phases[difference.phase].packets[difference.packet];
            kinds[{difference.opens, condition, key_of(other), packet.zone, packet.protocol, packet.destination.v6, outcome.end, outcome.zone}].push_back(i);
        }
        std::vector<std::optional<BothReasons>> reasons(limited_.size());
        const auto accepts = [&](std::size_t i) { return key_of((limited_[i].difference.opens ? reasons[i]->after : reasons[i]->before).accepts); };
        std::vector<std::size_t> first, further;
        for (const auto& [kind, all] : kinds)
            for (std::size_t n = 0; n < asked_of_a_kind; ++n) first.push_back(all[n * (all.size() - 1) / (asked_of_a_kind - 1)]);
        ask_limited(first, reasons);
        for (const auto& [kind, all] : kinds) {
            const bool agree = std::ranges::all_of(all, [&](std::size_t i) { return !reasons[i] || accepts(i) == accepts(all.front()); });
            for (const auto i : all)
                if (agree) {
                    if (!reasons[i]) reasons[i] = reasons[all.front()];
                } else if (further.size() < traces_max) {
                    further.push_back(i);
                }
        }
        ask_limited(further, reasons);
        for (std::size_t i = 0; i < limited_.size(); ++i) {
            auto known = reasons[i].value_or(BothReasons{});
            if (limited_[i].other) (limited_[i].difference.opens ? known.before : known.after).last = limited_[i].other;
            add_rows(limited_[i].difference, limited_[i].outcome, known, limited_[i].condition);
        }
    }

    const Outcome& outcome_of(const Difference& one) const { return (one.opens ? now_ : old_)[one.phase][one.packet]; }

    // Conditions that no packet of ours meets: the same words about the same ports and addresses are the same.
    static void tell_conditions(const std::vector<Odd>& here, const std::vector<Odd>& there, std::vector<Opened>& into) {
        const auto signature = [](const Odd& odd) { return odd.condition + " / " + could_open(odd); };
        std::set<std::string> known;
        for (const auto& odd : there) known.insert(signature(odd));
        for (const auto& odd : here) {
            if (!odd.shapes.empty() || known.contains(signature(odd))) continue;
            Opened conditional;
            conditional.proven = false;
            conditional.protocol = could_open(odd), conditional.condition = odd.condition, conditional.rule = odd.rule;
            into.push_back(std::move(conditional));
        }
    }

    const Clock::time_point start_ = Clock::now();
    const scenario::Scenario scenario_;  // who is anyone is tried as such
    Bench before_, after_;
    Asked asked_before_, asked_after_, asked_;
    const Plan plan_;
    const NeedIndex needs_;
    std::vector<std::vector<Outcome>> old_, now_;  // by phase
    bool input_[2]{}, output_[2]{};                // by IPv6
    std::vector<Row> opened_, closed_;
    std::set<std::pair<std::size_t, std::size_t>> told_;  // phase and packet
    std::size_t unknown_ = 0, traces_ = 0;
    std::set<std::string> unsettled_;
    std::optional<std::size_t> behind_before_, behind_after_;
    Clock::time_point start_later_;
    struct Limited {
        Difference difference;
        Outcome outcome;
        std::string condition;
        std::optional<RuleRef> other;  // what stops, or stopped, what is more
    };
    std::vector<Limited> limited_;
};

}  // namespace

void explore_change(const scenario::Scenario& scenario, const std::filesystem::path& before, const std::filesystem::path& after, const Dimensions& dimensions,
                    Comparison& comparison) {
    ChangeSweep{scenario, before, after, dimensions}.tell(dimensions, comparison);
}

void explore_changes(const scenario::Scenario& scenario, const std::vector<scenario::Firewall>& before, const Dimensions& dimensions, Comparison& comparison) {
    const auto add_new = [](std::vector<std::string>& into, std::vector<std::string>& from, const std::string& in_front) {
        for (auto& words : from)
            if (auto all = in_front + words; std::ranges::find(into, all) == into.end()) into.push_back(std::move(all));
    };
    for (const auto& box : scenario.firewalls) {
        const auto was = std::ranges::find(before, box.name, &scenario::Firewall::name);
        if (was == before.end() || was->ruleset == box.ruleset) continue;
        Comparison own;
        explore_change(scenario::as_seen_by(scenario, box), was->ruleset, box.ruleset, dimensions, own);
        for (const auto& [from, into] : {std::pair{&own.opened, &comparison.opened}, std::pair{&own.closed, &comparison.closed}})
            for (auto& opened : *from) {
                opened.box = box.name;
                into->push_back(std::move(opened));
            }
        const auto name = "firewall " + box.name + ": ";
        add_new(comparison.tried, own.tried, {});
        add_new(comparison.not_tried, own.not_tried, name);
        add_new(comparison.notes, own.notes, name);
        comparison.seconds += own.seconds;
    }
}

}  // namespace wmlab::lab
