#include "client_sim/dcom.hpp"

#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <iostream>

#include "common/net/connect.hpp"
#include "common/net/within.hpp"
#include "common/process/dcom_visit.hpp"
#include "common/process/probe.hpp"
#include "common/rpc/epm.hpp"

namespace wmlab::client_sim {
namespace {

asio::awaitable<Outcome> visit(Client& client, std::string flow, rpc::DcomPlan plan, milliseconds deadline) {
    boost::json::object started;
    started[field::type] = "dcom";
    started[field::target] = plan.server;
    started[field::transport] = plan.udp ? "udp" : "tcp";
    started[field::processes] = plan.processes;
    started[field::attempt] = 1;
    client.context.write(evidence::What::flow_started, flow, "", std::move(started));
    Outcome outcome;
    outcome.transport = plan.udp ? "udp" : "tcp";
    process::DcomVisit dcom{client.context, std::move(flow), std::move(plan), deadline};
    co_await dcom.run();
    const auto& done = dcom.outcome();
    outcome.worked = done.worked;
    outcome.reason = done.worked ? dcom.summary() : done.leg + ": " + done.reason;
    outcome.hr = done.hr;
    co_return outcome;
}

// NT4's DCOM prefers UDP, later versions TCP: each transport is spoken as the system that used it spoke.
rpc::ComVersion version_for(bool udp) { return {5, static_cast<std::uint16_t>(udp ? 4 : 6)}; }

// One call over an open connection, from bind to answer.
asio::awaitable<rpc::CallOutcome> call(net::tcp::socket& socket, rpc::ClientConnection& connection,
                                       rpc::ClientCall what, milliseconds deadline) {
    auto output = connection.call(std::move(what));
    std::vector<std::byte> buffer(16384);
    while (!output.outcome) {
        for (const auto& octets : output.send)
            co_await asio::async_write(socket, asio::buffer(octets), asio::use_awaitable);
        auto reading = socket.async_read_some(asio::buffer(buffer), asio::use_awaitable);
        const auto size = co_await net::within(deadline, std::move(reading));
        output = connection.receive(std::span{buffer}.first(size));
    }
    co_return std::move(*output.outcome);
}

std::string line_of(const rpc::ept_lookup::Entry& entry) {
    const auto& tower = *entry.tower;
    std::string protocol = tower.protocol == rpc::protseq::ncacn_ip_tcp   ? "tcp"
                           : tower.protocol == rpc::protseq::ncadg_ip_udp ? "udp"
                                                                          : "protseq " + std::to_string(tower.protocol);
    if (tower.is_ip()) protocol += " " + rpc::Endpoint{rpc::address_text(tower.address), tower.port}.text();
    const auto& interface = tower.interface;
    return protocol + " " + rpc::interface_name(interface.uuid) + " v" + std::to_string(interface.major) + "." +
           std::to_string(interface.minor) + (entry.annotation.empty() ? "" : " " + entry.annotation);
}

}  // namespace

asio::awaitable<Outcome> list_endpoints(Client& client, Administration what) {
    Outcome outcome;
    const auto address = co_await client.context.resolve(what.server.host);
    if (!address) {
        outcome.reason = address.error();
        co_return outcome;
    }
    const net::tcp::endpoint to{*address, what.server.port == 0 ? rpc::mapper_port : what.server.port};
    auto connected = co_await net::connect(to, what.deadline);
    if (!connected) {
        outcome.reason = connected.error().text();
        co_return outcome;
    }
    rpc::ClientConnection connection;
    rpc::ept_lookup::In in;
    std::size_t endpoints = 0;
    constexpr std::size_t pages_max = 1000;  // a mapper that never ends is none
    for (std::size_t page = 0; page < pages_max; ++page) {
        rpc::ClientCall lookup{rpc::interface::epm, rpc::ept_lookup::opnum, {}, in.serialise(), {}};
        const auto answer = co_await call(connected->socket, connection, std::move(lookup), what.deadline);
        if (answer.kind != rpc::CallOutcome::Kind::answered) {
            outcome.reason = answer.reason;
            co_return outcome;
        }
        const auto out = rpc::ept_lookup::Out::parse(answer.stub, answer.order);
        if (!out) {
            outcome.reason = out.error().text();
            co_return outcome;
        }
        for (const auto& entry : out->entries)
            if (entry.tower) std::cout << line_of(entry) << '\n';
        endpoints += out->entries.size();
        in.entry_handle = out->entry_handle;
        // Samba says "no more" together with the last entries.
        if (out->status != 0 || in.entry_handle == bytes::Guid{}) break;
    }
    outcome.worked = true;
    outcome.reason = std::to_string(endpoints) + " endpoints";
    co_return outcome;
}

asio::awaitable<Outcome> dcom_flow(Client& client, scenario::FlowInstance flow) {
    const auto server = client.context.other_end(flow, flow.to, rpc::mapper_port);
    rpc::DcomPlan plan;
    const auto address = co_await client.context.resolve(server.host);
    if (!address) {
        Outcome outcome;
        outcome.reason = address.error();
        co_return outcome;
    }
    // By address, as the bindings of the reference will be: only so they can be compared.
    plan.server = address->to_string();
    plan.mapper = server.port;
    plan.udp = flow.flow->transport == scenario::Protocol::udp;
    plan.version = version_for(plan.udp);
    plan.causality = bytes::Guid::named(client.context.scenario->name + "/" + flow.id);
    plan.processes = flow.flow->processes;
    plan.patience = process::patience_within(flow.flow->deadline);
    co_return co_await visit(client, flow.id, std::move(plan), flow.flow->deadline);
}

asio::awaitable<Outcome> administrate(Client& client, Administration what) {
    rpc::DcomPlan plan;
    const auto address = co_await client.context.resolve(what.server.host);
    if (!address) {
        Outcome outcome;
        outcome.reason = address.error();
        co_return outcome;
    }
    plan.server = address->to_string();
    plan.mapper = what.server.port == 0 ? rpc::mapper_port : what.server.port;
    plan.udp = what.udp;
    plan.version = version_for(plan.udp);
    plan.causality = bytes::Guid::named(process::new_nonce());
    plan.processes = what.processes;
    plan.patience = process::patience_within(what.deadline);
    co_return co_await visit(client, "", std::move(plan), what.deadline);
}

}  // namespace wmlab::client_sim
