// One thing a process did or saw, as its end sees it; one JSON line of the journal. Vocabulary: docs/journal.md.
#pragma once
#include <array>
#include <boost/json/object.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace wmlab::evidence {

enum class What {
    // a process
    started,
    listening,
    listen_failed,
    ready,
    stopped,
    fatal,
    // the runner
    lab_up,
    ruleset_loaded,
    process_died,
    program_exited,
    wire,
    trace,
    clock,
    happened,
    time_outs,
    forgotten,
    pong,
    group_joined,
    // a process that takes part in a load
    load_second,
    // a flow, as the end that opens it sees it
    flow_started,
    flow_ended,
    retry,
    // a connection
    connecting,
    connected,
    connect_failed,
    accepted,
    closed,
    // messages, by their spec name
    sent,
    received,
    malformed,
    // media
    announced,
    media_started,
    media_ended,
    media_silent,
    media_stale,
    media_resumed,
    paused,
    continued,
    resend_requested,
    resend_answered,
    // probes
    probe_sent,
    probe_received,
    probe_answered,
};
inline constexpr std::array<std::string_view, 43> what_names = {
    "started",        "listening",      "listen-failed", "ready",         "stopped",    "fatal",     "lab-up",           "ruleset-loaded",
    "process-died",   "program-exited", "wire",          "trace",         "clock",      "happened",  "time-outs",        "forgotten",
    "pong",           "group-joined",   "load-second",   "flow-started",  "flow-ended", "retry",     "connecting",       "connected",
    "connect-failed", "accepted",       "closed",        "sent",          "received",   "malformed", "announced",        "media-started",
    "media-ended",    "media-silent",   "media-stale",   "media-resumed", "paused",     "continued", "resend-requested", "resend-answered",
    "probe-sent",     "probe-received", "probe-answered"};
constexpr std::string_view text(What what) { return what_names[static_cast<std::size_t>(what)]; }
std::optional<What> what_from(std::string_view text);

struct Event {
    std::chrono::sys_time<std::chrono::nanoseconds> utc{};  // given by the journal's clock, which tests replace
    std::chrono::nanoseconds monotonic{};
    std::string host, process, flow, leg;  // player, client_sim, unicast-udp, media; flow and leg may be empty
    What event = What::started;
    std::string local, remote;   // "10.20.0.10:1217", as this end sees them; may be empty
    boost::json::object fields;  // what belongs to this event only
};

}  // namespace wmlab::evidence
