#include "lab/audit/opened.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <tuple>

#include "lab/audit/rows.hpp"

namespace wmlab::lab {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t traces_max = 3000;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

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
    const auto unsettled = bench.settle();  // one packet is not to decide about another
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
        const bool plainly = plain == origin.variant && variant.words.empty() && (variant.protocol == tcp_number || variant.protocol == udp_number) &&
                             !translated && outcome.end == Outcome::End::forwarded && packet.zone != firewall_itself && !v6 && options.ports_swept;
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

    say_what_was_tried(options.dimensions, asked, bench, asked.filters_v6, {explored.tried, explored.not_tried, explored.notes});
    for (const auto i : unsettled)
        if (const auto& past = bench.past_rules()[i]; past.decides)
            if (const auto* rule = bench.rule_of(past)) explored.not_tried.push_back(asks_of_the_past(named(*rule)));
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

}  // namespace wmlab::lab
