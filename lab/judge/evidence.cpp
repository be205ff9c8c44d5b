#include "lab/judge/evidence.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <tuple>

namespace wmlab::lab {
namespace {

constexpr std::string_view runner_process = "wmlab";

// A total order, so that the judge sees the same whatever the order of the lines was.
bool earlier(const Event* a, const Event* b) {
    const auto key = [](const Event& event) {
        return std::tie(event.host, event.process, event.monotonic, event.utc, event.event, event.flow, event.leg,
                        event.local, event.remote);
    };
    const auto left = key(*a), right = key(*b);
    if (left != right) return left < right;
    return boost::json::serialize(a->fields) < boost::json::serialize(b->fields);
}

// Ports as a journal may give them: a number, "7007", "1024-5000", "3001-3010 135".
bool names_port(const Event& event, const scenario::PortList& ports) {
    const auto wanted = [&](unsigned first, unsigned last) {
        return std::ranges::any_of(ports,
                                   [&](const auto& range) { return range.first <= last && first <= range.last; });
    };
    const auto local = Endpoint::from(event.local);
    if (local.port != 0 && (ports.empty() || wanted(local.port, local.port))) return true;
    for (auto rest = text_field(event, field::ports); !rest.empty();) {
        const auto word = rest.substr(0, rest.find(' '));
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        const auto range = scenario::PortRange::from(word);
        if (range && (ports.empty() || wanted(range->first, range->last))) return true;
    }
    return false;
}

}  // namespace

std::uint64_t wave_of(const Event& event) { return static_cast<std::uint64_t>(std::clamp(number_field(event, field::wave).value_or(0), 0.0, 1e9)); }

std::optional<Failure> failure_of(const Event& event) {
    const auto told = evidence::read_failure(event);
    if (!told) return std::nullopt;
    Failure failure{told->kind, told->error, told->waited, {}};
    // No deadline is so short: the wait was ended because the trace had shown it to be vain.
    constexpr double vain = 50;
    if (failure.kind == "timeout" && failure.waited && *failure.waited < vain) failure.waited.reset();
    if (told->icmp) failure.icmp = Icmp{told->icmp->type, told->icmp->code, told->icmp->from, {}};
    return failure;
}

const Events& FlowView::at(std::string_view host) const {
    static const Events none;
    const auto found = hosts.find(host);
    return found == hosts.end() ? none : found->second;
}

Events FlowView::at(std::string_view host, std::string_view leg) const {
    Events chosen;
    std::ranges::copy_if(at(host), std::back_inserter(chosen), [&](const Event* event) { return event->leg == leg; });
    return chosen;
}

Events FlowView::at(std::string_view host, std::string_view leg, What what) const {
    Events chosen = at(host, leg);
    std::erase_if(chosen, [&](const Event* event) { return event->event != what; });
    return chosen;
}

Events FlowView::all(What what) const {
    Events chosen;
    for (const auto& [host, events] : hosts) {
        std::ranges::copy_if(events, std::back_inserter(chosen),
                             [&](const Event* event) { return event->event == what; });
    }
    return chosen;
}

const Event* FlowView::first(std::string_view host, What what) const {
    const auto& events = at(host);
    const auto found = std::ranges::find(events, what, [](const Event* event) { return event->event; });
    return found == events.end() ? nullptr : *found;
}

const Event* FlowView::last(std::string_view host, What what) const {
    const Event* newest = nullptr;
    for (const auto* event : at(host)) {
        if (event->event == what) newest = event;
    }
    return newest;
}

Evidence::Evidence(const scenario::Scenario& scenario, std::span<const Event> events) : scenario_{scenario} {
    Events ordered;
    ordered.reserve(events.size());
    for (const auto& event : events) ordered.push_back(&event);
    std::ranges::sort(ordered, earlier);
    for (const auto* event : ordered) {
        if (event->event == What::wire) {
            wires_[wave_of(*event)][event->host].add(*event);
        }
        if (event->process == runner_process) {
            runner_.push_back(event);
            runner_by_[event->event].push_back(event);
            if (event->event == What::lab_up) {
                if (const auto* flows = list_field(*event, field::flows))
                    for (const auto& flow : *flows) waves_[std::string{evidence::text_in(flow)}] = wave_of(*event);
            }
            if (event->event == What::trace && !true_field(*event, field::own))
                traced_[fmt::format("{} {} {}", text_field(*event, field::protocol), text_field(*event, field::source), text_field(*event, field::destination))]
                    .push_back(event);
            continue;
        }
        const bool same_process =
            !runs_.empty() && runs_.back().host == event->host && runs_.back().process == event->process;
        if (event->event == What::started || !same_process) {
            runs_.push_back({event->host, event->process, {}, false, {}, {}, {}});
        }
        auto& run = runs_.back();
        if (!event->local.empty()) claimed_.emplace(event->host, Endpoint::from(event->local));
        run.events.push_back(event);
        if (event->event == What::listening || event->event == What::listen_failed) run.sockets.push_back(event);
        if (event->event != What::started) continue;
        if (const auto* flows = list_field(*event, field::flows)) {
            run.names_flows = true;
            for (const auto& flow : *flows) run.flows.insert(std::string{evidence::text_in(flow)});
        }
    }
    assign_flows();
    for (std::size_t i = 0; i < runs_.size(); ++i) {
        runs_of_[runs_[i].host].push_back(i);
        runs_[i].trouble = trouble_of(runs_[i]);
    }
}

namespace {

using Packet = decltype(Sighting{}.key());
using FlowLeg = std::pair<std::string, std::string>;

// Which flow the opening end says that a connection belongs to.
class Openers {
public:
    explicit Openers(const scenario::Scenario& scenario) : scenario_{scenario} {}

    void take(const Event& event) {
        const bool tells =
            event.event == What::connected || event.event == What::connect_failed || event.event == What::sent || event.event == What::probe_sent;
        if (!tells || event.flow.empty() || event.local.empty()) return;
        opened_[{event.remote, event.local}] = {event.flow, event.leg};
        by_port_[{event.remote, Endpoint::from(event.local).port}].insert({event.flow, event.leg});
    }

    // Where the wires list packets, the SYN tells as whom a connection was opened: it is the same packet on both.
    void take(const std::string& host, const WireRecord& wire) {
        for (const auto& line : wire.lines()) {
            if (line.kind != "syn" || line.each.empty()) continue;
            if (line.way == Way::out)
                sent_.emplace(line.each.front().key(), std::pair{line.source, line.destination});
            else
                came_.emplace(std::tuple{host, line.source, line.destination}, line.each.front().key());
        }
    }

    // Of an event of the answering end.
    std::optional<FlowLeg> of(const Event& event) const {
        if (const auto match = opened_.find({event.local, event.remote}); match != opened_.end()) return match->second;
        const auto remote = Endpoint::from(event.remote);
        const auto address = scenario::Ipv4::from(remote.address);
        if (const auto syn = came_.find({event.host, remote, Endpoint::from(event.local)}); syn != came_.end()) {
            const auto from = sent_.find(syn->second);
            if (from == sent_.end()) return std::nullopt;
            const auto& [source, destination] = from->second;
            const auto match = opened_.find({destination.text(), source.text()});
            return match == opened_.end() ? std::nullopt : std::optional{match->second};
        }
        if (remote.port == 0 || !address || scenario_.host_at(*address) != nullptr) return std::nullopt;
        const auto match = by_port_.find({event.local, remote.port});
        if (match == by_port_.end() || match->second.size() != 1) return std::nullopt;
        return *match->second.begin();
    }

private:
    const scenario::Scenario& scenario_;
    std::map<std::pair<std::string, std::string>, FlowLeg> opened_;  // local, remote
    // Translation hides the opening host's address; the port mostly stays. Flows that share one are left out.
    std::map<std::pair<std::string, std::uint16_t>, std::set<FlowLeg>> by_port_;
    std::map<Packet, std::pair<Endpoint, Endpoint>> sent_;                // source, destination
    std::map<std::tuple<std::string, Endpoint, Endpoint>, Packet> came_;  // host, source, destination
};

// Flow and leg of every event of one process, by the connection's number where it has one.
std::vector<FlowLeg> places_of(const Events& events, const Openers& openers) {
    std::map<double, FlowLeg> by_number;
    for (const auto* event : events) {
        const auto number = number_field(*event, field::connection);
        if (!number) continue;
        if (!event->flow.empty()) {
            auto& [flow, leg] = by_number[*number];
            flow = event->flow;
            if (leg.empty()) leg = event->leg;
        } else if (const auto match = openers.of(*event)) {
            by_number.try_emplace(*number, *match);
        }
    }
    std::vector<FlowLeg> places;
    for (const auto* event : events) {
        FlowLeg place{event->flow, event->leg};
        if (place.first.empty()) {
            if (const auto number = number_field(*event, field::connection)) {
                if (const auto match = by_number.find(*number); match != by_number.end()) place = match->second;
            } else if (const auto other = openers.of(*event)) {
                place = *other;
            }
            if (!event->leg.empty()) place.second = event->leg;
        }
        places.push_back(std::move(place));
    }
    return places;
}

}  // namespace

// An answering end learns late, or never, which flow a connection belongs to: by the connection's number, then by the
// addresses that the opening end names.
void Evidence::assign_flows() {
    Openers openers{scenario_};
    for (const auto& run : runs_)
        for (const auto* event : run.events) openers.take(*event);
    for (const auto& [wave, of_wave] : wires_)
        for (const auto& [host, wire] : of_wave) openers.take(host, wire);
    const auto stays = [](const Event& event, const FlowLeg& place) { return place.first == event.flow && place.second == event.leg; };
    std::vector<std::vector<FlowLeg>> places;
    std::size_t copies = 0;
    for (const auto& run : runs_) {
        const auto& list = places.emplace_back(places_of(run.events, openers));
        for (std::size_t i = 0; i < list.size(); ++i) copies += stays(*run.events[i], list[i]) ? 0 : 1;
    }
    found_.reserve(copies);  // pointers into it are kept
    for (std::size_t r = 0; r < runs_.size(); ++r) {
        for (std::size_t i = 0; i < places[r].size(); ++i) {
            const auto& place = places[r][i];
            if (place.first.empty()) continue;
            const Event* seen = runs_[r].events[i];
            if (!stays(*seen, place)) {
                auto& copy = found_.emplace_back(*seen);
                copy.flow = place.first;
                copy.leg = place.second;
                seen = &copy;
            }
            flows_[place.first].hosts[seen->host].push_back(seen);
            if (seen->event == What::accepted) accepted_[{seen->host, Endpoint::from(seen->remote)}] = seen->flow;
        }
    }
    for (const auto* event : runner_) {
        if (!event->flow.empty()) flows_[event->flow].hosts[event->host].push_back(event);
    }
}

const FlowView& Evidence::flow(std::string_view id) const {
    static const FlowView none;
    const auto found = flows_.find(id);
    return found == flows_.end() ? none : found->second;
}

std::uint64_t Evidence::wave(std::string_view flow) const {
    const auto found = waves_.find(flow);
    return found == waves_.end() ? 0 : found->second;
}

const std::map<std::string, WireRecord, std::less<>>& Evidence::wires(std::string_view flow) const {
    static const std::map<std::string, WireRecord, std::less<>> none;
    // Journals that do not tell waves apart have one account for all.
    if (wires_.size() == 1) return wires_.begin()->second;
    const auto found = wires_.find(wave(flow));
    return found == wires_.end() ? none : found->second;
}

const WireRecord& Evidence::wire(std::string_view host, std::string_view flow) const {
    static const WireRecord none;
    const auto& of_wave = wires(flow);
    const auto found = of_wave.find(host);
    return found == of_wave.end() ? none : found->second;
}

bool Evidence::takes_part(const Run& run, std::string_view flow) const {
    return !run.names_flows || run.flows.contains(flow);
}

std::optional<Trouble> Evidence::trouble_of(const Run& run) const {
    const auto find = [&](What what) {
        const auto found = std::ranges::find(run.events, what, [](const Event* event) { return event->event; });
        return found == run.events.end() ? nullptr : *found;
    };
    const auto& deaths = runner(What::process_died);
    const auto died = std::ranges::find_if(deaths, [&](const Event* event) {
        if (event->host != run.host) return false;
        const auto program = text_field(*event, field::program);
        return program.empty() || program.find(run.process) != std::string_view::npos;
    });
    const auto* stopped = find(What::stopped);
    if (const auto* fatal = find(What::fatal); fatal != nullptr && died != deaths.end() && stopped == nullptr) {
        return Trouble{Reason::process_died, fmt::format("{} on {} could not go on: {}.", run.process, run.host, text_field(*fatal, field::error))};
    }
    if (died != deaths.end() && stopped == nullptr) {
        const auto signal = number_field(**died, field::signal);
        const auto code = number_field(**died, field::exit);
        const auto how = signal && *signal != 0 ? fmt::format(" by signal {}", *signal)
                         : code                 ? fmt::format(" with exit status {}", *code)
                                                : std::string{};
        return Trouble{Reason::process_died,
                       fmt::format("{} on {} ended{} without having been told to.", run.process, run.host, how)};
    }
    if (const auto* fatal = find(What::fatal)) {
        return Trouble{Reason::not_ready, fmt::format("{} on {} could not go on: {}.", run.process, run.host, text_field(*fatal, field::error))};
    }
    if (find(What::started) == nullptr) {
        return Trouble{Reason::journal_incomplete,
                       fmt::format("The journal of {} on {} has no beginning.", run.process, run.host)};
    }
    if (find(What::ready) == nullptr) {
        return Trouble{Reason::not_ready, fmt::format("{} on {} never said that it is ready.", run.process, run.host)};
    }
    if (stopped == nullptr) {
        return Trouble{Reason::journal_incomplete,
                       fmt::format("The journal of {} on {} does not come to its end.", run.process, run.host)};
    }
    if (const auto lines = number_field(*stopped, field::lines); lines && *lines != static_cast<double>(run.events.size())) {
        return Trouble{Reason::journal_incomplete,
                       fmt::format("The journal of {} on {} has {} lines where {} were written.", run.process, run.host,
                                   run.events.size(), *lines)};
    }
    return std::nullopt;
}

std::optional<Trouble> Evidence::trouble(std::string_view host, std::string_view flow) const {
    for (const auto* event : runner(What::process_died))
        if (event->host == host)
            if (const auto why = text_field(*event, field::unreachable); !why.empty())
                return Trouble{Reason::process_died, fmt::format("{} takes no part: {}.", host, why)};
    bool any = false;
    std::optional<Trouble> worst;
    for (const auto index : runs_at(host)) {
        const auto& run = runs_[index];
        if (!takes_part(run, flow)) continue;
        any = true;
        const auto& problem = run.trouble;
        if (problem && (!worst || problem->reason == Reason::process_died)) worst = problem;
    }
    if (any) return worst;
    for (const auto* event : runner(What::process_died)) {
        if (event->host == host) {
            return Trouble{Reason::process_died,
                           fmt::format("The simulator on {} ended before it wrote anything.", host)};
        }
    }
    return Trouble{Reason::no_journal, fmt::format("There is no journal of {} that has this flow.", host)};
}

std::optional<Trouble> Evidence::runner_trouble() const {
    for (const auto* event : runner(What::fatal)) return Trouble{Reason::lab_broken, fmt::format("The lab broke: {}.", text_field(*event, field::error))};
    const auto& ends = runner(What::stopped);
    const Event* stopped = ends.empty() ? nullptr : ends.back();
    if (stopped == nullptr) return std::nullopt;  // journals collected by hand have no runner
    const auto lines = number_field(*stopped, field::lines);
    if (lines && *lines != static_cast<double>(runner_.size())) {
        return Trouble{
            Reason::journal_incomplete,
            fmt::format("The journal of the lab has {} lines where {} were written.", runner_.size(), *lines)};
    }
    return std::nullopt;
}

Evidence::Bound Evidence::bound(std::string_view host, scenario::Protocol protocol, const scenario::PortList& ports,
                                std::string_view flow) const {
    Bound bound;
    const auto look = [&](const Event* event) {
        const bool about = event->event == What::listening || event->event == What::listen_failed;
        if (!about || event->host != host || (!event->flow.empty() && event->flow != flow)) return;
        const auto named = text_field(*event, field::protocol);
        if (!named.empty() && named != scenario::text(protocol)) return;
        if (!names_port(*event, ports)) return;
        (event->event == What::listening ? bound.listening : bound.failed) = event;
    };
    for (const auto index : runs_at(host)) {
        if (!takes_part(runs_[index], flow)) continue;
        for (const auto* event : runs_[index].sockets) look(event);
    }
    for (const auto what : {What::listening, What::listen_failed})
        for (const auto* event : runner(what)) look(event);
    return bound;
}

bool Evidence::accepted_for_other(std::string_view host, const Endpoint& remote, std::string_view flow) const {
    const auto found = accepted_.find({std::string{host}, remote});
    return found != accepted_.end() && found->second != flow;
}

bool Evidence::claimed(std::string_view host, const Endpoint& local) const {
    return claimed_.contains({std::string{host}, local});
}

Events Evidence::traced(std::string_view protocol, const Endpoint& source, const Endpoint& destination,
                        std::string_view flow) const {
    const auto found = traced_.find(fmt::format("{} {} {}", protocol, source.text(), destination.text()));
    if (found == traced_.end()) return {};
    Events chosen = found->second;
    std::erase_if(chosen, [&](const Event* event) {
        const auto number = wave_of(*event);
        return number != 0 && wave(flow) != 0 && number != wave(flow);
    });
    return chosen;
}

const Events& Evidence::runner(What what) const {
    static const Events none;
    const auto found = runner_by_.find(what);
    return found == runner_by_.end() ? none : found->second;
}

const std::vector<std::size_t>& Evidence::runs_at(std::string_view host) const {
    static const std::vector<std::size_t> none;
    const auto found = runs_of_.find(host);
    return found == runs_of_.end() ? none : found->second;
}

const Event* Evidence::lab_up() const {
    const auto& all = runner(What::lab_up);
    return all.empty() ? nullptr : all.front();
}

}  // namespace wmlab::lab
