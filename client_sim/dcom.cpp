#include "client_sim/dcom.hpp"

#include "common/process/dcom_visit.hpp"
#include "common/process/probe.hpp"

namespace wmlab::client_sim {
namespace {

asio::awaitable<Outcome> visit(Client& client, std::string flow, rpc::DcomPlan plan, milliseconds deadline) {
    boost::json::object started;
    started["type"] = "dcom";
    started["target"] = plan.server;
    started["transport"] = plan.udp ? "udp" : "tcp";
    started["processes"] = plan.processes;
    started["attempt"] = 1;
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

}  // namespace

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
