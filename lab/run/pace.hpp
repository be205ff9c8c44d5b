// How a pause of minutes is played in seconds: it and all time-outs of the firewall's connection tracking divided by the same number.
#pragma once
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace wmlab::lab {

struct TimeOut {
    std::string name;  // "nf_conntrack_udp_timeout", under net/netfilter
    std::chrono::seconds real{0}, played{0};
    bool tcp() const { return name.find("tcp") != std::string::npos; }
};
// Those that idle connections run into, as the kernel names them.
std::vector<std::string_view> idle_time_outs();

struct Pace {
    std::chrono::milliseconds idle{0}, played{0};
    double divisor = 1;
    std::vector<TimeOut> time_outs;
};

// The shortest that ends as the real one does: what is over before the pause ends stays over before it, what lasts longer lasts longer,
// each by a second at least (the kernel counts in seconds); so with the protocol's keep-alive; and no stream that plays (`play`: its control
// connection is silent for so long) runs into a time-out that it would not run into. Divisor 1 where nothing shorter does.
Pace pace(std::chrono::milliseconds idle, std::chrono::milliseconds play, std::vector<TimeOut> real);

}  // namespace wmlab::lab
