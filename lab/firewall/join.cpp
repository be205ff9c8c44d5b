#include "lab/firewall/join.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <ostream>
#include <set>
#include <system_error>

#include "common/evidence/fields.hpp"
#include "common/evidence/trace.hpp"
#include "lab/firewall/by_rules.hpp"
#include "lab/host/error.hpp"
#include "lab/rules/json_fields.hpp"
#include "lab/rules/rule_fields.hpp"

namespace wmlab::lab {
namespace json = boost::json;
namespace {

constexpr std::size_t job_size_max = 64U << 20, addresses_max = 10'000;

std::vector<std::string> addresses_text(const std::vector<scenario::Ipv4>& addresses) {
    std::vector<std::string> words;
    for (const auto address : addresses) words.push_back(address.text());
    return words;
}

// The hooks ingress and egress lie outside of those of the family inet.
std::string owned_edges(const rules::Ruleset& ruleset, const std::vector<std::string>& interfaces) {
    auto text = rules::trace_edges(ruleset, interfaces);
    const auto body = text.find("{\n");
    if (body != std::string::npos) text.insert(body + 2, "  flags owner;\n");
    return text;
}

// A table of ours, if a listing has it.
std::string without_own_table(const std::string& listing) {
    std::string text;
    bool own = false;
    std::size_t at = 0;
    while (at < listing.size()) {
        const auto end = std::min(listing.find('\n', at), listing.size() - 1) + 1;
        const auto line = std::string_view{listing}.substr(at, end - at);
        if (line.starts_with("table ")) own = line.find(fmt::format(" {} ", rules::trace_table_name)) != line.npos;
        if (!own) text += line;
        at = end;
    }
    return text;
}

// Lines of the input, without a stream's own buffering: the end of the input is noticed while nothing else happens.
class Lines {
public:
    explicit Lines(int from) : from_{from} {}
    std::optional<std::string> next() {
        for (;;) {
            if (const auto end = text_.find('\n', looked_); end != std::string::npos) {
                auto line = text_.substr(0, end);
                text_.erase(0, end + 1);
                looked_ = 0;
                return line;
            }
            looked_ = text_.size();
            std::array<char, 1U << 16> piece{};
            const auto got = ::read(from_, piece.data(), piece.size());
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0 || text_.size() > job_size_max) return std::nullopt;
            text_.append(piece.data(), static_cast<std::size_t>(got));
        }
    }

private:
    int from_;
    std::string text_;
    std::size_t looked_ = 0;
};

std::optional<json::object> object_of(const std::optional<std::string>& line) {
    if (!line) return std::nullopt;
    boost::system::error_code wrong;
    auto value = json::parse(*line, wrong);
    if (wrong || !value.is_object()) return std::nullopt;
    return std::move(value.get_object());
}

std::string end_text(scenario::Ipv4 address, std::uint16_t port) { return address.text() + ":" + std::to_string(port); }

// Where nothing is traced and counters do not tell either: the rule that stops such a packet by what it says.
void add_worked_out(std::vector<evidence::Event>& events, const rules::Ruleset& ruleset,
                    const std::vector<rules::Packet>& arrivals) {
    const auto ends = [](const rules::Packet& packet) {
        return packet.protocol + " " + end_text(packet.source, packet.source_port) + " " +
               end_text(packet.destination, packet.destination_port);
    };
    std::set<std::string> came, known;
    for (const auto& packet : arrivals) came.insert(ends(packet));
    for (const auto& event : events)
        if (has_field(event, field::rule))
            known.insert(fmt::format("{} {} {}", text_field(event, field::protocol), text_field(event, field::source), text_field(event, field::destination)));
    for (auto packet : arrivals) {
        if (!known.insert(ends(packet)).second) continue;
        if (packet.protocol == "tcp" || !came.contains(ends(packet.reversed()))) packet.ct_state = "new";
        const auto stopped = stopped_by(ruleset, packet);
        if (!stopped) continue;
        evidence::Event event;
        event.event = evidence::What::trace;
        event.fields = {{field::fate, text(evidence::Fate::unknown)},
                        {field::protocol, packet.protocol},
                        {field::source, end_text(packet.source, packet.source_port)},
                        {field::destination, end_text(packet.destination, packet.destination_port)},
                        {field::in, packet.in},
                        {field::out, packet.out},
                        {field::by, "counters"},
                        {field::rule, stopped.rule ? rules::rule_fields(*stopped.rule) : rules::policy_fields(ruleset, stopped.policy->name)}};
        events.push_back(std::move(event));
    }
}

const json::array* array_at(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value ? value->if_array() : nullptr;
}

}  // namespace

std::string joined_trace_table(const std::vector<scenario::Ipv4>& addresses, unsigned packets_per_second) {
    const auto rate = std::max(packets_per_second / 2, 1U);
    const auto mark = [&](std::string_view which) {
        return fmt::format(
            "    ip {0} @addresses limit rate {1}/second burst 2000 packets meta nftrace set 1 return\n"
            "    ip {0} @addresses counter name untraced return\n",
            which, rate);
    };
    const auto marks = mark("saddr") + mark("daddr");
    return fmt::format(
        "table inet {0} {{\n"
        "  flags owner;\n"
        "  counter untraced {{\n  }}\n"
        "  set addresses {{\n    type ipv4_addr\n    elements = {{ {1} }}\n  }}\n"
        "  chain pre {{\n    type filter hook prerouting priority -2147483648; policy accept;\n{2}  }}\n"
        "  chain out {{\n    type filter hook output priority -2147483648; policy accept;\n{2}  }}\n"
        "  chain in {{\n    type filter hook input priority 2147483647; policy accept;\n  }}\n"
        "  chain post {{\n    type filter hook postrouting priority 2147483647; policy accept;\n  }}\n"
        "}}\n",
        rules::trace_table_name, fmt::join(addresses_text(addresses), ", "), marks);
}

std::vector<scenario::Ipv4> addresses_of(const scenario::Scenario& scenario) {
    std::set<scenario::Ipv4> all;
    for (const auto& host : scenario.hosts) {
        all.insert(host.address);
        for (const auto& [zone, address] : host.published) all.insert(address);
    }
    return {all.begin(), all.end()};
}

JoinedFirewall::JoinedFirewall(const Namespace& firewall, const rules::Source& source)
    : firewall_{firewall},
      source_{source},
      ruleset_{read_ruleset(firewall, source)},
      stateless_{without_own_table(list_rules(firewall))} {}

void JoinedFirewall::trace(const std::vector<scenario::Ipv4>& addresses, unsigned buffer) {
    try {
        const Entered inside{firewall_};
        listener_ = std::make_unique<rules::TraceListener>(
            [this](const rules::Decision& decision) { log_.add(decision); }, rules::has_egress(ruleset_), buffer);
    } catch (const std::system_error& failure) {
        throw SetupFailed{"listen to the kernel's trace", failure.what()};
    }
    try {
        table_ = std::make_unique<OwnedRules>(firewall_, joined_trace_table(addresses));
        if (const auto edges = owned_edges(ruleset_, interfaces_in(firewall_)); !edges.empty()) table_->add(edges);
    } catch (const SetupFailed&) {
        table_.reset();
        listener_.reset();
        throw;
    }
}

std::vector<evidence::Event> JoinedFirewall::finish(const std::vector<rules::Packet>& arrivals) {
    const bool lost = listener_ && listener_->stop_and_lost();
    std::uint64_t untraced = 0;
    std::vector<std::string> problems;
    if (table_) {
        try {
            untraced = untraced_packets(firewall_);
        } catch (const SetupFailed& failure) {
            problems.push_back(fmt::format("the trace's own table is gone: {}", failure.what()));
        }
    }
    table_.reset();
    std::optional<rules::Ruleset> later;
    std::string now = stateless_;
    try {
        now = without_own_table(list_rules(firewall_));
        if (lost || !listener_) later = read_ruleset(firewall_, source_);
    } catch (const SetupFailed& failure) {
        problems.push_back(failure.what());
    }
    const auto counted = later && now == stateless_ ? std::optional{rules::Counted{*later, arrivals}} : std::nullopt;
    auto events = log_.take(ruleset_, false, counted ? &*counted : nullptr);
    if (!listener_ && now == stateless_) add_worked_out(events, ruleset_, arrivals);
    if (lost) events.push_back(rules::trace_event(field::messages_lost, true));
    if (untraced > 0) events.push_back(rules::trace_event(field::untraced, untraced));
    if (now != stateless_) events.push_back(rules::trace_event(field::changed, true));
    for (const auto& problem : problems) events.push_back(rules::trace_event(field::problem, json::string{problem}));
    return events;
}

json::object packet_json(const rules::Packet& packet) {
    return {{"in", packet.in},
            {"out", packet.out},
            {"protocol", packet.protocol},
            {"source", packet.source.text()},
            {"destination", packet.destination.text()},
            {"source_port", packet.source_port},
            {"destination_port", packet.destination_port},
            {"flags", packet.tcp_flags}};
}

std::optional<rules::Packet> packet_from(const json::value& value) {
    const auto* object = value.if_object();
    if (!object) return std::nullopt;
    const auto source = scenario::Ipv4::from(rules::text_at(*object, "source"));
    const auto destination = scenario::Ipv4::from(rules::text_at(*object, "destination"));
    if (!source || !destination) return std::nullopt;
    rules::Packet packet;
    packet.in = rules::text_at(*object, "in");
    packet.out = rules::text_at(*object, "out");
    packet.protocol = rules::text_at(*object, "protocol");
    packet.source = *source;
    packet.destination = *destination;
    packet.source_port = static_cast<std::uint16_t>(rules::number_at(*object, "source_port"));
    packet.destination_port = static_cast<std::uint16_t>(rules::number_at(*object, "destination_port"));
    packet.tcp_flags = static_cast<std::uint8_t>(rules::number_at(*object, "flags"));
    return packet;
}

int serve_join(int in, std::ostream& out) {
    const auto say = [&](std::string_view what, json::object answer = {}) {
        answer["join"] = what;
        out << json::serialize(answer) << std::endl;
    };
    try {
        const auto here = Namespace::current();
        say("running", read_running(here).to_json());
        Lines lines{in};
        const auto job = object_of(lines.next());
        if (!job) return 1;
        const auto* source = rules::object_at(*job, "source");
        std::vector<scenario::Ipv4> addresses;
        if (const auto* list = array_at(*job, "addresses"))
            for (const auto& one : *list)
                if (const auto address =
                        one.is_string() ? scenario::Ipv4::from(std::string_view{one.get_string()}) : std::nullopt;
                    address && addresses.size() < addresses_max)
                    addresses.push_back(*address);
        if (!source || addresses.empty())
            throw SetupFailed{"join the firewall", "the job has no addresses or no places"};
        JoinedFirewall joined{here, source_from(*source)};
        const auto* trace = job->if_contains("trace");
        if (trace && trace->is_bool() && !trace->get_bool()) {
            say("untraced", {{"why", "it was not to be asked (--no-trace)"}});
        } else {
            const auto buffer = static_cast<unsigned>(rules::number_at(*job, "buffer"));
            try {
                joined.trace(addresses, buffer > 0 ? buffer : rules::trace_buffer_wanted);
                say("ready");
            } catch (const SetupFailed& failure) {
                say("untraced", {{"why", failure.what()}});
            }
        }
        const auto finish = object_of(lines.next());
        if (!finish) return 1;  // wmlab is gone; the kernel takes the table
        std::vector<rules::Packet> arrivals;
        if (const auto* list = array_at(*finish, "arrivals"))
            for (const auto& one : *list)
                if (auto packet = packet_from(one)) arrivals.push_back(std::move(*packet));
        for (auto& event : joined.finish(arrivals))
            say("event", {{"fields", std::move(event.fields)}, {"monotonic", event.monotonic.count()}});
        say("end");
        return 0;
    } catch (const std::exception& failure) {
        say("failed", {{"why", failure.what()}});
        return 3;
    }
}

}  // namespace wmlab::lab
