// A small netlink client: links, addresses, routes and forwarding by rtnetlink, connection tracking by ctnetlink. Every
// request waits for the kernel's answer; a refusal is SetupFailed with the step, the kernel's words and a remedy.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/host/namespaces.hpp"

namespace wmlab::lab {

// One request: header, the family's fixed part, attributes (which may nest).
class NetlinkMessage {
public:
    NetlinkMessage(std::uint16_t type, std::uint16_t flags);
    template <class Fixed>
    void fixed(const Fixed& part) {
        append(std::as_bytes(std::span{&part, 1}));
    }
    void attribute(std::uint16_t type, std::span<const std::byte> value);
    void attribute(std::uint16_t type, std::string_view text);  // with the null character the kernel wants
    void attribute(std::uint16_t type, const char* text) { attribute(type, std::string_view{text}); }
    template <class Number>
    requires std::is_integral_v<Number>
    void attribute(std::uint16_t type, Number value) {  // in the machine's byte order, as rtnetlink has it
        attribute(type, std::as_bytes(std::span{&value, 1}));
    }
    std::size_t open(std::uint16_t type);  // a nested attribute, until close()
    void close(std::size_t opened);
    std::span<std::byte> bytes();  // with the length filled in

private:
    void append(std::span<const std::byte> part);
    std::vector<std::byte> bytes_;
};

// Calls `each` with every attribute, its type without flags; a length that lies ends it.
using EachAttribute = std::function<void(std::uint16_t type, std::span<const std::byte> value)>;
void netlink_attributes(std::span<const std::byte> bytes, const EachAttribute& each);

class Netlink {
public:
    Netlink(const Namespace& place, int protocol);  // NETLINK_ROUTE, NETLINK_NETFILTER

    void request(NetlinkMessage message, const std::string& step);
    // Calls `each` with every message of the answer, netlink header included.
    void dump(NetlinkMessage message, const std::string& step,
              const std::function<void(std::span<const std::byte>)>& each);

private:
    Descriptor socket_;
    std::uint32_t sequence_ = 0;
};

// The links of one namespace. Interface numbers are given by the caller: no look-ups, and a veth's two ends never have
// the same number, which would make the kernel put off announcing its carrier by up to a second.
class Links {
public:
    explicit Links(const Namespace& place) : netlink_{place, 0} {}  // NETLINK_ROUTE

    struct Peer {
        const Namespace* place;
        std::string name;
        int index;
    };
    void add_bridge(const std::string& name, int index);
    void add_veth(const std::string& name, int index, int bridge, const Peer& peer);  // a port of the bridge, up
    // On the card `card` of this namespace; the new link is born in the peer's. Macvlans of one card reach each other.
    void add_macvlan(int card, const Peer& peer);
    struct About {
        int master = 0;  // the bridge it is a port of
        int peer = 0;    // the other end, or the link it lies on, in the same namespace
    };
    About about(int index);
    void up(int index, const std::string& name);
    void down(int index, const std::string& name);
    void address(int index, scenario::Ipv4 address, const scenario::Subnet& subnet);
    void default_route(scenario::Ipv4 gateway);
    void route(const scenario::Subnet& to, scenario::Ipv4 gateway);
    void no_route(const scenario::Subnet& to);  // connecting there fails at once: no route to host
    void on_link(scenario::Ipv4 address, int index);          // there, in no subnet of the link
    void default_route_out(int index);                        // out of that link, to nobody
    void up_without_arp(int index, const std::string& name);  // it asks nobody who has an address
    void neighbour(int index, scenario::Ipv4 address);        // who has that address here: a card that nobody has
    void swallow(int port);                                   // a bridge's port: what is for that card goes nowhere
    // Forwarding without /proc/sys, which is read-only in many containers; also switches reverse-path filtering off.
    void forward(int index, const std::string& name);
    void no_ipv6(int index);      // no link-local address; where /proc/sys cannot switch IPv6 off
    void no_multicast(int port);  // a bridge's port gets none
    bool ready();                 // every link but lo has its carrier announced, every port of a bridge forwards

private:
    Netlink netlink_;
};

void forget_connections(const Namespace& place);  // empties connection tracking

}  // namespace wmlab::lab
