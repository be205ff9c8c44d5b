#include "lab/firewall/tracer.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <system_error>

#include "common/evidence/fields.hpp"
#include "common/net/address.hpp"
#include "lab/host/error.hpp"
#include "lab/rules/rule_fields.hpp"

namespace wmlab::lab {

std::vector<rules::Packet> arrivals(const scenario::Scenario& scenario, std::span<const evidence::Event> events) {
    constexpr std::uint8_t syn = 0x02;
    std::vector<rules::Packet> found;
    for (const auto& event : events) {
        if (event.event != evidence::What::wire || event.host != scenario.firewall.name) continue;
        const auto kind = text_field(event, field::kind);
        if (text_field(event, field::direction) != "in" || (kind != "syn" && kind != "udp")) continue;
        const auto source = net::host_port(text_field(event, field::source)), destination = net::host_port(text_field(event, field::destination));
        if (!source || !destination) continue;
        const auto from = scenario::Ipv4::from(source->host), to = scenario::Ipv4::from(destination->host);
        const auto* in = scenario.zone(text_field(event, field::zone));
        const auto* out = to ? scenario.zone_of(*to) : nullptr;
        if (!from || in == nullptr || out == nullptr) continue;
        rules::Packet packet;
        packet.in = in->interface, packet.out = out->interface;
        packet.source = *from, packet.destination = *to;
        packet.protocol = text_field(event, field::protocol);
        packet.source_port = source->port, packet.destination_port = destination->port;
        if (kind == "syn") packet.tcp_flags = syn;
        packet.wave = static_cast<std::int64_t>(whole_field(event, field::wave).value_or(0));
        found.push_back(std::move(packet));
    }
    return found;
}

Tracer::Tracer(const Namespace& firewall, const std::filesystem::path& ruleset, unsigned buffer,
               std::function<void(const rules::Decision&)> seen, rules::IncludePath include_path)
    : firewall_{firewall},
      file_{ruleset},
      include_path_{std::move(include_path)},
      ruleset_{read_ruleset(firewall, ruleset, include_path_)},
      seen_{std::move(seen)} {
    try {
        const Entered inside{firewall};
        listener_ = std::make_unique<rules::TraceListener>(
            [this](const rules::Decision& decision) {
                log_.add(decision);
                if (seen_) seen_(decision);
            },
            rules::has_egress(ruleset_), buffer);
    } catch (const std::system_error& failure) {
        throw SetupFailed{"listen to the kernel's trace", failure.what()};
    }
    switch_trace_on(firewall, ruleset_);
}

namespace {

// Where it runs already, and nobody flushed it.
void switch_trace_off(const Namespace& firewall) {
    for (const auto* family : {"inet", "netdev"}) {
        const auto name = std::string{family} + " " + std::string{rules::trace_table_name};
        load_rules(firewall, "table " + name + " {\n}\ndelete table " + name + "\n");
    }
}

}  // namespace

void switch_trace_on(const Namespace& firewall, const rules::Ruleset& ruleset, unsigned packets_per_second) {
    load_rules(firewall, rules::trace_table(packets_per_second));
    if (const auto edges = rules::trace_edges(ruleset, interfaces_in(firewall)); !edges.empty())
        load_rules(firewall, edges);
}

void Tracer::begin_wave(std::size_t wave) {
    listener_->settle();
    log_.begin_wave(wave);
}

void Tracer::reloaded(const std::filesystem::path& ruleset) {
    listener_->settle();
    auto before = log_.take(ruleset_);
    earlier_.insert(earlier_.end(), std::make_move_iterator(before.begin()), std::make_move_iterator(before.end()));
    switch_trace_off(firewall_);
    file_ = ruleset;
    ruleset_ = ruleset.empty() ? rules::Ruleset{} : read_ruleset(firewall_, ruleset, include_path_);
    switch_trace_on(firewall_, ruleset_);
}

std::vector<evidence::Event> Tracer::finish(bool every_rule, std::vector<rules::Packet> arrivals) {
    const bool lost = listener_->stop_and_lost();
    std::optional<rules::Ruleset> later;
    if (lost) later = read_ruleset(firewall_, file_, include_path_);
    const auto counted = later ? std::optional{rules::Counted{*later, std::move(arrivals)}} : std::nullopt;
    auto events = log_.take(ruleset_, every_rule, counted ? &*counted : nullptr);
    events.insert(events.end(), std::make_move_iterator(earlier_.begin()), std::make_move_iterator(earlier_.end()));
    if (lost) events.push_back(rules::trace_event(field::messages_lost, true));
    if (const auto packets = untraced_packets(firewall_); packets > 0) events.push_back(rules::trace_event(field::untraced, packets));
    return events;
}

}  // namespace wmlab::lab
