// Where the hosts of a scenario are: in this machine around the built-in firewall (the default), on network cards with
// the device under test between them, or on other machines that a command reaches.
#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/host/error.hpp"
#include "lab/host/namespaces.hpp"

namespace wmlab::lab {

struct Setting {
    std::map<std::string, std::string, std::less<>> attached;               // by zone: its network card
    std::map<std::string, std::vector<std::string>, std::less<>> launched;  // by host: the command prefix
    bool trust = false;                        // programs of the scenario run as the caller, with all that it may do
    std::map<std::string, scenario::Ipv4, std::less<>> asked{};  // what hosts with `address: auto` said
    std::map<std::string, SetupFailed, std::less<>> away{};      // of those: that were asked for their address in vain
    std::vector<std::string> firewall{};       // the command prefix by which the firewall is joined; empty: it is not
    bool force = false;                        // a card that is in use, a way around the device: notes, not errors
    bool plain = false;                        // a firewall without the gateway's own settings: the control's
    std::shared_ptr<const Namespace> machine;  // where the cards are and prefixes run; the sandbox is elsewhere

    bool built_in() const { return attached.empty() && launched.empty(); }
    bool has(const scenario::Host& host) const { return !launched.contains(host.name); }  // here, as a namespace
    std::string_view kind() const;  // of the journal: "built-in", "attached", "machines"
    std::string device() const;     // "the device between eth1 (inside) and eth2 (outside)"
};

// From the options ZONE=NIC, HOST=PREFIX and PREFIX (of the firewall; quotes as in a shell) and the scenario's own
// `launch:`. Every host must be somewhere. std::invalid_argument with a sentence for the user.
Setting setting_from(const scenario::Scenario& scenario, std::span<const std::string> attach,
                     std::span<const std::string> launch, bool force, const std::string& firewall = {});

}  // namespace wmlab::lab
