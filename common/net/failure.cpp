#include "common/net/failure.hpp"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/error.hpp>
#include <cerrno>
#include <cstring>

#include "common/evidence/fields.hpp"

namespace wmlab::net {
namespace {

std::string dotted(const sockaddr_in& address) {
    return asio::ip::address_v4{ntohl(address.sin_addr.s_addr)}.to_string();
}

std::string errno_name(int error) {
    const char* name = strerrorname_np(error);
    return name ? name : "errno " + std::to_string(error);
}

Failure::Kind kind_of(int error) {
    switch (error) {
        case ECONNREFUSED:
            return Failure::Kind::refused;
        case ENETUNREACH:
        case EHOSTUNREACH:
        case ENOPROTOOPT:  // ICMP protocol unreachable
        case EHOSTDOWN:
        case ENONET:
            return Failure::Kind::unreachable;
        case ECONNRESET:
        case EPIPE:
        case ECONNABORTED:
            return Failure::Kind::reset;
        default:
            return Failure::Kind::other;  // ETIMEDOUT too: the kernel gave up, not we
    }
}

}  // namespace

std::string_view text(Failure::Kind kind) {
    constexpr std::array<std::string_view, 5> names = {"timeout", "refused", "unreachable", "reset", "other"};
    return names[static_cast<std::size_t>(kind)];
}

std::string error_name(const boost::system::error_code& error) {
    if (error.category() == boost::system::system_category() || error.category() == boost::system::generic_category())
        return errno_name(error.value());
    if (error == asio::error::eof) return std::string{end_of_stream};
    return error.message();
}

Failure Failure::timed_out(milliseconds waited) { return {Kind::timeout, "", waited, std::nullopt}; }

Failure Failure::of(const boost::system::error_code& error, milliseconds waited) {
    const bool system =
        error.category() == boost::system::system_category() || error.category() == boost::system::generic_category();
    return {system ? kind_of(error.value()) : Kind::other, error_name(error), waited, std::nullopt};
}

std::string Failure::text() const {
    std::string out{net::text(kind)};
    if (!error.empty()) out += " (" + error + ")";
    out += " after " + std::to_string(waited.count()) + " ms";
    if (icmp) out += ", ICMP " + std::to_string(icmp->type) + "/" + std::to_string(icmp->code) + " from " + icmp->from;
    return out;
}

boost::json::object to_json(const Failure& failure) {
    evidence::Failure told{std::string{text(failure.kind)}, failure.error, static_cast<double>(failure.waited.count()), {}};
    if (failure.icmp) told.icmp = evidence::Failure::Icmp{failure.icmp->type, failure.icmp->code, failure.icmp->from};
    return evidence::to_json(told);
}

bool want_error_queue(int socket) {
    const int on = 1;
    return ::setsockopt(socket, IPPROTO_IP, IP_RECVERR, &on, sizeof on) == 0;
}

std::vector<QueuedError> drain_error_queue(int socket) {
    std::vector<QueuedError> out;
    for (int at_most = 0; at_most < error_queue_turn; ++at_most) {
        std::array<char, 64> payload{};
        alignas(cmsghdr) std::array<char, 512> control{};
        sockaddr_in about{};
        iovec vector{payload.data(), payload.size()};
        msghdr message{};
        message.msg_name = &about;
        message.msg_namelen = sizeof about;
        message.msg_iov = &vector;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        if (::recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) break;
        QueuedError one;
        if (message.msg_namelen >= sizeof about && about.sin_family == AF_INET)
            one.about = udp::endpoint{asio::ip::address_v4{ntohl(about.sin_addr.s_addr)}, ntohs(about.sin_port)};
        for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
            if (part->cmsg_level != IPPROTO_IP || part->cmsg_type != IP_RECVERR) continue;
            sock_extended_err error{};
            std::memcpy(&error, CMSG_DATA(part), sizeof error);
            one.error = static_cast<int>(error.ee_errno);
            if (error.ee_origin != SO_EE_ORIGIN_ICMP) continue;
            sockaddr_in offender{};
            const std::size_t room = part->cmsg_len - CMSG_LEN(0);
            if (room >= sizeof error + sizeof offender)
                std::memcpy(&offender, CMSG_DATA(part) + sizeof error, sizeof offender);
            one.icmp = Icmp{error.ee_type, error.ee_code, dotted(offender)};
        }
        out.push_back(std::move(one));
    }
    return out;
}

}  // namespace wmlab::net
