#include "lab/logs/attribution.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "lab/logs/fields.hpp"

namespace wmlab::lab::logs {
namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;
using Time = std::chrono::sys_time<nanoseconds>;

// Clocks stand in other zones, and are a few minutes off; a day is another log.
constexpr nanoseconds offset_max = 15h;
// A line is written when it happens, or when a retry or the end of a session is told; whole seconds are cut off.
constexpr nanoseconds before_max = 3s, after_max = 20s;
constexpr nanoseconds near_offset = 60s;  // of clocks that somebody cares for

std::string endpoint_text(const End& end) {
    return end.port == 0 ? end.address : end.address + ":" + std::to_string(end.port);
}

bool whole(std::string_view endpoint) { return endpoint.find(':') != std::string_view::npos; }

std::string key(std::string_view source, std::string_view destination) {
    return fmt::format("{} {}", source, destination);
}

struct Moment {
    Time first, last;
};

struct Wanted {  // a leg whose rule is looked for
    FlowResult* flow = nullptr;
    LegResult* leg = nullptr;
    bool stopped = false;
    std::vector<const Entry*> lines;
    std::optional<Moment> when;
};

class Joiner {
public:
    Joiner(Report& report, std::span<const evidence::Event> events, const Log& log, std::string_view name)
        : report_{report}, events_{events}, log_{log}, name_{name} {}

    void run() {
        moments();
        for (const auto& entry : log_.entries) {
            add(entry.source, entry.destination, entry);
            const auto source = entry.source_as.value_or(entry.source);
            const auto destination = entry.destination_as.value_or(entry.destination);
            if (source == entry.source && destination == entry.destination) continue;
            add(source, destination, entry);
            add(entry.source, destination, entry);
            add(source, entry.destination, entry);
        }
        for (auto& flow : report_.flows)
            for (auto& leg : flow.legs) want(flow, leg);
        learn_offset();
        std::size_t doubtful = 0;
        for (auto& wanted : wanted_) doubtful += name(wanted) ? 0 : 1;
        notes(doubtful);
    }

private:
    void add(const End& source, const End& destination, const Entry& entry) {
        auto& list = by_ends_[key(endpoint_text(source), endpoint_text(destination))];
        if (list.empty() || list.back() != &entry) list.push_back(&entry);
    }

    void moments() {
        for (const auto& event : events_) {
            if (event.flow.empty() || event.utc.time_since_epoch().count() == 0) continue;
            const Time time{event.utc.time_since_epoch()};
            // Each end has its own clock: their times are not mixed.
            for (const auto& id :
                 {key(event.flow, event.leg) + " " + event.host, key(event.flow, "") + " " + event.host}) {
                auto [found, fresh] = moments_.try_emplace(id, Moment{time, time});
                if (fresh) continue;
                found->second.first = std::min(found->second.first, time);
                found->second.last = std::max(found->second.last, time);
            }
        }
    }

    static bool stops(const LegResult& leg) {
        const bool stopped = leg.verdict == Verdict::blocked || (leg.verdict == Verdict::degraded && leg.cause);
        return stopped && leg.cause != Cause::refused && leg.cause != Cause::proxy_denied &&
               leg.cause != Cause::exhausted;
    }

    void want(FlowResult& flow, LegResult& leg) {
        const bool stopped = stops(leg);
        if (!stopped && leg.verdict != Verdict::pass) return;
        Wanted wanted;
        wanted.flow = &flow, wanted.leg = &leg, wanted.stopped = stopped;
        for (const auto& host : {flow.from, flow.to})
            for (const auto& name : {leg.name, std::string{}})
                if (const auto found = moments_.find(key(flow.id, name) + " " + host);
                    found != moments_.end() && !wanted.when)
                    wanted.when = found->second;
        // The whole 5-tuple: one line must not be taken for another flow's.
        std::set<std::string> sources{leg.source}, destinations{leg.destination};
        if (!leg.source_seen.empty()) sources.insert(leg.source_seen);
        if (!leg.destination_seen.empty()) destinations.insert(leg.destination_seen);
        std::set<const Entry*> lines;
        for (const auto& source : sources)
            for (const auto& destination : destinations) {
                if (!whole(source) || !whole(destination)) continue;
                for (const auto& ends : {key(source, destination), key(destination, source)}) {
                    const auto found = by_ends_.find(ends);
                    if (found == by_ends_.end()) continue;
                    for (const auto* entry : found->second)
                        if (entry->protocol.empty() || entry->protocol == leg.protocol) lines.insert(entry);
                }
            }
        wanted.lines.assign(lines.begin(), lines.end());
        wanted_.push_back(std::move(wanted));
    }

    // How far the device's clock is ahead: what most legs agree on, those that passed first.
    void learn_offset() {
        for (const bool passed : {true, false}) {
            Differences differences;
            for (std::size_t i = 0; i < wanted_.size(); ++i) {
                const auto& wanted = wanted_[i];
                if (wanted.stopped == passed || !wanted.when) continue;
                for (const auto* entry : wanted.lines)
                    if (entry->time && (passed ? begins(*entry) : entry->action == Entry::Action::deny))
                        differences.emplace_back(*entry->time - wanted.when->first, i);
            }
            std::ranges::sort(differences);
            auto best = strongest(differences, std::nullopt);
            if (best.legs == 0) continue;
            // An earlier run with the same ports has left lines too: which are this run's?
            const auto rival = strongest(differences, best.offset);
            if (rival.legs * 5 >= best.legs * 4) {
                const bool best_near = abs(best.offset) <= near_offset, rival_near = abs(rival.offset) <= near_offset;
                if (best_near == rival_near) {
                    two_runs_ = true;
                    return;
                }
                if (rival_near) best = rival;
            }
            offset_ = best.offset;
            return;
        }
    }

    struct Offset {
        nanoseconds offset{};
        std::size_t legs = 0;  // that agree on it
    };
    using Differences = std::vector<std::pair<nanoseconds, std::size_t>>;  // sorted; with the leg
    static Offset strongest(const Differences& differences, std::optional<nanoseconds> but) {
        Offset best;
        for (std::size_t first = 0, last = 0; first < differences.size(); ++first) {
            while (last < differences.size() && differences[last].first - differences[first].first <= before_max)
                ++last;
            const auto middle = differences[first + (last - first) / 2].first;
            if (abs(middle) > offset_max || (but && abs(middle - *but) <= after_max + before_max)) continue;
            std::set<std::size_t> legs;
            for (auto i = first; i < last; ++i) legs.insert(differences[i].second);
            if (legs.size() > best.legs) best = {middle, legs.size()};
        }
        return best;
    }

    static nanoseconds abs(nanoseconds time) { return time < 0ns ? -time : time; }
    static bool begins(const Entry& entry) {
        using enum Entry::Action;
        return entry.action == permit || entry.action == build;
    }

    bool in_time(const Entry& entry, const Moment& when) const {
        if (!entry.time || !offset_) return false;
        const auto there = *entry.time - *offset_;
        return there >= when.first - before_max && there <= when.last + after_max;
    }

    // False: lines were about it, and they do not agree.
    bool name(Wanted& wanted) {
        auto& leg = *wanted.leg;
        if (leg.rule || !wanted.when) return true;
        std::vector<const Entry*> found;
        std::set<std::string> rules;
        for (const bool strays : {false, true}) {
            for (const auto* entry : wanted.lines) {
                const bool fits = wanted.stopped ? entry->action == Entry::Action::deny : begins(*entry);
                if (!fits || entry->stray != strays || entry->rule.empty() || !in_time(*entry, *wanted.when)) continue;
                found.push_back(entry);
                rules.insert(entry->rule);
            }
            if (!found.empty() || !wanted.stopped) break;
        }
        if (rules.empty()) return true;
        if (rules.size() > 1) {
            if (wanted.stopped)
                leg.evidence.push_back(
                    fmt::format("The firewall's log has more than one rule for these packets ({} and {}): none is named.",
                                *rules.begin(), *std::next(rules.begin())));
            return !wanted.stopped;
        }
        const auto& entry = **std::ranges::min_element(found, {}, [](const Entry* one) { return one->line; });
        leg.rule = RuleRef{name_, static_cast<unsigned>(entry.line), entry.rule, "device"};
        if (wanted.stopped) {
            leg.evidence.push_back(fmt::format("The firewall's log says: {}", entry.text));
            if (wanted.flow->leg == leg.name && !wanted.flow->rule) wanted.flow->rule = leg.rule;
        }
        return true;
    }

    void notes(std::size_t doubtful) {
        const auto note = [&](std::string text) { report_.notes.push_back(std::move(text)); };
        if (!log_.problem.empty())
            return note(fmt::format("the firewall's log {} was not read: {}", name_, log_.problem));
        if (log_.lines > 0 && log_.understood == 0)
            return note(fmt::format(
                "no line of the firewall's log {} ({} lines) is a message about a packet in the format that the scenario says: no rule is named from it",
                name_, log_.lines));
        if (log_.lines == 0)
            return note(fmt::format("the firewall's log {} is empty: no rule is named from it", name_));
        const bool any = std::ranges::any_of(wanted_, [](const Wanted& one) { return !one.lines.empty(); });
        if (!any)
            note(fmt::format("no line of the firewall's log {} is about a packet of this run", name_));
        else if (two_runs_)
            note(fmt::format(
                "the firewall's log {} has the same packets twice, as of two runs: no rule is named from it", name_));
        else if (!offset_)
            note(fmt::format(
                "the times of the firewall's log {} are further from this run than clocks in other zones can be: it is taken for another run's",
                name_));
        else if (abs(*offset_) > before_max)
            note(fmt::format("the clock of the firewall's log {} is {:.0f} s {} this machine's: taken into account",
                             name_, std::chrono::duration<double>{abs(*offset_)}.count(),
                             *offset_ > 0ns ? "ahead of" : "behind"));
        if (doubtful > 0)
            note(fmt::format("the firewall's log names more than one rule for {} leg{}: none is named there", doubtful,
                             doubtful == 1 ? "" : "s"));
        if (log_.cut) note(fmt::format("the firewall's log {} has more lines than are read", name_));
    }

    Report& report_;
    std::span<const evidence::Event> events_;
    const Log& log_;
    std::string name_;
    std::unordered_map<std::string, std::vector<const Entry*>> by_ends_;
    std::map<std::string, Moment> moments_;
    std::vector<Wanted> wanted_;
    std::optional<nanoseconds> offset_;
    bool two_runs_ = false;
};

}  // namespace

void attribute(Report& report, std::span<const evidence::Event> events, const Log& log, std::string_view name) {
    Joiner{report, events, log, name}.run();
}

}  // namespace wmlab::lab::logs
