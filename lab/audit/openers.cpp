#include "lab/audit/openers.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <span>
#include <system_error>

#include "common/evidence/trace.hpp"
#include "lab/host/error.hpp"
#include "lab/host/interruption.hpp"
#include "lab/rules/decision_log.hpp"
#include "lab/rules/rule_fields.hpp"
#include "lab/rules/trace.hpp"

namespace wmlab::lab {
namespace {

using namespace std::chrono_literals;

// So many probes and their answers fit into the smallest buffer an ordinary user has for the trace.
constexpr std::size_t traced_at_once = 24;
constexpr auto trace_limit = 300ms, patient_limit = 2000ms;  // the latter on a busy machine, as long as it helps
constexpr unsigned trace_tries = 3;
constexpr std::size_t asked_max = 4000;  // ports of one pair of hosts: seconds

// Which of the probes under way the kernel has told the end of.
class Followed {
public:
    void expect(std::span<const std::uint16_t> ports) {
        const std::scoped_lock lock{mutex_};
        missing_ = {ports.begin(), ports.end()};
    }
    void decided(std::uint16_t port) {
        const std::scoped_lock lock{mutex_};
        if (missing_.erase(port) > 0 && missing_.empty()) all_.notify_all();
    }
    std::vector<std::uint16_t> wait(std::chrono::milliseconds limit) {
        std::unique_lock lock{mutex_};
        all_.wait_for(lock, limit, [&] { return missing_.empty(); });
        return {missing_.begin(), missing_.end()};
    }

private:
    std::mutex mutex_;
    std::condition_variable all_;
    std::set<std::uint16_t> missing_;
};

// A probe to each of the ports, under the kernel's trace: what becomes of it. `decided` is called on another thread.
void ask(const SweepEnd& from, const SweepEnd& to, const Namespace& firewall, scenario::Protocol protocol,
         const rules::Ruleset& ruleset, std::span<const std::uint16_t> ports,
         const std::function<void(const rules::Decision&)>& decided) {
    if (ports.empty()) return;
    const ProbeSender sender{from, to, protocol};
    Followed followed;
    std::unique_ptr<rules::TraceListener> listener;
    try {
        const Entered inside{firewall};
        listener = std::make_unique<rules::TraceListener>(
            [&](const rules::Decision& decision) {
                const auto& packet = decision.arrived;
                if (packet.protocol != scenario::text(protocol) || packet.source_port != sender.source_port() ||
                    packet.source.value != from.address.value || packet.destination.value != to.address.value)
                    return;
                if (!decision.complete) return;
                decided(decision);
                followed.decided(packet.destination_port);
            },
            rules::has_egress(ruleset));
    } catch (const std::system_error& failure) {
        throw SetupFailed{"listen to the kernel's trace", failure.what()};
    }
    std::random_device random;
    std::vector<std::uint16_t> unsent;
    bool patience_helps = true;
    for (std::size_t at = 0; at < ports.size(); at += traced_at_once) {
        Interruptions::check();
        const auto next = ports.subspan(at, std::min(traced_at_once, ports.size() - at));
        std::vector<std::uint16_t> missing{next.begin(), next.end()};
        const auto try_once = [&](std::chrono::milliseconds limit) {
            followed.expect(missing);
            sender.send(static_cast<std::uint32_t>(random()), missing, unsent);
            missing = followed.wait(limit);
        };
        for (unsigned attempt = 0; attempt < trace_tries && !missing.empty(); ++attempt) try_once(trace_limit);
        if (missing.empty() || !patience_helps) continue;
        const auto before = missing.size();
        try_once(patient_limit);
        patience_helps = missing.size() < before;
    }
    listener->stop_and_lost();
}

// By whose word they come through, into `rules`.
void name_openers(const SweepEnd& from, const SweepEnd& to, const Namespace& firewall, scenario::Protocol protocol, const rules::Ruleset& ruleset,
                  std::span<const std::uint16_t> ports, std::vector<std::optional<RuleRef>>& rules) {
    rules::DecisionLog log;
    ask(from, to, firewall, protocol, ruleset, ports, [&](const rules::Decision& decision) { log.add(decision); });
    const auto prefix = to.address.text() + ":";
    for (const auto& event : log.take(ruleset)) {
        const auto& f = event.fields;
        const auto* rule = object_field(f, field::rule);
        const std::string destination{text_field(f, field::destination)};
        if (!rule || fate_of(event) != evidence::Fate::forwarded || !destination.starts_with(prefix)) continue;
        rules[std::stoul(destination.substr(prefix.size()))] = rules::rule_ref(*rule);
    }
}

bool same_rule(const std::optional<RuleRef>& a, const std::optional<RuleRef>& b) {
    return a && b ? a->file == b->file && a->line == b->line && a->text == b->text && a->chain == b->chain : !a && !b;
}

}  // namespace

std::vector<Stretch> stretches(const std::vector<PortState>& ports, const rules::Literals& literals) {
    std::vector<Stretch> found;
    for (unsigned port = 1; port < port_count; ++port) {
        if (ports[port] != PortState::open) continue;
        const auto number = static_cast<std::uint16_t>(port);
        if (!found.empty() && found.back().last + 1u == port && !literals.ports.contains(port))
            found.back().last = number;
        else
            found.push_back({number, number});
    }
    return found;
}

std::vector<std::optional<RuleRef>> openers(const SweepEnd& from, const SweepEnd& to, const Namespace& firewall, scenario::Protocol protocol,
                                            const rules::Ruleset& ruleset, const std::vector<Stretch>& stretches, bool opaque) {
    std::vector<std::optional<RuleRef>> rules(port_count);
    const auto ask_at = [&](std::span<const std::uint16_t> ports) { name_openers(from, to, firewall, protocol, ruleset, ports, rules); };
    std::vector<std::uint16_t> ports;
    for (const auto& stretch : stretches)
        if (ports.size() < asked_max) ports.push_back(stretch.first);
    ask_at(ports);
    if (!opaque) {
        for (const auto& stretch : stretches)
            for (unsigned port = stretch.first + 1u; port <= stretch.last; ++port) rules[port] = rules[stretch.first];
        return rules;
    }
    // Between two ports with the same rule all have it; between two with different ones it is looked further.
    auto left = asked_max - ports.size();
    auto open = stretches;
    std::erase_if(open, [](const Stretch& s) { return s.first == s.last; });
    ports.clear();
    for (const auto& stretch : open)
        if (ports.size() < left) ports.push_back(stretch.last);
    ask_at(ports);
    left -= ports.size();
    while (!open.empty()) {
        ports.clear();
        std::vector<Stretch> next;
        for (const auto& [first, last] : open) {
            if (same_rule(rules[first], rules[last])) {
                for (unsigned port = first + 1u; port < last; ++port) rules[port] = rules[first];
            } else if (last - first > 1 && ports.size() < left) {
                const auto middle = static_cast<std::uint16_t>(first + (last - first) / 2);
                ports.push_back(middle);
                next.push_back({first, middle}), next.push_back({middle, last});
            }
        }
        ask_at(ports);
        left -= ports.size();
        open = std::move(next);
    }
    return rules;
}

bool stay_closed(const SweepEnd& from, const SweepEnd& to, const Namespace& firewall, scenario::Protocol protocol,
                 const rules::Ruleset& ruleset, const std::vector<PortState>& ports) {
    std::vector<std::uint16_t> firsts;
    for (unsigned port = 1; port < port_count; ++port)
        if (ports[port] == PortState::closed && (port == 1 || ports[port - 1] != PortState::closed))
            firsts.push_back(static_cast<std::uint16_t>(port));
    std::map<std::uint16_t, bool> stopped;
    ask(from, to, firewall, protocol, ruleset, firsts, [&](const rules::Decision& decision) {
        stopped[decision.arrived.destination_port] = decision.fate != rules::Decision::Fate::forwarded;
    });
    return std::ranges::all_of(firsts, [&](auto port) { return stopped[port]; });
}

}  // namespace wmlab::lab
