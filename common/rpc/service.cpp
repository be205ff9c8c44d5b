#include "common/rpc/service.hpp"

#include <algorithm>

namespace wmlab::rpc {

Reply Reply::of(Octets stub, std::optional<std::uint32_t> hr) {
    Reply reply;
    reply.stub = std::move(stub);
    reply.hr = hr;
    return reply;
}

Reply Reply::faulted(std::uint32_t status, bool did_not_execute) {
    Reply reply;
    reply.fault = status;
    reply.did_not_execute = did_not_execute;
    reply.hr = status;
    return reply;
}

Reply Reply::bad_stub(const bytes::ParseError& problem) {
    auto reply = faulted(status::RPC_X_BAD_STUB_DATA);
    reply.problem = problem;
    return reply;
}

std::vector<SyntaxId> interfaces_at(Machine& machine, std::uint16_t port) {
    if (port == mapper_port) {
        std::vector<SyntaxId> all{interface::epm, interface::IObjectExporter, interface::IActivation};
        if (machine.options().version.minor >= 6) all.push_back(interface::IRemoteSCMActivator);
        all.push_back(interface::mgmt);
        return all;
    }
    // Also after the process has ended: calls on connections that are still open must fault, not be refused.
    return {interface::IRemUnknown,   interface::IRemUnknown2, interface::IUnknown,
            interface::ISimWMStation, interface::SimWMProcess, interface::mgmt};
}

bool offers(Machine& machine, std::uint16_t port, const SyntaxId& asked) {
    const auto all = interfaces_at(machine, port);
    return std::any_of(all.begin(), all.end(), [&](const SyntaxId& ours) {
        return ours.uuid == asked.uuid && ours.major == asked.major && ours.minor >= asked.minor;
    });
}

// Neither ept_lookup, which keeps a place for its caller, nor the pings, which keep objects alive.
bool changes_nothing(const SyntaxId& asked, std::uint16_t opnum) {
    const auto& uuid = asked.uuid;
    if (uuid == interface::epm.uuid) return opnum == ept_map::opnum;
    if (uuid == interface::mgmt.uuid || uuid == interface::SimWMProcess.uuid) return true;
    if (uuid == interface::ISimWMStation.uuid) return opnum == QueryState::opnum;
    return uuid == interface::IObjectExporter.uuid &&
           (opnum == ResolveOxid::opnum || opnum == ResolveOxid::opnum2 || opnum == ServerAlive::opnum ||
            opnum == ServerAlive2::opnum);
}

Reply serve(Machine& machine, const Call& call) {
    ++machine.statistics.calls_in;
    if (!offers(machine, call.port, call.interface)) return Reply::faulted(status::nca_unk_if, true);
    const auto& uuid = call.interface.uuid;
    if (uuid == interface::epm.uuid || uuid == interface::mgmt.uuid) return serve_mapper(machine, call);
    if (uuid == interface::IObjectExporter.uuid) return serve_exporter(machine, call);
    if (uuid == interface::IActivation.uuid || uuid == interface::IRemoteSCMActivator.uuid)
        return serve_activation(machine, call);
    return serve_object(machine, call);
}

}  // namespace wmlab::rpc
