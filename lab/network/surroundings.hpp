// What the gateway has besides rules and zones, as `firewall:` in the scenario says it: settings of its kernel, a
// default route, further interfaces. In the built-in firewall's namespace.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/host/namespaces.hpp"
#include "lab/network/netlink.hpp"

namespace wmlab::lab {

inline constexpr const char* nowhere_interface = "default-route";  // what nobody is behind

struct Cable {                        // of the firewall to a zone
    int index = 0, port = 0;          // of the interface, and of the switch's port in its own namespace
    const Namespace* zone = nullptr;  // where the switch is
};

// `add` makes an interface that nobody is behind, and gives its number. What this system does not allow goes into
// `notes`. SetupFailed.
void surround(const Namespace& firewall, Links& links, const scenario::Scenario& scenario,
              const std::map<std::string, Cable, std::less<>>& cables,
              const std::function<int(const std::string&)>& add, bool settings, std::vector<std::string>& notes);

}  // namespace wmlab::lab
