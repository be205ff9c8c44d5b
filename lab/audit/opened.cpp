#include "lab/audit/opened.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <tuple>

#include "lab/rules/literals.hpp"
#include "lab/rules/match.hpp"
#include "lab/verdict/words.hpp"

namespace wmlab::lab {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t traces_max = 3000;
constexpr std::size_t asks_between_restarts = 8;
constexpr double alone_seconds_max = 30;  // for differences that are tried by themselves

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Whether packets that no rule of this hook decides are stopped there.
bool filtered(const rules::Ruleset& ruleset, std::string_view hook, bool v6) {
    return std::ranges::any_of(ruleset.chains(), [&](const auto& entry) {
        const auto& chain = entry.second;
        if (chain.hook != hook || chain.type != "filter") return false;
        if (chain.name.family != "inet" && chain.name.family != (v6 ? "ip6" : "ip")) return false;
        return chain.policy_drop || std::ranges::any_of(chain.rules, [&](std::size_t index) {
                   const auto comparison = rules::compare(ruleset, ruleset.rules()[index], {});
                   return comparison.drops && !comparison.accepts && comparison.conditions.empty();
               });
    });
}

std::string protocol_name(std::uint8_t number) {
    return number == tcp_number ? "tcp" : number == udp_number ? "udp" : number == icmp_v4 ? "icmp" : number == icmp_v6 ? "icmpv6" : "ip";
}

std::string key_of(const std::optional<RuleRef>& rule) {
    return rule ? fmt::format("{}\t{}\t{}\t{}", rule->file, rule->line, rule->text, rule->chain) : std::string{};
}

// One thing that got through, before it is merged with its neighbours.
struct Row {
    Opened told;
    std::set<std::string> from, to, conditions;
    Spans numbers;
    std::string key(bool with_from, bool with_to, bool with_conditions, bool with_numbers) const {
        std::string all = fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}", told.family, told.hook, told.from_zone, told.to_zone, told.protocol,
                                      told.leads_to, key_of(told.rule), key_of(told.translated_by), told.proven);
        all += fmt::format("|{}", fmt::join(told.flows, ","));
        if (with_from) all += fmt::format("|{}", fmt::join(from, ","));
        if (with_to) all += fmt::format("|{}", fmt::join(to, ","));
        if (with_conditions) all += fmt::format("|{}", fmt::join(conditions, ","));
        if (with_numbers)
            for (const auto& span : numbers) all += fmt::format("|{}-{}", static_cast<unsigned>(span.first), static_cast<unsigned>(span.last));
        return all;
    }
};

Spans joined(Spans spans) {
    std::ranges::sort(spans);
    Spans all;
    for (const auto& span : spans)
        if (!all.empty() && span.first <= all.back().last + 1)
            all.back().last = std::max(all.back().last, span.last);
        else
            all.push_back(span);
    return all;
}

void merge(std::vector<Row>& rows, bool from, bool to, bool conditions, bool numbers) {
    std::map<std::string, std::size_t> known;
    std::vector<Row> left;
    for (auto& row : rows) {
        const auto [at, added] = known.emplace(row.key(!from, !to, !conditions, !numbers), left.size());
        if (added) {
            left.push_back(std::move(row));
            continue;
        }
        auto& into = left[at->second];
        into.from.insert(row.from.begin(), row.from.end());
        into.to.insert(row.to.begin(), row.to.end());
        into.conditions.insert(row.conditions.begin(), row.conditions.end());
        into.numbers.insert(into.numbers.end(), row.numbers.begin(), row.numbers.end());
        into.numbers = joined(std::move(into.numbers));
    }
    rows = std::move(left);
}

std::vector<Opened> told(std::vector<Row> rows) {
    for (auto& row : rows) row.numbers = joined(std::move(row.numbers));
    merge(rows, false, false, false, true);
    for (unsigned again = 0; again < 2; ++again) {
        merge(rows, false, true, false, false);
        merge(rows, true, false, false, false);
        merge(rows, false, false, true, false);
        merge(rows, false, false, false, true);
    }
    std::vector<Opened> all;
    for (auto& row : rows) {
        auto opened = std::move(row.told);
        opened.from.assign(row.from.begin(), row.from.end());
        opened.to.assign(row.to.begin(), row.to.end());
        row.conditions.erase("");
        opened.condition = fmt::format("{}", fmt::join(row.conditions, " or "));
        for (const auto& span : row.numbers)
            opened.ports.push_back({static_cast<std::uint16_t>(span.first), static_cast<std::uint16_t>(span.last)});
        all.push_back(std::move(opened));
    }
    std::ranges::stable_sort(all, {}, [](const Opened& o) {
        return std::tuple{o.rule ? o.rule->file : std::string{}, o.rule ? o.rule->line : 0};
    });
    return all;
}

// The parts of a row that are known without asking the kernel which rule it was. By the hosts that are meant.
std::vector<Row> rows_of(const scenario::Scenario& scenario, const Plan& plan, const Crafted& packet, const Origin& origin,
                         const Outcome& outcome, const NeedIndex& needs) {
    const auto &source = plan.ends[origin.from], &target = plan.ends[origin.to];
    const auto& variant = plan.variants[origin.variant];
    Row row;
    auto& told = row.told;
    told.family = target.address.v6 ? "ipv6" : "ipv4";
    const bool by_firewall = packet.zone == firewall_itself;
    told.hook = by_firewall ? "output" : outcome.end == Outcome::End::local ? "input" : "forward";
    told.from_zone = by_firewall ? "firewall" : scenario.zones[source.zone].name;
    told.to_zone = told.hook == "input" ? "firewall" : scenario.zones[outcome.zone].name;
    told.protocol = protocol_name(variant.protocol);
    row.conditions = {variant.words};
    Span wanted{0, 0};
    if (variant.ports) {
        row.numbers = plan.ports[origin.ports].spans;
        wanted = row.numbers.front();
    } else if (variant.protocol == icmp_v4 || variant.protocol == icmp_v6) {
        row.numbers = {{variant.type, variant.type}};
        row.conditions = {variant.code != 0 ? fmt::format("code {}", variant.code) : variant.shape != 0 ? variant.words : ""};
    } else {
        row.numbers = {{variant.protocol, variant.protocol}};
    }
    std::string led;  // to which host
    if (told.hook == "forward" && (outcome.destination != target.address || (variant.ports && outcome.port != packet.destination_port))) {
        const auto* host = outcome.destination.v6 ? nullptr : scenario.host_at({static_cast<std::uint32_t>(outcome.destination.value)});
        led = host ? host->name : outcome.destination.text();
        told.leads_to = led;
        if (variant.ports && outcome.port != packet.destination_port) told.leads_to += fmt::format(":{}", outcome.port);
    }
    std::vector<Row> rows;
    auto froms = source.hosts, tos = target.hosts;
    if (target.kind == PlanEnd::Kind::published) {
        tos = {"published " + target.address.text()};
    }
    if (!source.others.empty()) froms.push_back(source.others);
    if (!target.others.empty() && target.kind != PlanEnd::Kind::published) tos.push_back(target.others);
    for (const auto& from : froms)
        for (const auto& to : tos) {
            auto one = row;
            one.from = {from}, one.to = {to};
            const auto& host = target.kind == PlanEnd::Kind::published && target.hosts.size() == 1 && led.empty() ? target.hosts.front()
                               : led.empty()                                                               ? to
                                                                                                           : led;
            if (told.hook == "forward" && variant.ports)
                for (auto& flow : needs.flows(from, {told.from_zone, source.kind == PlanEnd::Kind::outside}, host,
                                              {told.to_zone, target.kind == PlanEnd::Kind::outside}, variant.protocol, wanted)) one.told.flows.push_back(std::move(flow));
            rows.push_back(std::move(one));
        }
    return rows;
}

void split_by_needs(const scenario::Scenario& scenario, Asked& asked) {
    auto needed = rules::needs(scenario);
    needed.needs.insert(needed.needs.end(), needed.alternatives.begin(), needed.alternatives.end());
    for (const auto& need : needed.needs) {
        for (const auto* list : {&need.ports})
            for (const auto& range : *list) asked.values[Field::destination_port].insert({{range.first, range.last}});
        for (const auto& of_flow : need.ports_of_flows)
            for (const auto& range : of_flow) asked.values[Field::destination_port].insert({{range.first, range.last}});
    }
}

std::string could_open(const Odd& odd) {
    std::string all;
    for (const auto protocol : odd.protocols)
        all += (all.empty() ? "" : ", ") + (protocol_name(protocol) == "ip" ? fmt::format("IP protocol {}", protocol) : protocol_name(protocol));
    if (all.empty()) all = "any protocol";
    const auto list = [](const Spans& spans, bool address, bool v6) {
        std::string text;
        for (std::size_t i = 0; i < spans.size() && i < 12; ++i) {
            const auto& span = spans[i];
            const auto word = [&](Wide value) { return address ? Address{value, v6}.text() : fmt::format("{}", static_cast<unsigned>(value)); };
            text += (text.empty() ? "" : ", ") + word(span.first) + (span.first == span.last ? "" : "-" + word(span.last));
        }
        return text;
    };
    for (const auto& [field, spans] : odd.values) {
        const bool v6 = field == Field::source_v6 || field == Field::destination_v6;
        const bool port = field == Field::source_port || field == Field::destination_port;
        const bool source = field == Field::source || field == Field::source_v6 || field == Field::source_port;
        all += fmt::format(" {} {}{}", source ? "from" : "to", port ? "ports " : "", list(spans, !port, v6));
    }
    return all;
}

// With sets that packets fill, limits and chance one packet may have decided about another.
bool by_the_past(const rules::Ruleset& ruleset, std::string_view listing) {
    rules::Literals literals;
    rules::collect_literals(listing, literals);
    return std::ranges::any_of(ruleset.rules(), [&](const rules::Rule& rule) { return rules::depends_on_the_past(rule, literals); });
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

void say_what_was_tried(const Dimensions& dimensions, const Asked& asked, const Bench& bench, bool v6_matters,
                        std::vector<std::string>& tried, std::vector<std::string>& not_tried, std::vector<std::string>& notes) {
    for (const auto dimension : all_dimensions) {
        if (!dimensions.contains(dimension)) {
            not_tried.push_back(words(dimension) + ": left out");
        } else if (dimension == Dimension::ipv6 && !v6_matters) {
            notes.push_back("no table of the ruleset looks at IPv6: what the gateway forwards of it is not of these rules");
        } else if (dimension == Dimension::ipv6 && !bench.has_v6()) {
            not_tried.push_back("IPv6: this system does not let the lab switch it on");
        } else {
            tried.push_back(words(dimension));
        }
    }
    if (asked.shapes_left_out > 0)
        not_tried.push_back(fmt::format("{} contents of packets that rules ask for, beyond the first {}", asked.shapes_left_out, asked.shapes.size()));
}

}  // namespace

Explored explore_ruleset(const scenario::Scenario& given, const std::filesystem::path& ruleset, const ExploreOptions& options) {
    const auto start = Clock::now();
    const auto scenario = scenario::without_samples(given);  // who is anyone is tried as such
    Explored explored;
    Bench bench{scenario, ruleset};
    Asked asked;
    ask_for(bench.ruleset(), bench.listing(), asked);
    split_by_needs(given, asked);
    const Plan plan{scenario, asked, options.dimensions, bench};
    const auto outcomes = explore(bench, plan);
    const NeedIndex needs{given};
    const bool input[2] = {filtered(bench.ruleset(), "input", false), filtered(bench.ruleset(), "input", true)};
    const bool output[2] = {filtered(bench.ruleset(), "output", false), filtered(bench.ruleset(), "output", true)};

    // Plain packets first: what else comes through the same way is nothing new.
    std::set<std::tuple<unsigned, std::uint32_t, std::uint32_t, std::uint16_t, std::uint16_t>> open;
    using Reached = std::tuple<std::string, std::string, std::uint8_t>;
    std::map<Reached, Spans> reached;
    std::size_t unknown = 0;
    const auto each = [&](const auto& visit) {
        for (std::size_t p = 0; p < plan.phases.size(); ++p)
            for (std::size_t i = 0; i < plan.phases[p].packets.size(); ++i)
                visit(plan.phases[p], plan.phases[p].packets[i], plan.phases[p].origins[i], outcomes[p][i]);
    };
    each([&](const Plan::Phase&, const Crafted& packet, const Origin& origin, const Outcome& outcome) {
        if (outcome.end == Outcome::End::unknown) ++unknown;
        if (!outcome.open()) return;
        if (plan.variants[origin.variant].words.empty())
            open.insert({packet.zone, origin.from, origin.to, origin.variant, origin.ports});
        if (outcome.end != Outcome::End::forwarded || !plan.variants[origin.variant].ports) return;
        const auto& target = plan.ends[origin.to];
        const auto* led = outcome.destination == target.address || outcome.destination.v6
                              ? nullptr
                              : scenario.host_at({static_cast<std::uint32_t>(outcome.destination.value)});
        for (const auto& from : plan.ends[origin.from].hosts)
            for (const auto& to : target.hosts)
                if (target.kind != PlanEnd::Kind::published || (led && led->name == to)) {
                    auto& spans = reached[{from, to, plan.variants[origin.variant].protocol}];
                    spans.insert(spans.end(), plan.ports[origin.ports].spans.begin(), plan.ports[origin.ports].spans.end());
                }
    });
    std::map<std::size_t, std::uint32_t> anyone;  // by zone
    for (std::uint32_t e = 0; e < plan.ends.size(); ++e)
        if (plan.ends[e].anyone && !plan.ends[e].address.v6) anyone[plan.ends[e].zone] = e;

    std::vector<Row> rows;
    std::set<std::pair<rules::ChainName, std::uint64_t>> came;  // rules by which a packet of an odd shape came through
    std::map<std::string, Reasons> asked_already;
    std::size_t traces = 0, untraced = 0;
    each([&](const Plan::Phase& phase, const Crafted& packet, const Origin& origin, const Outcome& outcome) {
        if (!outcome.open()) return;
        const auto& variant = plan.variants[origin.variant];
        const auto &source = plan.ends[origin.from], &target = plan.ends[origin.to];
        const bool v6 = target.address.v6;
        if (packet.zone == firewall_itself && !output[v6]) return;
        if (outcome.end == Outcome::End::local && (!input[v6] || !options.dimensions.contains(Dimension::own_hooks))) return;
        const auto plain = plan.plain_of(origin);
        if (plain != origin.variant && open.contains({packet.zone, origin.from, origin.to, static_cast<std::uint16_t>(plain), origin.ports})) return;
        // Open to anyone of the zone: also to those addresses of it that rules name.
        if (!v6 && packet.zone != firewall_itself && !source.anyone && source.hosts.empty() && anyone.contains(source.zone) &&
            open.contains({packet.zone, anyone.at(source.zone), origin.to, static_cast<std::uint16_t>(plain), origin.ports}))
            return;
        const bool translated = !v6 && (outcome.destination != target.address || (variant.ports && outcome.port != packet.destination_port));
        const bool plainly = plain == origin.variant && variant.words.empty() && variant.ports && !translated && outcome.end == Outcome::End::forwarded &&
                             packet.zone != firewall_itself && !v6 && options.ports_swept;
        auto found = rows_of(scenario, plan, packet, origin, outcome, needs);
        std::erase_if(found, [&](const Row& row) {
            return !row.told.flows.empty() || (plainly && options.swept && options.swept(*row.from.begin(), *row.to.begin()));
        });
        if (found.empty()) return;
        Reasons reasons;
        if (traces < traces_max) {
            ++traces;
            bench.strangers_behind(phase.behind);
            bench.forget();
            reasons = bench.ask(packet, plan.shapes);
        } else {
            ++untraced;
        }
        if (variant.shape != 0) came.insert(reasons.rules.begin(), reasons.rules.end());
        for (auto& row : found) {
            row.told.rule = reasons.accepts, row.told.translated_by = row.told.leads_to.empty() ? std::nullopt : reasons.translates;
            rows.push_back(std::move(row));
        }
    });
    explored.opened = told(std::move(rows));
    if (untraced > 0) explored.notes.push_back(fmt::format("of {} open ways it was not asked which rule opens them", untraced));

    say_what_was_tried(options.dimensions, asked, bench, asked.filters_v6, explored.tried, explored.not_tried, explored.notes);
    if (unknown > 0) explored.not_tried.push_back(fmt::format("{} crafted packets, which the lab lost", unknown));
    if (plan.reduced)
        explored.notes.push_back("the rules name too much for every combination: what each rule asks for was tried by itself");
    for (const auto& odd : asked.odd) {
        Conditional conditional{odd.rule, odd.condition, could_open(odd), std::nullopt, ""};
        if (!odd.shapes.empty() && options.dimensions.contains(Dimension::shapes)) conditional.proven = came.contains({odd.chain, odd.handle});
        explored.conditional.push_back(std::move(conditional));
    }
    for (const auto& [hook, is] : std::initializer_list<std::pair<std::string_view, bool>>{{"input", input[0]}, {"output", output[0]}})
        if (!is) explored.notes.push_back(fmt::format("no chain of the hook {} stops what no rule decides: what the firewall itself {} is not of these rules", hook, hook == "input" ? "takes" : "sends"));
    explored.reaches = [reached = std::move(reached)](const std::string& from, const std::string& to, scenario::Protocol protocol, unsigned port) {
        const auto found = reached.find({from, to, protocol == scenario::Protocol::tcp ? tcp_number : udp_number});
        return found != reached.end() && std::ranges::any_of(found->second, [&](const Span& span) { return span.contains(port); });
    };
    explored.seconds = since(start);
    return explored;
}

void explore_change(const scenario::Scenario& given, const std::filesystem::path& before_file, const std::filesystem::path& after_file,
                    const Dimensions& dimensions, Comparison& comparison) {
    const auto start = Clock::now();
    const auto scenario = scenario::without_samples(given);
    Bench before{scenario, before_file}, after{scenario, after_file};
    Asked asked_before, asked;
    ask_for(before.ruleset(), before.listing(), asked_before);
    ask_for(after.ruleset(), after.listing(), asked);
    const auto odd_after = asked.odd;
    ask_for(before.ruleset(), before.listing(), asked);  // both: neither can tell what is in one class
    split_by_needs(given, asked);
    const Plan plan{scenario, asked, dimensions, after};
    const auto old = explore(before, plan), now = explore(after, plan);
    const auto swept = since(start);
    const NeedIndex needs{given};
    const bool doubtful = by_the_past(before.ruleset(), before.listing()) || by_the_past(after.ruleset(), after.listing());

    // What no chain stops on either side is none of the rules' doing, also where a translation takes it away.
    const auto ruled = [&](std::string_view hook, bool v6) { return filtered(before.ruleset(), hook, v6) || filtered(after.ruleset(), hook, v6); };
    const bool input[2] = {ruled("input", false), ruled("input", true)}, output[2] = {ruled("output", false), ruled("output", true)};
    struct Difference {
        std::size_t phase, packet;
        bool opens;
    };
    std::set<std::tuple<unsigned, std::uint32_t, std::uint32_t, std::uint16_t, std::uint16_t, bool>> plainly;
    std::vector<Difference> differences;
    std::size_t unknown = 0;
    for (std::size_t p = 0; p < plan.phases.size(); ++p)
        for (std::size_t i = 0; i < plan.phases[p].packets.size(); ++i) {
            const auto &was = old[p][i], &is = now[p][i];
            if (was.end == Outcome::End::unknown || is.end == Outcome::End::unknown) {
                ++unknown;
                continue;
            }
            if (was == is || (!was.open() && !is.open())) continue;
            const auto& origin = plan.phases[p].origins[i];
            const auto zone = plan.phases[p].packets[i].zone;
            for (const bool opens : {true, false}) {
                if (opens ? !is.open() : !was.open()) continue;
                const bool v6 = plan.ends[origin.to].address.v6;
                if ((opens ? is : was).end == Outcome::End::local && !input[v6]) continue;
                if (zone == firewall_itself && !output[v6]) continue;
                if (plan.variants[origin.variant].words.empty())
                    plainly.insert({zone, origin.from, origin.to, origin.variant, origin.ports, opens});
                differences.push_back({p, i, opens});
            }
        }
    std::erase_if(differences, [&](const Difference& d) {
        const auto& origin = plan.phases[d.phase].origins[d.packet];
        const auto plain = plan.plain_of(origin);
        return plain != origin.variant && plainly.contains({plan.phases[d.phase].packets[d.packet].zone, origin.from, origin.to,
                                                            static_cast<std::uint16_t>(plain), origin.ports, d.opens});
    });

    std::vector<Row> opened, closed;
    std::size_t traces = 0;
    std::optional<std::size_t> behind;
    // Where one packet may have decided about another, each difference counts that is there for the packet alone, with both rulesets
    // as if just loaded. That takes a while: of those that the same rules decide alike, a few stand for all.
    AloneTrials alone;
    std::size_t not_alone = 0;
    for (const auto& difference : differences) {
        const auto& phase = plan.phases[difference.phase];
        const auto& packet = phase.packets[difference.packet];
        const auto& origin = phase.origins[difference.packet];
        const auto& outcome = (difference.opens ? now : old)[difference.phase][difference.packet];
        Reasons reasons, others;
        if (traces < traces_max) {
            ++traces;
            if (behind != phase.behind) before.strangers_behind(phase.behind), after.strangers_behind(phase.behind);
            behind = phase.behind;
            if (doubtful && traces % asks_between_restarts == 1) before.restart(), after.restart();
            before.forget(), after.forget();
            auto old_reasons = before.ask(packet, plan.shapes), new_reasons = after.ask(packet, plan.shapes);
            if (doubtful) {
                const bool differs = old_reasons.outcome != new_reasons.outcome;
                const auto kind = AloneTrials::Kind{difference.opens, key_of(old_reasons.last), key_of(new_reasons.last), key_of(old_reasons.accepts),
                                                    key_of(new_reasons.accepts), differs};
                auto known = alone.known(kind);
                if (!known && since(start) - swept > alone_seconds_max) {
                    ++not_alone;
                    known = true;  // told: better one too many
                }
                if (!known) {
                    before.restart(), after.restart();
                    old_reasons = before.ask(packet, plan.shapes), new_reasons = after.ask(packet, plan.shapes);
                    known = old_reasons.outcome != new_reasons.outcome;
                    alone.learn(kind, *known);
                }
                if (!*known) continue;
                if ((difference.opens ? new_reasons : old_reasons).outcome != outcome) {  // what others left decided
                    before.restart(), after.restart();
                    old_reasons = before.ask(packet, plan.shapes), new_reasons = after.ask(packet, plan.shapes);
                }
            }
            reasons = difference.opens ? new_reasons : old_reasons;
            others = difference.opens ? old_reasons : new_reasons;
        }
        for (auto& row : rows_of(scenario, plan, packet, origin, outcome, needs)) {
            row.told.rule = reasons.accepts;
            row.told.translated_by = row.told.leads_to.empty() ? std::nullopt : reasons.translates;
            row.told.other = others.last;
            (difference.opens ? opened : closed).push_back(std::move(row));
        }
    }
    comparison.opened = told(std::move(opened));
    comparison.closed = told(std::move(closed));

    // Conditions that no packet of ours meets: the same words about the same ports and addresses are the same.
    const auto signature = [](const Odd& odd) { return odd.condition + " / " + could_open(odd); };
    const auto tell = [&](const std::vector<Odd>& here, const std::vector<Odd>& there, std::vector<Opened>& into) {
        std::set<std::string> known;
        for (const auto& odd : there) known.insert(signature(odd));
        for (const auto& odd : here) {
            if (!odd.shapes.empty() || known.contains(signature(odd))) continue;
            Opened conditional;
            conditional.proven = false;
            conditional.protocol = could_open(odd), conditional.condition = odd.condition, conditional.rule = odd.rule;
            into.push_back(std::move(conditional));
        }
    };
    tell(odd_after, asked_before.odd, comparison.opened);
    tell(asked_before.odd, odd_after, comparison.closed);
    say_what_was_tried(dimensions, asked, after, asked.filters_v6, comparison.tried, comparison.not_tried, comparison.notes);
    if (unknown > 0) comparison.not_tried.push_back(fmt::format("{} crafted packets, which the lab lost", unknown));
    if (not_alone > 0)
        comparison.not_tried.push_back(fmt::format("{} of the differences by themselves: there are too many, and rules look at what came earlier", not_alone));
    if (plan.reduced) comparison.notes.push_back("the rules name too much for every combination: what each rule asks for was tried by itself");
    comparison.seconds = since(start);
}

}  // namespace wmlab::lab
