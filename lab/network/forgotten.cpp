#include "lab/network/forgotten.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "lab/host/error.hpp"
#include "lab/host/remedy.hpp"
#include "lab/network/netlink.hpp"

namespace wmlab::lab {
namespace {

using Bytes = std::span<const std::byte>;

std::uint32_t big(Bytes value) {
    std::uint32_t number = 0;
    for (const auto byte : value) number = number << 8 | std::to_integer<std::uint32_t>(byte);
    return number;
}

struct Tuple {
    std::uint32_t source = 0, destination = 0, source_port = 0, destination_port = 0, protocol = 0;
    bool ipv4 = false;
};

Tuple tuple_of(Bytes nested) {
    Tuple tuple;
    netlink_attributes(nested, [&](std::uint16_t part, Bytes inner) {
        netlink_attributes(inner, [&](std::uint16_t type, Bytes value) {
            if (part == CTA_TUPLE_IP && type == CTA_IP_V4_SRC) tuple.source = big(value), tuple.ipv4 = true;
            if (part == CTA_TUPLE_IP && type == CTA_IP_V4_DST) tuple.destination = big(value);
            if (part != CTA_TUPLE_PROTO) return;
            if (type == CTA_PROTO_NUM) tuple.protocol = big(value);
            if (type == CTA_PROTO_SRC_PORT) tuple.source_port = big(value);
            if (type == CTA_PROTO_DST_PORT) tuple.destination_port = big(value);
        });
    });
    return tuple;
}

std::string place(std::uint32_t address, std::uint32_t port) { return scenario::Ipv4{address}.text() + ":" + std::to_string(port); }

Descriptor listening_socket(const Namespace& firewall) {
    const Entered entered{firewall};
    Descriptor made{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER)};
    const unsigned group = NFNLGRP_CONNTRACK_DESTROY;
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (!made || ::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::setsockopt(made.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
        const auto error = errno;
        throw setup_failed("hear which connections the firewall forgets", error, remedy(Privilege::link, error));
    }
    const int size = 1 << 20;
    ::setsockopt(made.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return made;
}

}  // namespace

std::optional<ForgottenConnection> parse_forgotten(Bytes message) {
    nlmsghdr header{};
    if (message.size() < NLMSG_HDRLEN + sizeof(nfgenmsg)) return std::nullopt;
    std::memcpy(&header, message.data(), sizeof header);
    if (header.nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE) || header.nlmsg_len > message.size() ||
        header.nlmsg_len < NLMSG_HDRLEN + sizeof(nfgenmsg))
        return std::nullopt;
    Tuple tuple;
    std::uint32_t status = 0;
    netlink_attributes(message.first(header.nlmsg_len).subspan(NLMSG_HDRLEN + sizeof(nfgenmsg)), [&](std::uint16_t type, Bytes value) {
        if (type == CTA_TUPLE_ORIG) tuple = tuple_of(value);
        if (type == CTA_STATUS) status = big(value);
    });
    if (!tuple.ipv4 || (tuple.protocol != IPPROTO_TCP && tuple.protocol != IPPROTO_UDP)) return std::nullopt;
    return ForgottenConnection{tuple.protocol == IPPROTO_TCP ? "tcp" : "udp", place(tuple.source, tuple.source_port),
                               place(tuple.destination, tuple.destination_port), (status & IPS_SEEN_REPLY) != 0, (status & IPS_ASSURED) != 0};
}

ForgetfulnessWatch::ForgetfulnessWatch(boost::asio::io_context& io, const Namespace& firewall, std::function<void(const ForgottenConnection&)> forgotten)
    : socket_{io}, forgotten_{std::move(forgotten)} {
    socket_.assign(listening_socket(firewall).release());
    wait();
}

void ForgetfulnessWatch::wait() {
    socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this, alive = std::weak_ptr{alive_}](boost::system::error_code cancelled) {
        if (cancelled || alive.expired()) return;
        read();
        wait();
    });
}

void ForgetfulnessWatch::read() {
    std::array<std::byte, 65536> buffer{};
    while (true) {
        const auto got = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == ENOBUFS) {
            lost_ = true;
            continue;
        }
        if (got <= 0) return;
        auto rest = Bytes{buffer}.first(static_cast<std::size_t>(got));
        while (rest.size() >= NLMSG_HDRLEN) {
            if (const auto one = parse_forgotten(rest)) forgotten_(*one);
            nlmsghdr header{};
            std::memcpy(&header, rest.data(), sizeof header);
            if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > rest.size()) break;
            rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
        }
    }
}

}  // namespace wmlab::lab
