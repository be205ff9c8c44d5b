// The evidence of a run as JSON, without the events, which are in its journals. What is missing or of another kind is
// read as nothing: who reads it has verified that it is as it was written.
#pragma once
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lab/commands/run_evidence.hpp"

namespace wmlab::lab::commands {

boost::json::array strings_json(const std::vector<std::string>& list);
std::vector<std::string> strings_at(const boost::json::object& object, std::string_view key);
bool true_at(const boost::json::object& object, std::string_view key);

boost::json::object trial_json(const TrialEvidence& evidence);  // without the text of device logs
TrialEvidence trial_from(const boost::json::object& object);

boost::json::object swept_json(const SweptChange& swept);
SweptChange swept_from(const boost::json::object& object);

boost::json::object live_json(const LiveRun& live);
LiveRun live_from(const boost::json::object& object);

boost::json::object proof_json(const Proof& proof);
Proof proof_from(const boost::json::object& object);

Identity identity_from(const boost::json::object& object);

// What a scenario's text does not say by itself: lines of the file that the user has, where the text was made of
// several; the ports in registry exports.
boost::json::object places_json(const scenario::Scenario& scenario);
void put_places(scenario::Scenario& scenario, const boost::json::object& places);

}  // namespace wmlab::lab::commands
