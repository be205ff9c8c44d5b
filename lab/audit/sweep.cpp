#include "lab/audit/sweep.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>

#include "lab/audit/losses.hpp"
#include "lab/audit/witness.hpp"

namespace wmlab::lab {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds markers_limit{3000}, quiet{100}, acquaintance_limit{500};

// Where markers do not come: nothing has arrived for so long.
void wait_until_quiet(const Witness& witness) {
    auto last = witness.count();
    auto since = Clock::now();
    while (Clock::now() - since < quiet) {
        ::poll(nullptr, 0, 5);
        if (const auto now = witness.count(); now != last) last = now, since = Clock::now();
    }
}

// Nothing: it cannot be said.
std::optional<std::uint64_t> lost_on_the_way(const SweepEnd& from, const SweepEnd& to, const OnTheWay& between) {
    auto places = between.switches;
    places.insert(places.end(), {from.place, to.place, between.firewall});
    std::uint64_t sum = 0;
    for (const auto* place : places) {
        const auto lost = packets_lost(*place);
        if (!lost) return std::nullopt;
        sum += *lost;
    }
    return sum;
}

}  // namespace

Sweep sweep(const SweepEnd& from, const SweepEnd& to, const OnTheWay& between, scenario::Protocol protocol,
            unsigned tries) {
    const auto start = Clock::now();
    Sweep result;
    result.ports.assign(port_count, PortState::not_tested);
    std::vector<std::uint16_t> unproven;
    unproven.reserve(port_count);
    for (unsigned port = 1; port < port_count; ++port) unproven.push_back(static_cast<std::uint16_t>(port));

    const ProbeSender sender{from, to, protocol};
    result.source_port = sender.source_port();
    Witness witness{to, protocol};
    std::random_device random;
    std::vector<std::uint16_t> unsent;
    while (result.rounds < tries && !unproven.empty()) {
        ++result.rounds;
        unsent.clear();
        result.lost.clear();
        const auto before = lost_on_the_way(from, to, between);
        const auto seed = static_cast<std::uint32_t>(random());
        witness.expect(seed);
        sender.send(seed, unproven, unsent);
        const bool arrived = all_has_arrived(from, to, between, witness, markers_limit);
        if (!arrived) wait_until_quiet(witness);
        const auto after = lost_on_the_way(from, to, between);
        if (witness.lost())
            result.lost = "the witness at the far end lost packets";
        else if (!unsent.empty())
            result.lost = "probes could not be sent";
        else if (!before || !after)
            result.lost = result.rounds < 3 ? "this system does not say whether packets were lost" : "";
        else if (*before != *after)
            result.lost = "the lab lost packets: a queue or the table of connections was full";
        else if (!arrived)
            result.lost = "not everything arrived in time";
        for (unsigned port = 1; port < port_count; ++port)
            if (witness.seen(static_cast<std::uint16_t>(port))) result.ports[port] = PortState::open;
        std::erase_if(unproven, [&](std::uint16_t port) { return result.ports[port] == PortState::open; });
        if (result.lost.empty()) break;
    }
    if (unproven.empty()) result.lost.clear();
    for (const auto port : unproven)
        result.ports[port] = result.lost.empty() ? PortState::closed : PortState::not_tested;
    result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return result;
}

void get_acquainted(const std::vector<Neighbour>& hosts, const Namespace& firewall) {
    constexpr std::uint16_t discard = 9;
    for (const auto& [host, gateway] : hosts) {
        const Entered inside{*host.place};
        const Descriptor socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(discard);
        address.sin_addr.s_addr = htonl(gateway.value);
        ::sendto(socket.get(), "", 0, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    const auto deadline = Clock::now() + acquaintance_limit;
    for (const auto& [host, gateway] : hosts)
        while ((!knows_neighbour(*host.place, gateway.text().c_str()) ||
                !knows_neighbour(firewall, host.address.text().c_str())) &&
               Clock::now() < deadline)
            ::poll(nullptr, 0, 1);
}

}  // namespace wmlab::lab
