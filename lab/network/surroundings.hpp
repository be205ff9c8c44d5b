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

// A setting of that namespace's kernel, "net/netfilter/nf_conntrack_udp_timeout". Empty: there is none.
std::string setting_at(const Namespace& place, const std::string& path);
bool set_setting(const Namespace& place, const std::string& path, const std::string& value);  // false: errno says why

// `add` makes an interface that nobody is behind, and gives its number. What this system does not allow goes into
// `notes`. SetupFailed.
void surround(const Namespace& firewall, Links& links, const scenario::Scenario& scenario,
              const std::map<std::string, Cable, std::less<>>& cables,
              const std::function<int(const std::string&)>& add, bool settings, std::vector<std::string>& notes);

}  // namespace wmlab::lab
