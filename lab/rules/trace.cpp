#include "lab/rules/trace.hpp"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "common/evidence/fields.hpp"

namespace wmlab::lab::rules {
namespace {

// Newer than Debian 12's kernel headers (linux/netfilter/nf_tables.h); older kernels do not send them.
constexpr unsigned attribute_ct_direction = 19, attribute_ct_state = 21;

std::uint16_t native16(const std::byte* at) {
    std::uint16_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}
std::uint16_t big16(std::span<const std::byte> bytes, std::size_t at) {
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) << 8 |
                                      std::to_integer<unsigned>(bytes[at + 1]));
}
std::uint64_t big(std::span<const std::byte> bytes) {
    std::uint64_t value = 0;
    for (const auto byte : bytes) value = value << 8 | std::to_integer<std::uint64_t>(byte);
    return value;
}

// Calls back for each attribute; a length that lies ends the walk.
template <class Each>
void walk(std::span<const std::byte> attributes, Each each) {
    while (attributes.size() >= NLA_HDRLEN) {
        const std::size_t length = native16(attributes.data());
        const unsigned type = native16(attributes.data() + 2) & NLA_TYPE_MASK;
        if (length < NLA_HDRLEN || length > attributes.size()) return;
        each(type, attributes.subspan(NLA_HDRLEN, length - NLA_HDRLEN));
        attributes = attributes.subspan(std::min<std::size_t>(NLA_ALIGN(length), attributes.size()));
    }
}

std::string text_of(std::span<const std::byte> bytes) {
    std::string text;
    for (const auto byte : bytes) {
        if (byte == std::byte{0}) break;
        text.push_back(static_cast<char>(byte));
    }
    return text;
}

const char* family_name(unsigned family) {
    switch (family) {
        case NFPROTO_INET:
            return "inet";
        case NFPROTO_IPV4:
            return "ip";
        case NFPROTO_IPV6:
            return "ip6";
        case NFPROTO_ARP:
            return "arp";
        case NFPROTO_BRIDGE:
            return "bridge";
        case NFPROTO_NETDEV:
            return "netdev";
        default:
            return "";
    }
}

TraceMessage::Verdict verdict_of(std::int32_t code) {
    using Verdict = TraceMessage::Verdict;
    if (code > 0 && (code & NF_VERDICT_MASK) == NF_QUEUE) return Verdict::queue;  // its number stands above the mask
    switch (code) {
        case NF_DROP:
        case NF_STOLEN:  // by synproxy or fwd: it goes no further on this way
            return Verdict::drop;
        case NF_ACCEPT:
            return Verdict::accept;
        case NFT_CONTINUE:
            return Verdict::proceed;
        case NFT_JUMP:
            return Verdict::jump;
        case NFT_GOTO:
            return Verdict::go_to;
        case NFT_RETURN:
            return Verdict::returned;
        default:
            return Verdict::none;
    }
}

const char* state_name(std::uint32_t bits) {
    if (bits & 8) return "new";
    if (bits & 2) return "established";
    if (bits & 4) return "related";
    return "";
}

}  // namespace

std::string trace_table(unsigned packets_per_second) {
    const std::string mark = "meta nfproto ipv4 limit rate " + std::to_string(packets_per_second) +
                             "/second burst 2000 packets meta nftrace set 1 return\n    meta nfproto ipv4 counter name untraced\n";
    return "table inet " + std::string{trace_table_name} +
           " {\n"
           "  counter untraced {\n  }\n"
           "  chain pre {\n    type filter hook prerouting priority -2147483648; policy accept;\n    " +
           mark +
           "  }\n"
           "  chain out {\n    type filter hook output priority -2147483648; policy accept;\n    " +
           mark +
           "  }\n"
           "  chain in {\n    type filter hook input priority 2147483647; policy accept;\n  }\n"
           "  chain post {\n    type filter hook postrouting priority 2147483647; policy accept;\n  }\n"
           "}\n";
}

namespace {

bool has_hook(const Ruleset& ruleset, std::string_view hook) {
    return std::ranges::any_of(ruleset.chains(), [&](const auto& entry) { return entry.second.hook == hook; });
}

}  // namespace

bool has_egress(const Ruleset& ruleset) { return has_hook(ruleset, "egress"); }

std::string trace_edges(const Ruleset& ruleset, const std::vector<std::string>& interfaces) {
    const bool in = has_hook(ruleset, "ingress"), out = has_egress(ruleset);
    if (!in && !out) return {};
    std::string text = "table netdev " + std::string{trace_table_name} + " {\n";
    for (std::size_t i = 0; i < interfaces.size(); ++i) {
        const auto chain = [&](const std::string& hook, const std::string& priority, const std::string& rule) {
            text += "  chain " + hook + std::to_string(i) + " {\n    type filter hook " + hook + " device \"" +
                    interfaces[i] + "\" priority " + priority + "; policy accept;\n" + rule + "  }\n";
        };
        if (in) chain("ingress", "-2147483648", "    meta protocol ip meta nftrace set 1\n");
        if (out) chain("egress", "2147483647", "");
    }
    return text + "}\n";
}

namespace {

// What a message carries of the packet, and the policy: read when all of it is there.
struct Carried {
    std::span<const std::byte> network, transport;
    std::optional<std::uint32_t> policy;
};

void take_attribute(unsigned type, std::span<const std::byte> value, TraceMessage& message, Carried& carried) {
    switch (type) {
        case NFTA_TRACE_TABLE:
            message.chain.table = text_of(value);
            break;
        case NFTA_TRACE_CHAIN:
            message.chain.chain = text_of(value);
            break;
        case NFTA_TRACE_RULE_HANDLE:
            message.handle = big(value);
            break;
        case NFTA_TRACE_TYPE:
            message.type = big(value) == NFT_TRACETYPE_POLICY   ? TraceMessage::Type::policy
                           : big(value) == NFT_TRACETYPE_RETURN ? TraceMessage::Type::returned
                           : big(value) == NFT_TRACETYPE_RULE   ? TraceMessage::Type::rule
                                                                : TraceMessage::Type::other;
            break;
        case NFTA_TRACE_VERDICT:
            walk(value, [&](unsigned inner, std::span<const std::byte> data) {
                if (inner == NFTA_VERDICT_CODE && data.size() == 4) message.verdict = verdict_of(static_cast<std::int32_t>(big(data)));
                if (inner == NFTA_VERDICT_CHAIN) message.target = text_of(data);
            });
            break;
        case NFTA_TRACE_ID:
            message.id = static_cast<std::uint32_t>(big(value));
            break;
        case NFTA_TRACE_NETWORK_HEADER:
            carried.network = value;
            break;
        case NFTA_TRACE_TRANSPORT_HEADER:
            carried.transport = value;
            break;
        case NFTA_TRACE_IIF:
            message.in = static_cast<std::uint32_t>(big(value));
            break;
        case NFTA_TRACE_OIF:
            message.out = static_cast<std::uint32_t>(big(value));
            break;
        case NFTA_TRACE_POLICY:
            carried.policy = static_cast<std::uint32_t>(big(value));
            break;
        case attribute_ct_state:
            message.ct_state = static_cast<std::uint32_t>(big(value));
            break;
        case attribute_ct_direction:
            message.reply = big(value) == 1;
            break;
        default:
            break;
    }
}

void take_packet(std::span<const std::byte> network, std::span<const std::byte> transport, TraceMessage& message) {
    if (network.size() < 20 || std::to_integer<unsigned>(network[0]) >> 4 != 4) return;
    Packet packet;
    packet.source.value = static_cast<std::uint32_t>(big(network.subspan(12, 4)));
    packet.destination.value = static_cast<std::uint32_t>(big(network.subspan(16, 4)));
    packet.protocol = evidence::protocol_name(std::to_integer<unsigned>(network[9]));
    message.ip_id = big16(network, 4);
    message.ttl = std::to_integer<std::uint8_t>(network[8]);
    message.later_fragment = (big16(network, 6) & 0x1fff) != 0;
    if (message.later_fragment) transport = {};  // what stands there is payload
    if (packet.protocol == "tcp" && transport.size() >= 8) message.sequence = static_cast<std::uint32_t>(big(transport.subspan(4, 4)));
    if ((packet.protocol == "tcp" || packet.protocol == "udp") && transport.size() >= 4) {
        packet.source_port = big16(transport, 0);
        packet.destination_port = big16(transport, 2);
        if (packet.protocol == "tcp" && transport.size() >= 14) packet.tcp_flags = std::to_integer<std::uint8_t>(transport[13]);
    }
    message.packet = std::move(packet);
}

}  // namespace

std::optional<TraceMessage> parse_trace(std::span<const std::byte> bytes) {
    if (bytes.size() < NLMSG_HDRLEN + sizeof(nfgenmsg)) return std::nullopt;
    nlmsghdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE) || header.nlmsg_len > bytes.size() ||
        header.nlmsg_len < NLMSG_HDRLEN + sizeof(nfgenmsg))
        return std::nullopt;
    TraceMessage message;
    nfgenmsg family;
    std::memcpy(&family, bytes.data() + NLMSG_HDRLEN, sizeof family);
    message.chain.family = family_name(family.nfgen_family);
    Carried carried;
    walk(bytes.first(header.nlmsg_len).subspan(NLMSG_HDRLEN + sizeof(nfgenmsg)),
         [&](unsigned type, std::span<const std::byte> value) { take_attribute(type, value, message, carried); });
    if (message.type == TraceMessage::Type::policy && carried.policy)
        message.verdict = *carried.policy == NF_DROP ? TraceMessage::Verdict::drop : TraceMessage::Verdict::accept;
    take_packet(carried.network, carried.transport, message);
    return message;
}

void TraceAssembler::feed(const TraceMessage& message) {
    const bool own_table = message.chain.table == trace_table_name;
    // A multicast that goes to several interfaces goes on in copies, which first show where they are forwarded.
    const bool copy = !open_.contains(message.id) && message.packet && message.packet->destination.value >> 28 == 0xE &&
                      message.in != 0 && message.out != 0;
    const auto& own_chain = message.chain.chain;
    const bool at_edge = own_table && own_chain.starts_with("ingress");
    const bool goes_on = own_table && own_chain == "pre" && open_.contains(message.id) && open_.at(message.id).at_edge;
    const bool begins =
        copy || (own_table && message.packet && (own_chain == "pre" || own_chain == "out" || at_edge) && !goes_on);
    if (goes_on) open_.at(message.id).at_edge = false;
    if (begins && (!open_.contains(message.id) || message.type == TraceMessage::Type::rule)) {
        finish(message.id, Decision::Fate::unfinished);  // identifiers come again
        Decision decision;
        decision.own = own_table && message.chain.chain == "out";
        decision.at_edge = at_edge;
        decision.arrived = *message.packet;
        decision.arrived.in = interface_name_(message.in);
        decision.packet = decision.arrived;
        decision.ip_id = message.ip_id;
        decision.sequence = message.sequence;
        decision.later_fragment = message.later_fragment;
        open_.emplace(message.id, std::move(decision));
    }
    const auto found = open_.find(message.id);
    if (found == open_.end()) return;
    auto& decision = found->second;
    if (message.packet) {
        const auto in = decision.packet.in;
        decision.packet = *message.packet;
        decision.packet.in = message.in ? interface_name_(message.in) : in;
        decision.packet.out = message.out ? interface_name_(message.out) : std::string{};
        if (message.ct_state)
            decision.packet.ct_state = state_name(*message.ct_state);
        else if (!own_table)
            decision.packet.ct_state = "invalid";
    }
    if (own_table) {
        const bool through = egress_ ? own_chain.starts_with("egress") : own_chain == "post";
        if (through) finish(message.id, Decision::Fate::forwarded);
        return;
    }
    if (message.type == TraceMessage::Type::rule && message.handle != 0) {
        decision.steps.push_back({message.chain, message.handle, message.verdict == TraceMessage::Verdict::accept,
                                  message.verdict, message.target});
        if (message.verdict == TraceMessage::Verdict::accept || message.verdict == TraceMessage::Verdict::drop) {
            decision.chain = message.chain;
            decision.handle = message.handle;
            decision.by_policy = false;
        }
    } else if (message.type == TraceMessage::Type::policy) {
        decision.steps.push_back(
            {message.chain, 0, message.verdict == TraceMessage::Verdict::accept, message.verdict, {}});
        if (message.verdict == TraceMessage::Verdict::drop || decision.handle == 0) {
            decision.chain = message.chain;
            decision.handle = 0;
            decision.by_policy = true;
        }
    }
    if (message.verdict == TraceMessage::Verdict::drop) finish(message.id, Decision::Fate::dropped);
}

void TraceAssembler::finish(std::uint32_t id, Decision::Fate fate) {
    const auto found = open_.find(id);
    if (found == open_.end()) return;
    auto decision = std::move(found->second);
    open_.erase(found);
    decision.fate = fate;
    // Handed to a queue and never seen again: no program reads it, or that one dropped the packet.
    if (fate == Decision::Fate::unfinished && !decision.steps.empty() &&
        decision.steps.back().verdict == TraceMessage::Verdict::queue) {
        decision.fate = Decision::Fate::dropped;
        decision.chain = decision.steps.back().chain;
        decision.handle = decision.steps.back().handle;
        decision.by_policy = false;
    }
    decision.complete = decision.complete && !doubt_;
    done_(decision);
}

void TraceAssembler::flush() {
    while (!open_.empty()) finish(open_.begin()->first, Decision::Fate::unfinished);
}

void TraceAssembler::doubt() {
    doubt_ = true;
    for (auto& [id, decision] : open_) decision.complete = false;
}

void TraceAssembler::settle() {
    if (!doubt_) return;
    flush();
    doubt_ = false;
}

struct TraceListener::State {
    int socket = -1, wake = -1;
    std::map<std::uint32_t, std::string> names;  // read in the firewall's namespace, before the thread starts
    std::function<void(const Decision&)> done;
    bool egress = false;
    std::atomic<bool> lost = false, ending = false;
    std::thread thread;
    std::mutex mutex;
    std::condition_variable settled;
    unsigned asked = 0, answered = 0;  // settle()
    bool over = false;

    ~State() {
        if (socket >= 0) ::close(socket);
        if (wake >= 0) ::close(wake);
    }
    void read_all() {
        TraceAssembler assembler{[this](std::uint32_t index) {
                                     const auto found = names.find(index);
                                     return found == names.end() ? std::string{} : found->second;
                                 },
                                 done, egress};
        std::vector<std::byte> buffer(256 * 1024);
        bool stopping = false, doubting = false, emptying = false;
        for (;;) {
            std::array<pollfd, 2> waits{pollfd{socket, POLLIN, 0}, pollfd{wake, POLLIN, 0}};
            if (::poll(waits.data(), waits.size(), stopping || doubting || emptying ? 0 : -1) < 0 && errno != EINTR) {
                lost = true;
                break;
            }
            if (waits[1].revents & POLLIN) {
                std::uint64_t woken = 0;
                [[maybe_unused]] const auto size = ::read(wake, &woken, sizeof woken);
                emptying = true;
                if (ending) stopping = true;
                continue;  // what was there before the call is read first
            }
            if (!(waits[0].revents & (POLLIN | POLLERR))) {
                if (std::exchange(doubting, false)) assembler.settle();
                if (std::exchange(emptying, false)) {
                    assembler.flush();
                    answer();
                }
                if (stopping) break;  // nothing left to read
                continue;
            }
            const auto size = ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (size < 0) {
                // What is in the queue now was there before the loss; then messages are missing until it was empty
                // once.
                if (errno == ENOBUFS) {
                    lost = doubting = true;
                    assembler.doubt();
                } else if (errno != EAGAIN && errno != EINTR) {
                    lost = true;  // nobody listens any more
                    break;
                }
                continue;
            }
            std::span<const std::byte> rest{buffer.data(), static_cast<std::size_t>(size)};
            while (rest.size() >= NLMSG_HDRLEN) {
                std::uint32_t length;
                std::memcpy(&length, rest.data(), sizeof length);
                if (length < NLMSG_HDRLEN || length > rest.size()) break;
                if (const auto message = parse_trace(rest.first(length))) assembler.feed(*message);
                rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(length), rest.size()));
            }
        }
        assembler.flush();
        const std::scoped_lock lock{mutex};
        over = true;
        settled.notify_all();
    }
    void answer() {
        const std::scoped_lock lock{mutex};
        answered = asked;
        settled.notify_all();
    }
    void ask() const {
        const std::uint64_t one = 1;
        while (::write(wake, &one, sizeof one) < 0 && errno == EINTR) {
        }
    }
};

void TraceListener::settle() {
    std::unique_lock lock{state_->mutex};
    const auto mine = ++state_->asked;
    state_->ask();
    state_->settled.wait(lock, [&] { return state_->over || state_->answered >= mine; });
}

TraceListener::TraceListener(std::function<void(const Decision&)> done, bool egress, unsigned buffer)
    : state_{std::make_unique<State>()} {
    const auto fail = [](const char* step) { throw std::system_error{errno, std::generic_category(), step}; };
    state_->done = std::move(done);
    state_->egress = egress;
    state_->socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (state_->socket < 0) fail("open a netfilter netlink socket for the trace");
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (::bind(state_->socket, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
        fail("bind the trace socket");
    const int group = NFNLGRP_NFTRACE, size = static_cast<int>(buffer);
    if (::setsockopt(state_->socket, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
        fail("join the nftables trace group");
    if (::setsockopt(state_->socket, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        ::setsockopt(state_->socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    state_->wake = ::eventfd(0, EFD_CLOEXEC);
    if (state_->wake < 0) fail("make an eventfd for the trace");
    if (auto* interfaces = ::if_nameindex()) {
        for (auto* entry = interfaces; entry->if_index != 0; ++entry) state_->names[entry->if_index] = entry->if_name;
        ::if_freenameindex(interfaces);
    }
    state_->thread = std::thread{[state = state_.get()] { state->read_all(); }};
}

bool TraceListener::stop_and_lost() {
    if (state_->thread.joinable()) {
        state_->ending = true;
        state_->ask();
        state_->thread.join();
    }
    return state_->lost;
}

TraceListener::~TraceListener() { stop_and_lost(); }

}  // namespace wmlab::lab::rules
