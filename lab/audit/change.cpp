#include "lab/audit/change.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "lab/audit/rows.hpp"
#include "lab/rules/limits.hpp"
#include "lab/rules/literals.hpp"

namespace wmlab::lab {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t traces_max = 3000;
constexpr std::size_t asks_between_restarts = 8;
constexpr std::size_t crowd_least = 32, crowd_most = 512;
constexpr std::size_t crowds_enough = 4;
constexpr unsigned crowd_agains = 2;
constexpr double alone_seconds_max = 30;  // for differences that are tried by themselves
constexpr double crowd_seconds_max = 20;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// With sets that packets fill, limits and chance one packet may have decided about another.
bool by_the_past(const Bench& bench) {
    rules::Literals literals;
    rules::collect_literals(bench.listing(), literals);
    return std::ranges::any_of(bench.ruleset().rules(), [&](const rules::Rule& rule) { return rules::depends_on_the_past(rule, literals); });
}

// What was learned of packets by themselves, by who decides about them on either side and whether they differed among a few
// others. Where the first ones of a kind agree, they stand for all.
class AloneTrials {
public:
    using Kind = std::tuple<bool, std::string, std::string, std::string, std::string, bool>;
    std::optional<bool> known(const Kind& kind) const {
        const auto found = learned_.find(kind);
        if (found == learned_.end() || found->second.first + found->second.second < enough) return std::nullopt;
        if (found->second.first > 0 && found->second.second > 0) return std::nullopt;
        return found->second.first > 0;
    }
    void learn(const Kind& kind, bool differs) { ++(differs ? learned_[kind].first : learned_[kind].second); }

private:
    static constexpr std::size_t enough = 4;
    std::map<Kind, std::pair<std::size_t, std::size_t>> learned_;  // how many differ by themselves, how many do not
};

struct BothReasons {
    Reasons before, after;
};

// The limits on a packet's way, in an order of their own.
std::vector<rules::Limit> limits_met(const Bench& bench, const Reasons& reasons) {
    std::vector<rules::Limit> all;
    for (const auto& [chain, handle] : reasons.rules)
        if (const auto* rule = bench.ruleset().rule(chain, handle)) {
            const auto own = rules::limits_of(*rule);
            all.insert(all.end(), own.begin(), own.end());
        }
    std::ranges::sort(all, [](const auto& a, const auto& b) { return a < b; });
    return all;
}

// How many at once are more than any limit of either ruleset lets through, within reason.
std::size_t crowd_size(const Bench& before, const Bench& after) {
    double most = 0;
    for (const auto* bench : {&before, &after})
        for (const auto& rule : bench->ruleset().rules())
            for (const auto& limit : rules::limits_of(rule))
                if (limit.sort != rules::Limit::Sort::bytes) most = std::max(most, limit.sort == rules::Limit::Sort::packets ? limit.burst : limit.amount);
    return std::clamp(static_cast<std::size_t>(2 * most), crowd_least, crowd_most);
}

class ChangeSweep {
public:
    ChangeSweep(const scenario::Scenario& given, const std::filesystem::path& before, const std::filesystem::path& after, const Dimensions& dimensions)
        : scenario_{scenario::without_samples(given)},
          before_{scenario_, before},
          after_{scenario_, after},
          asked_{both_ask(given)},
          plan_{scenario_, asked_, dimensions, after_},
          needs_{given},
          doubtful_{by_the_past(before_) || by_the_past(after_)} {
        old_ = explore(before_, plan_), now_ = explore(after_, plan_);
        swept_ = since(start_);
        // What no chain stops on either side is none of the rules' doing, also where a translation takes it away.
        for (const bool v6 : {false, true}) {
            const auto ruled = [&](std::string_view hook) { return filtered(before_.ruleset(), hook, v6) || filtered(after_.ruleset(), hook, v6); };
            input_[v6] = ruled("input"), output_[v6] = ruled("output");
        }
    }

    void tell(const Dimensions& dimensions, Comparison& comparison) {
        for (const auto& difference : differences()) tell_difference(difference);
        if (doubtful_) tell_limits(comparison);
        comparison.opened = told(std::move(opened_));
        comparison.closed = told(std::move(closed_));
        tell_conditions(asked_after_.odd, asked_before_.odd, comparison.opened);
        tell_conditions(asked_before_.odd, asked_after_.odd, comparison.closed);
        say_what_was_tried(dimensions, asked_, after_, asked_.filters_v6, {comparison.tried, comparison.not_tried, comparison.notes});
        if (unknown_ > 0) comparison.not_tried.push_back(fmt::format("{} crafted packets, which the lab lost", unknown_));
        if (not_alone_ > 0)
            comparison.not_tried.push_back(
                fmt::format("{} of the differences by themselves: there are too many, and rules look at what came earlier", not_alone_));
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

    void come_to(std::size_t phase) {
        const auto behind = plan_.phases[phase].behind;
        if (behind_ != behind) before_.strangers_behind(behind), after_.strangers_behind(behind);
        behind_ = behind;
    }
    void restart_both() { before_.restart(), after_.restart(); }
    BothReasons ask_both(const Crafted& packet) { return {before_.ask(packet, plan_.shapes), after_.ask(packet, plan_.shapes)}; }

    // Where one packet may have decided about another, or chance has, each difference counts that is there for packets like this one
    // alone, with both rulesets as if just loaded. That takes a while: of those that the same rules decide alike, a few stand for all.
    bool there_alone(const Difference& difference, const Crafted& packet, const Variant& variant, const Outcome& outcome, BothReasons& reasons) {
        const bool differs = reasons.before.outcome != reasons.after.outcome;
        const auto kind = AloneTrials::Kind{
            difference.opens, key_of(reasons.before.last), key_of(reasons.after.last), key_of(reasons.before.accepts), key_of(reasons.after.accepts), differs};
        auto known = alone_.known(kind);
        if (!known && since(start_) - swept_ > alone_seconds_max) {
            ++not_alone_;
            known = true;  // told: better one too many
        }
        if (!known) {
            restart_both();
            const auto crowd = try_crowd(packet, variant);
            known = crowd.opens() == difference.opens && crowd.closes() != difference.opens;
            alone_.learn(kind, *known);
        }
        if (*known && (difference.opens ? reasons.after : reasons.before).outcome != outcome) {  // what others left decided
            restart_both();
            reasons = ask_both(packet);
        }
        return *known;
    }

    void tell_difference(const Difference& difference) {
        const auto& packet = plan_.phases[difference.phase].packets[difference.packet];
        const auto& outcome = outcome_of(difference);
        BothReasons reasons;
        if (traces_ < traces_max) {
            ++traces_;
            come_to(difference.phase);
            if (doubtful_ && traces_ % asks_between_restarts == 1) restart_both();
            before_.forget(), after_.forget();
            reasons = ask_both(packet);
            const auto& variant = plan_.variants[plan_.phases[difference.phase].origins[difference.packet].variant];
            if (doubtful_ && !there_alone(difference, packet, variant, outcome, reasons)) return;
        }
        told_.insert({difference.phase, difference.packet});
        add_rows(difference, outcome, reasons, {});
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

    // Which rules that look at what came earlier may have to do with this packet, before or after translation.
    std::vector<std::size_t> limits_for(const Crafted& packet, const Outcome& outcome) const {
        std::vector<std::size_t> found;
        for (std::size_t i = 0; i < asked_.rules.size(); ++i)
            if (asked_.rules[i].past && may_match(asked_.rules[i], packet, outcome)) found.push_back(i);
        return found;
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

    // Of many at once.
    enum class Through { none, some, all };
    struct BothThrough {
        Through before, after;
        bool opens() const { return before == Through::none && after != Through::none; }
        bool closes() const { return before != Through::none && after == Through::none; }
        bool operator==(const BothThrough&) const = default;
    };
    BothThrough try_crowd(const Crafted& packet, const Variant& variant) {
        before_.forget(), after_.forget();
        const auto through = [&](Bench& bench) {
            const auto count = bench.crowd(packet, plan_.shapes, variant.source_ports.value_or(Span{}), crowd_);
            return count == 0 ? Through::none : count < crowd_ ? Through::some : Through::all;
        };
        return {through(before_), through(after_)};
    }

    struct FoundByCrowd {
        bool opens;
        Outcome outcome;
        BothReasons reasons;
        std::string_view condition;
    };
    // What is open under both rulesets to one packet, but not to many at once under one of them: a limit that went or came, or one
    // that is another now. With both as if just loaded, for others may have used up a limit.
    std::optional<FoundByCrowd> found_by_crowd(const Difference& one) {
        const auto& packet = plan_.phases[one.phase].packets[one.packet];
        const auto& variant = plan_.variants[plan_.phases[one.phase].origins[one.packet].variant];
        come_to(one.phase);
        if (try_crowd(packet, variant) == BothThrough{Through::all, Through::all}) return std::nullopt;
        restart_both();
        const auto through = try_crowd(packet, variant);
        if (through == BothThrough{Through::none, Through::none}) return std::nullopt;
        for (unsigned again = 0; again < crowd_agains && through.before != through.after; ++again) {  // where chance decides, not by chance
            restart_both();
            if (try_crowd(packet, variant) != through) return std::nullopt;
        }
        FoundByCrowd found{through.before < through.after, {}, ask_both(packet), ""};  // the limits are used up now
        if (through.before == through.after || !(found.opens ? found.reasons.after : found.reasons.before).outcome.open()) {
            restart_both();
            found.reasons = ask_both(packet);
        }
        if (through.before == through.after) {
            const auto old = limits_met(before_, found.reasons.before), now = limits_met(after_, found.reasons.after);
            if (old == now || old.empty() || now.empty()) return std::nullopt;
            found.opens = old < now;
            found.condition = found.opens ? "more at a time than before: a higher limit" : "as much at a time as before: a lower limit";
        } else if (through.before != Through::none && through.after != Through::none) {
            found.condition = found.opens ? "more at once than a limit let through" : "more at once than a limit lets through";
        }
        found.outcome = (found.opens ? found.reasons.after : found.reasons.before).outcome;
        if (!found.outcome.open() || !ruled(packet, found.outcome)) return std::nullopt;
        return found;
    }

    // Packets that the same limits may stop, on the same way: of these a few stand for all, where they agree.
    using CrowdKind = std::tuple<std::vector<std::size_t>, unsigned, unsigned, std::size_t, std::size_t, bool, Outcome::End, Outcome::End>;
    std::map<CrowdKind, std::vector<Difference>> maybe_limited() const {
        std::map<CrowdKind, std::vector<Difference>> kinds;
        each_packet([&](std::size_t p, std::size_t i) {
            const auto& packet = plan_.phases[p].packets[i];
            const auto& origin = plan_.phases[p].origins[i];
            const auto& variant = plan_.variants[origin.variant];
            const auto &was = old_[p][i], &is = now_[p][i];
            if ((variant.ports && !variant.words.empty()) || variant.shape != 0 || told_.contains({p, i})) return;
            if (!ruled(packet, is) || !ruled(packet, was)) return;
            if (auto limits = limits_for(packet, is.open() ? is : was); !limits.empty())
                kinds[{std::move(limits), packet.protocol, packet.zone, plan_.ends[origin.from].zone, plan_.ends[origin.to].zone, packet.destination.v6,
                       was.end, is.end}]
                    .push_back({p, i, is.open()});
        });
        return kinds;
    }

    void tell_limits(Comparison& comparison) {
        const auto start = Clock::now();
        std::size_t left = 0;
        for (const auto& [kind, all] : maybe_limited()) {
            std::optional<FoundByCrowd> last;
            std::size_t opening = 0, closing = 0, tried = 0;
            for (const auto i : spread(all.size())) {
                const bool agreed = tried >= crowds_enough && (opening == tried || closing == tried || opening + closing == 0);
                if (agreed && opening + closing == 0) break;
                if (!agreed) {
                    if (since(start) > crowd_seconds_max) {
                        left += all.size() - tried;
                        break;
                    }
                    ++tried;
                    last = found_by_crowd(all[i]);
                    if (last) ++(last->opens ? opening : closing);
                }
                if (last) add_rows({all[i].phase, all[i].packet, last->opens}, last->outcome, last->reasons, last->condition);
            }
        }
        if (left > 0)
            comparison.notes.push_back(fmt::format("{} kinds of packets that a limit may stop were not tried many at once: there are too many", left));
    }

    // First some from all over, then the rest.
    static std::vector<std::size_t> spread(std::size_t size) {
        std::vector<std::size_t> order;
        const auto step = std::max<std::size_t>(1, size / crowds_enough);
        for (std::size_t first = 0; first < step; ++first)
            for (auto i = first; i < size; i += step) order.push_back(i);
        return order;
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
    const bool doubtful_;
    std::vector<std::vector<Outcome>> old_, now_;  // by phase
    double swept_ = 0;                             // seconds until both were swept
    bool input_[2]{}, output_[2]{};                // by IPv6
    std::vector<Row> opened_, closed_;
    std::set<std::pair<std::size_t, std::size_t>> told_;  // phase and packet
    const std::size_t crowd_ = crowd_size(before_, after_);
    std::size_t unknown_ = 0, traces_ = 0, not_alone_ = 0;
    std::optional<std::size_t> behind_;
    AloneTrials alone_;
};

}  // namespace

void explore_change(const scenario::Scenario& scenario, const std::filesystem::path& before, const std::filesystem::path& after, const Dimensions& dimensions,
                    Comparison& comparison) {
    ChangeSweep{scenario, before, after, dimensions}.tell(dimensions, comparison);
}

}  // namespace wmlab::lab
