// The trace events of a run, found by the addresses of the packets that they are about. Pure.
#pragma once
#include <boost/json/object.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/evidence/event.hpp"
#include "common/evidence/trace.hpp"

namespace wmlab::lab::rules {

// Of packets: "10.20.0.10:40112", or without a port, or empty for any.
struct Tuple {
    std::string_view protocol, source, destination;
    std::string out = {};       // interface; empty: any
    std::string_view box = {};  // of several firewalls; empty: any
};

bool between(const boost::json::object& packet, std::string_view source, std::string_view destination);

// A run may have thousands, and each leg asks several times.
class Decisions {
public:
    void take(const evidence::Event& event);  // of the trace
    const std::vector<const evidence::Event*>& all() const { return all_; }
    // In the order of events; at least all that can fit.
    std::vector<const evidence::Event*> near(const Tuple& tuple) const;

private:
    using Index = std::map<std::string, std::vector<const evidence::Event*>>;
    void add(const evidence::Event& event, const boost::json::object& packet);

    std::vector<const evidence::Event*> all_;
    Index exact_, portless_, hosts_;
};

// The first packet decides for a leg that passed; for one that was stopped, what stopped most packets.
// `with`: only decisions that tell this.
const evidence::Event* decision_for(const Decisions& decisions, const Tuple& tuple, evidence::Fate fate, std::string_view with = {});

}  // namespace wmlab::lab::rules
