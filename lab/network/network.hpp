// The hosts and the firewalls of one lab as network namespaces. Each zone has a switch (a bridge in a namespace of its
// own, so that traffic inside a zone never meets a firewall's hooks); a firewall has one interface in each of its zones
// (of all, where it is the only one), named as the scenario says, and routes to the others. Built by netlink; gone when the object is.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/host/namespaces.hpp"
#include "lab/network/setting.hpp"

namespace wmlab::lab {

inline constexpr const char* host_interface = "eth0";  // in every host

class Network {
public:
    // SetupFailed; every link is up when it returns. Attached zones have no switch, their hosts sit on the card; hosts
    // that are launched are not here at all. Only the built-in setting has a firewall.
    // `translated`: a firewall translates addresses, so hosts have no route to what is private in other zones; else
    // every address is routed.
    explicit Network(const scenario::Scenario& scenario, const Setting& setting = {}, bool translated = false);
    ~Network();
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    const Namespace& host(std::string_view name) const;  // std::out_of_range for a name the scenario does not have
    const Namespace& firewall() const;                       // the first one, where there are several
    const Namespace& firewall(std::string_view box) const;   // by its name
    const Namespace& switch_of(std::string_view zone) const;  // the same; built-in setting only
    void add_interface(std::string_view box, const std::string& name);  // to that firewall; nothing is behind it
    void plug(std::string_view zone, bool in);      // the first firewall's cable to the zone's switch; built-in setting only
    void forget_connections();                      // empties the firewalls' connection tracking, where it is ours
    const std::vector<std::string>& notes() const;  // settings this system does not allow, and what follows from it

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

// The hosts file of a scenario; `zone`: as hosts of that zone know the others, where the firewall translates.
std::string hosts_file(const scenario::Scenario& scenario, std::string_view zone = {});

}  // namespace wmlab::lab
