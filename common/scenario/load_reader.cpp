#include "common/scenario/load_reader.hpp"

#include <algorithm>

#include "common/scenario/catalogue.hpp"
#include "common/scenario/options.hpp"
#include "common/scenario/values.hpp"

namespace wmlab::scenario {
namespace {

using yaml::Node;

void read_players(MapReader& map, Flow& flow) {
    const auto* node = map.require("players");
    const auto given = node != nullptr ? map.text(*node, "players") : std::nullopt;
    if (!given) return;
    const auto players = count_from(*given);
    if (players && *players >= 1 && *players <= count_max)
        flow.count = *players;
    else
        map.problems().add(*node, "`players` is not a number from 1 to " + std::to_string(count_max) + ':');
}

std::string rate_name(unsigned rate) { return rate % 1000 == 0 ? std::to_string(rate / 1000) + 'k' : std::to_string(rate); }

// The flow's content at another rate, which is a publishing point of its own: "lecture-300k".
void read_rate(ReadContext& context, MapReader& map, Flow& flow) {
    const auto* node = map.find("rate");
    const auto given = node != nullptr ? map.text(*node, "rate") : std::nullopt;
    if (!given) return;
    const auto rate = bitrate_from(*given);
    if (!rate) return map.problems().add(*node, "`rate` is not the bit rate of a stream:", "like 64k or 1.5M; how fast players come is what `ramp` says");
    if (*rate < bitrate_min || *rate > bitrate_max) {
        map.problems().add(*node, "`rate` is outside of " + rate_name(bitrate_min) + " to 20M:");
        return;
    }
    if (!context.contents_known || flow.content.empty()) return;
    const auto* const content = context.scenario.content(flow.content);
    if (content == nullptr || content->kind == Content::Kind::file) {
        map.problems().add(*node, ticked(flow.content) + (content == nullptr ? " is what another flow brings" : " is a file") + ", and has a rate of its own:",
                           "`rate` is for synthetic content");
        return;
    }
    if (content->bitrate == *rate) return;
    auto made = *content;
    made.name += '-' + rate_name(*rate);
    made.bitrate = *rate;
    const auto earlier = std::ranges::find(context.made, made.name, &Content::name);
    const auto* const there = earlier != context.made.end() ? &*earlier : context.scenario.content(made.name);
    if (there != nullptr && (there->kind != made.kind || there->bitrate != made.bitrate || there->duration != made.duration))
        return map.problems().add(*node, "another content has the name " + ticked(made.name) + ", which this one would have:", "give that one another name");
    flow.content = made.name;
    if (there == nullptr) context.made.push_back(std::move(made));
}

}  // namespace

void read_load(ReadContext& context, MapReader& owner, const Node& node, Flow& flow) {
    MapReader map{node, "`load` of " + owner.owner(), context.problems, "like { players: 100, ramp: 5s, duration: 10s }"};
    if (const auto* count = owner.find("count"))
        context.problems.add(*count, owner.owner() + " has `load` and `count`:", "`players` of `load` says how many: remove `count`");
    auto& load = flow.load.emplace();
    read_players(map, flow);
    load.ramp = read_duration(map, "ramp", milliseconds{0}, play_max).value_or(load.ramp);
    const auto duration = read_duration(map, "duration", play_min, play_max);
    if (const auto* play = owner.find("play"); duration && play != nullptr)
        context.problems.add(*play, owner.owner() + " has `play` and a `duration` of its `load`:", "they say the same: remove one");
    flow.play = duration.value_or(flow.play);
    read_rate(context, map, flow);
    map.finish();
}

void check_load_ports(MapReader& owner, const Flow& flow) {
    if (!flow_option("client_ports")->taken_by(flow.type)) return;
    const auto needed = flow.count * flow.to.size();
    if (needed <= flow.client_ports.size()) return;
    const auto* const node = owner.find("load");
    owner.problems().add(node->at, {},
                         std::to_string(needed) + " players of one host need as many UDP ports, and `client_ports` of " + owner.owner() + " has " +
                             std::to_string(flow.client_ports.size()),
                         "play from more hosts: from: [a, b]");
}

}  // namespace wmlab::scenario
