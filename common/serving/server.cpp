#include "common/serving/server.hpp"

#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>

#include "common/process/privileges.hpp"

namespace wmlab::serving {
namespace {

namespace po = boost::program_options;
using evidence::What;

std::vector<asio::ip::address_v4> addresses_of_this_machine() {
    std::vector<asio::ip::address_v4> out;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return out;
    for (const auto* entry = list; entry; entry = entry->ifa_next) {
        if (!entry->ifa_addr || entry->ifa_addr->sa_family != AF_INET) continue;
        const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
        out.emplace_back(ntohl(address->sin_addr.s_addr));
    }
    ::freeifaddrs(list);
    return out;
}

std::vector<asio::ip::address_v4> addresses_to_bind(const process::Context& context) {
    std::vector<asio::ip::address_v4> out;
    if (context.options.contains("bind")) {
        for (const auto& text : context.options["bind"].as<std::vector<std::string>>()) {
            boost::system::error_code error;
            out.push_back(asio::ip::make_address_v4(text, error));
            if (error) throw process::UsageError{"--bind wants an IPv4 address, not `" + text + "`"};
        }
        return out;
    }
    if (context.scenario) return {context.own_address()};
    return addresses_of_this_machine();
}

template <class Number>
Number option(const process::Context& context, const char* name) {
    return context.options[name].as<Number>();
}

Limits limits_from(const process::Context& context) {
    Limits limits;
    limits.sessions = option<std::size_t>(context, "max-sessions");
    limits.sessions_per_peer = option<std::size_t>(context, "max-sessions-per-peer");
    // A scenario's own load is never refused.
    limits.sessions = std::max(limits.sessions, 2 * context.flows.size());
    if (context.scenario) limits.sessions_per_peer = std::max(limits.sessions_per_peer, 2 * context.flows.size());
    // Whoever waits for a pulled stream is told that nothing comes, before he gives up by himself.
    for (const auto& flow : context.flows)
        if (flow.to == context.host && !flow.flow->content.empty()) limits.source = std::min(limits.source, flow.flow->deadline * 4 / 5);
    limits.queue = option<std::size_t>(context, "queue") * 1024;
    limits.idle = std::chrono::seconds{option<unsigned>(context, "idle-timeout")};
    limits.first_message = std::min<milliseconds>(limits.first_message, limits.idle);
    if (context.options.contains("close-after-end"))
        limits.close_after_end = milliseconds{static_cast<long>(1000 * std::max(0.0, option<double>(context, "close-after-end")))};
    return limits;
}

}  // namespace

Server server_for(process::Context& context, scenario::Program program) {
    const auto limits = limits_from(context);
    // Some descriptors are kept for listeners, files and what the process opens by itself.
    const auto descriptors = process::descriptor_limit();
    const auto all = Seats::all(descriptors - std::min(descriptors / 2, std::size_t{128} + descriptors / 16));
    const Seats::Bounds bounds{limits.sessions, limits.sessions_per_peer};
    const auto seats = [&] { return Seats{bounds, all}; };
    Server server{context, program, {}, limits, seats(), seats(), seats(), seats(), addresses_to_bind(context), {}, {}, 0, {}, {}, {}};
    for (const auto& flow : context.flows)
        if (flow.to == context.host) server.players.emplace(bytes::Guid::named(context.scenario->name + "/" + flow.id), flow.id);
    return server;
}

std::string Server::flow_of(const std::optional<bytes::Guid>& player) const {
    if (!player) return "";
    const auto known = players.find(*player);
    return known == players.end() ? "" : known->second;
}

namespace {

// Writes what became of a port; a failure ends the process with exit 3.
template <class Socket>
Socket told(process::Context& context, net::Bound<Socket> bound, const char* protocol, std::string leg, std::string flow) {
    boost::json::object fields;
    fields[field::protocol] = protocol;
    if (bound) {
        context.write(What::listening, std::move(flow), std::move(leg), std::move(fields), net::text(bound->local_endpoint()));
        return std::move(*bound);
    }
    fields[field::error] = bound.error().error;
    if (!bound.error().holder.empty()) fields[field::holder] = bound.error().holder;
    context.write(What::listen_failed, std::move(flow), std::move(leg), std::move(fields), bound.error().local);
    throw process::EnvironmentError{bound.error().text()};
}

}  // namespace

net::tcp::acceptor Server::listen(const asio::ip::address& address, std::uint16_t port, std::string leg, std::string flow) {
    auto bound = net::listen_tcp(context.io.get_executor(), {address, port});
    return told(context, std::move(bound), "tcp", std::move(leg), std::move(flow));
}

net::udp::socket Server::bind(const asio::ip::address& address, std::uint16_t port, std::string leg, std::string flow) {
    constexpr int buffer = 4 << 20;  // bursts of resend requests, and media for many players in one tick
    auto bound = net::bind_udp(context.io.get_executor(), {address, port}, buffer);
    return told(context, std::move(bound), "udp", std::move(leg), std::move(flow));
}

boost::program_options::options_description serving_options() {
    po::options_description options{"Serving options"};
    auto add = options.add_options();
    add("bind", po::value<std::vector<std::string>>()->composing()->value_name("ADDR"),
        "listen on this address only (repeatable); default: the scenario's, else every address of this machine");
    add("max-sessions", po::value<std::size_t>()->default_value(4000)->value_name("N"),
        "sessions of each protocol at the same time; when all are taken, one that has sent nothing yet, or else an idle one, makes room for the next");
    add("max-sessions-per-peer", po::value<std::size_t>()->default_value(1000)->value_name("N"), "sessions of each protocol at the same time from one address");
    add("queue", po::value<std::size_t>()->default_value(1024)->value_name("KIB"), "how far a player over TCP may be behind before its session is closed");
    add("idle-timeout", po::value<unsigned>()->default_value(3600)->value_name("SECONDS"),
        "close a session that neither streams nor sends anything for so long");
    return options;
}

}  // namespace wmlab::serving
