#include "common/rpc/datagram_server.hpp"

#include <algorithm>

#include "common/bytes/hex.hpp"

namespace wmlab::rpc {
namespace {

constexpr std::size_t stub_max = 64 * 1024;  // of a fragmented request over UDP: ours are all small

// Sequence numbers wrap; `a` is older than `b` if it is less than half the range behind.
bool is_older(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) < 0; }

}  // namespace

DatagramServer::Activity* DatagramServer::activity(const std::string& peer, const Guid& act_id, TimePoint now,
                                                   bool make) {
    const Key key{peer, act_id};
    auto found = activities_.find(key);
    if (found == activities_.end()) {
        if (!make) return nullptr;
        if (activities_.size() >= activities_max) {
            const auto oldest =
                std::min_element(activities_.begin(), activities_.end(),
                                 [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
            activities_.erase(oldest);
        }
        found = activities_.try_emplace(key).first;
    }
    found->second.used = now;
    return &found->second;
}

void DatagramServer::expire(TimePoint now) {
    std::erase_if(activities_, [&](const auto& one) { return now - one.second.used >= memory; });
}

Datagram DatagramServer::answer_to(const Datagram& call, PduType type) const {
    Datagram answer;
    answer.ptype = type;
    answer.flags1 = pf1::nofack;
    answer.object = call.object;
    answer.if_id = call.if_id;
    answer.act_id = call.act_id;
    answer.server_boot = machine_.options().boot_time;
    answer.if_vers_major = call.if_vers_major;
    answer.if_vers_minor = call.if_vers_minor;
    answer.seqnum = call.seqnum;
    answer.opnum = call.opnum;
    return answer;
}

void DatagramServer::send(const Datagram& datagram, std::string message, DatagramOutput& out) {
    ++machine_.statistics.packets_out;
    out.send.push_back(datagram.serialise());
    out.notes.push_back(
        {Note::What::sent, std::move(message), pdu_name(datagram.ptype), out.send.back().size(), {}, {}, {}, {}, {}});
}

DatagramOutput DatagramServer::receive(const std::string& peer, Bytes octets, TimePoint now) {
    DatagramOutput out;
    ++machine_.statistics.packets_in;
    const auto parsed = Datagram::parse(octets);
    if (!parsed) {  // strangers and scanners get no answer on UDP
        ++dropped_;
        return out;
    }
    const auto& call = *parsed;
    switch (call.ptype) {
        case PduType::request: {
            if (call.flags1 & pf1::broadcast) break;
            auto* one = activity(peer, call.act_id, now, true);
            return request(*one, call, out, now, octets.size()), out;
        }
        case PduType::ping: {
            out.notes.push_back({Note::What::received, "ping", "ping", octets.size(), {}, {}, {}, {}, {}});
            auto* one = activity(peer, call.act_id, now, false);
            if (one != nullptr && one->known && one->seqnum == call.seqnum && one->done && !one->answer.empty())
                send_answer(*one, out);
            else if (one == nullptr || !one->known || !is_older(call.seqnum, one->seqnum))
                send(answer_to(call, PduType::nocall), "nocall", out);
            return out;
        }
        case PduType::ack:
        case PduType::fack: {
            auto* one = activity(peer, call.act_id, now, false);
            if (one == nullptr || !one->known || one->seqnum != call.seqnum) return out;
            out.notes.push_back(
                {Note::What::received, pdu_name(call.ptype), pdu_name(call.ptype), octets.size(), {}, {}, {}, {}, {}});
            if (call.ptype == PduType::ack || call.fragnum + std::size_t{1} >= one->answer.size()) {
                one->answer.clear();
            } else if (call.fragnum + std::size_t{1} > one->acknowledged) {
                one->acknowledged = call.fragnum + std::size_t{1};
                send_answer(*one, out);
            }
            return out;
        }
        case PduType::cl_cancel: {  // nothing is ever still executing
            auto answer = answer_to(call, PduType::cancel_ack);
            NdrWriter body;
            NdrReader in{call.body, call.order};
            in.u32("vers");
            const auto cancel_id = in.u32("cancel_id");
            body.u32(0);
            body.u32(cancel_id);
            body.u32(0);  // server_is_accepting
            answer.body = body.take();
            send(answer, "cancel_ack", out);
            return out;
        }
        default:
            break;  // answers are for clients
    }
    ++dropped_;
    return out;
}

void DatagramServer::request(Activity& one, const Datagram& call, DatagramOutput& out, TimePoint now,
                             std::size_t size) {
    if (call.server_boot != 0 && call.server_boot != machine_.options().boot_time) {
        auto answer = answer_to(call, PduType::reject);
        answer.body = datagram_status(status::nca_wrong_boot_time);
        send(answer, operation_name(call.if_id, call.opnum), out);
        out.notes.back().hr = status::nca_wrong_boot_time;
        return;
    }
    if (one.known && is_older(call.seqnum, one.seqnum)) return;  // a late copy of a call already over
    if (one.known && one.seqnum == call.seqnum && one.done) {
        send_answer(one, out);  // a copy: answered again, not executed again
        return;
    }
    if (!one.known || one.seqnum != call.seqnum) {
        const auto used = one.used;
        one = {};
        one.known = true;
        one.seqnum = call.seqnum;
        one.used = used;
    }
    Note note{Note::What::received, operation_name(call.if_id, call.opnum), "request", size, {}, {}, {}, {}, {}};
    out.notes.push_back(std::move(note));
    if (call.flags1 & pf1::frag)
        collect(one, call, out, now);
    else
        execute(one, call, call.body, out, now);
}

void DatagramServer::collect(Activity& one, const Datagram& call, DatagramOutput& out, TimePoint now) {
    if (!one.fragments.contains(call.fragnum)) {
        if (call.body.size() > stub_max - one.fragment_bytes || call.fragnum > 1024) return;  // too large: never whole
        one.fragment_bytes += call.body.size();
        one.fragments[call.fragnum] = call.body;
    }
    if (call.flags1 & pf1::lastfrag) one.last_fragment = call.fragnum;
    std::uint16_t whole = 0;  // fragments without a gap
    for (const auto& [number, part] : one.fragments) {
        if (number != whole) break;
        ++whole;
    }
    if (one.last_fragment && whole == *one.last_fragment + 1) {
        Octets stub;
        for (const auto& [number, part] : one.fragments) stub.insert(stub.end(), part.begin(), part.end());
        one.fragments.clear();
        return execute(one, call, stub, out, now);
    }
    if (call.flags1 & pf1::nofack || whole == 0) return;
    auto answer = answer_to(call, PduType::fack);
    answer.fragnum = static_cast<std::uint16_t>(whole - 1);
    FackBody body;
    body.window_size = 8;
    body.max_tsdu = stub_max;
    body.max_frag_size = datagram_body_max + Datagram::header_size;
    body.serial_num = call.serial;
    answer.body = body.serialise();
    send(answer, "fack", out);
}

void DatagramServer::execute(Activity& one, const Datagram& call, const Octets& stub, DatagramOutput& out,
                             TimePoint now) {
    const auto name = operation_name(call.if_id, call.opnum);
    std::optional<Guid> object;
    if (call.object != Guid{}) object = call.object;
    const auto reply = serve(machine_, {port_, call.interface(), call.opnum, object, stub, call.order, now});
    one.done = true;
    one.acknowledged = 0;
    out.notes.back().causality = reply.causality;
    if (reply.problem) {
        Note note{Note::What::malformed, name, "request", stub.size(), {}, {}, {}, reply.problem, {}};
        note.head = bytes::hex(Bytes{stub}.first(std::min<std::size_t>(stub.size(), 32)));
        out.notes.push_back(std::move(note));
    }
    if (call.flags1 & pf1::maybe) return;
    ++machine_.statistics.calls_out;
    if (reply.fault) {
        const auto type = reply.did_not_execute ? PduType::reject : PduType::fault;
        auto answer = answer_to(call, type);
        answer.body = datagram_status(*reply.fault);
        one.answer = {answer};
    } else {
        one.answer = datagram_fragments(answer_to(call, PduType::response), reply.stub);
    }
    send_answer(one, out);
    for (auto& note : out.notes) {
        if (note.what != Note::What::sent) continue;
        note.hr = reply.hr;
        note.causality = reply.causality;
        note.fields = reply.fields;
    }
}

void DatagramServer::send_answer(Activity& one, DatagramOutput& out) {
    const auto end = std::min(one.answer.size(), one.acknowledged + window);
    for (auto i = one.acknowledged; i < end; ++i)
        send(one.answer[i], operation_name(one.answer[i].if_id, one.answer[i].opnum), out);
}

}  // namespace wmlab::rpc
