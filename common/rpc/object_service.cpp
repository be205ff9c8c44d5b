// What a simulated process answers on its own port: IRemUnknown for its references, ISimWMStation for its objects.
#include "common/rpc/service.hpp"

namespace wmlab::rpc {
namespace {

// The checks every object call passes before its arguments matter (MS-DCOM 3.1.1.5.4); nothing: it may go on.
std::optional<Reply> refused(const OrpcThis& orpcthis) {
    std::optional<Reply> reply;
    if (orpcthis.flags != 0)
        reply = Reply::faulted(status::RPC_E_INVALID_HEADER);
    else if (orpcthis.version.major != 5)
        reply = Reply::faulted(status::RPC_E_VERSION_MISMATCH);
    if (reply) reply->causality = orpcthis.cid;
    return reply;
}

Reply answered(Octets stub, std::uint32_t hr, const OrpcThis& orpcthis) {
    auto reply = Reply::of(std::move(stub), hr);
    reply.causality = orpcthis.cid;
    return reply;
}

Reply remote_unknown(Machine& machine, ComProcess& process, const Call& call) {
    if (call.object != process.ipid_rem_unknown) return Reply::faulted(status::RPC_E_DISCONNECTED);
    if (call.opnum == RemQueryInterface::opnum) {
        const auto in = RemQueryInterface::In::parse(call.stub, call.order);
        if (!in) return Reply::bad_stub(in.error());
        if (auto no = refused(in->orpcthis)) return *no;
        if (in->iids.size() > Machine::references_max) return Reply::faulted(status::nca_server_too_busy);
        RemQueryInterface::Out out;
        for (const auto& iid : in->iids) {
            out.results.push_back(machine.query_interface(process, in->ripid, iid, in->cRefs));
            if (out.results.back().hResult != 0) out.status = out.results.back().hResult;
        }
        return answered(out.serialise(), out.status, in->orpcthis);
    }
    if (call.opnum != RemAddRef::opnum && call.opnum != RemRelease::opnum)
        return Reply::faulted(status::nca_op_rng_error, true);
    const auto in = RemReferences::parse(call.stub, call.order);
    if (!in) return Reply::bad_stub(in.error());
    if (auto no = refused(in->orpcthis)) return *no;
    if (in->references.size() > Machine::references_max) return Reply::faulted(status::nca_server_too_busy);
    if (call.opnum == RemAddRef::opnum) {
        RemAddRef::Out out;
        for (const auto& reference : in->references) {
            out.results.push_back(machine.add_references(process, reference));
            if (out.results.back() != 0) out.status = out.results.back();
        }
        return answered(out.serialise(), out.status, in->orpcthis);
    }
    std::uint32_t hr = 0;
    for (const auto& reference : in->references) {
        if (const auto result = machine.release_references(process, reference)) hr = result;
    }
    machine.end_if_unused(call.port);
    return answered(OrpcResult{hr}.serialise(), hr, in->orpcthis);
}

Reply station(Machine& machine, ComProcess& process, const Call& call) {
    if (!call.object || !machine.has_interface(process, *call.object, interface::ISimWMStation.uuid))
        return Reply::faulted(status::RPC_E_DISCONNECTED);
    switch (call.opnum) {
        case QueryState::opnum: {
            const auto in = QueryState::In::parse(call.stub, call.order);
            if (!in) return Reply::bad_stub(in.error());
            if (auto no = refused(in->orpcthis)) return *no;
            return answered(OrpcResult{0}.serialise(), 0, in->orpcthis);
        }
        case RegisterAlias::opnum: {
            const auto in = RegisterAlias::In::parse(call.stub, call.order);
            if (!in) return Reply::bad_stub(in.error());
            if (auto no = refused(in->orpcthis)) return *no;
            const auto hr = machine.register_alias(process, *in);
            auto reply = answered(OrpcResult{hr}.serialise(), hr, in->orpcthis);
            reply.fields = {{"alias", in->alias}, {"encoder", Endpoint{in->address, in->port}.text()}};
            return reply;
        }
        case UnregisterAlias::opnum: {
            const auto in = UnregisterAlias::In::parse(call.stub, call.order);
            if (!in) return Reply::bad_stub(in.error());
            if (auto no = refused(in->orpcthis)) return *no;
            const auto hr = machine.unregister_alias(process, in->alias);
            auto reply = answered(OrpcResult{hr}.serialise(), hr, in->orpcthis);
            reply.fields = {{"alias", in->alias}};
            return reply;
        }
        default:
            return Reply::faulted(status::nca_op_rng_error, true);
    }
}

}  // namespace

Reply serve_object(Machine& machine, const Call& call) {
    auto* process = machine.process_at(call.port);
    if (process == nullptr) return Reply::faulted(status::RPC_E_DISCONNECTED);
    const auto& uuid = call.interface.uuid;
    if (uuid == interface::IRemUnknown.uuid || uuid == interface::IRemUnknown2.uuid)
        return remote_unknown(machine, *process, call);
    if (uuid == interface::ISimWMStation.uuid) return station(machine, *process, call);
    if (uuid == interface::SimWMProcess.uuid && call.opnum == 0) return Reply::of(error_status(0), 0);
    return Reply::faulted(status::nca_op_rng_error, true);
}

}  // namespace wmlab::rpc
