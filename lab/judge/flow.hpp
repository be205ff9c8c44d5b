// The judges of whole flows: legs in order, then what the legs together must have achieved. The table in flow.cpp says
// for each flow type what proves it and who sends media; types with a rule of their own have it in a file of their own.
#pragma once
#include "lab/judge/evidence.hpp"
#include "lab/judge/leg.hpp"
#include "lab/judge/media.hpp"
#include "lab/judge/tcp_leg.hpp"
#include "lab/judge/udp_leg.hpp"

namespace wmlab::lab {

struct FlowContext {
    const scenario::Scenario& scenario;
    const Evidence& evidence;
    const Names& names;
    const scenario::FlowInstance& instance;
    const FlowView& view;
};

constexpr bool working(Verdict verdict) { return verdict == Verdict::pass || verdict == Verdict::degraded; }

// From the evidence alone; the positive control and the expectation come later (judge.cpp).
FlowResult judge_flow(const FlowContext& context);

// For the special rules:
std::vector<LegContext> leg_contexts(const FlowContext& context);
FlowResult blank_flow(const FlowContext& context);
void settle(FlowResult& flow, const LegResult& leg);  // the leg decides the flow
void doubt_flow(FlowResult& flow, Reason reason, std::string leg, std::string explanation);
// A verdict of what only complete journals can carry becomes inconclusive where they are not.
void weaken(const FlowContext& context, FlowResult& flow);
std::optional<std::string> protocol_end(const FlowContext& context);  // an error of the protocol that ended the flow
const Event* flow_end(const FlowContext& context);                    // flow-ended, of whoever opened it
LegResult judge_leg(const LegContext& context);

FlowResult judge_session(const FlowContext& context);    // media over mms, http, msbd
FlowResult judge_rollover(const FlowContext& context);   // mms-auto
// One stream serves all players: what the server says of the flow itself is said of each of them.
FlowView stream_view(const FlowContext& context);
std::vector<LegContext> stream_legs(const FlowContext& whole);  // whole.view is a stream_view()
// mms-auto: each transport that was tried, as a flow of its own type with its own events.
struct Attempted {
    std::string transport;
    scenario::Flow as_one;
    FlowView view;
};
std::vector<Attempted> attempts_of(const FlowContext& context);
// What became of a stream that was paused (`idle`), and which time-out of the firewall ended it. May doubt the verdict.
void judge_idle(const FlowContext& context, FlowResult& flow);
// What the scenario's `events:` did to a flow that has been judged.
std::vector<Effect> judge_effects(const FlowContext& context, const FlowResult& flow);
FlowResult judge_probe(const FlowContext& context);      // probe
FlowResult judge_command(const FlowContext& context);    // command
FlowResult judge_multicast(const FlowContext& context);  // multicast
std::string status_words(const Event& event);            // its `hr` as "0x800706B9"; empty: it has none
// dcom, encoder-alias: true, and the flow is settled, where no port was left for a process.
bool judge_exhaustion(const FlowContext& context, FlowResult& flow);
FlowResult judge_dcom(const FlowContext& context);  // dcom, and the first legs of encoder-alias
// http through a proxy: settles what the generic session cannot know.
void judge_proxied(const FlowContext& context, FlowResult& flow);
// Media that arrived, but was held back on the way or came out of a cache: never a plain pass.
void judge_freshness(const FlowContext& context, FlowResult& flow);
// What the packets say of a flow that the rest of the evidence has been asked about: puts the ledger into each leg, and
// the verdict right where packets were lost, changed or led elsewhere. `legs`: of flow.legs, in the same order.
void settle_by_ledger(const std::vector<LegContext>& legs, FlowResult& flow);
// With several firewalls: which of them stopped the packets of each leg, and whether it sees one direction only.
void name_boxes(const FlowContext& context, FlowResult& flow);
void judge_references(const FlowContext& context, std::vector<LegResult>& legs);  // dcom: mapper and object together

}  // namespace wmlab::lab
