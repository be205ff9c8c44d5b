#include "lab/network/netlink.hpp"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lab/host/error.hpp"
#include "lab/host/remedy.hpp"

namespace wmlab::lab {
namespace {

static_assert(NETLINK_ROUTE == 0);
constexpr std::uint8_t operstate_up = 6;  // IF_OPER_UP, whose header clashes with net/if.h
constexpr std::uint8_t inet6_addr_gen_mode = 8, addr_gen_mode_none = 1;

constexpr std::uint16_t create = NLM_F_CREATE | NLM_F_EXCL;

template <class T>
T from_bytes(std::span<const std::byte> bytes) {
    T value{};
    std::memcpy(&value, bytes.data(), std::min(sizeof value, bytes.size()));
    return value;
}

ifinfomsg link_info(int index, unsigned flags = 0) {
    ifinfomsg info{};
    info.ifi_family = AF_UNSPEC;
    info.ifi_index = index;
    info.ifi_flags = flags;
    info.ifi_change = flags;
    return info;
}

}  // namespace

void netlink_attributes(std::span<const std::byte> bytes, const EachAttribute& each) {
    while (bytes.size() >= sizeof(nlattr)) {
        const auto head = from_bytes<nlattr>(bytes);
        if (head.nla_len < sizeof(nlattr) || head.nla_len > bytes.size()) return;
        each(head.nla_type & NLA_TYPE_MASK, bytes.subspan(sizeof head, head.nla_len - sizeof head));
        bytes = bytes.subspan(std::min<std::size_t>(NLA_ALIGN(head.nla_len), bytes.size()));
    }
}

NetlinkMessage::NetlinkMessage(std::uint16_t type, std::uint16_t flags) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    fixed(header);
}

void NetlinkMessage::append(std::span<const std::byte> part) {
    bytes_.insert(bytes_.end(), part.begin(), part.end());
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
}

void NetlinkMessage::attribute(std::uint16_t type, std::span<const std::byte> value) {
    const auto opened = open(type);
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    close(opened);
}

void NetlinkMessage::attribute(std::uint16_t type, std::string_view text) {
    const std::string with_null{text};
    attribute(type, std::as_bytes(std::span{with_null.c_str(), with_null.size() + 1}));
}

std::size_t NetlinkMessage::open(std::uint16_t type) {
    const auto opened = bytes_.size();
    nlattr head{};
    head.nla_type = type;
    fixed(head);
    return opened;
}

void NetlinkMessage::close(std::size_t opened) {
    const auto length = static_cast<std::uint16_t>(bytes_.size() - opened);
    std::memcpy(bytes_.data() + opened, &length, sizeof length);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
}

std::span<std::byte> NetlinkMessage::bytes() {
    const auto length = static_cast<std::uint32_t>(bytes_.size());
    std::memcpy(bytes_.data(), &length, sizeof length);
    return bytes_;
}

Netlink::Netlink(const Namespace& place, int protocol) {
    const Entered entered{place};
    socket_ = Descriptor{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)};
    if (!socket_) {
        const auto error = errno;
        throw setup_failed("open a netlink socket", error, remedy(Privilege::link, error));
    }
}

void Netlink::request(NetlinkMessage message, const std::string& step) { dump(std::move(message), step, {}); }

void Netlink::dump(NetlinkMessage message, const std::string& step,
                   const std::function<void(std::span<const std::byte>)>& each) {
    const auto bytes = message.bytes();
    auto header = from_bytes<nlmsghdr>(bytes);
    header.nlmsg_flags = static_cast<std::uint16_t>(header.nlmsg_flags | (each ? NLM_F_DUMP : NLM_F_ACK));
    header.nlmsg_seq = ++sequence_;
    std::memcpy(bytes.data(), &header, sizeof header);
    const auto fail = [&](int error) { throw setup_failed(step, error, remedy(Privilege::link, error)); };

    if (::send(socket_.get(), bytes.data(), bytes.size(), 0) < 0) fail(errno);
    std::vector<std::byte> buffer(64 * 1024);
    while (true) {
        const auto got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail(errno);
        auto rest = std::span<const std::byte>{buffer}.first(static_cast<std::size_t>(got));
        while (rest.size() >= sizeof(nlmsghdr)) {
            const auto answer = from_bytes<nlmsghdr>(rest);
            if (answer.nlmsg_len < sizeof(nlmsghdr) || answer.nlmsg_len > rest.size()) break;
            const auto whole = rest.first(answer.nlmsg_len);
            rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(answer.nlmsg_len), rest.size()));
            if (answer.nlmsg_seq != sequence_) continue;
            if (answer.nlmsg_type == NLMSG_ERROR) {
                const auto error = from_bytes<int>(whole.subspan(sizeof(nlmsghdr)));
                if (error != 0) fail(-error);
                return;
            }
            if (answer.nlmsg_type == NLMSG_DONE) return;
            if (each) each(whole);
        }
    }
}

void Links::add_bridge(const std::string& name, int index) {
    NetlinkMessage message{RTM_NEWLINK, create};
    message.fixed(link_info(index, IFF_UP));
    message.attribute(IFLA_IFNAME, name);
    const auto info = message.open(IFLA_LINKINFO);
    message.attribute(IFLA_INFO_KIND, "bridge");
    const auto data = message.open(IFLA_INFO_DATA);
    message.attribute(IFLA_BR_FORWARD_DELAY, std::uint32_t{0});
    message.attribute(IFLA_BR_MCAST_SNOOPING, std::uint8_t{0});  // without a querier it would lose groups after minutes
    message.close(data);
    message.close(info);
    netlink_.request(std::move(message), "create the switch " + name);
}

void Links::add_veth(const std::string& name, int index, int bridge, const Peer& peer) {
    NetlinkMessage message{RTM_NEWLINK, create};
    message.fixed(link_info(index, IFF_UP));
    message.attribute(IFLA_IFNAME, name);
    message.attribute(IFLA_MASTER, bridge);
    const auto info = message.open(IFLA_LINKINFO);
    message.attribute(IFLA_INFO_KIND, "veth");
    const auto data = message.open(IFLA_INFO_DATA);
    const auto other = message.open(VETH_INFO_PEER);
    message.fixed(link_info(peer.index));
    message.attribute(IFLA_IFNAME, peer.name);
    message.attribute(IFLA_NET_NS_FD, peer.place->fd());
    message.close(other);
    message.close(data);
    message.close(info);
    netlink_.request(std::move(message), "create the link " + peer.name);
}

void Links::add_macvlan(int card, const Peer& peer) {
    NetlinkMessage message{RTM_NEWLINK, create};
    message.fixed(link_info(peer.index));
    message.attribute(IFLA_IFNAME, peer.name);
    message.attribute(IFLA_LINK, card);
    message.attribute(IFLA_NET_NS_FD, peer.place->fd());
    const auto info = message.open(IFLA_LINKINFO);
    message.attribute(IFLA_INFO_KIND, "macvlan");
    const auto data = message.open(IFLA_INFO_DATA);
    message.attribute(IFLA_MACVLAN_MODE, std::uint32_t{MACVLAN_MODE_BRIDGE});
    message.close(data);
    message.close(info);
    netlink_.request(std::move(message), "create a macvlan for " + peer.name);
}

Links::About Links::about(int index) {
    NetlinkMessage message{RTM_GETLINK, 0};
    message.fixed(link_info(0));
    About about;
    netlink_.dump(std::move(message), "list the links", [&](std::span<const std::byte> link) {
        const auto info = from_bytes<ifinfomsg>(link.subspan(NLMSG_HDRLEN));
        if (info.ifi_index != index) return;
        bool elsewhere = false;
        netlink_attributes(link.subspan(NLMSG_HDRLEN + sizeof info), [&](std::uint16_t type, std::span<const std::byte> value) {
            if (type == IFLA_MASTER) about.master = from_bytes<int>(value);
            if (type == IFLA_LINK) about.peer = from_bytes<int>(value);
            if (type == IFLA_LINK_NETNSID) elsewhere = true;
        });
        if (elsewhere) about.peer = 0;
    });
    return about;
}

void Links::up(int index, const std::string& name) {
    NetlinkMessage message{RTM_NEWLINK, 0};
    message.fixed(link_info(index, IFF_UP));
    netlink_.request(std::move(message), "bring up the link " + name);
}

void Links::down(int index, const std::string& name) {
    NetlinkMessage message{RTM_NEWLINK, 0};
    auto info = link_info(index, 0);
    info.ifi_change = IFF_UP;
    message.fixed(info);
    netlink_.request(std::move(message), "take down the link " + name);
}

void Links::address(int index, scenario::Ipv4 address, const scenario::Subnet& subnet) {
    NetlinkMessage message{RTM_NEWADDR, create};
    ifaddrmsg fixed{};
    fixed.ifa_family = AF_INET;
    fixed.ifa_prefixlen = static_cast<std::uint8_t>(subnet.prefix);
    fixed.ifa_index = static_cast<unsigned>(index);
    message.fixed(fixed);
    message.attribute(IFA_LOCAL, htonl(address.value));
    message.attribute(IFA_ADDRESS, htonl(address.value));
    if (subnet.prefix < 31) message.attribute(IFA_BROADCAST, htonl(subnet.broadcast().value));
    netlink_.request(std::move(message), "set the address " + address.text());
}

namespace {

NetlinkMessage new_route(const scenario::Subnet& to, unsigned char type, unsigned char scope = RT_SCOPE_UNIVERSE) {
    NetlinkMessage message{RTM_NEWROUTE, create};
    rtmsg fixed{};
    fixed.rtm_family = AF_INET;
    fixed.rtm_table = RT_TABLE_MAIN;
    fixed.rtm_protocol = RTPROT_STATIC;
    fixed.rtm_scope = scope;
    fixed.rtm_type = type;
    fixed.rtm_dst_len = static_cast<unsigned char>(to.prefix);
    message.fixed(fixed);
    if (to.prefix > 0) message.attribute(RTA_DST, htonl(to.network.value));
    return message;
}

}  // namespace

void Links::default_route(scenario::Ipv4 gateway) { route({{}, 0}, gateway); }

void Links::route(const scenario::Subnet& to, scenario::Ipv4 gateway) {
    auto message = new_route(to, RTN_UNICAST);
    message.attribute(RTA_GATEWAY, htonl(gateway.value));
    netlink_.request(std::move(message), "set the route to " + to.text() + " via " + gateway.text());
}

void Links::no_route(const scenario::Subnet& to) {
    netlink_.request(new_route(to, RTN_UNREACHABLE), "take away the route to " + to.text());
}

void Links::on_link(scenario::Ipv4 address, int index) {
    auto message = new_route({address, 32}, RTN_UNICAST, RT_SCOPE_LINK);
    message.attribute(RTA_OIF, index);
    netlink_.request(std::move(message), "set the route to " + address.text());
}

void Links::default_route_out(int index) {
    auto message = new_route({{}, 0}, RTN_UNICAST, RT_SCOPE_LINK);
    message.attribute(RTA_OIF, index);
    netlink_.request(std::move(message), "set the default route");
}

void Links::up_without_arp(int index, const std::string& name) {
    NetlinkMessage message{RTM_NEWLINK, 0};
    message.fixed(link_info(index, IFF_UP | IFF_NOARP));
    netlink_.request(std::move(message), "bring up the interface " + name);
}

namespace {
constexpr std::array<std::byte, 6> nobody{std::byte{0x02}, std::byte{0x00}, std::byte{0x5E},
                                          std::byte{0x00}, std::byte{0x53}, std::byte{0x01}};
}

void Links::neighbour(int index, scenario::Ipv4 address) {
    NetlinkMessage message{RTM_NEWNEIGH, create};
    ndmsg fixed{};
    fixed.ndm_family = AF_INET;
    fixed.ndm_ifindex = index;
    fixed.ndm_state = NUD_PERMANENT;
    message.fixed(fixed);
    message.attribute(NDA_DST, htonl(address.value));
    message.attribute(NDA_LLADDR, std::span<const std::byte>{nobody});
    netlink_.request(std::move(message), "name the next router " + address.text());
}

void Links::swallow(int port) {
    NetlinkMessage message{RTM_NEWNEIGH, create};
    ndmsg fixed{};
    fixed.ndm_family = AF_BRIDGE;
    fixed.ndm_ifindex = port;
    fixed.ndm_state = NUD_NOARP;
    fixed.ndm_flags = NTF_MASTER;
    message.fixed(fixed);
    message.attribute(NDA_LLADDR, std::span<const std::byte>{nobody});
    netlink_.request(std::move(message), "keep from a port of the switch what is for nobody");
}

void Links::forward(int index, const std::string& name) {
    NetlinkMessage message{RTM_SETLINK, 0};
    message.fixed(link_info(index));
    const auto families = message.open(IFLA_AF_SPEC);
    const auto inet = message.open(AF_INET);
    const auto settings = message.open(IFLA_INET_CONF);
    message.attribute(IPV4_DEVCONF_FORWARDING, std::uint32_t{1});
    message.attribute(IPV4_DEVCONF_RP_FILTER, std::uint32_t{0});
    message.attribute(IPV4_DEVCONF_SEND_REDIRECTS, std::uint32_t{0});
    message.close(settings);
    message.close(inet);
    message.close(families);
    netlink_.request(std::move(message), "switch on forwarding for " + name);
}

void Links::no_ipv6(int index) {
    NetlinkMessage message{RTM_SETLINK, 0};
    message.fixed(link_info(index));
    const auto families = message.open(IFLA_AF_SPEC);
    const auto inet6 = message.open(AF_INET6);
    message.attribute(inet6_addr_gen_mode, addr_gen_mode_none);
    message.close(inet6);
    message.close(families);
    netlink_.request(std::move(message), "switch off IPv6 addresses");
}

void Links::no_multicast(int port) {
    NetlinkMessage message{RTM_NEWLINK, 0};
    message.fixed(link_info(port));
    const auto info = message.open(IFLA_LINKINFO);
    message.attribute(IFLA_INFO_SLAVE_KIND, "bridge");
    const auto data = message.open(IFLA_INFO_SLAVE_DATA);
    message.attribute(IFLA_BRPORT_MCAST_FLOOD, std::uint8_t{0});
    message.close(data);
    message.close(info);
    netlink_.request(std::move(message), "keep multicast from a port of the switch");
}

bool Links::ready() {
    NetlinkMessage message{RTM_GETLINK, 0};
    message.fixed(link_info(0));
    bool all_ready = true;
    netlink_.dump(std::move(message), "list the links", [&](std::span<const std::byte> link) {
        const auto info = from_bytes<ifinfomsg>(link.subspan(NLMSG_HDRLEN));
        bool cable = false;
        std::uint8_t carrier = 0, port = BR_STATE_FORWARDING;
        netlink_attributes(link.subspan(NLMSG_HDRLEN + sizeof info), [&](std::uint16_t type, std::span<const std::byte> value) {
            if (type == IFLA_OPERSTATE) carrier = from_bytes<std::uint8_t>(value);
            if (type != IFLA_LINKINFO) return;
            netlink_attributes(value, [&](std::uint16_t part, std::span<const std::byte> inner) {
                if (part == IFLA_INFO_KIND)
                    cable = std::string_view{reinterpret_cast<const char*>(inner.data()), inner.size()}.starts_with(
                                "veth") ||
                            std::string_view{reinterpret_cast<const char*>(inner.data()), inner.size()}.starts_with(
                                "macvlan");
                if (part != IFLA_INFO_SLAVE_DATA) return;
                netlink_attributes(inner, [&](std::uint16_t setting, std::span<const std::byte> state) {
                    if (setting == IFLA_BRPORT_STATE) port = from_bytes<std::uint8_t>(state);
                });
            });
        });
        // Before its carrier is announced a cable drops every packet. The bridge itself is announced up to a second
        // later, which matters to nobody.
        if (cable && (carrier != operstate_up || port != BR_STATE_FORWARDING)) all_ready = false;
    });
    return all_ready;
}

void forget_connections(const Namespace& place) {
    NetlinkMessage message{(NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE, 0};
    nfgenmsg fixed{};
    fixed.nfgen_family = AF_UNSPEC;
    fixed.version = NFNETLINK_V0;
    message.fixed(fixed);
    Netlink{place, NETLINK_NETFILTER}.request(std::move(message), "empty connection tracking");
}

}  // namespace wmlab::lab
