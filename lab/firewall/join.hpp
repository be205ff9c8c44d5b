// The gateway's end of a read-only join (`wmlab firewall --join`): reads the rules that run there, asks the kernel's
// trace for the scenario's addresses only, and says which rule decided. It loads nothing of the user's and changes none
// of it; its own table belongs to this process (flag `owner`), so that the kernel removes it whatever ends the process.
#pragma once
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "common/evidence/event.hpp"
#include "lab/firewall/kernel_rules.hpp"
#include "lab/firewall/running.hpp"
#include "lab/rules/decision_log.hpp"
#include "lab/rules/trace.hpp"

namespace wmlab::lab {

// The tables that mark packets from and to these addresses, of others none.
std::string joined_trace_table(const std::vector<scenario::Ipv4>& addresses, unsigned packets_per_second = 4000);

// The addresses that a scenario's packets have at a firewall: of hosts, as they are and as they are published.
std::vector<scenario::Ipv4> addresses_of(const scenario::Scenario& scenario);

class JoinedFirewall {
public:
    JoinedFirewall(const Namespace& firewall, const rules::Source& source);  // SetupFailed: may not read the rules
    // SetupFailed: this kernel or its administrator refuses the trace; the rules' counters still tell.
    void trace(const std::vector<scenario::Ipv4>& addresses, unsigned buffer = rules::trace_buffer_wanted);
    // Like Tracer::finish(), and the last event says so where the rules were changed meanwhile. `arrivals`: packets
    // that must have come to the firewall, for the rules' counters where the trace tells nothing.
    std::vector<evidence::Event> finish(const std::vector<rules::Packet>& arrivals);

private:
    const Namespace& firewall_;
    rules::Source source_;
    rules::Ruleset ruleset_;
    std::string stateless_;
    rules::DecisionLog log_;
    std::unique_ptr<rules::TraceListener> listener_;
    std::unique_ptr<OwnedRules> table_;
};

// The conversation over standard input and output, a JSON object a line, each with the member `join`: what it is.
//   gateway -> wmlab   `running` (RunningRules), then after the job `ready` or `untraced` (why)
//   wmlab -> gateway   the job: `addresses`, `source`, `buffer`, `trace`; then `finish` with `arrivals`
//   gateway -> wmlab   `event` for each event, then `end`
// The end of the input ends it at once. `failed` (why) in the place of any answer: it cannot go on.
int serve_join(int in, std::ostream& out);

boost::json::object packet_json(const rules::Packet& packet);
std::optional<rules::Packet> packet_from(const boost::json::value& value);

}  // namespace wmlab::lab
