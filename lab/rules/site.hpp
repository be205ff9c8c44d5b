// The site a ruleset speaks of: its interfaces, networks and hosts; whether a scenario is of the same site, and a
// scenario to begin with. Pure.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/rules/ruleset.hpp"

namespace wmlab::lab::rules {

struct Site {
    struct Network {
        scenario::Subnet subnet;  // of one address: /32
        unsigned times = 0;
    };
    struct Interface {
        unsigned times = 0;
        std::vector<Network> behind;  // what rules name together with it, on its side
        bool hides = false;           // what leaves by it is masqueraded
    };
    std::map<std::string, Interface> interfaces;         // not lo; patterns (eth*) too
    std::map<scenario::Subnet, unsigned> networks;       // all that rules name, but not translated ones
    std::map<scenario::Ipv4, scenario::Ipv4> published;  // by outer address: where it leads
};
Site site_of(const Ruleset& ruleset);

// Nothing on the way of forwarded packets stops or changes any, whatever other chains hold.
bool forwards_everything(const Ruleset& ruleset);

// What occurs in the rules and not in the scenario, or the other way round, in sentences with a proposal.
std::vector<std::string> misfits(const Ruleset& ruleset, const scenario::Scenario& scenario);

// A scenario's text for the site; `names` are what the file calls addresses (AcceptRule::Names, without the sign).
std::string skeleton(const Ruleset& ruleset, const std::string& file,
                     const std::map<std::string, std::string, std::less<>>& names);

}  // namespace wmlab::lab::rules
