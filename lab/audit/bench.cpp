#include "lab/audit/bench.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <spdlog/fmt/fmt.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>

#include "common/scenario/boxes.hpp"
#include "lab/audit/markers.hpp"
#include "lab/firewall/kernel_rules.hpp"
#include "lab/firewall/loading.hpp"
#include "lab/firewall/settling.hpp"
#include "lab/host/error.hpp"
#include "lab/host/interruption.hpp"
#include "lab/network/netlink.hpp"
#include "lab/network/network.hpp"
#include "lab/rules/deciders.hpp"
#include "lab/rules/one_of.hpp"
#include "lab/rules/trace.hpp"

namespace wmlab::lab {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t batch = 32, datagram_max = 2048;
constexpr auto marker_limit = 1s;
constexpr unsigned tries_max = 3;
constexpr std::array<std::uint8_t, 16> protocols_heard{1, 2, 4, 6, 17, 33, 41, 47, 50, 51, 58, 89, 115, 132, 136, 253};

bool write_setting(const char* path, const char* value) {
    const Descriptor file{::open(path, O_WRONLY | O_CLOEXEC)};
    return file && ::write(file.get(), value, std::strlen(value)) > 0;
}

// Scenario hosts are not needed here, one place on each wire is.
scenario::Scenario wires_of(const scenario::Scenario& given) {
    auto scenario = scenario::by_itself(given);
    scenario.hosts.clear();
    scenario.flows.clear();
    for (const auto& zone : scenario.zones) {
        for (auto value = zone.subnet.broadcast().value - 1; zone.subnet.contains({value}); --value) {
            if (value == zone.gateway.value || value == zone.subnet.network.value) continue;
            scenario::Host host;
            host.name = "wire-" + zone.name, host.zone = zone.name, host.address = {value};
            scenario.hosts.push_back(std::move(host));
            break;
        }
    }
    return scenario;
}

std::array<std::uint8_t, 6> hardware_of(const Namespace& place, const std::string& interface, int& index) {
    const Entered inside{place};
    const Descriptor control{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ifreq request{};
    interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
    index = static_cast<int>(::if_nametoindex(interface.c_str()));
    if (::ioctl(control.get(), SIOCGIFHWADDR, &request) < 0)
        throw setup_failed("read the hardware address of " + interface, errno);
    std::array<std::uint8_t, 6> address{};
    std::memcpy(address.data(), request.ifr_hwaddr.sa_data, 6);
    return address;
}

// Nobody is asked for hardware addresses: packets for hosts that the lab does not have come out too.
void ask_nobody(const std::string& interface) {
    const Descriptor control{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ifreq request{};
    interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
    if (::ioctl(control.get(), SIOCGIFFLAGS, &request) < 0) throw setup_failed("read the flags of " + interface, errno);
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_NOARP);
    if (::ioctl(control.get(), SIOCSIFFLAGS, &request) < 0)
        throw setup_failed("switch address resolution off at " + interface, errno);
}

constexpr std::string_view ask_table =
    "table inet wmlab_trace {\n"
    " chain pre {\n  type filter hook prerouting priority -2147483648; policy accept;\n  meta nftrace set 1\n }\n"
    " chain out {\n  type filter hook output priority -2147483648; policy accept;\n  meta nftrace set 1\n }\n"
    " chain in {\n  type filter hook input priority 2147483647; policy accept;\n }\n"
    " chain post {\n  type filter hook postrouting priority 2147483647; policy accept;\n }\n"
    "}\n";

}  // namespace

RuleRef reference(const rules::Rule& rule) {
    if (rule.place) return {rule.place->file, rule.place->line, rule.place->text, rule.chain.text()};
    return {"", 0, rule.text, rule.chain.text()};
}

struct Bench::Parts {
    scenario::Scenario scenario;
    std::filesystem::path file;
    Network network;
    rules::Dialect dialect = rules::Dialect::nft;
    rules::Ruleset ruleset;
    rules::PastRules past;
    std::optional<std::map<std::pair<rules::ChainName, std::uint64_t>, std::uint64_t>> handles_now;
    std::string listing;
    bool v6 = false, traced = false;
    struct Wire {
        Descriptor sender;
        std::array<std::uint8_t, 6> mine{}, firewalls{};
        int index = 0, firewalls_index = 0;
    };
    std::vector<std::size_t> on_wire_of;  // by zone
    std::vector<Wire> wires;              // by zone; empty: on_wire_of says whose it is
    Descriptor seen, own4, own6, trace;
    std::vector<Descriptor> heard;  // raw sockets of the firewall: what reaches it; by protocol, IPv4 then IPv6
    std::vector<std::pair<std::uint8_t, bool>> heard_as;
    std::vector<std::array<std::uint8_t, datagram_max>> buffers{4 * batch};
    std::uint32_t run = 0;

    Parts(const scenario::Scenario& given, std::filesystem::path rules_file)
        : scenario{given}, file{std::move(rules_file)}, network{wires_of(given)} {
        const auto& firewall = network.firewall();
        if (!file.empty()) dialect = load_ruleset(firewall, file);
        const Entered inside{firewall};
        v6 = switch_v6_on();
        for (const auto& zone : scenario.zones) {
            on_wire_of.push_back(whose_wire(zone));
            auto& wire = wires.emplace_back();
            if (!scenario::own_address(scenario, zone)) continue;
            const auto& place = network.host("wire-" + zone.name);
            ask_nobody(zone.interface);
            wire.firewalls = hardware_of(firewall, zone.interface, wire.firewalls_index);
            wire.mine = hardware_of(place, host_interface, wire.index);
            if (scenario::own_address(scenario, zone) == zone.gateway)
                for (const auto address : scenario.published_in(zone)) Links{firewall}.address(wire.firewalls_index, address, {address, 32});
            const Entered there{place};
            wire.sender = Descriptor{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)};
            if (!wire.sender) throw setup_failed("open a packet socket on the wire of " + zone.name, errno);
        }
        for (std::size_t z = 0; z < wires.size(); ++z)
            if (on_wire_of[z] != z) route(z, scenario.zones[z].subnet);
        if (v6) addresses_v6();
        listen();
        read_rules();
    }

    // A zone that is behind another firewall is reached by the interface towards that one.
    std::size_t whose_wire(const scenario::Zone& zone) const {
        const auto by = std::ranges::find_if(
            scenario.zones, [&](const scenario::Zone& near) { return near.interface == zone.interface && scenario::own_address(scenario, near).has_value(); });
        if (scenario::own_address(scenario, zone) || by == scenario.zones.end()) return wires.size();
        return static_cast<std::size_t>(by - scenario.zones.begin());
    }
    const Wire& wire(std::size_t zone) const { return wires[on_wire_of[zone]]; }

    void read_rules() {
        if (file.empty()) return;
        ruleset = read_ruleset(network.firewall(), file);
        listing = list_rules(network.firewall());
        past = lab::past_rules(network.firewall(), dialect);
    }

    std::vector<std::size_t> settle(const std::function<rules::Past(std::size_t)>& of) {
        if (past.rules().empty()) return {};
        const auto& firewall = network.firewall();
        load_rules(firewall, "flush ruleset");
        load_ruleset(firewall, file);
        traced = false, handles_now.reset();
        network.forget_connections();
        std::vector<rules::Past> pasts;
        for (std::size_t i = 0; i < past.rules().size(); ++i) pasts.push_back(of ? of(i) : rules::Past::nothing);
        return settle_rules(firewall, dialect, lab::past_rules(firewall, dialect), pasts);  // with the handles that they have now
    }

    // Rules that are loaded again may have other handles than those of `ruleset`, and have the same places.
    void listen_to_trace();  // of everything that comes, from the first time on
    std::uint64_t handle_read(const rules::ChainName& chain, std::uint64_t handle) {
        if (past.rules().empty()) return handle;
        if (!handles_now) {
            handles_now.emplace();
            const auto now = rules::Ruleset::parse(running_json(network.firewall()), {}, {});
            for (const auto& [name, was] : ruleset.chains())
                if (const auto* is = now.chain(name); is && is->rules.size() == was.rules.size())
                    for (std::size_t i = 0; i < was.rules.size(); ++i)
                        (*handles_now)[{name, now.rules()[is->rules[i]].handle}] = ruleset.rules()[was.rules[i]].handle;
        }
        const auto found = handles_now->find({chain, handle});
        return found == handles_now->end() ? handle : found->second;
    }

    bool switch_v6_on() const {
        const bool on = write_setting("/proc/sys/net/ipv6/conf/all/disable_ipv6", "0");
        write_setting("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0");
        write_setting("/proc/sys/net/ipv6/icmp/ratelimit", "0");
        return write_setting("/proc/sys/net/ipv6/conf/all/forwarding", "1") && on;
    }

    void addresses_v6() {
        Netlink netlink{network.firewall(), NETLINK_ROUTE};
        for (std::size_t i = 0; i < wires.size(); ++i) {
            const auto address = twin(scenario::own_address(scenario, scenario.zones[i]).value_or(scenario.zones[i].gateway), i).bytes();
            NetlinkMessage message{RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE};
            ifaddrmsg fixed{};
            fixed.ifa_family = AF_INET6, fixed.ifa_prefixlen = 64, fixed.ifa_flags = IFA_F_NODAD;
            fixed.ifa_index = static_cast<unsigned>(wire(i).firewalls_index);
            message.fixed(fixed);
            message.attribute(IFA_LOCAL, std::as_bytes(std::span{address}));
            message.attribute(IFA_ADDRESS, std::as_bytes(std::span{address}));
            netlink.request(std::move(message), "give the firewall an IPv6 address");
        }
    }

    Address twin(scenario::Ipv4 address, std::size_t zone) const {
        Address made;
        made.v6 = true;
        made.value = (Wide{0xFD57'6D6C'6162'0000u + zone} << 64) | (Wide{1} << 32) | address.value;
        return made;
    }

    // Out on the wire of this zone. Without a network: of all that has no other.
    void route(std::size_t zone, std::optional<scenario::Subnet> to = std::nullopt) {
        Netlink netlink{network.firewall(), NETLINK_ROUTE};
        for (const auto family : {AF_INET, AF_INET6}) {
            if (family == AF_INET6 && (!v6 || to)) continue;
            NetlinkMessage message{RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE};
            rtmsg fixed{};
            fixed.rtm_family = static_cast<unsigned char>(family);
            fixed.rtm_table = RT_TABLE_MAIN, fixed.rtm_protocol = RTPROT_STATIC, fixed.rtm_type = RTN_UNICAST;
            fixed.rtm_scope = family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
            if (to) fixed.rtm_dst_len = static_cast<unsigned char>(to->prefix);
            message.fixed(fixed);
            if (to) message.attribute(RTA_DST, htonl(to->network.value));
            message.attribute(RTA_OIF, static_cast<std::uint32_t>(wire(zone).firewalls_index));
            netlink.request(std::move(message), "set a route towards " + scenario.zones[zone].name);
        }
    }

    void listen() {
        seen = Descriptor{::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
        if (!seen) throw setup_failed("open a packet socket at the firewall", errno);
        constexpr auto ancillary = static_cast<std::uint32_t>(SKF_AD_OFF);
        std::array<sock_filter, 6> code = {{
            {BPF_LD | BPF_H | BPF_ABS, 0, 0, ancillary + SKF_AD_PROTOCOL},
            {BPF_JMP | BPF_JEQ | BPF_K, 2, 0, marker_protocol},
            {BPF_LD | BPF_B | BPF_ABS, 0, 0, ancillary + SKF_AD_PKTTYPE},
            {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PACKET_OUTGOING},
            {BPF_RET | BPF_K, 0, 0, datagram_max},
            {BPF_RET | BPF_K, 0, 0, 0},
        }};
        const sock_fprog program{code.size(), code.data()};
        const int room = 8 * 1024 * 1024;
        if (::setsockopt(seen.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
            throw setup_failed("filter the firewall's packet socket", errno);
        if (::setsockopt(seen.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0)
            ::setsockopt(seen.get(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
        sockaddr_ll address{};
        address.sll_family = AF_PACKET, address.sll_protocol = htons(ETH_P_ALL);
        if (::bind(seen.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
            throw setup_failed("bind the firewall's packet socket", errno);
        for (const bool six : {false, true}) {
            if (six && !v6) continue;
            for (const auto protocol : protocols_heard) {
                Descriptor raw{
                    ::socket(six ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, int{protocol})};
                if (!raw) continue;
                heard.push_back(std::move(raw)), heard_as.push_back({protocol, six});
            }
            auto& own = six ? own6 : own4;
            own = Descriptor{::socket(six ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)};
        }
    }

    void put(const Crafted& packet, const std::vector<std::uint8_t>& bytes) {
        if (packet.zone == firewall_itself) {
            const auto address = packet.destination.bytes();
            if (packet.destination.v6) {
                sockaddr_in6 to{};
                to.sin6_family = AF_INET6;
                std::memcpy(&to.sin6_addr, address.data(), 16);
                ::sendto(own6.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
            } else {
                sockaddr_in to{};
                to.sin_family = AF_INET;
                std::memcpy(&to.sin_addr, address.data(), 4);
                ::sendto(own4.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
            }
            return;
        }
        send_frame(packet.zone, packet.destination.v6 ? ETH_P_IPV6 : ETH_P_IP, bytes, std::nullopt);
    }

    void send_frame(std::size_t zone, std::uint16_t type, const std::vector<std::uint8_t>& bytes,
                    std::optional<std::uint64_t> hardware) {
        const auto& wire = this->wire(zone);
        std::array<std::uint8_t, 14> head{};
        std::copy_n(wire.firewalls.begin(), 6, head.begin());
        std::copy_n(wire.mine.begin(), 6, head.begin() + 6);
        if (hardware)
            for (unsigned i = 0; i < 6; ++i) head[6 + i] = static_cast<std::uint8_t>(*hardware >> (8 * (5 - i)));
        head[12] = static_cast<std::uint8_t>(type >> 8), head[13] = static_cast<std::uint8_t>(type);
        std::array<iovec, 2> parts{iovec{head.data(), head.size()},
                                   iovec{const_cast<std::uint8_t*>(bytes.data()), bytes.size()}};
        sockaddr_ll to{};
        to.sll_family = AF_PACKET, to.sll_ifindex = wire.index, to.sll_halen = 6;
        std::memcpy(to.sll_addr, wire.firewalls.data(), 6);
        msghdr message{};
        message.msg_name = &to, message.msg_namelen = sizeof to;
        message.msg_iov = parts.data(), message.msg_iovlen = parts.size();
        while (::sendmsg(wire.sender.get(), &message, 0) < 0 && (errno == ENOBUFS || errno == EINTR)) {
        }
    }

    // What goes out of this interface is for the zone of the wire, or for one behind it that has the address.
    std::uint8_t zone_of(int index, const Address& destination) const {
        auto own = firewall_itself;
        for (std::size_t i = 0; i < wires.size(); ++i) {
            if (wire(i).firewalls_index != index) continue;
            if (on_wire_of[i] == i) own = static_cast<std::uint8_t>(i);
            const auto& subnet = scenario.zones[i].subnet;
            const bool its = destination.v6 ? destination.value >> 64 == twin({}, i).value >> 64
                                            : subnet.contains(scenario::Ipv4{static_cast<std::uint32_t>(destination.value)});
            if (on_wire_of[i] != i && its) return static_cast<std::uint8_t>(i);
        }
        return own;
    }

    // Reads all there is. True: the marker was among it.
    bool read_seen(std::uint32_t base, std::span<const Crafted> sent, std::span<Outcome> outcomes, std::uint32_t marker) {
        bool marked = false;
        std::array<iovec, 4 * batch> parts;
        std::array<sockaddr_ll, 4 * batch> from;
        std::array<mmsghdr, 4 * batch> messages{};
        for (;;) {
            for (std::size_t i = 0; i < messages.size(); ++i) {
                parts[i] = {buffers[i].data(), datagram_max};
                messages[i].msg_hdr = {};
                messages[i].msg_hdr.msg_name = &from[i], messages[i].msg_hdr.msg_namelen = sizeof from[i];
                messages[i].msg_hdr.msg_iov = &parts[i], messages[i].msg_hdr.msg_iovlen = 1;
            }
            const auto count = ::recvmmsg(seen.get(), messages.data(), messages.size(), MSG_DONTWAIT, nullptr);
            if (count <= 0) return marked;
            for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
                const std::span<const std::uint8_t> bytes{buffers[i].data(), messages[i].msg_len};
                if (from[i].sll_protocol == htons(marker_protocol)) {
                    std::uint32_t token = 0;
                    if (bytes.size() >= 4) std::memcpy(&token, bytes.data(), 4);
                    marked = marked || (token == marker && from[i].sll_pkttype != PACKET_OUTGOING);
                    continue;
                }
                const auto packet = sighted(bytes);
                if (!packet || packet->nonce - base >= outcomes.size()) continue;
                const auto& wanted = sent[packet->nonce - base];  // and no answer of the firewall's to it
                if (packet->protocol != wanted.protocol || packet->type != wanted.type) continue;
                if (packet->protocol == tcp_number && packet->source == wanted.destination && packet->destination == wanted.source) continue;
                const auto zone = zone_of(from[i].sll_ifindex, packet->destination);
                if (zone == firewall_itself) continue;
                outcomes[packet->nonce - base] = {Outcome::End::forwarded, zone, packet->destination,
                                                  packet->destination_port};
            }
        }
    }

    void read_heard(std::uint32_t base, std::span<Outcome> outcomes) {
        auto& buffer = buffers.front();
        for (std::size_t i = 0; i < heard.size(); ++i)
            for (;;) {
                const auto size = ::recv(heard[i].get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
                if (size <= 0) break;
                std::span<const std::uint8_t> bytes{buffer.data(), static_cast<std::size_t>(size)};
                if (!heard_as[i].second) bytes = bytes.subspan(std::min<std::size_t>(bytes.size(), (bytes[0] & 0xFu) * 4u));
                const auto nonce = nonce_behind(heard_as[i].first, bytes);
                if (!nonce || *nonce - base >= outcomes.size()) continue;
                auto& outcome = outcomes[*nonce - base];
                if (outcome.end == Outcome::End::forwarded) continue;
                outcome.end = Outcome::End::local;
                if (has_ports(heard_as[i].first) && bytes.size() >= 4) outcome.port = static_cast<std::uint16_t>(bytes[2] << 8 | bytes[3]);
            }
    }

    std::uint32_t first_nonce() const { return run * 0x9E3779B1u & 0x7FFFFFFFu; }  // of the last batch

    bool send_batch(std::span<const Crafted> packets, std::span<const Shape> shapes, std::span<Outcome> outcomes) {
        std::ranges::fill(outcomes, Outcome{Outcome::End::stopped, 0, {}, 0});
        run += 0x10001;
        const auto base = first_nonce();
        for (std::size_t i = 0; i < packets.size(); ++i) {
            const auto& shape = shapes[packets[i].shape];
            const auto bytes = craft(packets[i], shape, base + static_cast<std::uint32_t>(i));
            if (packets[i].zone != firewall_itself && shape.hardware_source)
                send_frame(packets[i].zone, packets[i].destination.v6 ? ETH_P_IPV6 : ETH_P_IP, bytes, shape.hardware_source);
            else
                put(packets[i], bytes);
        }
        const auto marker = base ^ 0x55AA55AAu;
        std::vector<std::uint8_t> token(46);
        std::memcpy(token.data(), &marker, 4);
        const auto zone = packets.front().zone == firewall_itself ? std::size_t{0} : packets.front().zone;
        send_frame(zone, marker_protocol, token, std::nullopt);
        const auto deadline = Clock::now() + marker_limit;
        while (!read_seen(base, packets, outcomes, marker)) {
            if (Clock::now() > deadline) return false;
            pollfd wait{seen.get(), POLLIN, 0};
            ::poll(&wait, 1, 10);
        }
        read_heard(base, outcomes);
        tpacket_stats stats{};
        socklen_t size = sizeof stats;
        return ::getsockopt(seen.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0 && stats.tp_drops == 0;
    }
};

Bench::Bench(const scenario::Scenario& scenario, const std::filesystem::path& ruleset)
    : parts_{std::make_unique<Parts>(scenario, ruleset)} {}
Bench::~Bench() = default;

const rules::Ruleset& Bench::ruleset() const { return parts_->ruleset; }
const std::string& Bench::listing() const { return parts_->listing; }
bool Bench::has_v6() const { return parts_->v6; }
Address Bench::twin(scenario::Ipv4 address, std::size_t zone) const { return parts_->twin(address, zone); }
std::size_t Bench::wire_of(std::size_t zone) const { return parts_->on_wire_of[zone]; }
void Bench::strangers_behind(std::size_t zone) { parts_->route(zone); }
void Bench::forget() { parts_->network.forget_connections(); }

const std::vector<rules::PastRule>& Bench::past_rules() const { return parts_->past.rules(); }
const rules::Rule* Bench::rule_of(const rules::PastRule& past) const {
    const auto* chain = parts_->ruleset.chain(past.chain);
    return chain && past.position < chain->rules.size() ? &parts_->ruleset.rules()[chain->rules[past.position]] : nullptr;
}

std::vector<std::size_t> Bench::settle(const std::function<rules::Past(std::size_t)>& past) {
    Interruptions::check();
    return parts_->settle(past);
}

namespace {

// All of a batch goes through one processor's queue, in its order.
class Pinned {
public:
    Pinned() {
        CPU_ZERO(&allowed_);
        if (::sched_getaffinity(0, sizeof allowed_, &allowed_) != 0) return;
        cpu_set_t one;
        CPU_ZERO(&one);
        const auto here = ::sched_getcpu();
        if (here < 0 || !CPU_ISSET(here, &allowed_)) return;
        CPU_SET(here, &one);
        pinned_ = ::sched_setaffinity(0, sizeof one, &one) == 0;
    }
    ~Pinned() {
        if (pinned_) ::sched_setaffinity(0, sizeof allowed_, &allowed_);
    }
    Pinned(const Pinned&) = delete;
    Pinned& operator=(const Pinned&) = delete;

private:
    cpu_set_t allowed_{};
    bool pinned_ = false;
};

}  // namespace

void Bench::send(std::span<const Crafted> packets, std::span<const Shape> shapes, std::vector<Outcome>& outcomes) {
    const Pinned pinned;
    outcomes.assign(packets.size(), {});
    for (std::size_t at = 0; at < packets.size();) {
        Interruptions::check();
        std::size_t count = 1;  // of one zone: one wire, one order
        while (count < batch && at + count < packets.size() && packets[at + count].zone == packets[at].zone) ++count;
        const auto part = std::span{outcomes}.subspan(at, count);
        unsigned tries = 0;
        while (!parts_->send_batch(packets.subspan(at, count), shapes, part))
            if (++tries == tries_max) {
                for (auto& outcome : part)
                    if (!outcome.open()) outcome = {};
                break;
            }
        at += count;
    }
}

namespace {

// Everything that has been traced and not read yet.
template <class Each>
void read_trace(const Descriptor& trace, const Each& each) {
    std::vector<std::byte> buffer(64 * 1024);
    for (;;) {
        const auto size = ::recv(trace.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (size < 0 && (errno == ENOBUFS || errno == EINTR)) continue;  // many packets since the last ask: there are more to read
        if (size <= 0) return;
        std::span<const std::byte> rest{buffer.data(), static_cast<std::size_t>(size)};
        while (rest.size() >= NLMSG_HDRLEN) {
            std::uint32_t length;
            std::memcpy(&length, rest.data(), sizeof length);
            if (length < NLMSG_HDRLEN || length > rest.size()) break;
            if (const auto message = rules::parse_trace(rest.first(length))) each(*message);
            rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(length), rest.size()));
        }
    }
}

RuleRef referred(const rules::Ruleset& ruleset, const rules::Decision& decision, const rules::Decision::Step& step) {
    if (const auto* rule = step.handle != 0 ? rules::rule_of(ruleset, decision, step) : nullptr) return reference(*rule);
    const auto* chain = ruleset.chain(step.chain);
    if (chain && chain->policy && step.handle == 0) return {chain->policy->file, chain->policy->line, chain->policy->text, step.chain.text()};
    return {"", 0, chain && chain->policy_drop ? "policy drop" : "policy accept", step.chain.text()};
}

// What a packet that met `hook` was accepted, translated and ended by.
Reasons reasons_of(const rules::Ruleset& ruleset, const rules::Decision& decision, std::string_view hook) {
    Reasons reasons;
    const rules::Decision::Step* decider = nullptr;
    bool filtering = false;
    for (const auto& step : decision.steps) {
        const auto* chain = ruleset.chain(step.chain);
        if (chain && !chain->hook.empty()) filtering = chain->hook == hook && chain->type != "nat";
        if (filtering && step.accepts && (step.handle != 0 || !decider || decider->handle == 0)) decider = &step;
        if (chain && chain->type == "nat" && step.handle != 0 && (chain->hook == "prerouting" || chain->hook == "output"))
            reasons.translates = referred(ruleset, decision, step);
        if (step.handle != 0) reasons.rules.push_back({step.chain, step.handle});
    }
    // A chain that is jumped to from nat has no type of its own: the rule itself tells.
    if (!reasons.translates)
        for (const auto& step : decision.steps)
            if (const auto* rule = step.handle != 0 ? ruleset.rule(step.chain, step.handle) : nullptr)
                if (rules::leads_elsewhere(*rule)) reasons.translates = reference(*rule);
    if (decider) reasons.accepts = referred(ruleset, decision, *decider);
    if (!decision.steps.empty()) reasons.last = referred(ruleset, decision, decision.steps.back());
    return reasons;
}

}  // namespace

void Bench::Parts::listen_to_trace() {
    if (!traced) {
        load_rules(network.firewall(), std::string{ask_table});
        traced = true;
    }
    if (trace) return;
    const Entered inside{network.firewall()};
    trace = Descriptor{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER)};
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    const int group = NFNLGRP_NFTRACE;
    if (!trace || ::bind(trace.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ||
        ::setsockopt(trace.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
        throw setup_failed("listen to the kernel's trace", errno);
}

Reasons Bench::ask(const Crafted& packet, std::span<const Shape> shapes) {
    Interruptions::check();
    auto& parts = *parts_;
    const Pinned pinned;
    parts.listen_to_trace();
    read_trace(parts.trace, [](const rules::TraceMessage&) {});
    std::array<Outcome, 1> outcome;
    parts.send_batch(std::span{&packet, 1}, shapes, outcome);
    // The first packet that came in where ours did, or that the firewall sent as ours; answers come after it.
    const auto in = packet.zone == firewall_itself ? 0u : static_cast<unsigned>(parts.wire(packet.zone).firewalls_index);
    const bool known_id = !packet.destination.v6 && !shapes[packet.shape].id;
    std::optional<std::uint32_t> id;
    rules::Decision decision;
    read_trace(parts.trace, [&](const rules::TraceMessage& message) {
        using Type = rules::TraceMessage::Type;
        if (!id && message.in == in && (!known_id || !message.packet || message.ip_id == (parts.first_nonce() & 0xFFFF))) id = message.id;
        if (!id || message.id != *id || message.chain.table == rules::trace_table_name) return;
        const bool accepts = message.verdict == rules::TraceMessage::Verdict::accept;
        if (message.type == Type::rule && message.handle != 0)
            decision.steps.push_back({message.chain, parts.handle_read(message.chain, message.handle), accepts, message.verdict, message.target});
        else if (message.type == Type::policy)
            decision.steps.push_back({message.chain, 0, accepts, message.verdict, {}});
    });
    const bool local = outcome[0].end == Outcome::End::local;
    auto reasons = reasons_of(parts.ruleset, decision, packet.zone == firewall_itself ? "output" : local ? "input" : "forward");
    reasons.outcome = outcome[0];
    return reasons;
}

}  // namespace wmlab::lab
