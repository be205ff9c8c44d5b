// `address: auto`: the machines of a scenario's hosts are asked which addresses they have.
#pragma once
#include <map>
#include <string>

#include "common/scenario/loader.hpp"
#include "lab/host/error.hpp"
#include "lab/run/lab.hpp"

namespace wmlab::lab {

bool asks_for_addresses(const scenario::Scenario& scenario);

struct AskedAddresses {
    scenario::Addresses known;
    std::map<std::string, SetupFailed, std::less<>> unknown;  // why; these hosts take no part
};
// All at the same time. Interrupted.
AskedAddresses ask_for_addresses(const scenario::Scenario& scenario, const Setting& setting);

// The scenario with all that is known. What is said of it is known to the lab, too: `setting.away`. SetupFailed: an address that a machine says cannot be.
ScenarioText with_addresses(ScenarioText text, Setting& setting);

// Of the run whose events these are.
scenario::Addresses addresses_in(const std::vector<evidence::Event>& events);

}  // namespace wmlab::lab
