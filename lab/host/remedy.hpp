// What to do where the system forbids a step of the lab: from the step, the error number and what the system says of
// itself.
#pragma once
#include <string>

namespace wmlab::lab {

enum class Privilege {
    user_namespace,   // an ordinary user's way to everything below
    id_maps,          // writing uid_map, setgroups
    other_namespace,  // mount, pid, network namespace
    mount,
    link,            // rtnetlink: veth, bridge, address
    ruleset,         // nftables
    packet_capture,  // AF_PACKET
    low_port,        // bind below 1024
    trace,           // the kernel's nftables trace
    setting          // /proc/sys/net
};
std::string remedy(Privilege what, int error);

}  // namespace wmlab::lab
