#include "common/rpc/client_connection.hpp"

#include <algorithm>
#include <cassert>

#include "common/bytes/hex.hpp"

namespace wmlab::rpc {

ClientOutput ClientConnection::call(ClientCall call) {
    assert(!call_);
    ClientOutput out;
    call_ = std::move(call);
    ++call_id_;
    if (dead_) {
        broken("the connection has ended", out);
        return out;
    }
    if (contexts_.contains(call_->interface)) {
        send_request(out);
        return out;
    }
    Bind bind;
    bind.max_xmit_frag = bind.max_recv_frag = frag_max;
    bind.assoc_group_id = association_;
    offered_ = next_context_++;
    bind.elements.push_back({offered_, call_->interface, {syntax::NDR}});
    Pdu pdu{{}, std::move(bind), {}};
    pdu.header.PTYPE = bound_ ? PduType::alter_context : PduType::bind;
    pdu.header.call_id = call_id_;
    out.send.push_back(pdu.serialise());
    const auto name = pdu_name(pdu.header.PTYPE);
    out.notes.push_back({Note::What::sent,
                         name,
                         name,
                         out.send.back().size(),
                         {},
                         call_->causality,
                         {{"interface", interface_name(call_->interface.uuid)}},
                         {},
                         {}});
    return out;
}

void ClientConnection::send_request(ClientOutput& out) {
    Request request;
    request.p_cont_id = contexts_.at(call_->interface);
    request.opnum = call_->opnum;
    request.object = call_->object;
    request.stub = call_->stub;
    answer_bytes_ = 0;
    out.send.push_back(request_pdus(request, call_id_, max_xmit_));
    out.notes.push_back({Note::What::sent,
                         operation_name(call_->interface.uuid, call_->opnum),
                         "request",
                         out.send.back().size(),
                         {},
                         call_->causality,
                         {},
                         {},
                         {}});
}

ClientOutput ClientConnection::receive(Bytes received) {
    ClientOutput out;
    if (dead_) return out;
    stream_.append(received);
    while (!dead_) {
        const auto next = stream_.next();
        if (!next) break;
        if (!*next)
            broken("the peer speaks no DCE/RPC: " + next->error().text(), out);
        else
            take(**next, out);
    }
    return out;
}

void ClientConnection::take(Bytes octets, ClientOutput& out) {
    const auto parsed = Pdu::parse(octets);
    if (!parsed) {
        Note note{Note::What::malformed, "PDU", "", octets.size(), {}, {}, {}, parsed.error(), {}};
        note.head = bytes::hex(octets.first(std::min<std::size_t>(octets.size(), 32)));
        out.notes.push_back(std::move(note));
        return broken(parsed.error().text(), out);
    }
    const auto& pdu = *parsed;
    if (!call_ || pdu.header.call_id != call_id_) {
        if (pdu.header.PTYPE == PduType::shutdown) return broken("the server asks to close", out);
        if (pdu.header.PTYPE != PduType::bind_nak) return;  // an answer nobody waits for
    }
    if (!call_) return;
    const auto name = operation_name(call_->interface.uuid, call_->opnum);
    switch (pdu.header.PTYPE) {
        case PduType::bind_ack:
        case PduType::alter_context_resp:
            return bound(pdu, octets, out);
        case PduType::bind_nak: {
            const auto reason = text(std::get<BindNak>(pdu.body).reason);
            out.notes.push_back({Note::What::received,
                                 "bind_nak",
                                 "bind_nak",
                                 octets.size(),
                                 {},
                                 call_->causality,
                                 {{"reason", reason}},
                                 {},
                                 {}});
            dead_ = true;
            return finish({CallOutcome::Kind::refused, {}, {}, 0, "bind_nak: " + reason}, out);
        }
        case PduType::fault: {
            const auto status = std::get<Fault>(pdu.body).status;
            out.notes.push_back(
                {Note::What::received, name, "fault", octets.size(), status, call_->causality, {}, {}, {}});
            stub_.drop();
            return finish({CallOutcome::Kind::faulted, {}, {}, status, "fault " + status_text(status)}, out);
        }
        case PduType::response: {
            answer_bytes_ += octets.size();
            switch (stub_.add(pdu.header.pfc_flags, pdu.header.call_id, std::get<Response>(pdu.body).stub)) {
                case FragmentedStub::Progress::more:
                    return;
                case FragmentedStub::Progress::whole:
                    break;
                case FragmentedStub::Progress::out_of_order:
                    return broken("fragments of the answer are out of order", out);
                case FragmentedStub::Progress::too_large:
                    return broken("an answer of more than 1 MiB", out);
            }
            out.notes.push_back(
                {Note::What::received, name, "response", answer_bytes_, {}, call_->causality, {}, {}, {}});
            return finish({CallOutcome::Kind::answered, stub_.take(), pdu.header.order, 0, {}}, out);
        }
        default:
            return;
    }
}

void ClientConnection::bound(const Pdu& pdu, Bytes octets, ClientOutput& out) {
    const auto& ack = std::get<BindAck>(pdu.body);
    const auto name = pdu_name(pdu.header.PTYPE);
    Note note{Note::What::received, name, name, octets.size(), {}, call_->causality, {}, {}, {}};
    if (!ack.results.empty()) note.fields.emplace_back("result", text(ack.results.front()));
    out.notes.push_back(std::move(note));
    if (ack.results.size() != 1) return broken(name + " answers another number of contexts", out);
    if (pdu.header.PTYPE == PduType::bind_ack) {
        bound_ = true;
        association_ = ack.assoc_group_id;
        max_xmit_ = std::max<std::uint16_t>(std::min(ack.max_recv_frag, frag_max), 128);
    }
    if (ack.results.front().result != ContextVerdict::acceptance)
        return finish({CallOutcome::Kind::refused,
                       {},
                       {},
                       0,
                       interface_name(call_->interface.uuid) + ": " + text(ack.results.front())},
                      out);
    if (ack.results.front().transfer_syntax != syntax::NDR) return broken("another transfer syntax was accepted", out);
    contexts_[call_->interface] = offered_;
    send_request(out);
}

ClientOutput ClientConnection::lost(std::string reason) {
    ClientOutput out;
    broken(std::move(reason), out);
    return out;
}

void ClientConnection::broken(std::string reason, ClientOutput& out) {
    dead_ = true;
    if (call_) finish({CallOutcome::Kind::broken, {}, {}, 0, std::move(reason)}, out);
}

void ClientConnection::finish(CallOutcome outcome, ClientOutput& out) {
    call_.reset();
    out.outcome = std::move(outcome);
}

}  // namespace wmlab::rpc
