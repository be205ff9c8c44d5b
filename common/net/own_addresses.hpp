// --own-addresses: which addresses this machine has, for a runner that has to know where a host of its scenario is.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"

namespace wmlab::net {

struct OwnAddresses {
    struct One {
        std::string interface;
        scenario::Ipv4 address;
    };
    std::vector<One> all;                   // of interfaces that are up, without 127.0.0.0/8
    std::vector<scenario::Ipv4> sent_from;  // by the kernel's routes, when it sends to the places that were asked about
    std::string version;                    // of the program that says so
};
OwnAddresses own_addresses(const std::vector<scenario::Ipv4>& towards, std::string version);
std::string to_line(const OwnAddresses& own);                           // of JSON
std::optional<OwnAddresses> own_addresses_from(std::string_view line);  // nothing: it says something else

// "10.10.0.0/24": the one in this network; of several the only one that the kernel sends from. Else `why` there is none.
std::optional<scenario::Ipv4> address_in(const OwnAddresses& own, const scenario::Zone& zone, std::string& why);

}  // namespace wmlab::net
