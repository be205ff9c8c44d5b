#include "encoder_sim/alias.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/net/tasks.hpp"
#include "common/process/dcom_visit.hpp"
#include "common/process/probe.hpp"

namespace wmlab::encoder_sim {
namespace {

namespace asio = boost::asio;
using evidence::What;
using serving::milliseconds;
using Clock = std::chrono::steady_clock;

struct Registration {
    std::string flow;  // instance; empty for a plain tool
    std::string alias;
    net::HostPort server;
    std::optional<std::uint16_t> port;  // MSBD's; none: where it fell back to
    bytes::Guid causality;
    milliseconds deadline{3000};
    std::optional<milliseconds> limit;  // for the server to have come and gone; none: until stopped
};

// Which of this machine's addresses leads to the server.
asio::ip::address_v4 address_towards(asio::io_context& io, const asio::ip::address_v4& server) {
    boost::system::error_code error;
    asio::ip::udp::socket socket{io};
    socket.open(asio::ip::udp::v4(), error);
    socket.connect({server, rpc::mapper_port}, error);  // sends nothing
    return error ? asio::ip::address_v4::loopback() : socket.local_endpoint(error).address().to_v4();
}

class AliasService : public serving::Service {
public:
    AliasService(serving::Server& server, std::vector<Registration> registrations)
        : server_{server}, registrations_{std::move(registrations)}, tasks_{server.context.io.get_executor()} {
        for (const auto& one : registrations_)
            if (!one.flow.empty()) server_.aliases[one.alias] = one.flow;
        server_.msbd_over = [this](const std::string& flow, std::uint64_t packets) {
            const auto found = pulled_.find(flow);
            if (flow.empty() || found == pulled_.end()) return;
            found->second.packets = packets;
            found->second.over = true;
            found->second.until->expires_at(Clock::now());
        };
    }
    ~AliasService() override { server_.msbd_over = nullptr; }

    void prepare() override {}
    bool worked() const override { return !failed_; }
    void start() override {
        for (auto& one : registrations_) {
            const auto given = server_.context.endpoints.find(one.flow);
            if (!one.flow.empty() && given != server_.context.endpoints.end()) one.server = given->second;
            tasks_.spawn(keep(std::move(one)));
        }
        registrations_.clear();
    }
    asio::awaitable<void> stop() override {
        stopping_ = true;
        // The references are given back first; who does not answer is cut off.
        for (auto& [flow, pulled] : pulled_) pulled.until->expires_at(Clock::now());
        const auto patience = Clock::now() + milliseconds{2000};
        asio::steady_timer timer{server_.context.io};
        while (tasks_.running() > 0 && Clock::now() < patience) {
            timer.expires_after(milliseconds{5});
            co_await timer.async_wait(asio::use_awaitable);
        }
        tasks_.cancel();
        co_await tasks_.ended();
    }

private:
    struct Pulled {  // by the server
        std::shared_ptr<asio::steady_timer> until;
        std::uint64_t packets = 0;
        bool over = false;
    };

    asio::awaitable<void> keep(Registration one) {
        boost::json::object started;
        started[field::type] = "encoder-alias";
        started[field::target] = one.server.host;
        started[field::transport] = "tcp";
        started[field::alias] = one.alias;
        started[field::attempt] = 1;
        server_.context.write(What::flow_started, one.flow, "", std::move(started));
        const auto address = co_await server_.context.resolve(one.server.host);
        if (!address) co_return ended(one, false, address.error(), 0);
        rpc::DcomPlan plan;
        plan.server = address->to_string();
        plan.mapper = one.server.port;
        plan.version = {5, 6};
        plan.causality = one.causality;
        plan.hold = true;
        plan.patience = process::patience_within(one.deadline);
        const auto listener = own_listener(one, *address);
        plan.alias = rpc::AliasOffer{one.alias, listener};
        process::DcomVisit visit{server_.context, one.flow, std::move(plan), one.deadline};
        auto& pulled = pulled_[one.flow];
        pulled.until = std::make_shared<asio::steady_timer>(server_.context.io);
        pulled.until->expires_at(asio::steady_timer::time_point::max());
        co_await visit.run();
        if (!visit.holding())
            co_return ended(one, false, visit.outcome().leg + ": " + visit.outcome().reason, visit.outcome().hr);
        spdlog::info("{}: registered as the stream {} at {}", one.server.host, one.alias, listener.text());
        // The server may have come and gone before the answer was here.
        if (pulled.over || stopping_)
            pulled.until->expires_at(Clock::now());
        else if (one.limit)
            pulled.until->expires_at(Clock::now() + *one.limit);
        const auto until = pulled.until;
        co_await visit.hold(*until);
        const auto& done = pulled_[one.flow];
        if (!visit.outcome().worked)
            ended(one, false, visit.outcome().leg + ": " + visit.outcome().reason, visit.outcome().hr);
        else if (one.flow.empty() || done.packets > 0)
            ended(one, true, fmt::format("{} registered, {} packets pulled", one.alias, done.packets), 0);
        else
            ended(one, false, one.server.host + " knows the alias, but took nothing from " + listener.text(), 0);
    }

    rpc::Endpoint own_listener(const Registration& one, const asio::ip::address_v4& server) const {
        auto address = server_.context.own_address();
        if (address.is_unspecified())
            address =
                server_.addresses.size() == 1 ? server_.addresses.front() : address_towards(server_.context.io, server);
        if (one.port) return {address.to_string(), *one.port};
        const auto port = server_.msbd_ports.find(one.flow);
        return {address.to_string(), port == server_.msbd_ports.end() ? scenario::msbd_port : port->second};
    }

    void ended(const Registration& one, bool worked, const std::string& reason, std::uint32_t hr) {
        boost::json::object fields;
        fields[field::outcome] = worked ? "worked" : "failed";
        fields[field::reason] = reason;
        fields[field::transport] = "tcp";
        if (hr != 0) fields[field::hr] = hr;
        if (one.flow.empty() && !worked) {
            spdlog::error("alias {}: {}", one.alias, reason);
            failed_ = true;
        }
        server_.context.write(What::flow_ended, one.flow, "", std::move(fields));
    }

    serving::Server& server_;
    std::vector<Registration> registrations_;
    std::map<std::string, Pulled> pulled_;
    net::Tasks tasks_;
    bool stopping_ = false, failed_ = false;  // failed_: the plain tool's
};

}  // namespace

std::unique_ptr<serving::Service> make_alias(serving::Server& server) {
    std::vector<Registration> registrations;
    const auto& context = server.context;
    for (const auto& flow : context.flows_at(server.program, scenario::End::from)) {
        if (flow.flow->type != scenario::FlowType::encoder_alias) continue;
        const auto deadline = flow.flow->deadline;
        // The server connects, asks, waits for the header: each may take a deadline.
        Registration one;
        one.flow = flow.id;
        one.alias = flow.flow->alias;
        one.server = {flow.to, rpc::mapper_port};
        if (!flow.flow->msbd_port.fallback) one.port = flow.flow->msbd_port.port;
        one.causality = bytes::Guid::named(context.scenario->name + "/" + flow.id);
        one.deadline = deadline;
        one.limit = 3 * deadline + flow.flow->play;
        registrations.push_back(std::move(one));
    }
    if (!context.scenario && context.options.contains("alias")) {
        if (!context.options.contains("server"))
            throw process::UsageError{"--alias needs --server HOST: where is it to be registered?"};
        const auto text = context.options["server"].as<std::string>();
        const auto given = net::host_port(text).value_or(net::HostPort{text, rpc::mapper_port});
        Registration one;
        one.alias = context.options["alias"].as<std::string>();
        one.server = given;
        one.causality = bytes::Guid::named(process::new_nonce());
        registrations.push_back(std::move(one));
    }
    if (registrations.empty()) return nullptr;
    return std::make_unique<AliasService>(server, std::move(registrations));
}

}  // namespace wmlab::encoder_sim
