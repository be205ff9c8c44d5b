#include "common/net/datagram.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
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

struct DatagramSocket::Batch {
    static constexpr std::size_t size_max = 64;
    Buffer body;
    std::size_t size = 0;
    std::array<std::array<std::byte, 8>, size_max> heads{};
    std::array<sockaddr_in, size_max> to{};
    std::array<std::array<iovec, 2>, size_max> parts{};
    std::array<mmsghdr, size_max> messages{};
    std::array<Account*, size_max> accounts{};

    static std::vector<DatagramSocket*>& waiting() {
        static thread_local std::vector<DatagramSocket*> sockets;
        return sockets;
    }
};

bool DatagramSocket::send_to(const udp::endpoint& to, std::span<const std::byte> header,
                             std::span<const std::byte> payload) {
    if (batch_ && batch_->size > 0) flush();  // it must not overtake what waits there
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

DatagramSocket::DatagramSocket(udp::socket socket) : socket_{std::move(socket)} {}
DatagramSocket::~DatagramSocket() { std::erase(Batch::waiting(), this); }

void DatagramSocket::send_with_others(const udp::endpoint& to, std::span<const std::byte, 8> head, const Buffer& body,
                                      Account& account) {
    if (!batch_) batch_ = std::make_unique<Batch>();
    auto& batch = *batch_;
    if (batch.size > 0 && batch.body != body) flush();
    if (batch.size == 0) {
        batch.body = body;
        Batch::waiting().push_back(this);
    }
    const auto at = batch.size++;
    std::ranges::copy(head, batch.heads[at].begin());
    batch.to[at] = {};
    batch.to[at].sin_family = AF_INET;
    batch.to[at].sin_addr.s_addr = htonl(to.address().to_v4().to_uint());
    batch.to[at].sin_port = htons(to.port());
    batch.parts[at] = {{{batch.heads[at].data(), batch.heads[at].size()},
                        {const_cast<std::byte*>(body->data()), body->size()}}};
    auto& message = batch.messages[at].msg_hdr;
    message = {};
    message.msg_name = &batch.to[at];
    message.msg_namelen = sizeof batch.to[at];
    message.msg_iov = batch.parts[at].data();
    message.msg_iovlen = 2;
    batch.accounts[at] = &account;
    if (batch.size == Batch::size_max) flush();
}

void DatagramSocket::flush() {
    auto& batch = *batch_;
    std::erase(Batch::waiting(), this);
    std::size_t done = 0;
    int errors = 0, waits = 0;
    constexpr int waits_max = 2, errors_max = 4 * static_cast<int>(Batch::size_max);
    while (done < batch.size) {
        const auto sent = ::sendmmsg(socket_.native_handle(), &batch.messages[done],
                                     static_cast<unsigned>(batch.size - done), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            for (int i = 0; i < sent; ++i) ++batch.accounts[done++]->sent;
            continue;
        }
        if ((errno == EAGAIN || errno == ENOBUFS) && ++waits <= waits_max) {
            pollfd full{socket_.native_handle(), POLLOUT, 0};  // a full device queue empties within microseconds
            ::poll(&full, 1, 2);
        } else if (tells_of_icmp(errno) && errno != EMSGSIZE && ++errors <= errors_max) {
            drain_errors();  // of an earlier datagram, perhaps to another peer: this one was not sent yet
        } else if (errno != EINTR) {
            ++batch.accounts[done++]->unsent;
            ++unsent_;
        }
    }
    batch.size = 0;
    batch.body.reset();
}

void DatagramSocket::flush_all() {
    auto& waiting = Batch::waiting();
    while (!waiting.empty()) waiting.back()->flush();
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
