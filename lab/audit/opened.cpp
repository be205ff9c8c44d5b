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

// From what became of each packet of a plan to what is open.
class Exploration {
public:
    Exploration(const scenario::Scenario& scenario, const scenario::Scenario& given, const ExploreOptions& options, Bench& bench, const Plan& plan)
        : scenario_{scenario}, options_{options}, bench_{bench}, plan_{plan}, outcomes_{explore(bench, plan)}, needs_{given} {}

    // Before openings(): what else comes through the way that a plain packet does is nothing new.
    void see_plain_packets() {
        each([this](const Plan::Phase&, const Crafted& packet, const Origin& origin, const Outcome& outcome) {
            if (outcome.end == Outcome::End::unknown) ++unknown_;
            if (!outcome.open()) return;
            if (plan_.variants[origin.variant].words.empty()) open_.insert({packet.zone, origin.from, origin.to, origin.variant, origin.ports});
            note_reached(origin, outcome);
        });
        for (std::uint32_t e = 0; e < plan_.ends.size(); ++e)
            if (plan_.ends[e].anyone && !plan_.ends[e].address.v6) anyone_[plan_.ends[e].zone] = e;
    }

    std::vector<Row> openings() {
        std::vector<Row> rows;
        each([&](const Plan::Phase& phase, const Crafted& packet, const Origin& origin, const Outcome& outcome) {
            if (!outcome.open() || !of_these_rules(packet, origin, outcome) || known_by_plainer(packet, origin)) return;
            auto found = rows_of(scenario_, plan_, packet, origin, outcome, needs_);
            const bool by_sweep = swept(packet, origin, outcome);
            std::erase_if(found, [&](const Row& row) {
                return !row.told.flows.empty() || (by_sweep && options_.swept && options_.swept(*row.from.begin(), *row.to.begin()));
            });
            if (found.empty()) return;
            const auto reasons = reasons_of(phase, packet);
            if (plan_.variants[origin.variant].shape != 0) came_.insert(reasons.rules.begin(), reasons.rules.end());
            for (auto& row : found) {
                row.told.rule = reasons.accepts, row.told.translated_by = row.told.leads_to.empty() ? std::nullopt : reasons.translates;
                rows.push_back(std::move(row));
            }
        });
        return rows;
    }

    std::size_t unknown() const { return unknown_; }    // packets, what became of which nobody saw
    std::size_t untraced() const { return untraced_; }  // open ways that were not asked for their rule
    bool came_by(const rules::ChainName& chain, std::uint64_t handle) const { return came_.contains({chain, handle}); }  // a packet of an odd shape
    bool filters(std::string_view hook) const { return hook == "input" ? input_[0] : output_[0]; }

    auto reaches() && {
        return [reached = std::move(reached_)](const std::string& from, const std::string& to, scenario::Protocol protocol, unsigned port) {
            const auto found = reached.find({from, to, protocol == scenario::Protocol::tcp ? tcp_number : udp_number});
            return found != reached.end() && std::ranges::any_of(found->second, [&](const Span& span) { return span.contains(port); });
        };
    }

private:
    template <class Visit>
    void each(const Visit& visit) const {
        for (std::size_t p = 0; p < plan_.phases.size(); ++p)
            for (std::size_t i = 0; i < plan_.phases[p].packets.size(); ++i)
                visit(plan_.phases[p], plan_.phases[p].packets[i], plan_.phases[p].origins[i], outcomes_[p][i]);
    }

    // Which host reaches which on which ports, through a port forward the one it leads to.
    void note_reached(const Origin& origin, const Outcome& outcome) {
        const auto& variant = plan_.variants[origin.variant];
        if (outcome.end != Outcome::End::forwarded || !variant.ports) return;
        const auto& target = plan_.ends[origin.to];
        const auto* led = outcome.destination == target.address || outcome.destination.v6
                              ? nullptr
                              : scenario_.host_at({static_cast<std::uint32_t>(outcome.destination.value)});
        for (const auto& from : plan_.ends[origin.from].hosts)
            for (const auto& to : target.hosts)
                if (target.kind != PlanEnd::Kind::published || (led && led->name == to)) {
                    auto& spans = reached_[{from, to, variant.protocol}];
                    spans.insert(spans.end(), plan_.ports[origin.ports].spans.begin(), plan_.ports[origin.ports].spans.end());
                }
    }

    // What the firewall itself sends and takes, where no rule is asked, they do not decide.
    bool of_these_rules(const Crafted& packet, const Origin& origin, const Outcome& outcome) const {
        const bool v6 = plan_.ends[origin.to].address.v6;
        if (packet.zone == firewall_itself && !output_[v6]) return false;
        return outcome.end != Outcome::End::local || (input_[v6] && options_.dimensions.contains(Dimension::own_hooks));
    }

    bool known_by_plainer(const Crafted& packet, const Origin& origin) const {
        const auto& source = plan_.ends[origin.from];
        const auto plain = plan_.plain_of(origin);
        const auto came_from = [&](std::uint32_t from) {
            return open_.contains({packet.zone, from, origin.to, static_cast<std::uint16_t>(plain), origin.ports});
        };
        if (plain != origin.variant && came_from(origin.from)) return true;
        // Open to anyone of the zone: also to those addresses of it that rules name.
        return !plan_.ends[origin.to].address.v6 && packet.zone != firewall_itself && !source.anyone && source.hosts.empty() && anyone_.contains(source.zone) &&
               came_from(anyone_.at(source.zone));
    }

    // A way that the sweep of all ports tries, too.
    bool swept(const Crafted& packet, const Origin& origin, const Outcome& outcome) const {
        const auto& variant = plan_.variants[origin.variant];
        const auto& target = plan_.ends[origin.to];
        const bool translated = outcome.destination != target.address || (variant.ports && outcome.port != packet.destination_port);
        return options_.ports_swept && !target.address.v6 && !translated && plan_.plain_of(origin) == origin.variant && variant.words.empty() &&
               (variant.protocol == tcp_number || variant.protocol == udp_number) && outcome.end == Outcome::End::forwarded && packet.zone != firewall_itself;
    }

    Reasons reasons_of(const Plan::Phase& phase, const Crafted& packet) {
        if (traces_ >= traces_max) {
            ++untraced_;
            return {};
        }
        ++traces_;
        bench_.strangers_behind(phase.behind);
        bench_.forget();
        return bench_.ask(packet, plan_.shapes);
    }

    const scenario::Scenario& scenario_;
    const ExploreOptions& options_;
    Bench& bench_;
    const Plan& plan_;
    const std::vector<std::vector<Outcome>> outcomes_;
    const NeedIndex needs_;
    const bool input_[2] = {filtered(bench_.ruleset(), "input", false), filtered(bench_.ruleset(), "input", true)};
    const bool output_[2] = {filtered(bench_.ruleset(), "output", false), filtered(bench_.ruleset(), "output", true)};
    std::set<std::tuple<unsigned, std::uint32_t, std::uint32_t, std::uint16_t, std::uint16_t>> open_;
    std::map<std::tuple<std::string, std::string, std::uint8_t>, Spans> reached_;
    std::map<std::size_t, std::uint32_t> anyone_;  // by zone
    std::set<std::pair<rules::ChainName, std::uint64_t>> came_;
    std::size_t traces_ = 0, untraced_ = 0, unknown_ = 0;
};

// What was left out, and what the rules ask for that no packet of the plan has.
void say_limits(const Asked& asked, const Plan& plan, const Bench& bench, const std::vector<std::size_t>& unsettled, const ExploreOptions& options,
                const Exploration& exploration, Explored& explored) {
    if (exploration.untraced() > 0) explored.notes.push_back(fmt::format("of {} open ways it was not asked which rule opens them", exploration.untraced()));
    say_what_was_tried(options.dimensions, asked, bench, asked.filters_v6, {explored.tried, explored.not_tried, explored.notes});
    for (const auto i : unsettled)
        if (const auto& past = bench.past_rules()[i]; past.decides)
            if (const auto* rule = bench.rule_of(past)) explored.not_tried.push_back(asks_of_the_past(named(*rule)));
    if (exploration.unknown() > 0) explored.not_tried.push_back(fmt::format("{} crafted packets, which the lab lost", exploration.unknown()));
    if (plan.reduced)
        explored.notes.push_back("the rules name too much for every combination: what each rule asks for was tried by itself");
    for (const auto& odd : asked.odd) {
        Conditional conditional{odd.rule, odd.condition, could_open(odd), std::nullopt, ""};
        if (!odd.shapes.empty() && options.dimensions.contains(Dimension::shapes)) conditional.proven = exploration.came_by(odd.chain, odd.handle);
        explored.conditional.push_back(std::move(conditional));
    }
    for (const auto* hook : {"input", "output"})
        if (!exploration.filters(hook))
            explored.notes.push_back(fmt::format("no chain of the hook {} stops what no rule decides: what the firewall itself {} is not of these rules", hook,
                                                 std::string_view{hook} == "input" ? "takes" : "sends"));
}

}  // namespace

Explored explore_ruleset(const scenario::Scenario& given, const std::filesystem::path& ruleset, const ExploreOptions& options) {
    const auto start = Clock::now();
    const auto scenario = scenario::without_samples(given);  // who is anyone is tried as such
    Bench bench{scenario, ruleset};
    Asked asked;
    ask_for(bench.ruleset(), bench.listing(), asked);
    split_by_needs(given, asked);
    const Plan plan{scenario, asked, options.dimensions, bench};
    const auto unsettled = bench.settle();  // one packet is not to decide about another
    Exploration exploration{scenario, given, options, bench, plan};
    exploration.see_plain_packets();
    Explored explored;
    explored.opened = told(exploration.openings());
    say_limits(asked, plan, bench, unsettled, options, exploration, explored);
    explored.reaches = std::move(exploration).reaches();
    explored.seconds = since(start);
    return explored;
}

}  // namespace wmlab::lab
