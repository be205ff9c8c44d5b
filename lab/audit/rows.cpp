#include "lab/audit/rows.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <tuple>

#include "lab/rules/match.hpp"
#include "lab/verdict/words.hpp"

namespace wmlab::lab {
namespace {

std::string protocol_name(std::uint8_t number) {
    switch (number) {
        case tcp_number:
            return "tcp";
        case udp_number:
            return "udp";
        case icmp_v4:
            return "icmp";
        case icmp_v6:
            return "icmpv6";
        case dccp_number:
            return "dccp";
        case sctp_number:
            return "sctp";
        case udplite_number:
            return "udplite";
        default:
            return "ip";
    }
}

struct Same {  // what rows must have in common
    bool from, to, conditions, numbers;
};

std::string merge_key(const Row& row, const Same& same) {
    const auto& told = row.told;
    std::string all = fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}", told.family, told.hook, told.from_zone, told.to_zone, told.protocol, told.leads_to,
                                  key_of(told.rule), key_of(told.translated_by), told.proven);
    all += fmt::format("|{}", fmt::join(told.flows, ","));
    if (same.from) all += fmt::format("|{}", fmt::join(row.from, ","));
    if (same.to) all += fmt::format("|{}", fmt::join(row.to, ","));
    if (same.conditions) all += fmt::format("|{}", fmt::join(row.conditions, ","));
    if (same.numbers)
        for (const auto& span : row.numbers) all += fmt::format("|{}-{}", static_cast<unsigned>(span.first), static_cast<unsigned>(span.last));
    return all;
}

Spans joined(Spans spans) {
    std::ranges::sort(spans);
    Spans all;
    for (const auto& span : spans)
        if (!all.empty() && span.first <= all.back().last + 1)
            all.back().last = std::max(all.back().last, span.last);
        else
            all.push_back(span);
    return all;
}

void merge(std::vector<Row>& rows, const Same& same) {
    std::map<std::string, std::size_t> known;
    std::vector<Row> left;
    for (auto& row : rows) {
        const auto [at, added] = known.emplace(merge_key(row, same), left.size());
        if (added) {
            left.push_back(std::move(row));
            continue;
        }
        auto& into = left[at->second];
        into.from.insert(row.from.begin(), row.from.end());
        into.to.insert(row.to.begin(), row.to.end());
        into.conditions.insert(row.conditions.begin(), row.conditions.end());
        into.numbers.insert(into.numbers.end(), row.numbers.begin(), row.numbers.end());
        into.numbers = joined(std::move(into.numbers));
    }
    rows = std::move(left);
}

}  // namespace

// Whether packets that no rule of this hook decides are stopped there.
bool filtered(const rules::Ruleset& ruleset, std::string_view hook, bool v6) {
    return std::ranges::any_of(ruleset.chains(), [&](const auto& entry) {
        const auto& chain = entry.second;
        if (chain.hook != hook || chain.type != "filter") return false;
        if (chain.name.family != "inet" && chain.name.family != (v6 ? "ip6" : "ip")) return false;
        return chain.policy_drop || std::ranges::any_of(chain.rules, [&](std::size_t index) {
                   const auto comparison = rules::compare(ruleset, ruleset.rules()[index], {});
                   return comparison.drops && !comparison.accepts && comparison.conditions.empty();
               });
    });
}

std::string key_of(const std::optional<RuleRef>& rule) {
    return rule ? fmt::format("{}\t{}\t{}\t{}", rule->file, rule->line, rule->text, rule->chain) : std::string{};
}

std::vector<Opened> told(std::vector<Row> rows) {
    for (auto& row : rows) row.numbers = joined(std::move(row.numbers));
    merge(rows, {.from = true, .to = true, .conditions = true, .numbers = false});
    for (unsigned again = 0; again < 2; ++again) {
        merge(rows, {.from = true, .to = false, .conditions = true, .numbers = true});
        merge(rows, {.from = false, .to = true, .conditions = true, .numbers = true});
        merge(rows, {.from = true, .to = true, .conditions = false, .numbers = true});
        merge(rows, {.from = true, .to = true, .conditions = true, .numbers = false});
    }
    std::vector<Opened> all;
    for (auto& row : rows) {
        auto opened = std::move(row.told);
        opened.from.assign(row.from.begin(), row.from.end());
        opened.to.assign(row.to.begin(), row.to.end());
        row.conditions.erase("");
        opened.condition = fmt::format("{}", fmt::join(row.conditions, " or "));
        for (const auto& span : row.numbers) opened.ports.push_back({static_cast<std::uint16_t>(span.first), static_cast<std::uint16_t>(span.last)});
        all.push_back(std::move(opened));
    }
    std::ranges::stable_sort(all, {}, [](const Opened& o) { return std::tuple{o.rule ? o.rule->file : std::string{}, o.rule ? o.rule->line : 0}; });
    return all;
}

// The parts of a row that are known without asking the kernel which rule it was. By the hosts that are meant.
std::vector<Row> rows_of(const scenario::Scenario& scenario, const Plan& plan, const Crafted& packet, const Origin& origin, const Outcome& outcome,
                         const NeedIndex& needs) {
    const auto &source = plan.ends[origin.from], &target = plan.ends[origin.to];
    const auto& variant = plan.variants[origin.variant];
    Row row;
    auto& told = row.told;
    told.family = target.address.v6 ? "ipv6" : "ipv4";
    const bool by_firewall = packet.zone == firewall_itself;
    told.hook = by_firewall ? "output" : outcome.end == Outcome::End::local ? "input" : "forward";
    told.from_zone = by_firewall ? "firewall" : scenario.zones[source.zone].name;
    told.to_zone = told.hook == "input" ? "firewall" : scenario.zones[outcome.zone].name;
    told.protocol = variant.ports || !has_ports(variant.protocol) ? protocol_name(variant.protocol) : "ip";
    row.conditions = {variant.words};
    Span wanted{0, 0};
    if (variant.ports) {
        row.numbers = plan.ports[origin.ports].spans;
        wanted = row.numbers.front();
    } else if (variant.protocol == icmp_v4 || variant.protocol == icmp_v6) {
        row.numbers = {{variant.type, variant.type}};
        row.conditions = {variant.code != 0 ? fmt::format("code {}", variant.code) : variant.shape != 0 ? variant.words : ""};
    } else {
        row.numbers = {{variant.protocol, variant.protocol}};
    }
    std::string led;  // to which host
    if (told.hook == "forward" && (outcome.destination != target.address || (variant.ports && outcome.port != packet.destination_port))) {
        const auto* host = outcome.destination.v6 ? nullptr : scenario.host_at({static_cast<std::uint32_t>(outcome.destination.value)});
        led = host ? host->name : outcome.destination.text();
        told.leads_to = led;
        if (variant.ports && outcome.port != packet.destination_port) told.leads_to += fmt::format(":{}", outcome.port);
    }
    std::vector<Row> rows;
    auto froms = source.hosts, tos = target.hosts;
    if (target.kind == PlanEnd::Kind::published) {
        tos = {"published " + target.address.text()};
    }
    if (!source.others.empty()) froms.push_back(source.others);
    if (!target.others.empty() && target.kind != PlanEnd::Kind::published) tos.push_back(target.others);
    for (const auto& from : froms)
        for (const auto& to : tos) {
            auto one = row;
            one.from = {from}, one.to = {to};
            const auto& host = target.kind == PlanEnd::Kind::published && target.hosts.size() == 1 && led.empty() ? target.hosts.front()
                               : led.empty()                                                                      ? to
                                                                                                                  : led;
            if (told.hook == "forward" && variant.ports)
                for (auto& flow : needs.flows(from, {told.from_zone, source.kind == PlanEnd::Kind::outside}, host,
                                              {told.to_zone, target.kind == PlanEnd::Kind::outside}, variant.protocol, wanted))
                    one.told.flows.push_back(std::move(flow));
            if (told.hook == "input" && variant.protocol == igmp_number) one.told.flows = needs.memberships(from);
            rows.push_back(std::move(one));
        }
    return rows;
}

void split_by_needs(const scenario::Scenario& scenario, Asked& asked) {
    auto needed = rules::needs(scenario);
    needed.needs.insert(needed.needs.end(), needed.alternatives.begin(), needed.alternatives.end());
    for (const auto& need : needed.needs) {
        for (const auto* list : {&need.ports})
            for (const auto& range : *list) asked.values[Field::destination_port].insert({{range.first, range.last}});
        for (const auto& of_flow : need.ports_of_flows)
            for (const auto& range : of_flow) asked.values[Field::destination_port].insert({{range.first, range.last}});
    }
}

std::string named(const rules::Rule& rule) {
    return rule.place ? fmt::format("{}:{}: {}", rule.place->file, rule.place->line, rule.place->text)
                      : fmt::format("a rule of {}: {}", rule.chain.text(), rule.text);
}

std::string asks_of_the_past(std::string_view rule) {
    return fmt::format("what this rule decides: it asks of earlier packets, and could not be loaded without that: {}", rule);
}

std::string could_open(const Odd& odd) {
    std::string all;
    for (const auto protocol : odd.protocols)
        all += (all.empty() ? "" : ", ") + (protocol_name(protocol) == "ip" ? fmt::format("IP protocol {}", protocol) : protocol_name(protocol));
    if (all.empty()) all = "any protocol";
    const auto list = [](const Spans& spans, bool address, bool v6) {
        std::string text;
        for (std::size_t i = 0; i < spans.size() && i < 12; ++i) {
            const auto& span = spans[i];
            const auto word = [&](Wide value) { return address ? Address{value, v6}.text() : fmt::format("{}", static_cast<unsigned>(value)); };
            text += (text.empty() ? "" : ", ") + word(span.first) + (span.first == span.last ? "" : "-" + word(span.last));
        }
        return text;
    };
    for (const auto& [field, spans] : odd.values) {
        const bool v6 = field == Field::source_v6 || field == Field::destination_v6;
        const bool port = field == Field::source_port || field == Field::destination_port;
        const bool source = field == Field::source || field == Field::source_v6 || field == Field::source_port;
        all += fmt::format(" {} {}{}", source ? "from" : "to", port ? "ports " : "", list(spans, !port, v6));
    }
    return all;
}

void say_what_was_tried(const Dimensions& dimensions, const Asked& asked, const Bench& bench, bool v6_matters, Tried into) {
    auto& [tried, not_tried, notes] = into;
    for (const auto dimension : all_dimensions) {
        if (!dimensions.contains(dimension)) {
            not_tried.push_back(words(dimension) + ": left out");
        } else if (dimension == Dimension::ipv6 && !v6_matters) {
            notes.push_back("no table of the ruleset looks at IPv6: what the gateway forwards of it is not of these rules");
        } else if (dimension == Dimension::ipv6 && !bench.has_v6()) {
            not_tried.push_back("IPv6: this system does not let the lab switch it on");
        } else {
            tried.push_back(words(dimension));
        }
    }
    if (asked.shapes_left_out > 0)
        not_tried.push_back(fmt::format("{} contents of packets that rules ask for, beyond the first {}", asked.shapes_left_out, asked.shapes.size()));
}

}  // namespace wmlab::lab
