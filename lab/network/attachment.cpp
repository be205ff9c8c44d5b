#include "lab/network/attachment.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <span>
#include <sstream>

#include "lab/host/error.hpp"
#include "lab/network/netlink.hpp"

namespace wmlab::lab {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::uint16_t experimental_ethertype = 0x88B5;  // IEEE 802: local experiments
constexpr auto device_answers_within = 5s;
constexpr int probe_rounds = 3;
constexpr auto between_probes = 100ms;
constexpr auto probe_travels = 300ms;  // of a switch and a device, generously
constexpr std::uint16_t discard_port = 9;

bool says_no(const Setting& setting, const SetupFailed& failure, std::vector<std::string>& notes) {
    if (!setting.force) return true;
    notes.push_back(std::string{failure.what()} + " (forced)");
    return false;
}

std::vector<std::string> addresses_of(const std::string& card) {
    std::vector<std::string> found;
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) throw setup_failed("read the addresses of " + card, errno);
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner{all, ::freeifaddrs};
    for (const auto* one = all; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr || card != one->ifa_name) continue;
        std::array<char, INET6_ADDRSTRLEN> text{};
        if (one->ifa_addr->sa_family == AF_INET) {
            const auto* const ipv4 = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
            ::inet_ntop(AF_INET, &ipv4->sin_addr, text.data(), text.size());
        } else if (one->ifa_addr->sa_family == AF_INET6) {
            const auto* const ipv6 = reinterpret_cast<const sockaddr_in6*>(one->ifa_addr);
            if (IN6_IS_ADDR_LINKLOCAL(&ipv6->sin6_addr)) continue;  // every card that is up has one
            ::inet_ntop(AF_INET6, &ipv6->sin6_addr, text.data(), text.size());
        } else {
            continue;
        }
        found.emplace_back(text.data());
    }
    return found;
}

bool is_up(const std::string& card) {
    const Descriptor control{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ifreq request{};
    card.copy(request.ifr_name, IFNAMSIZ - 1);
    if (::ioctl(control.get(), SIOCGIFFLAGS, &request) != 0) throw setup_failed("read the state of " + card, errno);
    return (request.ifr_flags & IFF_UP) != 0;
}

// What the kernel knows of the gateway's hardware address, in the calling thread's namespace.
bool answers(scenario::Ipv4 gateway) {
    std::ifstream table{"/proc/thread-self/net/arp"};
    std::string line;
    while (std::getline(table, line)) {
        std::istringstream words{line};
        std::string address, type, flags;
        if (words >> address >> type >> flags && address == gateway.text())
            return (std::stoul(flags, nullptr, 16) & 2) != 0;
    }
    return false;
}

void send_datagram(int socket, scenario::Ipv4 to, std::string_view payload) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(discard_port);
    address.sin_addr.s_addr = htonl(to.value);
    // What cannot be sent proves nothing, and the flows will show it.
    [[maybe_unused]] const auto sent = ::sendto(socket, payload.data(), payload.size(), 0,
                                                reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

struct Post {  // one host of a zone, with what it needs for the proof
    const scenario::Host* host = nullptr;
    const scenario::Zone* zone = nullptr;
    std::string card, magic;
    Descriptor raw, datagrams;
    sockaddr_ll everybody{};
    std::array<std::byte, ETH_ALEN> hardware{};
};

Post post(const Setting& setting, const Network& network, const scenario::Scenario& scenario,
          const scenario::Host& host) {
    Post post;
    post.host = &host;
    post.zone = scenario.zone(host.zone);
    post.card = setting.attached.at(host.zone);
    post.magic = fmt::format("wmlab looks for a way around the device {:08x}", std::random_device{}());
    const Entered entered{network.host(host.name)};
    post.raw = Descriptor{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL))};
    post.datagrams = Descriptor{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    if (!post.raw || !post.datagrams) throw setup_failed("look for a way around the device", errno);
    post.everybody.sll_family = AF_PACKET;
    post.everybody.sll_protocol = htons(ETH_P_ALL);
    post.everybody.sll_ifindex = static_cast<int>(::if_nametoindex(host_interface));
    post.everybody.sll_halen = ETH_ALEN;
    std::memset(post.everybody.sll_addr, 0xff, ETH_ALEN);
    if (::bind(post.raw.get(), reinterpret_cast<const sockaddr*>(&post.everybody), sizeof post.everybody) != 0)
        throw setup_failed("look for a way around the device", errno);
    ifreq request{};
    std::strncpy(request.ifr_name, host_interface, IFNAMSIZ - 1);
    if (::ioctl(post.raw.get(), SIOCGIFHWADDR, &request) == 0)
        std::memcpy(post.hardware.data(), request.ifr_hwaddr.sa_data, ETH_ALEN);
    return post;
}

void wait_for_device(const Post& post) {  // in the host's namespace
    const auto limit = steady_clock::now() + device_answers_within;
    while (!answers(post.zone->gateway)) {
        if (steady_clock::now() > limit)
            throw SetupFailed{
                fmt::format("reach the device on {} (zone {})", post.card, post.zone->name),
                fmt::format("nobody answers for the address {}", post.zone->gateway.text()),
                fmt::format(
                    "connect the device to {} and give its interface there the address {}/{} (or say its address with `gateway:` in the scenario)",
                    post.card, post.zone->gateway.text(), post.zone->subnet.prefix)};
        send_datagram(post.datagrams.get(), post.zone->gateway, "?");
        ::poll(nullptr, 0, 20);
    }
}

void send_probes(const Post& from, const std::vector<Post>& all) {
    ether_header header{};
    std::memset(header.ether_dhost, 0xff, ETH_ALEN);
    std::memcpy(header.ether_shost, from.hardware.data(), ETH_ALEN);
    header.ether_type = htons(experimental_ethertype);
    const auto frame = std::string{reinterpret_cast<const char*>(&header), sizeof header} + from.magic;
    [[maybe_unused]] const auto sent =
        ::sendto(from.raw.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&from.everybody),
                 sizeof from.everybody);
    constexpr int one_hop = 1;
    ::setsockopt(from.datagrams.get(), IPPROTO_IP, IP_TTL, &one_hop, sizeof one_hop);
    for (const auto& to : all)
        if (to.zone != from.zone) send_datagram(from.datagrams.get(), to.host->address, from.magic);
}

const Post* arrived(const Post& at, const std::vector<Post>& all) {
    std::array<char, 2048> frame{};
    for (ssize_t got = 0; (got = ::recv(at.raw.get(), frame.data(), frame.size(), 0)) > 0;) {
        const std::string_view seen{frame.data(), static_cast<std::size_t>(got)};
        for (const auto& from : all)
            if (from.zone != at.zone && seen.find(from.magic) != std::string_view::npos) {
                // An ICMP error of the device quotes the datagram: that one did not get around it.
                constexpr std::size_t ip_protocol = ETH_HLEN + 9;
                const bool ipv4 = seen.size() > ip_protocol && seen[12] == 8 && seen[13] == 0;
                if (!ipv4 || seen[ip_protocol] == IPPROTO_UDP) return &from;
            }
    }
    return nullptr;
}

}  // namespace

int examine_card(const Setting& setting, const std::string& zone, const std::string& card,
                 std::vector<std::string>& notes) {
    const auto step = fmt::format("attach zone {} to {}", zone, card);
    const Entered entered{*setting.machine};
    const auto index = static_cast<int>(::if_nametoindex(card.c_str()));
    if (index == 0) throw SetupFailed{step, "this machine has no such interface", "`ip -br link` lists them"};
    Links links{*setting.machine};
    const auto about = links.about(index);
    if (about.master != 0) {
        std::array<char, IF_NAMESIZE> bridge{};
        ::if_indextoname(static_cast<unsigned>(about.master), bridge.data());
        throw SetupFailed{step,
                          fmt::format("{} belongs to {}: packets could cross inside this machine", card, bridge.data()),
                          fmt::format("take it out: `ip link set {} nomaster`", card)};
    }
    for (const auto& [other_zone, other] : setting.attached)
        if (other != card && about.peer != 0 && about.peer == static_cast<int>(::if_nametoindex(other.c_str())))
            throw SetupFailed{step,
                              fmt::format("{} and {} (zone {}) are the two ends of one cable inside this machine", card,
                                          other, other_zone),
                              "the device has to lie between them"};
    if (const auto addresses = addresses_of(card); is_up(card) && !addresses.empty()) {
        const SetupFailed in_use{step, fmt::format("it is in use: it has the address {}", addresses.front()),
                                 "give another card, or --attach-force if this one is there for the test"};
        if (says_no(setting, in_use, notes)) throw in_use;
    }
    links.up(index, card);
    return index;
}

void prove_attachment(const scenario::Scenario& scenario, const Setting& setting, const Network& network,
                      std::vector<std::string>& notes) {
    if (setting.attached.empty()) return;
    std::vector<Post> posts;
    for (const auto& zone : scenario.zones) {
        if (!setting.attached.contains(zone.name)) continue;
        const auto host = std::ranges::find_if(
            scenario.hosts, [&](const scenario::Host& one) { return one.zone == zone.name && setting.has(one); });
        if (host != scenario.hosts.end()) posts.push_back(post(setting, network, scenario, *host));
    }
    for (const auto& one : posts) {
        const Entered entered{network.host(one.host->name)};
        wait_for_device(one);
    }
    for (int probe = 0; probe < probe_rounds; ++probe) {
        for (const auto& from : posts) send_probes(from, posts);
        ::poll(nullptr, 0, static_cast<int>(std::chrono::milliseconds{between_probes}.count()));
    }
    ::poll(nullptr, 0, static_cast<int>(std::chrono::milliseconds{probe_travels}.count()));
    for (const auto& at : posts) {
        const auto* const from = arrived(at, posts);
        if (from == nullptr) continue;
        const SetupFailed around{
            "put the device between the zones",
            fmt::format("a packet of {} ({}) reaches {} ({}) without passing the device", from->card, from->zone->name,
                        at.card, at.zone->name),
            "the two cards must not be in the same switch, VLAN or bridge; nothing but the device may join them"};
        if (says_no(setting, around, notes)) throw around;
    }
}

}  // namespace wmlab::lab
