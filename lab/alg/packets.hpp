// What passes a firewall: packets from one host's address and port to another's, sent and looked for; and connections whose
// segments are cut as one likes. By the hands of the hosts, wherever these are.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lab/alg/announcements.hpp"
#include "lab/alg/hands.hpp"

namespace wmlab::lab {

struct AlgHost {
    std::string name;
    scenario::Ipv4 address;
    Hand* hand = nullptr;  // null: there is no such host
};

struct Probe {  // one packet, and whether it is to get through
    const AlgHost *from = nullptr, *to = nullptr;
    std::uint16_t from_port = 0, to_port = 0;  // from_port 0: any
    scenario::Protocol protocol = scenario::Protocol::udp;
    std::string words() const;  // "udp media:1755 -> player:2000"
};

struct Arrived {
    std::vector<bool> probes;
    std::vector<std::string> kept;  // of each, why it has not even left; empty: it has
};

// Which of them arrive: a datagram with `text`, or a SYN that is answered. All are sent at once; those that do not arrive
// within the patience were stopped. SetupFailed: a port is taken, a host does not act any more.
Arrived arrive(Hands& hands, const std::vector<Probe>& probes, const std::string& text, std::chrono::milliseconds patience);

class AlgConnection {  // of a client with a server, through the firewall: TCP, or datagrams to and fro
public:
    // Nothing where it cannot be opened within the patience: the firewall does not let it through. Over UDP there is nothing to open.
    static std::unique_ptr<AlgConnection> open(Hands& hands, const AlgHost& client, const AlgHost& server, scenario::Protocol protocol, std::uint16_t port,
                                               std::chrono::milliseconds patience);
    // Whether the server refuses a connection to this port, where nobody listens.
    static bool refused(Hands& hands, const AlgHost& client, const AlgHost& server, std::uint16_t port, std::chrono::milliseconds patience);
    ~AlgConnection();
    AlgConnection(const AlgConnection&) = delete;
    AlgConnection& operator=(const AlgConnection&) = delete;
    bool say(const Announcement::Segment& segment);  // returns when the other end has it, or will not: false
    void close();
    const std::string& not_repeated() const { return not_repeated_; }  // why a packet that was to be sent twice was not

private:
    AlgConnection(Hands& hands, const AlgHost& client, const AlgHost& server, scenario::Protocol protocol);
    HandQuestion about(HandQuestion::What what) const;
    Hands& hands_;
    Hand *client_, *server_;
    scenario::Protocol protocol_;
    unsigned number_;
    scenario::Ipv4 client_address_;  // as the server sees it; of UDP once it has heard from it
    std::uint16_t client_port_ = 0;
    bool closed_ = false;
    std::string not_repeated_;
};

}  // namespace wmlab::lab
