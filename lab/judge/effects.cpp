// What the scenario's `events:` did to each flow: read from the account of its packets (ledger), never counted anew.
#include <algorithm>
#include <chrono>
#include <limits>

#include "lab/judge/flow.hpp"
#include "lab/judge/ledger.hpp"

namespace wmlab::lab {
namespace {

using Time = std::int64_t;  // monotonic, ns
constexpr Time never = std::numeric_limits<Time>::max();
constexpr double stop_min = 100;  // ms without a packet: less is a busy machine

double milliseconds(Time span) { return static_cast<double>(span) / 1e6; }

struct Happened {
    std::size_t index = 0;
    Time began = 0, ended = 0;
    bool gap = false;    // no rules were loaded from its beginning to its end
    bool silent = false; // nobody may be able to send: a link or a host is down
};

std::vector<Happened> happened(const FlowContext& context) {
    std::vector<Happened> all;
    const auto wave = context.evidence.wave(context.instance.id);
    for (const auto* event : context.evidence.runner(What::happened)) {
        if (wave_of(*event) != wave) continue;
        const auto index = whole_field(*event, field::incident), began = whole_field(*event, field::began), ended = whole_field(*event, field::ended);
        if (!index || !began || !ended) continue;
        const auto kind = text_field(*event, field::kind);
        all.push_back({*index, static_cast<Time>(*began), static_cast<Time>(*ended), true_field(*event, field::gap_in_rules),
                       kind == "link" || kind == "kill" || kind == "restart"});
    }
    std::ranges::stable_sort(all, {}, &Happened::began);
    return all;
}

// One direction of one connection.
struct Track {
    std::string leg;
    std::size_t part = 0;  // of a rollover: the transport
    struct Packet {
        Time left = 0, arrived = never;  // never: lost
        bool lost() const { return arrived == never; }
    };
    std::vector<Packet> packets;  // in order of having left, until the first end closed
    std::uint64_t bytes = 0;      // that arrived
    bool known = true;

    Time last_arrival() const {
        Time last = 0;
        for (const auto& packet : packets)
            if (!packet.lost()) last = std::max(last, packet.arrived);
        return last;
    }
};

Track track(const std::string& leg, std::size_t part, const Lane& lane, Time end) {
    Track track{leg, part, {}, 0, lane.known};
    for (const auto& packet : lane.passed) {
        if (packet.left > end) continue;
        track.packets.push_back({packet.left, packet.arrived});
        track.bytes += packet.bytes;
    }
    for (const auto& packet : lane.lost)
        if (packet.at <= end) track.packets.push_back({packet.at, never});
    std::ranges::stable_sort(track.packets, {}, &Track::Packet::left);
    return track;
}

struct Part {
    std::string transport;
    FlowView view;
    bool works = false;
};

struct Story {  // of one flow
    std::vector<Part> parts;
    std::vector<Track> tracks;
    Time over = never;       // when the opening end says that the flow ended
    Time play = 0;           // how long it was to play; 0: it has no media
    Time playing = 0;        // since when media comes; never: it does not. Without media: always

    bool any(auto holds) const { return std::ranges::any_of(tracks, holds); }
};

// When a receiver had waited in vain and gave up: what comes later comes too late. Another beginning takes it back.
Time given_up(const FlowView& view) {
    Time at = never;
    for (const auto* silent : view.all(What::media_silent)) {
        const auto started = view.all(What::media_started);
        const bool again = std::ranges::any_of(started, [&](const Event* start) { return start->monotonic > silent->monotonic && start->host == silent->host; });
        if (!again) at = std::min(at, static_cast<Time>(silent->monotonic.count()));
    }
    return at;
}

void add_tracks(Story& story, const std::vector<LegContext>& legs, std::size_t part, Time too_late) {
    for (const auto& leg : legs) {
        if (leg.leg.protocol == scenario::Protocol::igmp) continue;
        for (const auto& connection : account_leg(leg)) {
            const auto end = connection.protocol == "tcp" ? connection.ended : never;
            for (const auto* lane : {&connection.there, &connection.back}) {
                auto& added = story.tracks.emplace_back(track(leg.leg.name, part, *lane, end));
                std::erase_if(added.packets, [&](const auto& packet) { return !packet.lost() && packet.arrived >= too_late; });
            }
        }
    }
    std::erase_if(story.tracks, [](const Track& one) { return one.packets.empty(); });
}

Story story_of(const FlowContext& context, const FlowResult& flow) {
    Story story;
    if (const auto* end = flow_end(context)) story.over = end->monotonic.count();
    using enum scenario::FlowType;
    if (const auto type = context.instance.flow->type; type != dcom && type != probe && type != command) {
        story.playing = never;
        for (const auto* start : context.view.all(What::media_started)) story.playing = std::min(story.playing, static_cast<Time>(start->monotonic.count()));
        story.play = std::chrono::nanoseconds{context.instance.plays()}.count();
    }
    if (context.instance.flow->type != scenario::FlowType::mms_auto) {
        story.parts.push_back({flow.transport, context.view, working(flow.verdict)});
        const auto view = context.instance.flow->type == scenario::FlowType::multicast ? stream_view(context) : context.view;
        const FlowContext whole{context.scenario, context.evidence, context.names, context.instance, view};
        add_tracks(story, context.instance.flow->type == scenario::FlowType::multicast ? stream_legs(whole) : leg_contexts(whole), 0, given_up(view));
        return story;
    }
    auto tries = attempts_of(context);
    for (std::size_t i = 0; i < tries.size(); ++i) {
        const scenario::FlowInstance instance{context.instance.id, &tries[i].as_one, context.instance.from, context.instance.to};
        add_tracks(story, leg_contexts({context.scenario, context.evidence, context.names, instance, tries[i].view}), i, given_up(tries[i].view));
        const bool works = i < flow.attempts.size() && working(flow.attempts[i].verdict);
        story.parts.push_back({tries[i].transport, std::move(tries[i].view), works});
    }
    return story;
}

// How the arrivals of a track were spaced before a time, at the longest.
double usual_gap(const Track& track, Time before) {
    double longest = 0;
    Time last = 0;
    for (const auto& packet : track.packets) {
        if (packet.lost() || packet.arrived >= before) continue;
        if (last != 0) longest = std::max(longest, milliseconds(packet.arrived - last));
        last = packet.arrived;
    }
    return longest;
}

struct Silence {
    double longest = 0;  // ms between two arrivals
    bool for_good = false;
    Time since = 0;
};

// The longest time in which nothing came because packets that left in [from, to) were lost; `any`: for whatever reason.
Silence silence(const Track& track, Time from, Time to, bool any) {
    Silence silence;
    Time last = 0;
    bool lost = false;
    for (const auto& packet : track.packets) {
        if (packet.lost()) {
            lost = lost || (packet.left >= from && packet.left < to);
            continue;
        }
        const bool around = packet.arrived >= from && last < to && last != 0;
        if (around && (lost || any)) silence.longest = std::max(silence.longest, milliseconds(packet.arrived - last));
        lost = false;
        last = packet.arrived;
    }
    silence.for_good = lost;
    silence.since = last;
    return silence;
}

std::uint64_t lost_in(const Track& track, Time from, Time to) {
    return static_cast<std::uint64_t>(
        std::ranges::count_if(track.packets, [&](const auto& packet) { return packet.lost() && packet.left >= from && packet.left < to; }));
}

// Packets that came through while rules were changed, of a direction that the rules before and behind stop.
std::uint64_t slipped_in(const Track& track, const Happened& event, const std::vector<Happened>& events) {
    const auto within = [](const Track::Packet& packet, const Happened& one) { return one.gap && packet.left >= one.began && packet.left <= one.ended; };
    std::uint64_t slipped = 0, passed = 0, lost = 0;
    for (const auto& packet : track.packets) {
        const bool meanwhile = std::ranges::any_of(events, [&](const Happened& one) { return within(packet, one); });
        if (within(packet, event) && !packet.lost()) ++slipped;
        if (!meanwhile) ++(packet.lost() ? lost : passed);
    }
    return passed == 0 && lost > 0 ? slipped : 0;
}

// The direction that carries most of what had arrived by then: the stream.
const Track* stream(const Story& story, Time before) {
    const Track* best = nullptr;
    for (const auto& track : story.tracks) {
        const bool ran = std::ranges::any_of(track.packets, [&](const auto& packet) { return !packet.lost() && packet.arrived < before; });
        if (ran && (best == nullptr || track.bytes > best->bytes)) best = &track;
    }
    return best;
}

// What was lost from an event to the next one, on which leg most, and whether all that was sent is known.
Effect losses(const Story& story, const Happened& event, Time next, const std::vector<Happened>& events) {
    Effect effect;
    effect.incident = event.index;
    std::uint64_t most = 0;
    for (const auto& track : story.tracks) {
        const auto lost = lost_in(track, event.began, next);
        effect.lost += lost;
        if (lost > most) effect.leg = track.leg, most = lost;
        effect.complete = effect.complete && track.known;
        if (event.gap) effect.slipped += slipped_in(track, event, events);
    }
    return effect;
}

// Whether the stream came to its end by the event: nothing came for good, or it ended before its time, and long before its end nothing came any more.
bool ceased(const Story& story, const FlowResult& flow, const Track& main, const Happened& event, const Silence& quiet, Time next) {
    const bool tail = quiet.for_good && lost_in(main, quiet.since, next) > 1;
    const bool early = story.over != never && milliseconds(story.over - quiet.since) > std::max(stop_min, 2 * usual_gap(main, event.began));
    const bool cut = flow.cause == Cause::reset || flow.cause == Cause::rejected || flow.cause == Cause::refused;
    // Media that came for as long as was asked did not die, whatever became of the farewell.
    constexpr double most_of_it = 0.9;
    const bool unfinished =
        story.play == 0 ? early || cut || story.over == never : static_cast<double>(quiet.since - story.playing) < most_of_it * static_cast<double>(story.play);
    return quiet.since < next && (tail || (!story.parts[main.part].works && unfinished)) && flow.cause != Cause::modified;
}

// Nothing more came on this connection. Did the program go on by another?
void tell_what_followed(const Story& story, const Track& main, const Happened& event, Time quiet_since, Effect& effect) {
    effect.impact = Impact::died;
    for (std::size_t i = main.part + 1; i < story.parts.size(); ++i)
        if (story.parts[i].works) {
            effect.impact = Impact::rolled_over;
            effect.transport = story.parts[i].transport;
        }
    for (const auto* resumed : story.parts[main.part].view.all(What::media_resumed))
        if (resumed->monotonic.count() >= event.began) effect.impact = Impact::resumed;
    if (effect.impact == Impact::died) {
        effect.leg = main.leg;
        effect.interrupted = 0;
        return;
    }
    Time again = never;
    for (const auto& track : story.tracks)
        for (const auto& packet : track.packets)
            if (&track != &main && !packet.lost() && packet.left > quiet_since && track.bytes > 0 && track.packets.front().left >= event.began)
                again = std::min(again, packet.arrived);
    if (again != never) effect.interrupted = milliseconds(again - quiet_since);
}

Effect effect_on(const Story& story, const FlowResult& flow, const Happened& event, Time next, const std::vector<Happened>& events) {
    auto effect = losses(story, event, next, events);
    const auto unbroken = effect.lost > 0 ? Impact::lost : Impact::untouched;
    const auto* const main = stream(story, event.began);
    if (main == nullptr || story.playing >= event.began) {
        effect.impact = working(flow.verdict) ? Impact::opened : Impact::stopped;
        return effect;
    }
    // It may have stood still for long, or never have come to its media: then nothing of it could be disturbed.
    const auto lately = event.began - static_cast<Time>(std::max(2.5 * stop_min, 3 * usual_gap(*main, event.began)) * 1e6);
    const bool flowing = std::ranges::any_of(main->packets, [&](const auto& packet) { return !packet.lost() && packet.arrived >= lately && packet.left < next; });
    if (!flowing) {
        effect.impact = working(flow.verdict) ? unbroken : Impact::stopped;
        return effect;
    }
    bool stopped = false;
    for (const auto& track : story.tracks) {
        // Where nobody may be able to send, the stream alone tells: other directions are silent by themselves.
        const auto quiet = silence(track, event.began, next, event.silent && &track == main);
        if (quiet.longest > effect.interrupted) {
            effect.interrupted = quiet.longest;
            if (quiet.longest >= std::max(stop_min, 2 * usual_gap(track, event.began))) stopped = true, effect.leg = track.leg;
        }
    }
    const auto quiet = silence(*main, event.began, next, event.silent);
    if (ceased(story, flow, *main, event, quiet, next))
        tell_what_followed(story, *main, event, quiet.since, effect);
    else
        effect.impact = stopped ? Impact::interrupted : unbroken;
    return effect;
}

}  // namespace

std::vector<Effect> judge_effects(const FlowContext& context, const FlowResult& flow) {
    const auto events = happened(context);
    if (events.empty()) return {};
    const auto story = story_of(context, flow);
    std::vector<Effect> effects;
    for (std::size_t i = 0; i < events.size(); ++i) {
        const auto next = i + 1 < events.size() ? events[i + 1].began : never;
        // Nothing of the flow was there to be disturbed: it was over, or had not begun when the next thing happened.
        const bool there = story.any([&](const Track& track) {
            return std::ranges::any_of(track.packets, [&](const auto& packet) { return packet.left >= events[i].began && packet.left < next; });
        });
        const bool running = stream(story, events[i].began) != nullptr && story.over > events[i].began;
        if (!there && !running) continue;
        const bool dead = std::ranges::any_of(effects, [](const Effect& before) { return before.impact == Impact::died; });
        if (dead) break;
        auto effect = effect_on(story, flow, events[i], next, events);
        const auto& wishes = context.scenario.events;
        if (events[i].index < wishes.size()) {
            const auto wish = wishes[events[i].index].expect;
            const bool ran = effect.impact != Impact::opened && effect.impact != Impact::stopped;
            effect.as_expected = !ran || wish == scenario::Incident::Wish::none || (wish == scenario::Incident::Wish::survived && effect.impact != Impact::died) ||
                                 effect.impact == Impact::untouched;
        }
        effects.push_back(std::move(effect));
    }
    return effects;
}

}  // namespace wmlab::lab
