#include "common/net/bind.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <stdexcept>

namespace wmlab::net {
namespace {

// The socket inodes that hold a port, from /proc/net/tcp or udp: "0: 0100007F:06DB 00000000:0000 0A ... inode".
std::vector<std::string> inodes_at(std::string_view protocol, const asio::ip::address& address, std::uint16_t port) {
    std::vector<std::string> inodes;
    std::ifstream table{"/proc/net/" + std::string{protocol}};
    std::string line;
    std::getline(table, line);
    while (std::getline(table, line)) {
        std::istringstream words{line};
        std::string slot, local, remote, state, queues, timer, retransmit, uid, timeout, inode;
        words >> slot >> local >> remote >> state >> queues >> timer >> retransmit >> uid >> timeout >> inode;
        if (local.size() != 13 || (protocol == "tcp" && state != "0A")) continue;
        std::uint32_t held_address = 0;
        unsigned held_port = 0;
        std::from_chars(local.data(), local.data() + 8, held_address, 16);
        std::from_chars(local.data() + 9, local.data() + 13, held_port, 16);
        const bool same_address = held_address == 0 || !address.is_v4() || address.is_unspecified() ||
                                  ntohl(held_address) == address.to_v4().to_uint();
        if (held_port == port && same_address) inodes.push_back("socket:[" + inode + "]");
    }
    return inodes;
}

void random_walk(std::uint16_t first, std::uint16_t last, const std::set<std::uint16_t>& reluctantly,
                 const std::function<bool(std::uint16_t)>& try_port) {
    const unsigned size = unsigned{last} - first + 1;
    std::random_device random;
    const unsigned start = std::uniform_int_distribution<unsigned>{0, size - 1}(random);
    for (const bool last_resort : {false, true})
        for (unsigned i = 0; i < size; ++i) {
            const auto port = static_cast<std::uint16_t>(first + (start + i) % size);
            if (reluctantly.contains(port) == last_resort && try_port(port)) return;
        }
}

template <class Socket, class Bind>
Bound<Socket> bind_in(std::string protocol, const asio::ip::address& local, std::uint16_t first, std::uint16_t last,
                      const std::set<std::uint16_t>& reluctantly, const Bind& bind) {
    std::optional<Socket> bound;
    BindFailure failure{protocol, "", "EADDRINUSE", ""};
    random_walk(first, last, reluctantly, [&](std::uint16_t port) {
        auto attempt = bind(port);
        if (attempt) return bound.emplace(std::move(*attempt)), true;
        failure = attempt.error();
        return failure.error != "EADDRINUSE" && failure.error != "EACCES";  // other errors hold for every port
    });
    if (bound) return std::move(*bound);
    failure.local = local.to_string() + ":" + std::to_string(first) + (first == last ? "" : "-" + std::to_string(last));
    if (first != last) failure.holder.clear();
    return failure;
}

Bound<tcp::acceptor> try_listen(const asio::any_io_executor& executor, const tcp::endpoint& local, bool want_holder) {
    tcp::acceptor acceptor{executor};
    boost::system::error_code error;
    acceptor.open(local.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address{true}, error);
    if (!error) acceptor.bind(local, error);
    if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
    if (!error) return acceptor;
    return BindFailure{"tcp", net::text(local), error_name(error),
                       want_holder ? holder_of("tcp", local.address(), local.port()) : ""};
}

Bound<udp::socket> try_bind(const asio::any_io_executor& executor, const udp::endpoint& local, int buffer,
                            bool want_holder) {
    udp::socket socket{executor};
    boost::system::error_code error;
    socket.open(local.protocol(), error);
    if (!error) socket.bind(local, error);
    if (error)
        return BindFailure{"udp", net::text(local), error_name(error),
                           want_holder ? holder_of("udp", local.address(), local.port()) : ""};
    want_error_queue(socket.native_handle());
    socket.non_blocking(true, error);
    if (buffer > 0) {  // the kernel grants less where rmem_max says so; losses are counted anyway
        socket.set_option(udp::socket::receive_buffer_size{buffer}, error);
        socket.set_option(udp::socket::send_buffer_size{buffer}, error);
    }
    return socket;
}

}  // namespace

std::string BindFailure::text() const {
    auto out = "cannot bind " + protocol + " " + local + ": " + error;
    if (!holder.empty()) out += ", held by " + holder;
    return out;
}

void throw_exception_from_error(const BindFailure& failure, const boost::source_location&) {
    throw std::runtime_error{failure.text()};
}

Bound<tcp::acceptor> listen_tcp(const asio::any_io_executor& executor, const tcp::endpoint& local) {
    return try_listen(executor, local, true);
}

Bound<udp::socket> bind_udp(const asio::any_io_executor& executor, const udp::endpoint& local, int buffer) {
    return try_bind(executor, local, buffer, true);
}

Bound<udp::socket> bind_udp_in(const asio::any_io_executor& executor, const asio::ip::address& local,
                               std::uint16_t first, std::uint16_t last, int buffer,
                               const std::set<std::uint16_t>& reluctantly) {
    return bind_in<udp::socket>("udp", local, first, last, reluctantly, [&](std::uint16_t port) {
        return try_bind(executor, udp::endpoint{local, port}, buffer, first == last);
    });
}

Bound<tcp::acceptor> listen_tcp_in(const asio::any_io_executor& executor, const asio::ip::address& local,
                                   std::uint16_t first, std::uint16_t last,
                                   const std::set<std::uint16_t>& reluctantly) {
    return bind_in<tcp::acceptor>("tcp", local, first, last, reluctantly, [&](std::uint16_t port) {
        return try_listen(executor, tcp::endpoint{local, port}, first == last);
    });
}

std::string holder_of(std::string_view protocol, const asio::ip::address& address, std::uint16_t port) {
    const auto inodes = inodes_at(protocol, address, port);
    if (inodes.empty()) return "";
    std::error_code error;
    for (const auto& process : std::filesystem::directory_iterator{"/proc", error}) {
        const auto pid = process.path().filename().string();
        if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
        std::error_code denied;
        for (const auto& descriptor : std::filesystem::directory_iterator{process.path() / "fd", denied}) {
            const auto target = std::filesystem::read_symlink(descriptor.path(), denied).string();
            if (std::ranges::find(inodes, target) == inodes.end()) continue;
            std::string name;
            std::ifstream comm{process.path() / "comm"};
            std::getline(comm, name);
            return name + " (pid " + pid + ")";
        }
    }
    return "";
}

}  // namespace wmlab::net
