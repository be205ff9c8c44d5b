#include "lab/alg/hand_sockets.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/tcp.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <ostream>

#include "lab/host/error.hpp"
#include "lab/verdict/version.hpp"

namespace wmlab::lab {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using What = HandQuestion::What;

constexpr std::size_t ethernet_header = 14, frames_looked_at_max = 20'000;
constexpr int look_again_ms = 10;

sockaddr_in socket_address(scenario::Ipv4 address, std::uint16_t port) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    in.sin_addr.s_addr = htonl(address.value);
    return in;
}

const sockaddr* generic(const sockaddr_in& address) { return reinterpret_cast<const sockaddr*>(&address); }

void put_end(HandAnswer& answer, const sockaddr_in& end) {
    answer.address = {ntohl(end.sin_addr.s_addr)};
    answer.port = ntohs(end.sin_port);
}

std::string addresses_here(const Namespace& place) {
    const Entered inside{place};
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return {};
    std::vector<std::string> words;
    for (const auto* one = all; one != nullptr; one = one->ifa_next)
        if (one->ifa_addr != nullptr && one->ifa_addr->sa_family == AF_INET)
            words.push_back(scenario::Ipv4{ntohl(reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr.s_addr)}.text());
    ::freeifaddrs(all);
    return fmt::format("{}", fmt::join(words, ", "));
}

std::uint8_t connection_state(int socket) {
    tcp_info info{};
    socklen_t size = sizeof info;
    return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_state : std::uint8_t{TCP_CLOSE};
}

std::uint32_t words_sum(std::span<const std::byte> bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) sum += std::to_integer<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
    return sum;
}

std::uint16_t internet_checksum(std::uint32_t sum) {
    while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

void put_number(std::span<std::byte> bytes, std::size_t at, std::uint16_t number) {
    bytes[at] = static_cast<std::byte>(number >> 8), bytes[at + 1] = static_cast<std::byte>(number & 0xFF);
}

// The same for two processes only where they share a network.
std::string own_place() {
    std::string boot;
    std::ifstream{"/proc/sys/kernel/random/boot_id"} >> boot;
    struct stat net {};
    if (boot.empty() || ::stat("/proc/self/ns/net", &net) != 0) return {};
    return fmt::format("{} {}:{}", boot, net.st_dev, net.st_ino);
}

}  // namespace

bool fill_checksums(std::span<std::byte> packet) {
    constexpr std::size_t ip_header_min = 20, ip_checksum_at = 10;
    if (packet.size() < ip_header_min || std::to_integer<unsigned>(packet[0]) >> 4 != 4) return false;
    const auto number = [&](std::size_t at) { return words_sum(packet.subspan(at, 2)); };
    const std::size_t header = (std::to_integer<std::size_t>(packet[0]) & 15) * 4, length = number(2);
    const auto protocol = std::to_integer<unsigned>(packet[9]);
    const std::size_t checksum_at = protocol == IPPROTO_TCP ? 16 : 6, needed = protocol == IPPROTO_TCP ? 20 : 8;
    constexpr std::uint32_t more_fragments_and_offset = 0x3FFF;
    if ((protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) || (number(6) & more_fragments_and_offset) != 0 || header < ip_header_min ||
        length > packet.size() || length < header + needed)
        return false;
    put_number(packet, ip_checksum_at, 0);
    put_number(packet, ip_checksum_at, internet_checksum(words_sum(packet.first(header))));
    const auto body = packet.subspan(header, length - header);
    put_number(body, checksum_at, 0);
    auto sum = internet_checksum(words_sum(packet.subspan(12, 8)) + protocol + static_cast<std::uint32_t>(body.size()) + words_sum(body));
    if (protocol == IPPROTO_UDP && sum == 0) sum = 0xFFFF;
    put_number(body, checksum_at, sum);
    return true;
}

Descriptor HandSockets::socket_at(int type, std::uint16_t port) const {
    const Entered inside{place_};
    Descriptor made{::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    const int on = 1;
    ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const auto at = socket_address(address_, port);
    if (!made || ::bind(made.get(), generic(at), sizeof at) != 0)
        throw setup_failed(fmt::format("open {} port {}:{} on {}", type == SOCK_STREAM ? "TCP" : "UDP", address_.text(), port, host_), errno);
    return made;
}

int HandSockets::round_socket(scenario::Protocol protocol, std::uint16_t port) {
    auto& socket = round_[{protocol, port}];
    if (!socket) {
        socket = socket_at(protocol == scenario::Protocol::udp ? SOCK_DGRAM : SOCK_STREAM, port);
        if (protocol == scenario::Protocol::tcp) ::listen(socket.get(), 16);
    }
    return socket.get();
}

void HandSockets::end_round() {
    round_.clear();
    connecting_.clear();
    arrived_.clear();
}

HandAnswer HandSockets::begin() {
    address_ = question_->address;
    if (!question_->text.empty()) host_ = question_->text;
    try {
        const auto tried = socket_at(SOCK_DGRAM, 0);
    } catch (const SetupFailed& failure) {
        if (failure.cause() != std::strerror(EADDRNOTAVAIL)) throw;
        throw SetupFailed{fmt::format("act as {} there", host_),
                          fmt::format("that machine does not have the address {}; it has {}", address_.text(), addresses_here(place_))};
    }
    return {};
}

HandAnswer HandSockets::bind() {
    text_ = question_->text;
    for (const auto& [protocol, port] : question_->places) round_socket(protocol, port);
    return {};
}

HandAnswer HandSockets::send() {
    HandAnswer answer;
    for (const auto& packet : question_->packets) {
        const auto to = socket_address(packet.to, packet.to_port);
        ssize_t result = 0;
        if (packet.protocol == scenario::Protocol::udp) {
            const auto words = fmt::format("{} #{}", text_, packet.number);
            result = ::sendto(round_socket(packet.protocol, packet.from_port), words.data(), words.size(), 0, generic(to), sizeof to);
        } else {
            auto& socket = connecting_[packet.number] = socket_at(SOCK_STREAM, packet.from_port);
            result = ::connect(socket.get(), generic(to), sizeof to);
            if (result < 0 && errno == EINPROGRESS) result = 0;
        }
        if (result < 0) answer.kept.emplace_back(packet.number, std::strerror(errno));
    }
    return answer;
}

std::optional<HandAnswer> HandSockets::look(bool over) {
    std::array<char, 512> buffer{};
    const auto begins = text_ + " #";
    for (const auto& [place, socket] : round_) {
        if (place.first != scenario::Protocol::udp) continue;
        for (ssize_t size = 0; (size = ::recv(socket.get(), buffer.data(), buffer.size(), 0)) > 0;) {
            std::string_view got{buffer.data(), static_cast<std::size_t>(size)};
            if (!got.starts_with(begins)) continue;
            got.remove_prefix(begins.size());
            unsigned number = 0;
            const auto [end, wrong] = std::from_chars(got.data(), got.data() + got.size(), number);
            if (wrong == std::errc{} && end == got.data() + got.size() && number <= hand_list_max) arrived_.insert(number);
        }
    }
    for (const auto& [number, socket] : connecting_)
        if (connection_state(socket.get()) == TCP_ESTABLISHED) arrived_.insert(number);
    if (!over && !std::ranges::all_of(question_->wanted, [&](unsigned one) { return arrived_.contains(one); })) return std::nullopt;
    HandAnswer answer;
    answer.arrived.assign(arrived_.begin(), arrived_.end());
    return answer;
}

HandAnswer HandSockets::listen(Connection& connection) {
    connection = {};
    connection.protocol = question_->protocol;
    const bool datagrams = connection.protocol == scenario::Protocol::udp;
    auto& socket = datagrams ? connection.socket : connection.listening;
    socket = socket_at(datagrams ? SOCK_DGRAM : SOCK_STREAM, question_->port);
    if (!datagrams) ::listen(socket.get(), 4);
    return {};
}

HandAnswer HandSockets::connect(Connection& connection) {
    connection = {};
    connection.protocol = question_->protocol;
    const int on = 1;
    connection.socket = socket_at(connection.protocol == scenario::Protocol::udp ? SOCK_DGRAM : SOCK_STREAM, 0);
    if (connection.protocol == scenario::Protocol::tcp) ::setsockopt(connection.socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto to = socket_address(question_->address, question_->port);
    ::connect(connection.socket.get(), generic(to), sizeof to);
    HandAnswer answer;
    sockaddr_in own{};
    socklen_t size = sizeof own;
    if (::getsockname(connection.socket.get(), reinterpret_cast<sockaddr*>(&own), &size) == 0) put_end(answer, own);
    return answer;
}

std::optional<HandAnswer> HandSockets::accept(Connection& connection, bool over) {
    HandAnswer answer;
    sockaddr_in from{};
    socklen_t size = sizeof from;
    Descriptor came{::accept4(connection.listening.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!came && !over) return std::nullopt;
    connection.listening = {};
    if (!came) return answer;
    const int on = 1;
    ::setsockopt(came.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection.socket = std::move(came);
    put_end(answer, from);
    answer.yes = true;
    return answer;
}

HandAnswer HandSockets::say(Connection& connection) {
    HandAnswer answer;
    connection.wire = {};
    connection.note.clear();
    if (question_->again) {
        const Entered inside{place_};
        connection.wire = Descriptor{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL))};
        if (!connection.wire) connection.note = fmt::format("{} may not send packets of its own making: {}", host_, std::strerror(errno));
    }
    const auto to = socket_address(question_->address, question_->port);
    const bool addressed = connection.protocol == scenario::Protocol::udp && question_->address.value != 0;
    answer.yes = ::sendto(connection.socket.get(), question_->bytes.data(), question_->bytes.size(), MSG_NOSIGNAL, addressed ? generic(to) : nullptr,
                          addressed ? sizeof to : 0) >= 0;
    return answer;
}

std::optional<HandAnswer> HandSockets::hear(Connection& connection, bool over) {
    const bool datagrams = connection.protocol == scenario::Protocol::udp;
    HandAnswer answer;
    std::array<std::byte, 65536> buffer{};
    bool ended = over;
    while (connection.heard < question_->size) {
        sockaddr_in from{};
        socklen_t from_size = sizeof from;
        const auto size = ::recvfrom(connection.socket.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &from_size);
        if (size <= 0) {
            ended = ended || !(size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
            break;
        }
        const auto got = static_cast<std::size_t>(size);
        if (datagrams && got != question_->size) continue;  // somebody else's, or what was sent twice
        connection.heard += got;
        if (datagrams) put_end(answer, from);
    }
    answer.yes = connection.heard >= question_->size;
    if (!answer.yes && !ended) return std::nullopt;
    return answer;
}

// The packet as it was on this host's wire: the one that ends with these bytes.
HandAnswer HandSockets::again(Connection& connection) const {
    HandAnswer answer;
    answer.note = connection.note;
    const auto& bytes = question_->bytes;
    std::array<std::byte, 65536> buffer{};
    sockaddr_ll about{};
    for (std::size_t looked = 0; connection.wire && looked < frames_looked_at_max; ++looked) {
        socklen_t about_size = sizeof about;
        const auto size = ::recvfrom(connection.wire.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&about), &about_size);
        if (size <= 0) break;
        const auto length = static_cast<std::size_t>(size);
        if (about.sll_pkttype != PACKET_OUTGOING || length < bytes.size() ||
            std::memcmp(buffer.data() + length - bytes.size(), bytes.data(), bytes.size()) != 0)
            continue;
        const auto header = about.sll_hatype == ARPHRD_ETHER || about.sll_hatype == ARPHRD_LOOPBACK ? ethernet_header : 0;
        fill_checksums(std::span{buffer}.first(length).subspan(std::min(header, length)));
        answer.yes = ::sendto(connection.wire.get(), buffer.data(), length, 0, reinterpret_cast<const sockaddr*>(&about), sizeof about) >= 0;
        if (!answer.yes) answer.note = fmt::format("{} could not send its packet once more: {}", host_, std::strerror(errno));
        break;
    }
    if (!answer.yes && answer.note.empty()) answer.note = fmt::format("{}'s packet was not seen on its wire", host_);
    connection.wire = {};
    return answer;
}

std::optional<HandAnswer> HandSockets::refused(bool over) {
    HandAnswer answer;
    pollfd one{trying_.get(), POLLOUT, 0};
    if (::poll(&one, 1, 0) != 1) return over ? std::optional{answer} : std::nullopt;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(trying_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    answer.yes = error == ECONNREFUSED;
    trying_ = {};
    return answer;
}

void HandSockets::ask(HandQuestion question) {
    question_ = std::move(question);
    limit_ = steady_clock::now() + question_->patience;
    fresh_ = true;
}

std::optional<HandAnswer> HandSockets::try_answer() {
    const bool first = std::exchange(fresh_, false), over = steady_clock::now() >= limit_;
    const auto what = question_->what;
    const bool of_round = what == What::send || what == What::look || what == What::end;
    if (first && !of_round) end_round();
    if (what == What::begin) return begin();
    if (address_.value == 0) throw SetupFailed{fmt::format("act as {}", host_), "its address was not told"};
    switch (what) {
        case What::begin:
            break;
        case What::bind:
            return bind();
        case What::send:
            return send();
        case What::look:
            return look(over);
        case What::end: {
            auto answer = look(true);
            end_round();
            return answer;
        }
        case What::refused:
            if (first) {
                trying_ = socket_at(SOCK_STREAM, 0);
                const auto to = socket_address(question_->address, question_->port);
                ::connect(trying_.get(), generic(to), sizeof to);
            }
            return refused(over);
        case What::close:
            connections_.erase(question_->connection);
            return HandAnswer{};
        case What::listen:
            return listen(connections_[question_->connection]);
        case What::connect:
            return connect(connections_[question_->connection]);
        case What::accept:
        case What::say:
        case What::hear:
        case What::again: {
            const auto found = connections_.find(question_->connection);
            if (found == connections_.end() || (what == What::accept ? !found->second.listening : !found->second.socket))
                throw SetupFailed{fmt::format("go on with a connection of {}", host_), fmt::format("there is none with the number {}", question_->connection)};
            auto& connection = found->second;
            if (first) connection.heard = 0;
            if (what == What::accept) return accept(connection, over);
            if (what == What::say) return say(connection);
            return what == What::hear ? hear(connection, over) : again(connection);
        }
    }
    return HandAnswer{};
}

std::optional<HandAnswer> HandSockets::answer() {
    if (!question_) return std::nullopt;
    std::optional<HandAnswer> answer;
    try {
        answer = try_answer();
    } catch (const SetupFailed& failure) {
        answer.emplace();
        answer->step = failure.step(), answer->cause = failure.cause();
    }
    if (answer) question_.reset();
    return answer;
}

void HandSockets::wait_for(std::vector<pollfd>& sockets) const {
    if (!question_) return;
    const auto connection = connections_.find(question_->connection);
    if (question_->what == What::look) {
        for (const auto& [place, socket] : round_)
            if (place.first == scenario::Protocol::udp) sockets.push_back({socket.get(), POLLIN, 0});
        for (const auto& [number, socket] : connecting_)
            if (const auto state = connection_state(socket.get()); state != TCP_CLOSE && state != TCP_ESTABLISHED)
                sockets.push_back({socket.get(), POLLOUT, 0});
    } else if (question_->what == What::refused) {
        sockets.push_back({trying_.get(), POLLOUT, 0});
    } else if (connection != connections_.end()) {
        if (question_->what == What::accept) sockets.push_back({connection->second.listening.get(), POLLIN, 0});
        if (question_->what == What::hear) sockets.push_back({connection->second.socket.get(), POLLIN, 0});
    }
}

int serve_hand(int in, std::ostream& out) {
    const auto here = Namespace::current();
    HandSockets sockets{"a host", here};
    HandHello hello;
    hello.version = version(), hello.place = own_place();
    out << hand_line(hello) << std::endl;
    HandLines lines;
    unsigned number = 0;
    for (;;) {
        while (!sockets.asked()) {
            const auto line = lines.next();
            if (!line) break;
            auto read = hand_question(*line);
            number = read.number;
            if (!read.problem.empty()) {
                HandAnswer answer;
                answer.step = "understand what is asked", answer.cause = read.problem;
                out << hand_line(number, answer) << std::endl;
                return 3;
            }
            sockets.ask(std::move(read.message));
        }
        if (lines.too_long()) return 3;
        if (const auto answer = sockets.answer()) {
            out << hand_line(number, *answer) << std::endl;
            continue;
        }
        std::vector<pollfd> waits{{in, POLLIN, 0}};
        sockets.wait_for(waits);
        if (::poll(waits.data(), waits.size(), sockets.asked() ? look_again_ms : -1) < 0 && errno != EINTR) return 3;
        if (waits.front().revents == 0) continue;
        std::array<char, 65536> piece{};
        const auto got = ::read(in, piece.data(), piece.size());
        if (got == 0 || (got < 0 && errno != EINTR)) return 0;
        if (got > 0) lines.add({piece.data(), static_cast<std::size_t>(got)});
    }
}

}  // namespace wmlab::lab
