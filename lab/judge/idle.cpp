// A stream that was paused in its midst (`idle`): whether it went on, and if not, by which of its time-outs the firewall had forgotten
// the connection. The kernel says which connections it forgets; which packets were lost, the ledger.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "common/evidence/fields.hpp"
#include "common/scenario/values.hpp"
#include "lab/judge/flow.hpp"
#include "lab/judge/ledger.hpp"

namespace wmlab::lab {
namespace {

using Moment = std::int64_t;  // monotonic, ns

constexpr Moment told_late = 200'000'000;  // the kernel finds out with the first packet after, and this is read a little later
constexpr const char* udp_time_out = "nf_conntrack_udp_timeout";
constexpr const char* udp_stream_time_out = "nf_conntrack_udp_timeout_stream";
constexpr const char* tcp_time_out = "nf_conntrack_tcp_timeout_established";

Moment at(const Event& event) { return event.monotonic.count(); }
double seconds(Moment span) { return static_cast<double>(span) / 1e9; }

// What is known of the firewall while the flow was played.
class Tracking {
public:
    explicit Tracking(const FlowContext& context) : evidence_{context.evidence}, wave_{context.evidence.wave(context.instance.id)} {
        for (const auto* event : evidence_.runner(What::time_outs))
            if (wave_of(*event) == wave_) told_ = event;
        heard_ = told_ != nullptr && true_field(*told_, field::heard);
        for (const auto* event : evidence_.runner(What::forgotten))
            if (wave_of(*event) == wave_ && true_field(*event, field::messages_lost)) heard_ = false;
    }
    bool known() const { return told_ != nullptr; }
    bool heard() const { return heard_; }
    double divisor() const { return told_ == nullptr ? 1 : std::max(1.0, number_field(*told_, field::divisor).value_or(1)); }
    std::string real_time() const { return told_ == nullptr ? std::string{} : std::string{text_field(*told_, field::real_time)}; }

    struct Value {
        double real = 0, played = 0;  // seconds
    };
    std::optional<Value> value(std::string_view name, std::string_view box) const {
        const auto* all = told_ == nullptr ? nullptr : told_->fields.if_contains(field::settings);
        if (all == nullptr || !all->is_array()) return std::nullopt;
        for (const auto& entry : all->get_array()) {
            const auto* one = entry.if_object();
            if (one == nullptr || word(*one, "name") != name || word(*one, "box") != box) continue;
            const auto *real = one->if_contains(field::real), *played = one->if_contains(field::played);
            const auto first = real == nullptr ? std::nullopt : whole_number(*real), second = played == nullptr ? std::nullopt : whole_number(*played);
            if (first && second) return Value{static_cast<double>(*first), static_cast<double>(*second)};
        }
        return std::nullopt;
    }

    // The connection with these addresses, forgotten between the two moments. By any firewall on the way.
    const Event* forgotten(const ConnectionLedger& connection, Moment from, Moment to) const {
        for (const auto* event : evidence_.runner(What::forgotten)) {
            if (wave_of(*event) != wave_ || at(*event) < from || at(*event) > to || text_field(*event, field::protocol) != connection.protocol) continue;
            const Between told{Endpoint::from(text_field(*event, field::source)), Endpoint::from(text_field(*event, field::destination))};
            for (const auto& between : {connection.near, connection.far})
                if (told == between || told == between.reversed()) return event;
        }
        return nullptr;
    }
    // An event of the scenario that made the firewall forget all connections.
    bool flushed(Moment from, Moment to) const {
        return std::ranges::any_of(evidence_.runner(What::happened), [&](const Event* event) {
            return wave_of(*event) == wave_ && text_field(*event, field::kind) == "flush-conntrack" && at(*event) >= from && at(*event) <= to + told_late;
        });
    }

private:
    static std::string_view word(const boost::json::object& object, std::string_view key) {
        const auto* found = object.if_contains(key);
        return found != nullptr && found->is_string() ? std::string_view{found->get_string()} : std::string_view{};
    }
    const Evidence& evidence_;
    std::uint64_t wave_;
    const Event* told_ = nullptr;
    bool heard_ = false;
};

// A connection that was silent over the pause.
struct Quiet {
    std::string leg;
    ConnectionLedger ledger;
    Moment before = 0;           // its last packet until the pause
    std::optional<Moment> lost;  // the first one after the pause began that did not arrive
};

std::vector<Quiet> quiet_over(const FlowContext& context, Moment paused) {
    std::vector<Quiet> all;
    for (const auto& leg : leg_contexts(context)) {
        for (auto& ledger : account_leg(leg)) {
            Quiet quiet{leg.leg.name, {}, 0, std::nullopt};
            const auto see = [&](Moment left, bool lost) {
                if (left < paused) quiet.before = std::max(quiet.before, left);
                if (left >= paused && lost && (!quiet.lost || left < *quiet.lost)) quiet.lost = left;
            };
            for (const auto* lane : {&ledger.there, &ledger.back}) {
                for (const auto& packet : lane->passed) see(packet.left, false);
                for (const auto& packet : lane->lost) see(packet.at, true);
            }
            quiet.ledger = std::move(ledger);
            if (quiet.before != 0) all.push_back(std::move(quiet));
        }
    }
    return all;
}

// The last packet before this one.
Moment silent_since(const Quiet& quiet, Moment until) {
    Moment last = quiet.before;
    for (const auto* lane : {&quiet.ledger.there, &quiet.ledger.back})
        for (const auto& packet : lane->passed)
            if (packet.left < until) last = std::max(last, packet.left);
    return last;
}

// The first packet that passed from then on; 0: none did.
Moment first_from(const Quiet& quiet, Moment then) {
    Moment first = 0;
    for (const auto* lane : {&quiet.ledger.there, &quiet.ledger.back})
        for (const auto& packet : lane->passed)
            if (packet.left >= then && (first == 0 || packet.left < first)) first = packet.left;
    return first;
}

const char* time_out_of(const Event& forgotten) {
    if (text_field(forgotten, field::protocol) == "tcp") return tcp_time_out;
    return true_field(forgotten, field::assured) ? udp_stream_time_out : udp_time_out;
}

std::string paused_words(const Idle& idle, const Tracking& tracking) {
    auto words = fmt::format("The stream was paused for {:.6g} s", idle.seconds);
    if (idle.divisor > 1)
        words += fmt::format(" (played as {:.3g} s: all time-outs of the firewall's connection tracking were divided by {:.4g} too, to whole seconds)",
                             idle.played, idle.divisor);
    else if (!tracking.real_time().empty())
        words += fmt::format(" (at its full length: {})", tracking.real_time());
    return words;
}

std::string who_forgot(const Event& forgotten) {
    const auto box = text_field(forgotten, field::box);
    return box.empty() ? std::string{"the firewall"} : fmt::format("firewall {}", box);
}

// The time-out that the kernel ran into, as the sentence says it; nothing where the numbers do not agree.
void name_time_out(const Tracking& tracking, const Event& forgotten, Moment silence, Idle& idle, std::string& words) {
    const auto* name = time_out_of(forgotten);
    const auto value = tracking.value(name, text_field(forgotten, field::box));
    const auto quiet = seconds(silence);
    if (!value || quiet < value->played - 0.05) {
        words += fmt::format(" {} had forgotten the connection, but no time-out that is known explains it: it had been silent for {:.3g} s.",
                             who_forgot(forgotten), quiet);
        return;
    }
    idle.time_out = name;
    idle.time_out_seconds = value->real;
    words += fmt::format(" {} had forgotten the connection: {} is {:.6g} s, and nothing had passed for {:.3g} s.", who_forgot(forgotten), name, value->real,
                         quiet * idle.divisor);
}

void tell_death(const Tracking& tracking, const Quiet& quiet, Moment paused, const std::string& ends, Idle& idle, std::string& words) {
    idle.leg = quiet.leg;
    const auto lost = *quiet.lost, since = silent_since(quiet, lost);
    words += fmt::format(" When {} was to go on ({}),", quiet.leg, ends);
    const auto* forgotten = tracking.forgotten(quiet.ledger, paused - told_late, lost + told_late);
    if (tracking.flushed(since, lost))
        words += " the firewall had forgotten all connections by an event of the scenario: no time-out is to blame.";
    else if (forgotten != nullptr)
        name_time_out(tracking, *forgotten, lost - since, idle, words);
    else if (tracking.heard())
        words += " the firewall had not forgotten the connection: no time-out of its connection tracking is to blame.";
    else
        words += tracking.known() ? " whether the firewall had forgotten the connection is not known."
                                  : " which time-out of the firewall ended it is not known: only the built-in lab sees what the kernel forgets.";
    words += " The packets that came then were stopped.";
}

std::string kept_words(const FlowContext& context, const Tracking& tracking, const std::vector<Quiet>& all, Moment paused, Moment went_on) {
    std::string words;
    for (const auto& quiet : all) {
        const auto again = first_from(quiet, went_on);
        const auto* forgotten = again == 0 ? nullptr : tracking.forgotten(quiet.ledger, paused - told_late, again + told_late);
        if (forgotten == nullptr) continue;
        const auto* name = time_out_of(*forgotten);
        const auto value = tracking.value(name, text_field(*forgotten, field::box));
        if (value)
            words += fmt::format(" {}: {} ({:.6g} s) of {} ran out, and the rules let it begin anew.", quiet.leg, name, value->real, who_forgot(*forgotten));
    }
    std::size_t pings = 0;
    for (const auto* event : context.view.all(What::sent))
        if (text_field(*event, field::message) == "LinkMacToViewerPing" && at(*event) >= paused && at(*event) <= went_on) ++pings;
    if (pings > 0) words += fmt::format(" control: the server sent LinkMacToViewerPing {} meanwhile, every 30 s.", times(pings));
    return words;
}

bool works_still(const FlowResult& flow) { return flow.verdict == Verdict::pass || flow.verdict == Verdict::degraded; }

// It never came to the pause: then nothing is said of it, and with time-outs set shorter the rest may be their doing.
void not_reached(const Tracking& tracking, Idle& idle, FlowResult& flow) {
    idle.words = "The stream ended before it could be paused.";
    if (works_still(flow)) return doubt_flow(flow, Reason::not_tried, flow.leg, idle.words + " What the rest says: " + flow.explanation);
    if (flow.verdict == Verdict::blocked && flow.cause == Cause::starved && tracking.divisor() > 1)
        doubt_flow(flow, Reason::no_outcome, flow.leg,
                   idle.words + " The firewall's time-outs were set shorter for the pause, which may be why: " + flow.explanation);
}

}  // namespace

void judge_idle(const FlowContext& context, FlowResult& flow) {
    const auto asked = context.instance.flow->idle;
    if (asked.count() == 0) return;
    const Tracking tracking{context};
    auto& idle = flow.idle.emplace();
    idle.seconds = std::chrono::duration<double>{asked}.count();
    idle.divisor = tracking.divisor();
    const auto* paused = context.view.last(context.instance.from, What::paused);
    const auto* went_on = context.view.last(context.instance.from, What::continued);
    if (paused == nullptr) return not_reached(tracking, idle, flow);
    idle.played = went_on != nullptr ? seconds(at(*went_on) - at(*paused)) : number_field(*paused, field::lasts).value_or(0) / 1000;
    auto words = paused_words(idle, tracking);
    const auto all = quiet_over(context, at(*paused));
    const auto* end = flow_end(context);
    const bool says_so = end != nullptr && text_field(*end, field::outcome) == "worked";
    if (went_on != nullptr && (says_so || works_still(flow))) {
        idle.outcome = Idle::Outcome::survived;
        idle.words = words + ", and went on." + kept_words(context, tracking, all, at(*paused), at(*went_on));
        flow.notes.push_back(idle.words);
        return;
    }
    words += ".";
    const auto stopped = [&](const Quiet& quiet) { return quiet.lost.has_value(); };
    auto died = std::ranges::find_if(all, [&](const Quiet& quiet) { return quiet.leg == flow.leg && stopped(quiet); });
    if (died == all.end()) died = std::ranges::find_if(all, stopped);
    if (died == all.end()) {
        const bool stands = flow.verdict == Verdict::blocked || flow.verdict == Verdict::failed;
        idle.outcome = stands ? Idle::Outcome::died : Idle::Outcome::unknown;
        idle.words =
            words + (stands ? " It did not go on, and no packet of it is known to have been lost after the pause." : " Whether it went on is not known.");
    } else {
        idle.outcome = Idle::Outcome::died;
        const auto& between = died->ledger.near;
        tell_death(tracking, *died, at(*paused),
                   fmt::format("{} {} -> {}", died->ledger.protocol, context.names.at(between.source), context.names.at(between.destination)), idle, words);
        idle.words = words;
    }
    flow.explanation = idle.words + (flow.explanation.empty() ? "" : " " + flow.explanation);
}

}  // namespace wmlab::lab
