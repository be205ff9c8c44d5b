#include "server_sim/server.hpp"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iostream>

#include "common/process/privileges.hpp"
#include "server_sim/dcom.hpp"
#include "server_sim/pull.hpp"
#include "server_sim/serving.hpp"

namespace wmlab::server_sim {
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
        if (flow.to == context.host && !flow.flow->content.empty())
            limits.source = std::min(limits.source, flow.flow->deadline * 4 / 5);
    limits.queue = option<std::size_t>(context, "queue") * 1024;
    limits.idle = std::chrono::seconds{option<unsigned>(context, "idle-timeout")};
    limits.first_message = std::min<milliseconds>(limits.first_message, limits.idle);
    if (context.options.contains("close-after-end"))
        limits.close_after_end =
            milliseconds{static_cast<long>(1000 * std::max(0.0, option<double>(context, "close-after-end")))};
    return limits;
}

class ServerSim : public Serving {
public:
    explicit ServerSim(process::Context& context) : Serving{context, scenario::Program::server_sim} {
        add_relays(server_);
        open_contents();
        serve(services());
    }

private:
    void open_contents() {
        std::vector<ContentSpec> specs;
        if (context().scenario) {
            for (const auto& content : context().scenario->contents)
                if (wanted(content.name)) specs.push_back(content_spec(content));
        } else {
            if (!context().options.contains("content")) {
                if (!server_.points.all().empty() || dcom_wanted(context())) return;
                throw process::UsageError{"nothing to serve: give --content FILE, NAME=FILE or synthetic (see --help)"};
            }
            for (const auto& text : context().options["content"].as<std::vector<std::string>>()) {
                auto spec = content_spec(text);
                if (!spec) throw process::UsageError{spec.error().text()};
                spec->loop = context().options.contains("loop");
                specs.push_back(std::move(*spec));
            }
        }
        for (const auto& spec : specs) offer(spec);
    }

    // Contents that a flow of this host plays; a file that no flow here needs is not opened.
    bool wanted(const std::string& content) const {
        if (server_.points.find(content)) return false;  // it is pulled
        return std::ranges::any_of(context().flows, [&](const auto& flow) { return flow.flow->content == content; });
    }
};

}  // namespace

Server server_for(process::Context& context, scenario::Program program) {
    const auto limits = limits_from(context);
    // Some descriptors are kept for listeners, files and what the process opens by itself.
    const auto descriptors = process::descriptor_limit();
    const auto all = Seats::all(descriptors - std::min(descriptors / 2, std::size_t{128} + descriptors / 16));
    const Seats::Bounds bounds{limits.sessions, limits.sessions_per_peer};
    const auto seats = [&] { return Seats{bounds, all}; };
    Server server{context, program, {},      limits,  seats(), seats(), seats(), seats(), addresses_to_bind(context),
                  {},      {},      0,       {},      {},      {}};
    for (const auto& flow : context.flows)
        if (flow.to == context.host)
            server.players.emplace(bytes::Guid::named(context.scenario->name + "/" + flow.id), flow.id);
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
Socket told(process::Context& context, net::Bound<Socket> bound, const char* protocol, std::string leg,
            std::string flow) {
    boost::json::object fields;
    fields[field::protocol] = protocol;
    if (bound) {
        context.write(What::listening, std::move(flow), std::move(leg), std::move(fields),
                      net::text(bound->local_endpoint()));
        return std::move(*bound);
    }
    fields[field::error] = bound.error().error;
    if (!bound.error().holder.empty()) fields[field::holder] = bound.error().holder;
    context.write(What::listen_failed, std::move(flow), std::move(leg), std::move(fields), bound.error().local);
    throw process::EnvironmentError{bound.error().text()};
}

}  // namespace

net::tcp::acceptor Server::listen(const asio::ip::address& address, std::uint16_t port, std::string leg,
                                  std::string flow) {
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

boost::program_options::options_description options() {
    po::options_description options{"Server options"};
    auto add = options.add_options();
    add("content", po::value<std::vector<std::string>>()->composing()->value_name("WHAT"),
        "FILE, NAME=FILE, or synthetic[:BITRATE]...[:DURATION] (live without a duration); repeatable");
    add("loop", "serve files as endless live streams");
    add("pull", po::value<std::vector<std::string>>()->composing()->value_name("[NAME=]URL"),
        "fetch a live stream from an encoder or a server, msbd://HOST[:PORT][/NAME] or http://HOST[:PORT]/NAME, and republish it; repeatable");
    add("pull-timeout", po::value<unsigned>()->default_value(30)->value_name("SECONDS"),
        "a source that sends nothing for so long is given up, and tried again");
    add("mms-port", po::value<std::uint16_t>()->default_value(1755)->value_name("N"), "TCP and UDP port of MMS");
    add("http-port", po::value<std::uint16_t>()->default_value(80)->value_name("N"), "TCP port of HTTP");
    add("no-http", "serve MMS only");
    add("station", po::value<std::vector<std::string>>()->composing()->value_name("STATION"),
        "NAME=GROUP:PORT[,ttl=N][,interface=ADDR][,unicast=URL]: multicast a content; repeatable");
    add("nsc-out", po::value<std::string>()->value_name("FILE"), "write the (first) station's .nsc file there");
    add("msbd-port", po::value<std::uint16_t>()->value_name("N"),
        "serve the first content to other servers by MSBD, too; 7007: a random port in 1024-5000 where it is taken");
    add("close-after-end", po::value<double>()->value_name("SECONDS"),
        "close a session so long after the end of its stream (some players wait for that)");
    add("reserved-ports", po::value<std::string>()->value_name("LIST"),
        "offer DCOM, its processes on these ports: \"3001-3010 135\"");
    add("registry", po::value<std::string>()->value_name("FILE.reg"),
        "offer DCOM, its ports as in this export of HKLM\\SOFTWARE\\Microsoft\\Rpc\\Internet");
    add("print-registry", po::value<unsigned>()->implicit_value(5)->value_name("VERSION"),
        "write the .reg file for --reserved-ports to standard output and end; version 4 is REGEDIT4, default 5");
    add("advertise", po::value<std::vector<std::string>>()->composing()->value_name("ADDR"),
        "what DCOM object references name as this machine's address (repeatable); default: where it listens");
    add("mapper-port", po::value<std::uint16_t>()->default_value(135)->value_name("N"),
        "TCP and UDP port of the endpoint mapper");
    options.add(serving_options());
    return options;
}

namespace {

// --print-registry: no server at all.
class RegistryPrinter : public process::Simulator {
public:
    explicit RegistryPrinter(std::string octets) : octets_{std::move(octets)} {}
    asio::awaitable<int> run() override {
        std::cout << octets_ << std::flush;
        co_return std::cout ? process::worked : process::did_not_work;
    }
    void stop() override {}

private:
    std::string octets_;
};

}  // namespace

std::unique_ptr<process::Simulator> make(process::Context& context) {
    if (!context.options.contains("print-registry")) return std::make_unique<ServerSim>(context);
    const auto version = context.options["print-registry"].as<unsigned>();
    if (version != 4 && version != 5) throw process::UsageError{"--print-registry wants 4 or 5"};
    auto octets = registry_export(context, version);
    if (!octets) throw process::UsageError{"--print-registry needs --reserved-ports (or --registry)"};
    return std::make_unique<RegistryPrinter>(std::move(*octets));
}

}  // namespace wmlab::server_sim
