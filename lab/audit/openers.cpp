#include "lab/audit/openers.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <span>
#include <system_error>

#include "lab/host/error.hpp"
#include "lab/rules/decision_log.hpp"
#include "lab/rules/json_fields.hpp"
#include "lab/rules/match.hpp"
#include "lab/rules/reach.hpp"
#include "lab/rules/trace.hpp"

namespace wmlab::lab {
namespace {

using namespace std::chrono_literals;

// So many probes and their answers fit into the smallest buffer an ordinary user has for the trace.
constexpr std::size_t traced_at_once = 24;
constexpr auto trace_limit = 300ms;
constexpr unsigned trace_tries = 3;

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
    std::vector<std::uint16_t> wait() {
        std::unique_lock lock{mutex_};
        all_.wait_for(lock, trace_limit, [&] { return missing_.empty(); });
        return {missing_.begin(), missing_.end()};
    }

private:
    std::mutex mutex_;
    std::condition_variable all_;
    std::set<std::uint16_t> missing_;
};

// Where packets that no rule of the hook forward decides about are stopped.
bool stops_the_rest(const rules::Ruleset& ruleset, const rules::Chain& chain) {
    if (chain.hook != "forward") return false;
    return chain.policy_drop || std::ranges::any_of(chain.rules, [&](std::size_t index) {
               const auto comparison = rules::compare(ruleset, ruleset.rules()[index], {});
               return comparison.drops && !comparison.accepts && comparison.conditions.empty();
           });
}

// Whether destinations may be translated: then rules may let a packet through by another address or port.
bool translates(const rules::Ruleset& ruleset) {
    return std::ranges::any_of(ruleset.rules(), [&](const rules::Rule& rule) {
        const auto* chain = ruleset.chain(rule.chain);
        return chain && chain->type == "nat" && chain->hook == "prerouting" && rules::has_effect(ruleset, rule);
    });
}

bool says(const boost::json::value& value, std::string_view word) {
    if (const auto* text = value.if_string()) return *text == word;
    if (const auto* list = value.if_array()) return std::ranges::any_of(*list, [&](const auto& item) { return says(item, word); });
    const auto* object = value.if_object();
    return object != nullptr && std::ranges::any_of(*object, [&](const auto& member) { return says(member.value(), word); });
}

// `ct status dnat accept`: of no use where nothing is translated.
bool asks_for_translation(const rules::Rule& rule) {
    return std::ranges::any_of(rule.expr, [](const boost::json::value& part) {
        const auto* match = part.is_object() ? rules::object_at(part.get_object(), "match") : nullptr;
        if (match == nullptr || rules::text_at(*match, "op") == "!=") return false;
        bool status = false;
        rules::each_member(part, [&](std::string_view key, const boost::json::value& value) {
            status = status || (key == "ct" && value.is_object() && rules::text_at(value.get_object(), "key") == "status");
        });
        return status && (says(part, "snat") || says(part, "dnat"));
    });
}

// Whether some rule may let the packet through, or no forwarding chain stops what no rule decides.
bool may_be_let_through(const rules::Ruleset& ruleset, const rules::Ways& ways, const rules::Packet& packet) {
    const bool stops =
        std::ranges::any_of(ruleset.chains(), [&](const auto& entry) { return stops_the_rest(ruleset, entry.second); });
    if (!stops || translates(ruleset)) return true;
    return std::ranges::any_of(ruleset.rules(), [&](const rules::Rule& rule) {
        const bool opaque = std::ranges::any_of(rule.expr, [](const boost::json::value& part) {
            return part.is_string() || (part.is_object() && part.get_object().contains("queue"));
        });
        if (opaque) return true;
        const auto comparison = rules::compare(ruleset, rule, packet);
        return comparison.accepts && comparison.count(rules::Condition::Result::no) == 0 &&
               ways.may_come(rule.chain, packet) && !asks_for_translation(rule);
    });
}

std::string named(const rules::Rule& rule) {
    return rule.place ? fmt::format("{}:{}: {}", rule.place->file, rule.place->line, rule.place->text)
                      : rule.chain.text() + ": " + rule.text;
}

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
    for (std::size_t at = 0; at < ports.size(); at += traced_at_once) {
        const auto next = ports.subspan(at, std::min(traced_at_once, ports.size() - at));
        std::vector<std::uint16_t> missing{next.begin(), next.end()};
        for (unsigned attempt = 0; attempt < trace_tries && !missing.empty(); ++attempt) {
            followed.expect(missing);
            sender.send(static_cast<std::uint32_t>(random()), missing, unsent);
            missing = followed.wait();
        }
    }
    listener->stop_and_lost();
}

}  // namespace

std::vector<Stretch> stretches(const std::vector<PortState>& ports, const rules::Literals& literals) {
    std::vector<Stretch> found;
    for (unsigned port = 1; port < port_count; ++port) {
        if (ports[port] != PortState::open) continue;
        const auto number = static_cast<std::uint16_t>(port);
        if (!found.empty() && found.back().last + 1u == port && !literals.ports_opaque &&
            !literals.ports.contains(port))
            found.back().last = number;
        else
            found.push_back({number, number});
    }
    return found;
}

std::vector<std::optional<RuleRef>> openers(const SweepEnd& from, const SweepEnd& to, const Namespace& firewall,
                                            scenario::Protocol protocol, const rules::Ruleset& ruleset,
                                            const std::vector<Stretch>& stretches) {
    std::vector<std::uint16_t> firsts;
    for (const auto& stretch : stretches) firsts.push_back(stretch.first);
    rules::DecisionLog log;
    ask(from, to, firewall, protocol, ruleset, firsts, [&](const rules::Decision& decision) { log.add(decision); });
    std::vector<std::optional<RuleRef>> rules(port_count);
    const auto prefix = to.address.text() + ":";
    for (const auto& event : log.take(ruleset)) {
        const auto& f = event.fields;
        const auto* rule = f.if_contains("rule");
        const std::string destination{f.at("destination").as_string()};
        if (!rule || f.at("fate").as_string() != "forwarded" || !destination.starts_with(prefix)) continue;
        const auto& r = rule->as_object();
        rules[std::stoul(destination.substr(prefix.size()))] =
            RuleRef{std::string{r.at("file").as_string()}, r.at("line").to_number<unsigned>(),
                    std::string{r.at("text").as_string()}, std::string{r.at("chain").as_string()}};
    }
    for (const auto& stretch : stretches)
        for (unsigned port = stretch.first + 1u; port <= stretch.last; ++port) rules[port] = rules[stretch.first];
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

std::vector<std::string> doubt_limited(Sweep& sweep, const ProbeWay& sort, const rules::Ruleset& ruleset,
                                       const rules::Literals& literals) {
    rules::Packet packet;
    packet.in = sort.in, packet.out = sort.out;
    packet.source = sort.source, packet.destination = sort.destination;
    packet.protocol = scenario::text(sort.protocol);
    packet.source_port = sweep.source_port;
    packet.ct_state = "new";
    if (sort.protocol == scenario::Protocol::tcp) packet.tcp_flags = 2;  // SYN
    const auto never = [](const rules::Condition& c) {                   // whatever the port is
        return c.result == rules::Condition::Result::no && !is_port(c.subject) && c.subject != rules::Subject::concatenation &&
               c.others == 0;
    };
    std::vector<std::string> why;
    std::size_t looks = 0;  // at the whole ruleset
    const auto looks_max = 1'000'000 / (ruleset.rules().size() + 1);
    const rules::Ways ways{ruleset};
    for (const auto& rule : ruleset.rules()) {
        if (!rules::depends_on_the_past(rule, literals) || !rules::has_effect(ruleset, rule)) continue;
        packet.destination_port = 1;
        if (std::ranges::any_of(rules::compare(ruleset, rule, packet).conditions, never)) continue;
        unsigned doubtful = 0;
        bool may_match = false;
        for (unsigned port = 1; port < port_count; ++port) {
            if (port == 1 || literals.ports_opaque || literals.ports.contains(port)) {
                packet.destination_port = static_cast<std::uint16_t>(port);
                const auto comparison = rules::compare(ruleset, rule, packet);
                may_match = comparison.count(rules::Condition::Result::no) == 0 && ways.may_come(rule.chain, packet);
                // Beside a rule that does not accept packets itself, another one must let them through.
                if (may_match && (comparison.drops || !comparison.accepts) && looks++ < looks_max)
                    may_match = may_be_let_through(ruleset, ways, packet);
            }
            if (!may_match || sweep.ports[port] != PortState::closed) continue;
            sweep.ports[port] = PortState::not_tested;
            ++doubtful;
        }
        if (doubtful > 0)
            why.push_back(
                fmt::format("{} {} whose probes did not arrive may be open at a slower pace: this rule depends on the packets before, {}",
                            doubtful, doubtful == 1 ? "port" : "ports", named(rule)));
    }
    return why;
}

}  // namespace wmlab::lab
