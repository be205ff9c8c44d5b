// Plain sockets on hosts of a lab, made in this process: enough traffic to see what the firewall and the wires do.
#pragma once
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#include "common/scenario/model.hpp"
#include "lab/host/namespaces.hpp"

namespace wmlab::lab::tests {

inline sockaddr_in address_of(const char* host, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(scenario::Ipv4::from(host).value().value);
    address.sin_port = htons(port);
    return address;
}

struct Socket {
    Descriptor fd;

    Socket(const Namespace& place, int type) {
        const Entered entered{place};
        fd = Descriptor{::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
        const int on = 1;
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (type == SOCK_DGRAM) ::setsockopt(fd.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    }
    explicit Socket(Descriptor accepted) : fd{std::move(accepted)} {}

    Socket& bind(const char* host, std::uint16_t port) {
        const auto address = address_of(host, port);
        if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error{std::string{"bind: "} + std::strerror(errno)};
        return *this;
    }
    Socket& listen() {
        ::listen(fd.get(), 16);
        return *this;
    }
    bool ready(short events, int milliseconds) const {
        pollfd poll{fd.get(), events, 0};
        return ::poll(&poll, 1, milliseconds) > 0;
    }
    // 0, ECONNREFUSED, EHOSTUNREACH ...; ETIMEDOUT is our own patience
    int connect(const char* host, std::uint16_t port, int milliseconds = 20000) {
        const auto address = address_of(host, port);
        if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return 0;
        if (errno != EINPROGRESS) return errno;
        if (!ready(POLLOUT, milliseconds)) return ETIMEDOUT;
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
        return error;
    }
    Socket accept(int milliseconds = 20000) {
        ready(POLLIN, milliseconds);
        return Socket{Descriptor{::accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)}};
    }
    void send(const std::string& text) { (void)::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL); }
    void send_to(const std::string& text, const char* host, std::uint16_t port) {
        const auto address = address_of(host, port);
        (void)::sendto(fd.get(), text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                       sizeof address);
    }
    std::string receive(int milliseconds = 20000) {  // empty: nothing came, or the end
        if (!ready(POLLIN, milliseconds)) return {};
        std::string text(65536, '\0');
        const auto got = ::recv(fd.get(), text.data(), text.size(), 0);
        text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return text;
    }
    // "icmp 3/13 from 10.20.0.1" of the error queue; empty: none came in time
    std::string icmp_error(int milliseconds = 20000) {
        pollfd poll{fd.get(), 0, 0};  // POLLERR comes unasked
        if (::poll(&poll, 1, milliseconds) <= 0) return {};
        char data[64], control[512];
        iovec part{data, sizeof data};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        if (::recvmsg(fd.get(), &message, MSG_ERRQUEUE) < 0) return {};
        for (auto* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
            if (head->cmsg_level != IPPROTO_IP || head->cmsg_type != IP_RECVERR) continue;
            const auto* const error = reinterpret_cast<const sock_extended_err*>(CMSG_DATA(head));
            const auto* const offender = reinterpret_cast<const sockaddr_in*>(SO_EE_OFFENDER(error));
            return "icmp " + std::to_string(error->ee_type) + "/" + std::to_string(error->ee_code) + " from " +
                   scenario::Ipv4{ntohl(offender->sin_addr.s_addr)}.text();
        }
        return {};
    }
};

}  // namespace wmlab::lab::tests
