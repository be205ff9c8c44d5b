#include "common/scenario/expectation_reader.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "common/scenario/catalogue.hpp"
#include "common/scenario/options.hpp"
#include "common/scenario/values.hpp"

namespace wmlab::scenario {
namespace {

using yaml::Node;

constexpr std::array<std::string_view, 4> transport_words = {"udp", "tcp", "http", "http-proxy"};

void read_measures(MapReader& map, const Flow& of, Expectation& expect) {
    const auto text_of = [&](std::string_view key, const Node*& node) {
        node = map.find(key);
        return node != nullptr ? map.text(*node, key) : std::nullopt;
    };
    const Node* node = nullptr;
    if (const auto given = text_of("rule", node)) {
        const auto colon = given->rfind(':');
        const auto line = colon == std::string::npos ? std::nullopt : count_from(std::string_view{*given}.substr(colon + 1));
        if (colon == 0 || !line || *line < 1)
            map.problems().add(*node, "`rule` is no FILE:LINE:", "like rules.nft:12");
        else
            expect.rule = {given->substr(0, colon), *line};
    }
    if (const auto given = text_of("seen_as", node)) {
        expect.seen_as = Ipv4::from(*given);
        if (!expect.seen_as) map.problems().add(*node, "not an IPv4 address:", "the one from which the far end sees the flow come");
    }
    const auto below = [&](const std::string& given) {
        return given.starts_with('<') ? std::optional{given.substr(given.find_first_not_of("< "))} : std::nullopt;
    };
    if (const auto given = text_of("loss", node)) {
        const auto limit = below(*given);
        if (limit) expect.loss = fraction_from(*limit);
        if (!flow_option("max_loss")->taken_by(of.type))
            map.problems().add(*node, ticked(spec(of.type).name) + " carries no media whose loss could be measured:");
        else if (!expect.loss)
            map.problems().add(*node, "`loss` is no limit:", "like \"<1%\"");
    }
    if (const auto given = text_of("setup_p95", node)) {
        const auto limit = below(*given);
        if (limit) expect.setup_p95 = duration_from(*limit);
        if (!expect.setup_p95) map.problems().add(*node, "`setup_p95` is no limit:", "like \"<200ms\"");
    }
}

void read_leg(MapReader& map, const Node& node, const Flow& of, Expectation& expect) {
    const auto given = map.text(node, "leg");
    if (!given) return;
    std::vector<std::string_view> names;
    for (const auto& leg : leg_specs(of)) names.push_back(leg.name);
    if (std::ranges::find(names, *given) != names.end()) {
        expect.leg = given;
    } else {
        map.problems().add(node, ticked(spec(of.type).name) + " has no leg", map.problems().did_you_mean(*given, names));
    }
}

void read_transport(MapReader& map, const Node& node, const Flow& of, const std::string& owner, Expectation& expect) {
    const auto given = map.text(node, "transport");
    if (!given) return;
    if (std::ranges::find(transport_words, *given) == transport_words.end()) {
        map.problems().add(node, "unknown transport",
                      map.problems().did_you_mean(*given, {transport_words.begin(), transport_words.end()}));
        return;
    }
    std::vector<std::string_view> names;
    for (const auto& transport : transports(of))
        if (!transport.name.empty()) names.push_back(transport.name);
    if (std::ranges::find(names, *given) != names.end()) {
        expect.transport = given;
    } else {
        map.problems().add(node, owner + " never uses the transport", map.problems().did_you_mean(*given, names));
    }
}

}  // namespace

void read_expectation(MapReader& owner, Flow& flow) {
    auto& problems = owner.problems();
    auto& expect = flow.expect;
    expect.verdict = Verdict::pass;
    const auto* node = owner.find("expect");
    if (node == nullptr) return;
    const std::vector<std::string_view> verdicts{verdict_names.begin(), verdict_names.end()};
    const auto read_verdict = [&](const Node& word) {
        const auto given = owner.text(word, "expect");
        if (!given) return;
        expect.verdict = verdict_from(*given);
        if (!expect.verdict) problems.add(word, "unknown verdict", problems.did_you_mean(*given, verdicts));
    };
    if (!node->is(Node::Kind::map)) {
        read_verdict(*node);
        return;
    }
    expect.verdict.reset();
    MapReader map{*node, "`expect` of " + owner.owner(), problems};
    if (node->entries.empty()) problems.add(node->at, {}, "`expect` of " + owner.owner() + " is empty");
    if (const auto* verdict = map.find("verdict")) read_verdict(*verdict);
    const auto* leg = map.find("leg");
    const auto* cause = map.find("cause");
    if (leg != nullptr) read_leg(map, *leg, flow, expect);
    if (cause != nullptr) {
        if (const auto given = map.text(*cause, "cause")) {
            expect.cause = cause_from(*given);
            if (!expect.cause)
                problems.add(*cause, "unknown cause",
                              problems.did_you_mean(*given, {cause_names.begin(), cause_names.end()}));
        }
    }
    if (const auto* transport = map.find("transport")) read_transport(map, *transport, flow, owner.owner(), expect);
    read_measures(map, flow, expect);
    if (expect.verdict == Verdict::pass && (leg != nullptr || cause != nullptr)) {
        const auto& extra = leg != nullptr ? *leg : *cause;
        problems.add(extra.at, extra.text, "a flow that passes has no leg and no cause of failure:");
    }
    map.finish();
}

}  // namespace wmlab::scenario
