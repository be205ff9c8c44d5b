#include "lab/judge/picture.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <utility>

#include "lab/judge/evidence.hpp"

namespace wmlab::lab {
namespace {

constexpr std::size_t steps_max = 40;  // of a ladder; a longer one is no longer read

double milliseconds_of(std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

struct WireSight {  // a `wire` line, with what the ladder needs of it
    std::string host;
    bool out = false;
    std::string protocol, kind;
    Endpoint source, destination;
    std::uint64_t packets = 0;
    double first = 0;
};

std::optional<WireSight> sight_of(const Event& event) {
    WireSight sight;
    sight.host = event.host;
    sight.out = text_field(event, field::direction) == "out";
    sight.protocol = text_field(event, field::protocol);
    sight.kind = text_field(event, field::kind);
    sight.source = Endpoint::from(text_field(event, field::source));
    sight.destination = Endpoint::from(text_field(event, field::destination));
    sight.packets = static_cast<std::uint64_t>(number_field(event, field::packets).value_or(0));
    sight.first = number_field(event, field::first).value_or(0) / 1e6;
    if (sight.source.empty() || sight.host == "firewall" || !text_field(event, field::zone).empty()) return std::nullopt;
    return sight;
}

class Wires {
public:
    Wires(std::span<const Event> events, const Report& report) {
        for (const auto& event : events)
            if (event.event == What::wire)
                if (auto sight = sight_of(event))
                    by_addresses_[sight->source.address + " " + sight->destination.address].push_back(*sight);
        for (auto& [addresses, sights] : by_addresses_) {
            std::ranges::stable_sort(sights, {}, &WireSight::first);
            for (const auto& sight : sights) {
                by_source_port_[{addresses, sight.source.port}].push_back(&sight);
                by_destination_port_[{addresses, sight.destination.port}].push_back(&sight);
            }
        }
        for (const auto& flow : report.flows) {
            own(flow.legs);
            for (const auto& attempt : flow.attempts) own(attempt.legs);
        }
        for (const auto& [addresses, sights] : by_addresses_)
            for (const auto& sight : sights)
                if (!owned_.contains({sight.source, sight.destination})) nobodys_[addresses].push_back(&sight);
    }

    // What went from one address to the other, at any host. Where a port is not known, only what belongs to no leg that names both of its ports: in a crowd
    // the rest is other flows' doing.
    std::vector<const WireSight*> between(const Endpoint& source, const Endpoint& destination) const {
        std::vector<const WireSight*> found;
        const auto addresses = source.address + " " + destination.address;
        const auto look = [&](const WireSight& sight) {
            if ((source.port == 0 || sight.source.port == source.port) &&
                (destination.port == 0 || sight.destination.port == destination.port))
                found.push_back(&sight);
        };
        if (source.port == 0 || destination.port == 0) {
            const auto at = nobodys_.find(addresses);
            if (at != nobodys_.end())
                for (const auto* sight : at->second) look(*sight);
            return found;
        }
        // One conversation of thousands between the two is found by whichever port fewer of them have.
        const std::vector<const WireSight*>* fewest = nullptr;
        for (const auto& [by_port, port] : {std::pair{&by_source_port_, source.port}, {&by_destination_port_, destination.port}}) {
            const auto at = by_port->find({addresses, port});
            if (at == by_port->end()) return found;
            if (fewest == nullptr || at->second.size() < fewest->size()) fewest = &at->second;
        }
        for (const auto* sight : *fewest) look(*sight);
        return found;
    }

private:
    void own(const std::vector<LegResult>& legs) {
        for (const auto& leg : legs)
            for (const auto& [from, to] : {std::pair{&leg.source, &leg.destination}, {&leg.source_seen, &leg.destination_seen}}) {
                const auto source = Endpoint::from(from->empty() ? leg.source : *from), destination = Endpoint::from(to->empty() ? leg.destination : *to);
                if (source.port == 0 || destination.port == 0) continue;
                owned_.emplace(source, destination);
                owned_.emplace(destination, source);
            }
    }

    using ByPort = std::map<std::pair<std::string, std::uint16_t>, std::vector<const WireSight*>>;
    std::map<std::string, std::vector<WireSight>, std::less<>> by_addresses_;
    ByPort by_source_port_, by_destination_port_;
    std::set<std::pair<Endpoint, Endpoint>> owned_;  // by legs that name both ports, in both directions
    std::map<std::string, std::vector<const WireSight*>, std::less<>> nobodys_;
};

class LadderMaker {
public:
    LadderMaker(const scenario::Scenario& scenario, const Evidence& evidence, const Wires& wires,
                const FlowResult& flow)
        : scenario_{scenario}, view_{evidence.flow(flow.id)}, wires_{wires}, flow_{flow} {}

    Ladder make() {
        messages();
        for (const auto& leg : flow_.legs) packets(leg);
        for (const auto& attempt : flow_.attempts)
            for (const auto& leg : attempt.legs) packets(leg);
        media();
        std::ranges::stable_sort(ladder_.steps, {}, &Step::at);
        merge();
        if (!ladder_.steps.empty()) {
            const auto start = ladder_.steps.front().at;
            for (auto& step : ladder_.steps) step.at -= start;
        }
        if (ladder_.steps.size() > steps_max) {
            // What was lost is what the reader looks for: the ends are kept.
            const auto cut = ladder_.steps.size() - steps_max;
            ladder_.left_out = cut;
            const auto middle = ladder_.steps.begin() + static_cast<std::ptrdiff_t>(steps_max / 2);
            ladder_.steps.erase(middle, middle + static_cast<std::ptrdiff_t>(cut));
        }
        return std::move(ladder_);
    }

private:
    std::string host_at(const Endpoint& end) const {
        const auto address = scenario::Ipv4::from(end.address);
        const auto* const host = address ? scenario_.host_at(*address) : nullptr;
        return host == nullptr ? std::string{} : host->name;
    }
    std::string other(const std::string& host, std::string_view remote) const {
        auto there = host_at(Endpoint::from(remote));
        if (!there.empty() && there != host) return there;
        return host == flow_.from ? flow_.to : flow_.from;
    }

    void messages() {
        std::map<std::string, unsigned> sent;
        std::map<std::string, std::map<std::string, unsigned>> received;  // by message: how often at each host
        for (const auto& [host, events] : view_.hosts)
            for (const auto* event : events)
                if (event->event == What::received) ++received[event->leg + " " + std::string{text_field(*event, field::message)}][host];
        for (const auto& [host, events] : view_.hosts) {
            for (const auto* event : events) {
                if (event->event != What::sent) continue;
                Step step;
                step.at = milliseconds_of(event->monotonic);
                step.from = host;
                step.to = other(host, event->remote);
                step.label = text_field(*event, field::message);
                if (step.label.empty()) continue;
                const auto name = event->leg + " " + step.label;
                const auto& there = received[name];
                unsigned came = 0;
                for (const auto& [at, count] : there)
                    if (at != host) came += count;
                // A proxy keeps no journal: what it was told is known by its wire alone.
                const bool told = view_.hosts.contains(step.to);
                step.arrived = !told || ++sent[host + " " + name] <= came;
                add(std::move(step));
            }
        }
    }

    void packets(const LegResult& leg) {
        const auto source = Endpoint::from(leg.source), destination = Endpoint::from(leg.destination);
        if (source.empty() || destination.empty()) return;
        const auto seen = leg.source_seen.empty() ? source : Endpoint::from(leg.source_seen);
        const auto aim = leg.destination_seen.empty() ? destination : Endpoint::from(leg.destination_seen);
        way(leg, {source, destination}, {seen, aim});
        way(leg, {aim, seen}, {destination, source});
    }

    void way(const LegResult& leg, const Between& left, const Between& came) {
        if (!drawn_.insert(left.source.text() + " " + left.destination.text()).second) return;
        const bool whole = came.source.port != 0 && came.destination.port != 0;
        const auto arrivals = wires_.between(came.source, came.destination);
        for (const auto* sight : wires_.between(left.source, left.destination)) {
            if (!sight->out || sight->protocol != leg.protocol) continue;
            if (!told_.insert(sight).second) continue;  // a leg without a port sees those of others
            // What programs say on a connection stands there as messages; of TCP only how it began and broke is drawn.
            if (sight->protocol == "tcp" && sight->kind != "syn" && sight->kind != "syn-ack" && sight->kind != "rst")
                continue;
            std::uint64_t there = 0;
            std::string to;
            for (const auto* arrival : arrivals) {
                if (arrival->out || arrival->kind != sight->kind || arrival->protocol != sight->protocol) continue;
                if (!whole && !same_conversation(*sight, *arrival)) continue;
                there += arrival->packets;
                to = arrival->host;
            }
            Step step;
            step.kind = leg.name == "media" ? Step::Kind::media : Step::Kind::packets;
            step.at = sight->first;
            step.from = sight->host;
            step.to = !to.empty() ? to : other(sight->host, sight->destination.text());
            const auto what = step.kind == Step::Kind::media ? std::string{"media, "} + sight->protocol
                              : sight->kind == "udp"         ? std::string{"UDP"}
                              : sight->kind == "syn"         ? "SYN"
                              : sight->kind == "syn-ack"     ? "SYN-ACK"
                              : sight->kind == "rst"         ? "RST"
                                                             : sight->kind;
            step.label = fmt::format("{} to :{}", what, sight->destination.port);
            if (there > 0) {
                step.count = std::min(there, sight->packets);
                add(step);
            }
            if (there < sight->packets) {
                step.arrived = false;
                step.count = sight->packets - there;
                add(std::move(step));
            }
        }
    }

    // Of two sights with the leg's addresses: ports change only with addresses.
    static bool same_conversation(const WireSight& left, const WireSight& came) {
        return (left.source.port == came.source.port || left.source.address != came.source.address) &&
               (left.destination.port == came.destination.port || left.destination.address != came.destination.address);
    }

    void media() {
        const Event *sent = nullptr, *got = nullptr, *began = nullptr;
        for (const auto& [host, events] : view_.hosts)
            for (const auto* event : events) {
                if (event->event == What::media_ended)
                    (number_field(*event, field::longest_gap) || number_field(*event, field::duplicates) ? got : sent) = event;
                if (event->event == What::media_started && (began == nullptr || event->monotonic < began->monotonic))
                    began = event;
            }
        if (got != nullptr) {
            ladder_.longest_gap = number_field(*got, field::longest_gap).value_or(0);
            if (const auto* const lost = list_field(*got, field::lost_numbers))
                for (const auto& number : *lost)
                    if (number.is_number()) ladder_.lost.push_back(number.to_number<std::uint32_t>());
        }
        if (flow_.media) ladder_.media = flow_.media->packets_sent;
        const bool by_wire = std::ranges::any_of(
            ladder_.steps, [](const Step& step) { return step.kind == Step::Kind::media && step.count > 0; });
        if (by_wire || !flow_.media || (sent == nullptr && got == nullptr)) return;
        Step step;
        step.kind = Step::Kind::media;
        step.at = milliseconds_of((began != nullptr ? began : sent != nullptr ? sent : got)->monotonic);
        step.from = sent != nullptr ? sent->host : other(got->host, got->remote);
        step.to = got != nullptr ? got->host : other(sent->host, sent->remote);
        step.label = "media";
        const auto& account = *flow_.media;
        step.count = account.packets_received;
        if (step.count > 0) add(step);
        if (account.packets_received < account.packets_sent) {
            step.arrived = false;
            step.count = account.packets_sent - account.packets_received;
            add(std::move(step));
        }
    }

    void add(Step step) {
        if (!step.from.empty()) ladder_.steps.push_back(std::move(step));
    }

    void merge() {
        std::vector<Step> merged;
        for (auto& step : ladder_.steps) {
            if (!merged.empty()) {
                auto& last = merged.back();
                if (last.from == step.from && last.to == step.to && last.label == step.label &&
                    last.arrived == step.arrived) {
                    last.count += step.count;
                    continue;
                }
            }
            merged.push_back(std::move(step));
        }
        ladder_.steps = std::move(merged);
    }

    const scenario::Scenario& scenario_;
    const FlowView& view_;
    const Wires& wires_;
    const FlowResult& flow_;
    std::set<std::string> drawn_;
    std::set<const WireSight*> told_;
    Ladder ladder_;
};

}  // namespace

std::shared_ptr<Picture> picture_of(const Report& report, const scenario::Scenario& scenario,
                                    std::span<const evidence::Event> events) {
    auto picture = std::make_shared<Picture>();
    for (const auto& zone : scenario.zones) {
        PictureZone drawn{zone.name, zone.subnet.text(), {}};
        for (const auto& host : scenario.hosts)
            if (host.zone == zone.name) drawn.hosts.push_back({host.name, host.address.text(), !host.run.empty()});
        picture->zones.push_back(std::move(drawn));
    }
    for (const auto& box : scenario.firewalls) {
        auto& drawn = picture->boxes.emplace_back();
        drawn.name = box.name;
        for (const auto& side : box.sides) drawn.zones.push_back(side.zone);
    }
    const Evidence evidence{scenario, events};
    const Wires wires{events, report};
    for (const auto& flow : report.flows)
        picture->ladders.emplace(flow.id, LadderMaker{scenario, evidence, wires, flow}.make());
    return picture;
}

void time_flows(Report& report, std::span<const evidence::Event> events) {
    struct Span {
        std::optional<std::chrono::nanoseconds> first, last;
    };
    std::map<std::string, Span, std::less<>> spans;
    for (const auto& event : events) {
        if (event.flow.empty() || event.event == What::wire || event.event == What::trace ||
            event.event == What::listening || event.event == What::listen_failed)
            continue;
        auto& span = spans[event.flow];
        if (!span.first || event.monotonic < *span.first) span.first = event.monotonic;
        if (!span.last || event.monotonic > *span.last) span.last = event.monotonic;
    }
    for (auto& flow : report.flows) {
        const auto found = spans.find(flow.id);
        if (found != spans.end() && found->second.first)
            flow.seconds = milliseconds_of(*found->second.last - *found->second.first) / 1e3;
    }
}

}  // namespace wmlab::lab
