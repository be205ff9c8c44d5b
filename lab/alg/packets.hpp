// What passes a firewall: packets from one host's address and port to another's, sent and looked for; and connections whose
// segments are cut as one likes. Sockets of this process in the hosts' namespaces.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lab/alg/announcements.hpp"
#include "lab/host/namespaces.hpp"

namespace wmlab::lab {

struct AlgHost {
    std::string name;
    scenario::Ipv4 address;
    const Namespace* place = nullptr;
};

struct Probe {  // one packet, and whether it is to get through
    const AlgHost *from = nullptr, *to = nullptr;
    std::uint16_t from_port = 0, to_port = 0;  // from_port 0: any
    scenario::Protocol protocol = scenario::Protocol::udp;
    std::string words() const;  // "udp media:1755 -> player:2000"
};

// Which of them arrive: a datagram with `text`, or a SYN that is answered. All are sent at once; those that do not arrive
// within the patience were stopped. SetupFailed: a port is taken.
std::vector<bool> arrive(const std::vector<Probe>& probes, const std::string& text, std::chrono::milliseconds patience);

class AlgConnection {  // of a client with a server, through the firewall: TCP, or datagrams to and fro
public:
    // Nothing where it cannot be opened within the patience: the firewall does not let it through. Over UDP there is nothing to open.
    static std::unique_ptr<AlgConnection> open(const AlgHost& client, const AlgHost& server, scenario::Protocol protocol, std::uint16_t port,
                                               std::chrono::milliseconds patience);
    // Whether the server refuses a connection to this port, where nobody listens.
    static bool refused(const AlgHost& client, const AlgHost& server, std::uint16_t port, std::chrono::milliseconds patience);
    ~AlgConnection();
    bool say(const Announcement::Segment& segment);  // returns when the other end has it, or will not: false
    void close();

private:
    struct Parts;
    explicit AlgConnection(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace wmlab::lab
