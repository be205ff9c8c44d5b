// Flows that carry media: mms-udp, mms-tcp, http (direct or by a proxy), http-distribution, msbd, encoder-alias.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/scenario/vlc.hpp"
#include "lab/judge/flow.hpp"
#include "lab/judge/ledger.hpp"

namespace wmlab::lab {
namespace {

struct Ends {
    std::string sender, receiver;  // of the media
    std::string carrier;           // the leg that carries it
};

Ends media_ends(const FlowContext& context, const std::vector<LegContext>& legs) {
    const auto& instance = context.instance;
    const auto type = instance.flow->type;
    const bool forwards = type == scenario::FlowType::encoder_alias;  // the encoder opened, and sends
    return {forwards ? instance.from : instance.to, forwards ? instance.to : instance.from,
            type == scenario::FlowType::mms_udp ? "media" : legs.back().leg.name};
}

std::string packets_words(const MediaAccount& account) {
    return fmt::format("{} of media sent, {} received", counted(account.media.packets_sent, "packet"),
                       account.media.packets_received);
}

// Connections that failed before the one that worked.
void note_retries(const LegContext& context, FlowResult& flow) {
    const auto all = conversations(context);
    std::size_t failures = 0;
    std::string why;
    for (const auto& conversation : all) {
        if (conversation.failed != nullptr) {
            ++failures;
            const auto failure = failure_of(*conversation.failed).value_or(Failure{});
            why = failure.kind + waited_words(failure.waited);
        } else if (conversation.connected != nullptr && failures > 0) {
            flow.retries.push_back(
                fmt::format("{}: connected at attempt {} after: {}", context.leg.name, failures + 1, why));
            return;
        }
    }
}

// Media over TCP that came late: it lags, and segments of it were lost. The direction that the media goes, else nothing.
std::optional<Lane> slowed_down(const MediaAccount& account, const std::vector<LegContext>& legs, const Ends& ends) {
    constexpr double lag_min = 500;       // ms: less is a busy machine
    constexpr double share_min = 0.02;    // of the segments
    if (account.behind < lag_min) return std::nullopt;
    for (const auto& leg : legs) {
        if (leg.leg.name != ends.carrier) continue;
        for (auto& connection : account_leg(leg)) {
            const auto& lane = leg.leg.destination == ends.sender ? connection.back : connection.there;
            if (lane.known && lane.data_left > 0 &&
                static_cast<double>(lane.data_lost) >= share_min * static_cast<double>(lane.data_left))
                return lane;
        }
    }
    return std::nullopt;
}

// Each end says that the other one closed the connection: something between them did.
bool closed_between(const FlowContext& context, const Ends& ends) {
    const auto by_peer = [&](const std::string& host) {
        const auto* closed = context.view.last(host, What::closed);
        return closed != nullptr && text_field(*closed, field::by) == "peer";
    };
    const auto type = context.instance.flow->type;
    const bool ends_by_closing = type == scenario::FlowType::http || type == scenario::FlowType::http_distribution;
    return ends_by_closing && by_peer(ends.sender) && by_peer(ends.receiver);
}

bool explains_itself(const LegResult& leg) { return leg.verdict == Verdict::blocked || leg.verdict == Verdict::failed; }

// Everything but whether the media is fresh: the first step that can say how the flow ended says it.
class MediaJudgement {
public:
    explicit MediaJudgement(const FlowContext& context)
        : context_{context},
          contexts_{leg_contexts(context)},
          ends_{media_ends(context, contexts_)},
          udp_{ends_.carrier == "media"},
          account_{account_media(context.view, ends_.sender, ends_.receiver, udp_)},
          flow_{blank_flow(context)},
          end_{flow_end(context)},
          said_failed_{end_ != nullptr && text_field(*end_, field::outcome) == "failed"},
          starved_{account_.proven && account_.tail_lost && (said_failed_ || account_.silent)} {}

    FlowResult judge() {
        note_media();
        judge_legs();
        using Step = bool (MediaJudgement::*)();
        for (const Step step :
             {&MediaJudgement::exhausted, &MediaJudgement::changed, &MediaJudgement::closed_by_another, &MediaJudgement::arrived, &MediaJudgement::leg_stopped,
              &MediaJudgement::connection_broke, &MediaJudgement::datagrams_ceased, &MediaJudgement::protocol_ended})
            if ((this->*step)()) return std::move(flow_);
        doubt();
        return std::move(flow_);
    }

private:
    const scenario::Flow& wanted() const { return *context_.instance.flow; }
    LegResult& carrier() { return *std::ranges::find(flow_.legs, ends_.carrier, &LegResult::name); }
    std::string direction() const { return ends_.sender == context_.instance.to ? "to->from" : "from->to"; }  // of the media
    bool settled(const LegResult& leg) {
        settle(flow_, leg);
        return true;
    }

    void note_media() {
        if (account_.sender_told || account_.receiver_told) flow_.media = account_.media;
        if (const auto* ended = context_.view.last(ends_.receiver, What::media_ended)) {
            const auto recovered = whole_field(*ended, field::recovered).value_or(0);
            if (recovered > 0) flow_.notes.push_back(fmt::format("media: {} were lost at first and came when asked for again", counted(recovered, "packet")));
        }
        if (udp_ && wanted().client_ports.first == scenario::vlc_port)
            flow_.notes.push_back(fmt::format("media: port {} is VLC's own; KB189416 names 1024-5000 for players", scenario::vlc_port));
        for (const auto* event : context_.view.all(What::media_resumed)) {
            const auto lost = counted(whole_field(*event, field::lost).value_or(0), "packet");
            flow_.notes.push_back(fmt::format("media: the connection was lost and opened again; nothing came for {:.1f} s, {}{} are missing",
                                              number_field(*event, field::gap).value_or(0) / 1000, true_field(*event, field::estimated) ? "about " : "", lost));
        }
    }

    void judge_legs() {
        for (const auto& leg : contexts_) {
            flow_.legs.push_back(judge_leg(leg));
            if (leg.leg.protocol == scenario::Protocol::tcp) note_retries(leg, flow_);
            const auto& seen = flow_.legs.back();
            const bool said = seen.cause == Cause::translated;
            if (said || (seen.source_seen.empty() && seen.destination_seen.empty())) continue;
            flow_.notes.push_back(fmt::format("{}: translated on the way: {} -> {} is {} -> {} at the other end", seen.name, seen.source, seen.destination,
                                              seen.source_seen.empty() ? seen.source : seen.source_seen,
                                              seen.destination_seen.empty() ? seen.destination : seen.destination_seen));
        }
    }

    bool exhausted() {
        if (wanted().type != scenario::FlowType::encoder_alias) return false;
        judge_references(context_, flow_.legs);
        return judge_exhaustion(context_, flow_);
    }

    bool changed() {
        if (!account_.modified || account_.media.packets_received == 0) return false;
        auto& leg = carrier();
        conclude(
            leg, Verdict::blocked, Cause::modified, "to->from",
            account_.header_differs
                ? fmt::format("The ASF header that reached {} is not the one that {} sent: it was changed on the way.", ends_.receiver, ends_.sender)
                : fmt::format("{} that reached {} differ from what {} sent: they were changed on the way ({}).",
                              counted(std::max(account_.altered, account_.media.damaged), "packet"), ends_.receiver, ends_.sender, packets_words(account_)));
        if (ends_.sender == context_.instance.from) leg.direction = "from->to";
        return settled(leg);
    }

    bool closed_by_another() {
        if (!closed_between(context_, ends_) || account_.media.packets_received == 0) return false;
        const bool proxied = wanted().proxy.has_value();
        const auto between = proxied ? wanted().proxy->host : std::string{"something on the way"};
        auto& leg = proxied ? flow_.legs.front() : carrier();
        conclude(leg, Verdict::blocked, proxied ? Cause::starved : Cause::reset, leg.name == "proxy" ? "proxy->from" : std::string{},
                 fmt::format("The connection was closed before {} had enough, and neither {} nor {} closed it: {} did ({}).", ends_.receiver, ends_.sender,
                             ends_.receiver, between, packets_words(account_)));
        flow_.by_proxy = proxied;
        return settled(leg);
    }

    // --- the media arrived

    bool arrived() {
        if (!account_.proven || starved_ || said_failed_) return false;
        for (auto& leg : flow_.legs) {  // media that arrived proves every leg without which it could not
            if (leg.optional || leg.verdict == Verdict::pass) continue;
            leg.verdict = Verdict::pass;
            leg.cause.reset();
            leg.reason.reset();
            leg.direction.clear();
            leg.explanation.clear();
            leg.icmp.reset();
        }
        flow_.verdict = Verdict::pass;
        flow_.explanation = fmt::format("{}; every packet that arrived is as it was sent.", packets_words(account_));
        if (!too_much_lost() && !lags()) judge_optional_legs();
        return true;
    }

    bool too_much_lost() {
        if (account_.media.loss <= wanted().max_loss) return false;
        auto& leg = carrier();
        flow_.verdict = leg.verdict = Verdict::degraded;
        flow_.leg = ends_.carrier;
        flow_.direction = leg.direction = direction();
        flow_.cause = leg.cause = account_.stopped() ? Cause::starved : Cause::dropped;
        flow_.explanation = leg.explanation =
            fmt::format("{}: {:.1f} % were lost, {:.1f} % are allowed.", packets_words(account_), account_.media.loss * 100, wanted().max_loss * 100);
        return true;
    }

    bool lags() {
        const auto slowed = slowed_down(account_, contexts_, ends_);
        if (udp_ || !slowed) return false;
        flow_.media->lost = account_.tail;
        flow_.media->loss = static_cast<double>(account_.tail) / static_cast<double>(account_.media.packets_sent);
        auto& leg = carrier();
        conclude(leg, Verdict::degraded, Cause::starved, direction(),
                 fmt::format("{}: the media lags {:.1f} s behind its rate, because {} of {} that {} sent were lost on the way and had to be sent again.",
                             packets_words(account_), account_.behind / 1000, slowed->data_lost, counted(slowed->data_left, "segment"), ends_.sender));
        return settled(leg);
    }

    void judge_optional_legs() {
        for (const auto& leg : flow_.legs) {
            if (!leg.optional || leg.verdict == Verdict::pass) continue;
            if (leg.verdict == Verdict::inconclusive && leg.reason == Reason::not_tried) {
                // Never asked for: that is known only from a journal that is whole.
                const auto trouble = context_.evidence.trouble(context_.instance.from, context_.instance.id);
                if (trouble)
                    return doubt_flow(flow_, trouble->reason, leg.name,
                                      fmt::format("The media arrived; whether {} works is not known. {}", leg.name, trouble->sentence));
                flow_.notes.push_back(fmt::format("{}: not used in this session, so nothing is known of it", leg.name));
                continue;
            }
            settle(flow_, leg);
            if (leg.verdict == Verdict::inconclusive) {
                flow_.explanation = fmt::format("The media arrived; whether {} works is not known. {}", leg.name, leg.explanation);
                return;
            }
            flow_.verdict = Verdict::degraded;
            flow_.explanation = fmt::format("The media arrived ({}), but {} does not work: {}", packets_words(account_), leg.name, leg.explanation);
            return;
        }
    }

    // --- it did not work

    // The first leg that stopped.
    const LegResult* stopped() const {
        const auto found = std::ranges::find_if(flow_.legs, [](const LegResult& leg) { return !leg.optional && leg.verdict != Verdict::pass; });
        return found == flow_.legs.end() ? nullptr : &*found;
    }

    bool leg_stopped() {
        if (wanted().proxy) judge_proxied(context_, flow_);
        stopped_ = stopped();
        return stopped_ != nullptr && explains_itself(*stopped_) && settled(*stopped_);
    }

    // The legs came up, or nothing more is known of the one that did not: did an open connection break?
    bool connection_broke() {
        for (std::size_t i = 0; i < contexts_.size(); ++i) {
            auto& leg = flow_.legs[i];
            if (leg.verdict != Verdict::pass || contexts_[i].leg.protocol != scenario::Protocol::tcp) continue;
            const auto all = conversations(contexts_[i]);
            if (all.empty()) continue;
            Carried carried;
            const bool both_told = account_.sender_told && account_.receiver_told;
            if (leg.name == ends_.carrier && (both_told || account_.silent)) {
                carried.sent = account_.media.packets_sent;
                carried.received = account_.media.packets_received;
                carried.backwards = contexts_[i].leg.destination == ends_.sender;
                carried.silent = account_.silent;
            }
            judge_breakage(contexts_[i], all.back(), carried, leg);
            if (leg.verdict != Verdict::pass) return settled(leg);
        }
        return false;
    }

    bool datagrams_ceased() {
        auto& leg = carrier();
        const bool fewer = account_.silent && account_.media.packets_sent > account_.media.packets_received;
        if (!udp_ || leg.verdict != Verdict::pass || !(account_.silent || starved_ || said_failed_) || !(account_.tail > 1 || fewer)) return false;
        conclude(leg, Verdict::blocked, Cause::starved, direction(),
                 fmt::format("UDP from {} to {} arrived at first, then no more: {}.", context_.names.at(Endpoint::from(leg.source)),
                             context_.names.at(Endpoint::from(leg.destination)), packets_words(account_)));
        return settled(leg);
    }

    bool protocol_ended() {
        const auto error = protocol_end(context_);
        if (!error) return stopped_ != nullptr && settled(*stopped_);
        flow_.verdict = Verdict::failed;
        flow_.leg = stopped_ != nullptr ? stopped_->name : ends_.carrier;
        flow_.explanation = *error;
        if (stopped_ != nullptr) flow_.explanation += " " + stopped_->explanation;
        return true;
    }

    void doubt() {
        const auto why = end_ != nullptr ? fmt::format(" {}: {}", end_->host, text_field(*end_, field::reason)) : std::string{};
        if (account_.sender_told && account_.receiver_told)
            doubt_flow(flow_, Reason::contradiction, ends_.carrier,
                       fmt::format("The connections worked, but what arrived cannot be matched with what was sent ({}).{}", packets_words(account_), why));
        else
            doubt_flow(
                flow_, Reason::no_outcome, ends_.carrier,
                fmt::format("The connections worked, but {} left no account of the media.{}", account_.sender_told ? ends_.receiver : ends_.sender, why));
    }

    const FlowContext& context_;
    std::vector<LegContext> contexts_;
    Ends ends_;
    bool udp_;
    MediaAccount account_;
    FlowResult flow_;
    const Event* end_;  // what the opening end said of it
    bool said_failed_, starved_;
    const LegResult* stopped_ = nullptr;
};

}  // namespace

FlowResult judge_session(const FlowContext& context) {
    auto flow = MediaJudgement{context}.judge();
    judge_freshness(context, flow);
    settle_by_ledger(leg_contexts(context), flow);
    return flow;
}

}  // namespace wmlab::lab
