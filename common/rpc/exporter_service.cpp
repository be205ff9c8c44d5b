// IObjectExporter and the two activation interfaces, all on 135.
#include "common/rpc/service.hpp"

namespace wmlab::rpc {
namespace {

Reply resolve(Machine& machine, const Call& call, bool with_version) {
    const auto in = ResolveOxid::In::parse(call.stub, call.order);
    if (!in) return Reply::bad_stub(in.error());
    ResolveOxid::Out out;
    Fields fields;
    if (with_version) out.version = ComVersion{};
    if (const auto* process = machine.process_of(in->oxid)) {
        out.bindings = machine.exporter_bindings(*process);
        out.ipid_rem_unknown = process->ipid_rem_unknown;
        if (with_version) out.version = machine.options().version;
        fields.emplace_back("bindings", text(*out.bindings));
    } else {
        if (with_version) out.version = ComVersion{0, 0};
        out.authn_hint = 0;
        out.status = status::OR_INVALID_OXID;
    }
    auto reply = Reply::of(out.serialise(), out.status);
    reply.fields = std::move(fields);
    return reply;
}

Reply activated(const Machine::Activation& activation, Octets stub, const OrpcThis& orpcthis, const Machine& machine) {
    auto reply = Reply::of(std::move(stub), activation.hr);
    reply.causality = orpcthis.cid;
    if (activation.process != nullptr) {
        reply.fields.emplace_back("process", activation.process->name);
        reply.fields.emplace_back("port", std::to_string(activation.process->port));
        reply.fields.emplace_back("bindings", text(machine.exporter_bindings(*activation.process)));
    }
    if (!activation.reason.empty()) reply.fields.emplace_back("reason", activation.reason);
    return reply;
}

std::vector<std::optional<ObjRef>> references(const Machine& machine, const Machine::Activation& activation,
                                              const std::vector<Guid>& iids) {
    std::vector<std::optional<ObjRef>> all(iids.size());
    for (std::size_t i = 0; i < activation.references.size(); ++i) {
        if (activation.references[i]) all[i] = ObjRef{iids[i], machine.reference(*activation.references[i])};
    }
    return all;
}

Reply refuse_version(const OrpcThis& orpcthis) {
    auto reply = Reply::faulted(status::RPC_E_VERSION_MISMATCH);
    reply.causality = orpcthis.cid;
    return reply;
}

Reply remote_activation(Machine& machine, const Call& call) {
    const auto in = RemoteActivation::In::parse(call.stub, call.order);
    if (!in) return Reply::bad_stub(in.error());
    if (in->orpcthis.version.major != 5) return refuse_version(in->orpcthis);
    const auto activation = machine.activate(in->clsid, in->iids, in->orpcthis.cid, call.now);
    RemoteActivation::Out out;
    out.version = machine.options().version;
    out.hr = activation.hr;
    out.interfaces = references(machine, activation, in->iids);
    out.results = activation.results;
    out.results.resize(in->iids.size());
    out.authn_hint = 0;
    if (activation.process != nullptr) {
        out.oxid = activation.process->oxid;
        out.bindings = machine.exporter_bindings(*activation.process);
        out.ipid_rem_unknown = activation.process->ipid_rem_unknown;
        out.authn_hint = 1;
    }
    return activated(activation, out.serialise(), in->orpcthis, machine);
}

Reply remote_create_instance(Machine& machine, const Call& call) {
    const auto in = RemoteCreateInstance::In::parse(call.stub, call.order, call.opnum);
    if (!in) return Reply::bad_stub(in.error());
    if (in->orpcthis.version.major != 5) return refuse_version(in->orpcthis);
    const auto activation = machine.activate(in->clsid, in->iids, in->orpcthis.cid, call.now);
    RemoteCreateInstance::Out out;
    out.status = activation.hr;
    if (activation.process != nullptr) {
        RemoteCreateInstance::Activated made;
        made.oxid = activation.process->oxid;
        made.bindings = machine.exporter_bindings(*activation.process);
        made.ipid_rem_unknown = activation.process->ipid_rem_unknown;
        made.version = machine.options().version;
        made.iids = in->iids;
        made.results = activation.results;
        made.interfaces = references(machine, activation, in->iids);
        out.activated = std::move(made);
    } else if (out.status == 0) {
        out.status = status::E_NOINTERFACE;
    }
    auto reply = activated(activation, out.serialise(), in->orpcthis, machine);
    reply.hr = out.status;
    return reply;
}

}  // namespace

Reply serve_exporter(Machine& machine, const Call& call) {
    switch (call.opnum) {
        case ResolveOxid::opnum:
            return resolve(machine, call, false);
        case SimplePing::opnum: {
            const auto in = SimplePing::In::parse(call.stub, call.order);
            if (!in) return Reply::bad_stub(in.error());
            const auto result = machine.simple_ping(in->setid, call.now);
            return Reply::of(error_status(result), result);
        }
        case ComplexPing::opnum: {
            const auto in = ComplexPing::In::parse(call.stub, call.order);
            if (!in) return Reply::bad_stub(in.error());
            const auto out = machine.complex_ping(*in, call.now);
            return Reply::of(out.serialise(), out.status);
        }
        case ServerAlive::opnum:
            return Reply::of(error_status(0), 0);
        case ResolveOxid::opnum2:
            return resolve(machine, call, true);
        case ServerAlive2::opnum: {
            if (machine.options().version.minor < 6) break;  // NT4 does not know it
            const ServerAlive2::Out out{machine.options().version, machine.resolver_bindings(), 0};
            auto reply = Reply::of(out.serialise(), 0);
            reply.fields.emplace_back("bindings", text(out.bindings));
            return reply;
        }
        default:
            break;
    }
    return Reply::faulted(status::nca_op_rng_error, true);
}

Reply serve_activation(Machine& machine, const Call& call) {
    if (call.interface.uuid == interface::IActivation.uuid && call.opnum == RemoteActivation::opnum)
        return remote_activation(machine, call);
    if (call.interface.uuid == interface::IRemoteSCMActivator.uuid &&
        (call.opnum == RemoteCreateInstance::opnum || call.opnum == RemoteCreateInstance::opnum_class_object))
        return remote_create_instance(machine, call);
    return Reply::faulted(status::nca_op_rng_error, true);
}

}  // namespace wmlab::rpc
