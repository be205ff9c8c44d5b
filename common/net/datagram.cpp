#include "common/net/datagram.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <cerrno>

namespace wmlab::net {
namespace {

bool tells_of_icmp(int error) {
    return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH || error == ENOPROTOOPT ||
           error == EHOSTDOWN || error == ENONET || error == EMSGSIZE || error == EPROTO || error == EOPNOTSUPP;
}

}  // namespace

std::optional<DatagramSocket::Datagram> DatagramSocket::try_receive() {
    // One for all sockets: 64 KiB for each of many players would be most of their memory.
    static thread_local std::array<std::byte, 65536> buffer;
    for (int errors = 0; errors < 4; ++errors) {
        sockaddr_in from{};
        socklen_t size = sizeof from;
        const auto got = ::recvfrom(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                    reinterpret_cast<sockaddr*>(&from), &size);
        if (got >= 0)
            return Datagram{{buffer.data(), static_cast<std::size_t>(got)},
                            {asio::ip::address_v4{ntohl(from.sin_addr.s_addr)}, ntohs(from.sin_port)}};
        if (errno == EAGAIN || errno == EWOULDBLOCK) break;
        if (!tells_of_icmp(errno) && errno != EINTR)
            throw boost::system::system_error{errno, boost::system::system_category()};
        drain_errors();
    }
    return std::nullopt;
}

asio::awaitable<DatagramSocket::Datagram> DatagramSocket::receive() {
    constexpr unsigned in_a_row_max = 32;
    if (++in_a_row_ > in_a_row_max) {
        in_a_row_ = 0;
        co_await asio::post(socket_.get_executor(), asio::use_awaitable);
    }
    for (;;) {
        if (auto datagram = try_receive()) co_return *datagram;
        in_a_row_ = 0;
        const auto [error] = co_await socket_.async_wait(udp::socket::wait_read, asio::as_tuple(asio::use_awaitable));
        if (error && !tells_of_icmp(error.value())) throw boost::system::system_error{error};
        drain_errors();
    }
}

bool DatagramSocket::send_to(const udp::endpoint& to, std::span<const std::byte> header,
                             std::span<const std::byte> payload) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(to.address().to_v4().to_uint());
    address.sin_port = htons(to.port());
    std::array<iovec, 2> parts{{{const_cast<std::byte*>(header.data()), header.size()},
                                {const_cast<std::byte*>(payload.data()), payload.size()}}};
    msghdr message{};
    message.msg_name = &address;
    message.msg_namelen = sizeof address;
    message.msg_iov = parts.data();
    message.msg_iovlen = payload.empty() ? 1 : 2;
    for (int attempt = 0; attempt < 8; ++attempt) {
        if (::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
        if (errno == EAGAIN || errno == ENOBUFS) {  // a full device queue empties within microseconds
            pollfd full{socket_.native_handle(), POLLOUT, 0};
            ::poll(&full, 1, 2);
        } else if (tells_of_icmp(errno) && errno != EMSGSIZE) {
            drain_errors();  // the error of an earlier datagram, perhaps to another peer: this one was not sent yet
        } else if (errno != EINTR) {
            break;  // EPERM: a local output filter dropped it
        }
    }
    ++unsent_;
    return false;
}

bool DatagramSocket::drain_errors() {
    const auto errors = drain_error_queue(socket_.native_handle());
    for (const auto& error : errors) on_icmp(error);
    return !errors.empty();
}

udp::endpoint DatagramSocket::local() const {
    boost::system::error_code ignored;
    return socket_.local_endpoint(ignored);
}

void DatagramSocket::close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
}

}  // namespace wmlab::net
