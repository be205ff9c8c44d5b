#include "common/rpc/server_connection.hpp"

#include <algorithm>

#include "common/bytes/hex.hpp"

namespace wmlab::rpc {
namespace {

constexpr std::size_t send_pause = 256 * 1024;  // many small requests must not make one huge answer
constexpr std::uint16_t peer_frag_min = 128;    // below, a peer's max_recv_frag makes no sense

}  // namespace

ServerOutput ServerConnection::receive(Bytes received, TimePoint now) {
    ServerOutput out;
    if (closed_) return out;
    stream_.append(received);
    bool progress = false;
    while (!closed_) {
        if (out.send.size() >= send_pause) {
            out.more = true;
            break;
        }
        const auto next = stream_.next();
        if (!next) break;
        ++machine_.statistics.packets_in;
        if (!*next) {
            malformed("PDU", next->error(), received, out);
            refuse_bind(BindNakReason::protocol_version_not_supported, 0, "is no DCE/RPC: " + next->error().text(),
                        out);
            break;
        }
        take(**next, out, now);
        progress = true;
    }
    if (progress && !stub_.started()) deadline_.reset();
    if (!stream_.partial() && !stub_.started())
        deadline_.reset();
    else if (!deadline_)
        deadline_ = now + patience;
    return out;
}

void ServerConnection::take(Bytes octets, ServerOutput& out, TimePoint now) {
    const auto parsed = Pdu::parse(octets);
    const auto header = PduHeader::parse(octets);  // was read before: it is good
    if (!parsed) {
        malformed(pdu_name(header->PTYPE), parsed.error(), octets, out);
        if (header->PTYPE == PduType::bind || header->PTYPE == PduType::alter_context)
            return refuse_bind(BindNakReason::reason_not_specified, header->call_id, parsed.error().text(), out);
        Pdu broken;
        broken.header = *header;
        fault(status::nca_proto_error, broken, true, out);
        out.close = closed_ = true;
        out.why = parsed.error().text();
        return;
    }
    switch (parsed->header.PTYPE) {
        case PduType::bind:
        case PduType::alter_context:
            return bind(*parsed, octets.size(), out);
        case PduType::request:
            return request(*parsed, octets.size(), out, now);
        case PduType::orphaned:
            stub_.drop();
            [[fallthrough]];
        case PduType::co_cancel:  // calls are answered at once: there is never one to cancel
        case PduType::auth3:      // has no answer by design
            out.notes.push_back({Note::What::received,
                                 pdu_name(parsed->header.PTYPE),
                                 pdu_name(parsed->header.PTYPE),
                                 octets.size(),
                                 {},
                                 {},
                                 {},
                                 {},
                                 {}});
            return;
        default:
            fault(status::nca_proto_error, *parsed, true, out);
            out.close = closed_ = true;
            out.why = pdu_name(parsed->header.PTYPE) + " is not for a server";
    }
}

ContextResult ServerConnection::negotiate(const ContextElement& element) {
    ContextResult result;
    const auto& offered = element.transfer_syntaxes;
    if (std::any_of(offered.begin(), offered.end(), syntax::is_feature_negotiation)) {
        result.result = ContextVerdict::negotiate_ack;  // with reason 0: none of the features
        return result;
    }
    result.result = ContextVerdict::provider_rejection;
    if (!offers(machine_, port_, element.abstract_syntax)) {
        result.reason = ContextReason::abstract_syntax_not_supported;
        return result;
    }
    if (std::find(offered.begin(), offered.end(), syntax::NDR) == offered.end()) {
        result.reason = ContextReason::proposed_transfer_syntaxes_not_supported;
        return result;
    }
    if (contexts_.size() >= contexts_max && !contexts_.contains(element.p_cont_id)) {
        result.reason = ContextReason::local_limit_exceeded;
        return result;
    }
    contexts_[element.p_cont_id] = {element.abstract_syntax};
    result.result = ContextVerdict::acceptance;
    result.transfer_syntax = syntax::NDR;
    return result;
}

void ServerConnection::bind(const Pdu& pdu, std::size_t size, ServerOutput& out) {
    const auto& offer = std::get<Bind>(pdu.body);
    const bool alter = pdu.header.PTYPE == PduType::alter_context;
    Note note{Note::What::received, pdu_name(pdu.header.PTYPE), pdu_name(pdu.header.PTYPE), size, {}, {}, {}, {}, {}};
    for (std::size_t i = 0; i < std::min<std::size_t>(offer.elements.size(), 4); ++i)
        note.fields.emplace_back("interface", interface_name(offer.elements[i].abstract_syntax.uuid));
    out.notes.push_back(std::move(note));

    if (pdu.auth)
        return refuse_bind(BindNakReason::authentication_type_not_recognized, pdu.header.call_id,
                           "there is no security provider", out);
    if (offer.elements.size() > contexts_max)
        return refuse_bind(BindNakReason::local_limit_exceeded, pdu.header.call_id,
                           std::to_string(offer.elements.size()) + " presentation contexts are too many", out);
    if (alter != bound_)
        return refuse_bind(BindNakReason::reason_not_specified, pdu.header.call_id,
                           alter ? "alter_context before bind" : "a second bind", out);

    if (!alter) {
        bound_ = true;
        max_xmit_ = std::min(std::max(offer.max_recv_frag, peer_frag_min), frag_max);
        max_recv_ = std::min(std::max(offer.max_xmit_frag, peer_frag_min), frag_max);
        association_ = offer.assoc_group_id != 0 ? offer.assoc_group_id : machine_.next_association_group();
    }
    BindAck ack;
    ack.max_xmit_frag = max_xmit_;
    ack.max_recv_frag = max_recv_;
    ack.assoc_group_id = association_;
    if (!alter) ack.sec_addr = std::to_string(port_);
    for (const auto& element : offer.elements) ack.results.push_back(negotiate(element));
    Pdu answer{{}, ack, {}};
    answer.header.PTYPE = alter ? PduType::alter_context_resp : PduType::bind_ack;
    answer.header.call_id = pdu.header.call_id;
    const auto name = pdu_name(answer.header.PTYPE);
    send(name, name, answer.serialise(), out);
    for (std::size_t i = 0; i < std::min<std::size_t>(ack.results.size(), 4); ++i)
        out.notes.back().fields.emplace_back("result", text(ack.results[i]));
}

void ServerConnection::request(const Pdu& pdu, std::size_t size, ServerOutput& out, TimePoint now) {
    const auto& part = std::get<Request>(pdu.body);
    if (pdu.header.pfc_flags & pfc::FIRST_FRAG && !stub_.started()) {
        incoming_ = {part.p_cont_id, part.opnum, part.object, 0};
    }
    incoming_.bytes += size;
    switch (stub_.add(pdu.header.pfc_flags, pdu.header.call_id, part.stub)) {
        case FragmentedStub::Progress::more:
            return;
        case FragmentedStub::Progress::whole:
            return execute(pdu, stub_.take(), out, now);
        case FragmentedStub::Progress::out_of_order:
            fault(status::nca_proto_error, pdu, true, out);
            out.why = "a fragment of another call, or without a beginning";
            break;
        case FragmentedStub::Progress::too_large:
            fault(status::nca_server_too_busy, pdu, true, out);
            out.why = "a call of more than 1 MiB";
            break;
    }
    out.close = closed_ = true;
}

void ServerConnection::execute(const Pdu& last, Octets stub, ServerOutput& out, TimePoint now) {
    const auto context = contexts_.find(incoming_.p_cont_id);
    Note received{Note::What::received, "", "request", incoming_.bytes, {}, {}, {}, {}, {}};
    if (context == contexts_.end()) {
        received.message = "operation " + std::to_string(incoming_.opnum) + " of an unknown context";
        out.notes.push_back(std::move(received));
        return fault(status::nca_invalid_pres_context_id, last, true, out);
    }
    const auto& interface = context->second.interface;
    const auto name = operation_name(interface.uuid, incoming_.opnum);
    const auto reply =
        serve(machine_, {port_, interface, incoming_.opnum, incoming_.object, stub, last.header.order, now});
    received.message = name;
    received.causality = reply.causality;
    out.notes.push_back(std::move(received));
    if (reply.problem) malformed(name, *reply.problem, stub, out);
    if (last.header.pfc_flags & pfc::MAYBE) return;  // wants no answer
    ++machine_.statistics.calls_out;
    Octets octets;
    if (reply.fault) {
        octets = fault_pdu(*reply.fault, incoming_.p_cont_id, last.header.call_id, reply.did_not_execute);
    } else {
        Response response;
        response.p_cont_id = incoming_.p_cont_id;
        response.stub = reply.stub;
        octets = response_pdus(response, last.header.call_id, max_xmit_);
    }
    send(name, reply.fault ? "fault" : "response", std::move(octets), out);
    auto& sent = out.notes.back();
    sent.hr = reply.hr;
    sent.causality = reply.causality;
    sent.fields = reply.fields;
}

void ServerConnection::refuse_bind(BindNakReason reason, std::uint32_t call_id, std::string why, ServerOutput& out) {
    Pdu nak{{}, BindNak{reason}, {}};
    nak.header.PTYPE = PduType::bind_nak;
    nak.header.call_id = call_id;
    send("bind_nak", "bind_nak", nak.serialise(), out);
    out.notes.back().fields.emplace_back("reason", text(reason));
    out.close = closed_ = true;
    out.why = std::move(why);
}

void ServerConnection::fault(std::uint32_t status, const Pdu& pdu, bool did_not_execute, ServerOutput& out) {
    const auto* request = std::get_if<Request>(&pdu.body);
    send("fault", "fault", fault_pdu(status, request ? request->p_cont_id : 0, pdu.header.call_id, did_not_execute),
         out);
    out.notes.back().hr = status;
}

void ServerConnection::send(std::string message, std::string pdu, Octets octets, ServerOutput& out) {
    ++machine_.statistics.packets_out;
    out.notes.push_back({Note::What::sent, std::move(message), std::move(pdu), octets.size(), {}, {}, {}, {}, {}});
    out.send.insert(out.send.end(), octets.begin(), octets.end());
}

void ServerConnection::malformed(std::string message, const bytes::ParseError& problem, Bytes octets,
                                 ServerOutput& out) {
    Note note{Note::What::malformed, std::move(message), "", octets.size(), {}, {}, {}, problem, {}};
    note.head = bytes::hex(octets.first(std::min<std::size_t>(octets.size(), 32)));
    out.notes.push_back(std::move(note));
}

}  // namespace wmlab::rpc
