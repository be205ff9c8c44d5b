#include "lab/judge/load.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/evidence/fields.hpp"
#include "lab/judge/flow.hpp"
#include "lab/verdict/expectation.hpp"
#include "lab/verdict/load_words.hpp"

namespace wmlab::lab {
namespace {

constexpr double too_busy = 0.95;      // of all processors, over a second
constexpr double loop_too_late = 250;  // ms that an event loop let everything wait
constexpr double whole_second = 0.5;   // of a shorter stretch the kernel's ticks say little
constexpr double longest_second = 1e6;

struct Player {
    FlowResult* flow;
    std::optional<double> began, playing, ended;
};

struct Second {  // one `load-second`
    const Event* event;
    const boost::json::object* load;  // its part about this load
    double end = 0;
    double seconds = 0;
};

// Monotonic, s: a journal may say anything, and these never overflow.
double moment_of(const Event& event) { return std::chrono::duration<double>{event.monotonic}.count(); }

std::optional<double> at_rank(const std::vector<double>& sorted, double part) {
    if (sorted.empty()) return std::nullopt;
    const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(sorted.size())));
    return sorted[std::max<std::size_t>(rank, 1) - 1];
}

std::optional<Percentiles> percentiles(std::vector<double> values) {
    if (values.empty()) return std::nullopt;
    std::ranges::sort(values);
    return Percentiles{*at_rank(values, 0.50), *at_rank(values, 0.95), *at_rank(values, 0.99)};
}

Player player_of(const Evidence& evidence, FlowResult& flow) {
    Player player{&flow, {}, {}, {}};
    const auto& view = evidence.flow(flow.id);
    const auto when = [](const Event* event) { return event != nullptr ? std::optional{moment_of(*event)} : std::nullopt; };
    player.began = when(view.first(flow.from, What::flow_started));
    player.playing = when(view.first(flow.from, What::media_started));
    player.ended = when(view.last(flow.from, What::flow_ended));
    if (player.began && player.playing && *player.playing >= *player.began) flow.setup = (*player.playing - *player.began) * 1000;
    return player;
}

std::vector<Second> seconds_of(std::span<const Event> events, std::string_view load) {
    std::vector<Second> all;
    for (const auto& event : events) {
        const auto* loads = event.event == What::load_second ? event.fields.if_contains(field::loads) : nullptr;
        if (loads == nullptr || !loads->is_array()) continue;
        for (const auto& entry : loads->get_array()) {
            const auto* object = entry.if_object();
            const auto* name = object != nullptr ? object->if_contains(field::load) : nullptr;
            if (name == nullptr || !name->is_string() || name->get_string() != boost::json::string_view{load.data(), load.size()}) continue;
            all.push_back({&event, object, moment_of(event), std::clamp(number_field(event, field::seconds).value_or(0), 0.0, longest_second)});
        }
    }
    std::ranges::stable_sort(all, {}, &Second::end);
    return all;
}

// Sums over the players.
void add_up(const Evidence& evidence, const std::vector<Player>& players, LoadResult& load) {
    std::vector<double> setups, jitters;
    for (const auto& player : players) {
        const auto& flow = *player.flow;
        load.worked += working(flow.verdict);
        load.unread += flow.reason == Reason::overloaded;
        if (flow.setup) setups.push_back(*flow.setup);
        if (flow.media) {
            const auto& media = *flow.media;
            load.packets += media.packets_received;
            if (media.packets_received > 0) load.lost += media.lost;  // who got none was stopped, and is told as that
            load.gaps += media.gaps;
            if (media.jitter) jitters.push_back(*media.jitter);
        }
        for (const auto& leg : flow.legs)
            if (leg.ledger && leg.ledger->complete) load.withheld += leg.ledger->there.dropped + leg.ledger->back.dropped;
        for (const auto* event : evidence.flow(flow.id).at(flow.to))
            if (event->event == What::media_ended) {
                load.skipped += whole_field(*event, field::skipped).value_or(0);
                load.unsent += whole_field(*event, field::unsent).value_or(0);
            }
    }
    load.players = static_cast<unsigned>(players.size());
    load.set_up = static_cast<unsigned>(setups.size());
    load.setup = percentiles(setups);
    load.jitter = percentiles(std::move(jitters));
    if (load.packets + load.lost > 0) load.loss = static_cast<double>(load.lost) / static_cast<double>(load.packets + load.lost);
    // Who was never set up took for ever.
    setups.resize(players.size(), std::numeric_limits<double>::infinity());
    std::ranges::sort(setups);
    if (const auto p95 = at_rank(setups, 0.95); p95 && std::isfinite(*p95)) load.setup_p95 = p95;
}

void add_seconds(const std::vector<Second>& told, const std::vector<Player>& players, LoadResult& load) {
    double began = std::numeric_limits<double>::max(), ended = std::numeric_limits<double>::lowest();
    for (const auto& player : players) {
        if (player.began) began = std::min(began, *player.began);
        if (player.ended) ended = std::max(ended, *player.ended);
    }
    if (began >= ended) return;
    load.gaps_per_second = static_cast<double>(load.gaps) / (ended - began);
    auto since = began;
    for (const auto& one : told) {
        const auto start = one.end - one.seconds;
        if (one.end <= began || start >= ended) continue;
        if (one.seconds >= whole_second)
            if (const auto busy = number_field(*one.event, field::busy)) load.busy = std::max(load.busy.value_or(0), *busy);
        if (const auto late = number_field(*one.event, field::late)) load.late = std::max(load.late.value_or(0), *late);
        if (!one.load->contains(field::packets)) continue;  // of a server
        LoadResult::Second second;
        second.at = std::max(0.0, start - began);
        second.seconds = one.seconds;
        second.packets = whole_field(*one.load, field::packets).value_or(0);
        second.lost = whole_field(*one.load, field::lost).value_or(0);
        second.gaps = whole_field(*one.load, field::gaps).value_or(0);
        second.jitter = std::max(0.0, number_field(*one.load, field::jitter).value_or(0));
        for (const auto& player : players) {
            if (!player.playing) continue;
            second.set_up += *player.playing >= since && *player.playing < one.end;
            second.playing += *player.playing < one.end && (!player.ended || *player.ended > start);
        }
        since = one.end;
        load.seconds.push_back(second);
    }
}

void find_limit(const std::vector<Player>& players, const scenario::Expectation& expected, LoadResult& load) {
    const bool late = !unmet_by(load, expected).empty();
    const bool stopped = std::ranges::any_of(players, [](const Player& player) {
        return player.flow->verdict == Verdict::blocked || (player.flow->verdict == Verdict::degraded && player.flow->cause);
    });
    const bool short_of = load.worked < load.players || load.lost > 0 || load.gaps > 0 || late || stopped;
    const bool starved = load.skipped > 0 || load.unsent > 0 || load.unread > 0;
    const bool strained = load.busy.value_or(0) >= too_busy || load.late.value_or(0) >= loop_too_late;
    if (short_of && (stopped || load.withheld > 0))
        load.limit = LoadResult::Limit::firewall;
    else if (starved || (strained && short_of))
        load.limit = LoadResult::Limit::machine;
}

// What an overloaded machine does to a player is no verdict about the firewall.
void doubt_players(const std::vector<Player>& players, const scenario::Expectation& expected, const LoadResult& load) {
    const bool missed = !unmet_by(load, expected).empty();
    for (const auto& player : players) {
        auto& flow = *player.flow;
        const bool ended_so = flow.verdict == Verdict::failed ||
                              (flow.verdict == Verdict::inconclusive && (flow.reason == Reason::host_silent || flow.reason == Reason::no_outcome ||
                                                                         flow.reason == Reason::contradiction || flow.reason == Reason::control_failed));
        const bool measured_so = missed && working(flow.verdict);
        if (!ended_so && !measured_so) continue;
        doubt_flow(flow, Reason::overloaded, flow.leg,
                   fmt::format("The machine, not the firewall, was the limit of {}: {}. {}", load.load, machine_words(load), flow.explanation));
    }
}

}  // namespace

void judge_loads(const scenario::Scenario& scenario, const Evidence& evidence, std::span<const Event> events, Report& report) {
    std::vector<std::pair<std::string, std::vector<Player>>> loads;
    for (auto& flow : report.flows) {
        if (flow.load.empty()) continue;
        auto found = std::ranges::find(loads, flow.load, [](const auto& load) { return load.first; });
        if (found == loads.end()) found = loads.insert(loads.end(), {flow.load, {}});
        found->second.push_back(player_of(evidence, flow));
    }
    for (const auto& [name, players] : loads) {
        const auto& first = *players.front().flow;
        const auto flow = std::ranges::find(scenario.flows, first.line, &scenario::Flow::line);
        if (flow == scenario.flows.end() || !flow->load || players.size() != flow->count) continue;
        auto& load = report.loads.emplace_back();
        load.load = name, load.type = first.type, load.from = first.from, load.to = first.to;
        load.ramp = std::chrono::duration<double>{flow->load->ramp}.count();
        load.duration = std::chrono::duration<double>{flow->play}.count();
        add_up(evidence, players, load);
        add_seconds(seconds_of(events, name), players, load);
        find_limit(players, first.expected, load);
        if (load.limit == LoadResult::Limit::machine) doubt_players(players, first.expected, load);
    }
}

}  // namespace wmlab::lab
