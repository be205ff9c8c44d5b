// What would let a stopped leg through: rules to be added, or what has to be done where no rule would. Pure.
#pragma once
#include <optional>
#include <string>

#include "common/evidence/event.hpp"
#include "common/scenario/catalogue.hpp"
#include "common/scenario/model.hpp"
#include "lab/rules/decisions.hpp"
#include "lab/rules/suggestion.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab::rules {

bool to_be_opened(const FlowResult& flow);  // what is shut and shall be shut needs no advice
std::string from_words(const FlowResult& flow);
std::string change_of(const LegResult& leg, const FlowResult& flow);  // about a translation: no further rule mends it

class Adviser {
public:
    explicit Adviser(const scenario::Scenario& scenario) : scenario_{scenario} {}

    // The leg goes to the address by which a host is published, and no rule leads it to the host: then the rule that
    // does so is missing, and what happens to the packets instead is no matter. False: it is not so.
    bool suggest_translation(const LegResult& leg, FlowResult& flow, const Decisions& decisions) const;
    // A rule before the one that decided so.
    void suggest(const LegResult& leg, FlowResult& flow, const evidence::Event& decision) const;

private:
    std::string not_translated(const LegResult& leg, const scenario::Leg& needed, scenario::Ipv4 published, const scenario::Host& host) const;
    void add_translation(const LegResult& leg, FlowResult& flow, const scenario::Leg& needed, scenario::Ipv4 published, const scenario::Host& host,
                         const scenario::Host& source, const boost::json::object& places, Dialect dialect) const;
    std::optional<AnyoneAs> anyone_as(const FlowResult& flow, const std::string& box, const std::string& hook) const;
    std::optional<scenario::Leg> spec_leg(const LegResult& leg, const FlowResult& flow) const;

    const scenario::Scenario& scenario_;
};

}  // namespace wmlab::lab::rules
