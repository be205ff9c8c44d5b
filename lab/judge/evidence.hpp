// All events of a run, put in order and made searchable: by flow, host and leg; what state each process's journal is
// in; which flow a connection belonged to. Reads events, concludes nothing about the firewall.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/evidence/event.hpp"
#include "common/evidence/fields.hpp"
#include "common/scenario/model.hpp"
#include "lab/judge/wire_record.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

using evidence::Event;
using evidence::What;
using Events = std::vector<const Event*>;

using evidence::whole_number;
std::uint64_t wave_of(const Event& event);  // 0: it does not say

// The `failure` of an event.
struct Failure {
    std::string kind, error;  // "timeout", "ETIMEDOUT"
    std::optional<double> waited;
    std::optional<Icmp> icmp;
};
std::optional<Failure> failure_of(const Event& event);

// The events of one flow (or of one attempt of it), in each process's order of time.
struct FlowView {
    std::map<std::string, Events, std::less<>> hosts;

    const Events& at(std::string_view host) const;
    Events at(std::string_view host, std::string_view leg) const;
    Events at(std::string_view host, std::string_view leg, What what) const;
    Events all(What what) const;  // of every host
    const Event* first(std::string_view host, What what) const;
    const Event* last(std::string_view host, What what) const;
};

struct Trouble {  // why the journals of a host cannot carry a verdict
    Reason reason;
    std::string sentence;
};

class Evidence {
public:
    Evidence(const scenario::Scenario& scenario, std::span<const Event> events);

    const FlowView& flow(std::string_view id) const;
    // Of the wave that the flow was played in. "firewall", or a name of `firewalls`: its own interfaces, where watched.
    const WireRecord& wire(std::string_view host, std::string_view flow) const;
    const std::map<std::string, WireRecord, std::less<>>& wires(std::string_view flow) const;  // by host
    std::uint64_t wave(std::string_view flow) const;                                          // 0: not told

    // Whether the processes of this host that take part in the flow were there from beginning to end.
    std::optional<Trouble> trouble(std::string_view host, std::string_view flow) const;
    // Something lost that concerns every flow.
    std::optional<Trouble> runner_trouble() const;

    // A listener or bound socket that the flow can use; `failed`: the newest listen-failed for such a port.
    struct Bound {
        const Event* listening = nullptr;
        const Event* failed = nullptr;
    };
    Bound bound(std::string_view host, scenario::Protocol protocol, const scenario::PortList& ports,
                std::string_view flow) const;

    // A connection from this address was accepted on the host, and belongs to another flow.
    bool accepted_for_other(std::string_view host, const Endpoint& remote, std::string_view flow) const;

    bool claimed(std::string_view host, const Endpoint& local) const;  // a simulator on the host had this address

    // What the kernel's trace says of packets with these addresses, as they arrived at the firewall.
    Events traced(std::string_view protocol, const Endpoint& source, const Endpoint& destination,
                  std::string_view flow) const;

    const Events& runner(What what) const;  // events of `wmlab`
    const Event* lab_up() const;

private:
    struct Run {  // one process from `started` to `stopped`
        std::string host, process;
        Events events;
        bool names_flows = false;
        std::set<std::string, std::less<>> flows;
        Events sockets;                  // listening, listen-failed
        std::optional<Trouble> trouble;  // of this process, whatever the flow
    };
    const std::vector<std::size_t>& runs_at(std::string_view host) const;
    bool takes_part(const Run& run, std::string_view flow) const;
    std::optional<Trouble> trouble_of(const Run& run) const;
    void assign_flows();

    const scenario::Scenario& scenario_;
    std::vector<Event> found_;  // copies of events whose flow had to be found out
    std::vector<Run> runs_;
    Events runner_;
    std::map<What, Events> runner_by_;
    std::map<std::string, std::vector<std::size_t>, std::less<>> runs_of_;  // by host
    std::map<std::string, FlowView, std::less<>> flows_;
    std::map<std::uint64_t, std::map<std::string, WireRecord, std::less<>>> wires_;  // by wave and host
    std::map<std::string, std::uint64_t, std::less<>> waves_;                        // of flows
    std::set<std::pair<std::string, Endpoint>> claimed_;
    std::map<std::string, Events, std::less<>> traced_;                 // "tcp 10.20.0.10:40112 10.10.0.10:1755"
    std::map<std::pair<std::string, Endpoint>, std::string> accepted_;  // host and remote address: the flow
};

}  // namespace wmlab::lab
