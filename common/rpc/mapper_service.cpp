// The endpoint mapper on 135 and the management interface on every port.
#include <algorithm>

#include "common/rpc/service.hpp"

namespace wmlab::rpc {
namespace {

Reply map(Machine& machine, const Call& call) {
    const auto in = ept_map::In::parse(call.stub, call.order);
    if (!in) return Reply::bad_stub(in.error());
    ept_map::Out out;
    out.first_referent = in->last_referent < 0xFFFF0000 ? in->last_referent + 1 : 3;
    out.max_towers = std::min(in->max_towers, ept_lookup::max_ents_max);
    Fields fields;
    if (in->map_tower) {
        const auto& asked = *in->map_tower;
        fields.emplace_back("interface", interface_name(asked.interface.uuid));
        for (const auto& entry : machine.endpoint_map()) {
            if (out.towers.size() >= out.max_towers || asked.transfer_syntax != syntax::NDR) break;
            const auto& ours = *entry.tower;
            if (ours.interface.uuid != asked.interface.uuid || ours.interface.major != asked.interface.major ||
                ours.interface.minor < asked.interface.minor || ours.protocol != asked.protocol)
                continue;
            out.towers.push_back(ours);
            fields.emplace_back("endpoint", Endpoint{address_text(ours.address), ours.port}.text());
        }
    }
    if (out.towers.empty()) out.status = status::ept_s_not_registered;
    auto reply = Reply::of(out.serialise(), out.status);
    reply.fields = std::move(fields);
    return reply;
}

Reply lookup(Machine& machine, const Call& call) {
    const auto in = ept_lookup::In::parse(call.stub, call.order);
    if (!in) return Reply::bad_stub(in.error());
    const auto out = machine.lookup(*in);
    auto reply = Reply::of(out.serialise(), out.status);
    reply.fields.emplace_back("entries", std::to_string(out.entries.size()));
    return reply;
}

Reply manage(Machine& machine, const Call& call) {
    NdrWriter out;
    switch (call.opnum) {
        case rpc__mgmt_inq_if_ids::opnum:
            return Reply::of(rpc__mgmt_inq_if_ids::Out{interfaces_at(machine, call.port), 0}.serialise(), 0);
        case rpc__mgmt_inq_stats::opnum: {
            NdrReader in{call.stub, call.order};
            const auto count = in.u32("count");
            if (in.failed()) return Reply::bad_stub(*in.error());
            const auto& counted = machine.statistics;
            return Reply::of(
                rpc__mgmt_inq_stats::Out{{counted.calls_in, counted.calls_out, counted.packets_in, counted.packets_out}}
                    .serialise(count),
                0);
        }
        case 2:  // is_server_listening
            out.u32(0);
            out.u32(1);
            return Reply::of(out.take(), 0);
        case 3:
            return Reply::faulted(status::ERROR_ACCESS_DENIED);  // stop_server_listening
        default:
            return Reply::faulted(status::nca_op_rng_error, true);
    }
}

}  // namespace

Reply serve_mapper(Machine& machine, const Call& call) {
    if (call.interface.uuid == interface::mgmt.uuid) return manage(machine, call);
    switch (call.opnum) {
        case ept_map::opnum:
            return map(machine, call);
        case ept_lookup::opnum:
            return lookup(machine, call);
        case ept_lookup_handle_free::opnum: {
            const auto in = ept_lookup_handle_free::In::parse(call.stub, call.order);
            if (!in) return Reply::bad_stub(in.error());
            machine.free_lookup(in->entry_handle);
            return Reply::of(ept_lookup_handle_free::Out{}.serialise(), 0);
        }
        default:
            return Reply::faulted(status::nca_op_rng_error, true);  // nobody may register from outside
    }
}

}  // namespace wmlab::rpc
