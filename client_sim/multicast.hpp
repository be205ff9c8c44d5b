// Playing a multicast station: a group and port, from the scenario, from a station file (.nsc) or as typed.
#pragma once
#include "client_sim/client.hpp"
#include "common/msb/nsc.hpp"
#include "common/net/datagram.hpp"

namespace wmlab::client_sim {

// What is to be received, joined ahead of the start so that the first packet finds us.
class Membership {
public:
    // Joins and writes `announced`, or `listen-failed` with the reason, which is then in failure().
    Membership(Client& client, const Play& play, msb::Station station, asio::ip::address_v4 interface,
               unsigned igmp_version);
    const std::string& failure() const { return failure_; }
    const msb::Station& station() const { return station_; }
    net::DatagramSocket& socket() { return *socket_; }

private:
    msb::Station station_;
    std::optional<net::DatagramSocket> socket_;
    std::string failure_;
};

// The receiving end of a flow of type multicast. Every format is taken: the scenario's player has no station file, and
// the digests of the packets prove the media.
std::shared_ptr<Membership> join_flow(Client& client, const scenario::FlowInstance& flow);
asio::awaitable<Outcome> multicast_flow(Client& client, scenario::FlowInstance flow,
                                        std::shared_ptr<Membership> membership);

// "GROUP:PORT", a station file, or a URL of one (ends with .nsc).
bool names_station(const std::string& text);
// Plain tool. Where the group stays silent and the station file has a unicast URL, it is in Outcome::elsewhere.
asio::awaitable<Outcome> play_station(Client& client, Play play);

}  // namespace wmlab::client_sim
