// Names and phrases of the reports: who is behind an address, how ICMP messages are called, counts in plain English.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/boxes.hpp"
#include "lab/judge/wire_record.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

class Names {
public:
    explicit Names(const scenario::Scenario& scenario) : scenario_{scenario}, boxes_{scenario::boxes(scenario)} {}
    std::string of(std::string_view address) const;       // "media", "the firewall (outside)", else the address
    std::string at(const Endpoint& endpoint) const;       // "media:1755"
    bool knows(std::string_view address) const;           // it is a host's own address
    std::string address_of(std::string_view host) const;  // empty: no such host

private:
    const scenario::Scenario& scenario_;
    const std::vector<scenario::Firewall> boxes_;
};

std::string counted(std::uint64_t count, std::string_view noun);  // "1 packet", "3 packets"
std::string times(std::uint64_t count);                           // "once", "twice", "41 times"
std::string capital(std::string_view protocol);                   // "TCP"
std::string icmp_words(const Icmp& icmp);  // "ICMP 3/13 (communication administratively prohibited)"
std::string waited_words(std::optional<double> milliseconds);  // " within 3000 ms"; empty where unknown

}  // namespace wmlab::lab
