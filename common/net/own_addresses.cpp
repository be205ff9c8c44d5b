#include "common/net/own_addresses.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>

namespace wmlab::net {
namespace {

namespace json = boost::json;
using scenario::Ipv4;

constexpr std::size_t addresses_max = 1000, name_max = 64;

Ipv4 address_of(const sockaddr* address) { return {ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr)}; }

// Nothing is sent: connecting a datagram socket asks the kernel for the route.
std::optional<Ipv4> source_towards(Ipv4 there) {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return std::nullopt;
    sockaddr_in address{};
    address.sin_family = AF_INET, address.sin_port = htons(9), address.sin_addr.s_addr = htonl(there.value);
    std::optional<Ipv4> source;
    socklen_t size = sizeof address;
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), size) == 0 && ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0)
        source = address_of(reinterpret_cast<const sockaddr*>(&address));
    ::close(socket);
    return source;
}

void add_new(std::vector<Ipv4>& all, Ipv4 address) {
    if (std::ranges::find(all, address) == all.end()) all.push_back(address);
}

const json::array* list_at(const json::object& object, std::string_view key) {
    const auto* const value = object.if_contains(json::string_view{key.data(), key.size()});
    return value == nullptr ? nullptr : value->if_array();
}

std::string text_of(const json::value* value) {
    const auto* const string = value == nullptr ? nullptr : value->if_string();
    if (string == nullptr) return {};
    std::string text{string->data(), std::min(string->size(), name_max)};
    std::ranges::replace_if(
        text, [](char c) { return c <= ' ' || c >= 0x7F; }, '?');  // it is shown on terminals
    return text;
}

}  // namespace

OwnAddresses own_addresses(const std::vector<Ipv4>& towards, std::string version) {
    OwnAddresses own;
    own.version = std::move(version);
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) == 0) {
        for (const auto* one = list; one != nullptr; one = one->ifa_next) {
            if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET || (one->ifa_flags & IFF_UP) == 0) continue;
            const auto address = address_of(one->ifa_addr);
            if (address.value >> 24 != 127 && own.all.size() < addresses_max) own.all.push_back({one->ifa_name, address});
        }
        ::freeifaddrs(list);
    }
    for (const auto there : towards)
        if (const auto source = source_towards(there)) add_new(own.sent_from, *source);
    return own;
}

std::string to_line(const OwnAddresses& own) {
    json::array all, sent_from;
    for (const auto& [interface, address] : own.all) all.push_back(json::object{{"interface", interface}, {"address", address.text()}});
    for (const auto address : own.sent_from) sent_from.emplace_back(address.text());
    return json::serialize(json::object{{"own_addresses", std::move(all)}, {"sent_from", std::move(sent_from)}, {"version", own.version}});
}

std::optional<OwnAddresses> own_addresses_from(std::string_view line) {
    boost::system::error_code wrong;
    const auto value = json::parse(json::string_view{line.data(), line.size()}, wrong);
    const auto* const object = wrong ? nullptr : value.if_object();
    const auto* const all = object == nullptr ? nullptr : list_at(*object, "own_addresses");
    if (all == nullptr) return std::nullopt;
    OwnAddresses own;
    own.version = text_of(object->if_contains("version"));
    for (const auto& entry : *all) {
        const auto* const one = entry.if_object();
        const auto address = one == nullptr ? std::nullopt : Ipv4::from(text_of(one->if_contains("address")));
        if (address && own.all.size() < addresses_max) own.all.push_back({text_of(one->if_contains("interface")), *address});
    }
    if (const auto* const sent_from = list_at(*object, "sent_from"))
        for (const auto& entry : *sent_from)
            if (const auto address = Ipv4::from(text_of(&entry)); address && own.sent_from.size() < addresses_max) add_new(own.sent_from, *address);
    return own;
}

std::optional<Ipv4> address_in(const OwnAddresses& own, const scenario::Zone& zone, std::string& why) {
    const auto named = [](const std::vector<OwnAddresses::One>& list) {
        std::string names;
        for (const auto& one : list) names += (names.empty() ? "" : ", ") + one.address.text() + " (" + one.interface + ")";
        return names;
    };
    std::vector<OwnAddresses::One> inside;
    std::vector<Ipv4> different, used;
    for (const auto& one : own.all) {
        if (!zone.subnet.contains(one.address)) continue;
        inside.push_back(one);
        add_new(different, one.address);
        if (std::ranges::find(own.sent_from, one.address) != own.sent_from.end()) add_new(used, one.address);
    }
    if (different.size() == 1) return different.front();
    if (used.size() == 1) return used.front();
    why = inside.empty() ? "none of its addresses is in zone " + zone.name + ", " + zone.subnet.text() + ": " +
                               (own.all.empty() ? "it has none" : "it has " + named(own.all))
                         : "several of its addresses are in zone " + zone.name + ", " + zone.subnet.text() + ": " + named(inside) +
                               (used.empty() ? ", and it sends from none of them" : ", and it sends from several") + ": say which, `address:` of the host";
    return std::nullopt;
}

}  // namespace wmlab::net
