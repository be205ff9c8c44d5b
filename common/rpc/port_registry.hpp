// Which TCP and UDP ports RPC hands out: HKLM\SOFTWARE\Microsoft\Rpc\Internet with its three values (KB154596, Win32
// RPC documentation "Configuring the Registry for Port Allocations and Selective Binding").
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/rpc/reg_file.hpp"

namespace wmlab::rpc {

struct PortRange {  // both ends included
    std::uint16_t first = 0, last = 0;
    auto operator<=>(const PortRange&) const = default;
};
using PortRanges = std::vector<PortRange>;
std::string text(const PortRanges& ranges);  // "135 3001-3010"
std::size_t size(const PortRanges& ranges);

struct InternetKey {
    static constexpr std::string_view path = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Rpc\\Internet";
    bool present = false;                                                 // absent: no restriction
    std::optional<std::vector<std::string>> Ports;                        // "135" or "3001-3010" each
    std::optional<std::string> PortsInternetAvailable, UseInternetPorts;  // Y or N, any case
    std::string wrong_type;  // a value that is there with another type than documented, empty: none
    bool operator==(const InternetKey&) const = default;

    // KB189416's setting: Ports is the Internet set, and processes that do not choose use it.
    static InternetKey reserve(const PortRanges& ports);
    static InternetKey from(const RegFile& file);  // later lines win, deletions count
    RegFile reg_file(unsigned version) const;
};

enum class PortPolicy { internet, intranet, standard };  // what a process asks for; DCOM and WMS do not ask

struct DynamicPorts {
    PortRanges ranges;    // ordered, merged, without 0 and 135
    std::string invalid;  // why every request for a dynamic endpoint fails (RPC_S_OUT_OF_RESOURCES); empty: it does not
    bool operator==(const DynamicPorts&) const = default;
};
// `pool` is where ports come from without any restriction: 1024-5000 on NT4 and 2000.
DynamicPorts dynamic_ports(const InternetKey& key, PortPolicy policy = PortPolicy::standard,
                           PortRange pool = {1024, 5000});

// "3001-3010 135" or with commas; nothing on a bad number or a reversed range, with why in `problem`.
std::optional<PortRanges> port_ranges_from(std::string_view text, std::string& problem);

}  // namespace wmlab::rpc
