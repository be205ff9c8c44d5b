#include "common/rpc/datagram_client.hpp"

#include <algorithm>
#include <cassert>

namespace wmlab::rpc {
namespace {

constexpr std::size_t answer_max = 1 << 20;
constexpr std::size_t request_window = 8;

}  // namespace

Datagram DatagramClient::header(PduType type) const {
    Datagram out;
    out.ptype = type;
    // Idempotent: a server that keeps at-most-once semantics otherwise calls back first (conv_who_are_you2).
    out.flags1 = pf1::idempotent;
    out.object = call_->object.value_or(Guid{});
    out.if_id = call_->interface.uuid;
    out.if_vers_major = call_->interface.major;
    out.if_vers_minor = call_->interface.minor;
    out.act_id = activity_;
    out.server_boot = server_boot_;
    out.seqnum = seqnum_;
    out.opnum = call_->opnum;
    return out;
}

ClientOutput DatagramClient::call(ClientCall call, TimePoint now) {
    assert(!call_);
    ClientOutput out;
    call_ = std::move(call);
    ++seqnum_;
    sends_ = 0;
    interval_ = patience_.first;
    acknowledged_ = 0;
    fragments_.clear();
    last_fragment_.reset();
    fragment_bytes_ = 0;
    request_ = datagram_fragments(header(PduType::request), call_->stub);
    transmit(out, now);
    return out;
}

void DatagramClient::transmit(ClientOutput& out, TimePoint now) {
    const auto end = std::min(request_.size(), acknowledged_ + request_window);
    std::size_t size = 0;
    for (auto i = acknowledged_; i < end; ++i) {
        out.send.push_back(request_[i].serialise());
        size += out.send.back().size();
    }
    ++sends_;
    Note note{Note::What::sent,
              operation_name(call_->interface.uuid, call_->opnum),
              "request",
              size,
              {},
              call_->causality,
              {},
              {},
              {}};
    if (sends_ > 1) note.fields.emplace_back("attempt", std::to_string(sends_));
    out.notes.push_back(std::move(note));
    deadline_ = now + interval_;
    interval_ = std::min(interval_ * 2, patience_.longest);
}

ClientOutput DatagramClient::expire(TimePoint now) {
    ClientOutput out;
    if (!call_ || !deadline_ || now < *deadline_) return out;
    if (sends_ >= patience_.sends)
        finish({CallOutcome::Kind::broken, {}, {}, 0, "no answer to " + std::to_string(sends_) + " requests"}, out);
    else
        transmit(out, now);
    return out;
}

// A server that wants to know us before it executes a call that is not idempotent (C706 appendix P).
void DatagramClient::answer_question(const Datagram& question, ClientOutput& out, std::size_t size) {
    if (question.if_id != interface::conv.uuid || question.opnum > 1) return;
    constexpr std::size_t questions_max = 16;
    constexpr unsigned answers_max = 4;  // to the same question: replays are not answered for ever
    auto asked = std::ranges::find(questions_, question.act_id, &std::pair<Guid, unsigned>::first);
    if (asked == questions_.end()) {
        if (questions_.size() >= questions_max) questions_.erase(questions_.begin());
        asked = questions_.insert(questions_.end(), {question.act_id, 0});
    }
    if (++asked->second > answers_max) return;
    auto who = question;
    who.ptype = PduType::response;
    who.flags1 = pf1::nofack;
    who.order = ByteOrder::little;
    NdrWriter body;
    body.u32(seqnum_);
    if (question.opnum == 1) body.guid(Guid::named("client address space " + activity_.text()));
    body.u32(0);
    who.body = body.take();
    out.send.push_back(who.serialise());
    out.notes.push_back({Note::What::received, operation_name(question.if_id, question.opnum), "request", size, {}, {}, {}, {}, {}});
}

ClientOutput DatagramClient::receive(Bytes octets, TimePoint now) {
    ClientOutput out;
    const auto parsed = Datagram::parse(octets);
    if (!parsed) return out;  // anybody may send us anything
    const auto& answer = *parsed;
    if (answer.ptype == PduType::request) {
        answer_question(answer, out, octets.size());
        return out;
    }
    if (!call_ || answer.act_id != activity_ || answer.seqnum != seqnum_) return out;  // late, or somebody else's
    if (answer.server_boot != 0) server_boot_ = answer.server_boot;
    const auto name = operation_name(call_->interface.uuid, call_->opnum);
    switch (answer.ptype) {
        case PduType::response:
            response(answer, out, octets.size());
            break;
        case PduType::fault:
        case PduType::reject: {
            const auto status = parse_datagram_status(answer);
            const auto value = status ? *status : status::nca_proto_error;
            const auto what = pdu_name(answer.ptype);
            out.notes.push_back({Note::What::received, name, what, octets.size(), value, call_->causality, {}, {}, {}});
            finish({CallOutcome::Kind::faulted, {}, {}, value, what + " " + status_text(value)}, out);
            break;
        }
        case PduType::working:
            deadline_ = now + patience_.longest;
            break;
        case PduType::nocall:  // the request was lost
            if (sends_ < patience_.sends) transmit(out, now);
            break;
        case PduType::fack:
            if (answer.fragnum + std::size_t{1} > acknowledged_ && answer.fragnum + std::size_t{1} < request_.size()) {
                acknowledged_ = answer.fragnum + std::size_t{1};
                --sends_;  // progress, not a retry
                transmit(out, now);
            }
            break;
        default:
            break;
    }
    return out;
}

void DatagramClient::response(const Datagram& answer, ClientOutput& out, std::size_t size) {
    const auto name = operation_name(call_->interface.uuid, call_->opnum);
    if ((answer.flags1 & pf1::frag) == 0) {
        out.notes.push_back({Note::What::received, name, "response", size, {}, call_->causality, {}, {}, {}});
        return finish({CallOutcome::Kind::answered, answer.body, answer.order, 0, {}}, out);
    }
    if (!fragments_.contains(answer.fragnum)) {
        fragment_bytes_ += answer.body.size();
        if (fragment_bytes_ > answer_max)
            return finish({CallOutcome::Kind::broken, {}, {}, 0, "an answer of more than 1 MiB"}, out);
        fragments_[answer.fragnum] = answer.body;
    }
    if (answer.flags1 & pf1::lastfrag) last_fragment_ = answer.fragnum;
    std::uint16_t whole = 0;
    for (const auto& [number, part] : fragments_) {
        if (number != whole) break;
        ++whole;
    }
    if ((answer.flags1 & pf1::nofack) == 0 && whole > 0) {
        auto fack = header(PduType::fack);
        fack.flags1 = 0;
        fack.fragnum = static_cast<std::uint16_t>(whole - 1);
        FackBody body;
        body.window_size = 8;
        body.max_tsdu = answer_max;
        body.max_frag_size = datagram_body_max + Datagram::header_size;
        body.serial_num = answer.serial;
        fack.body = body.serialise();
        out.send.push_back(fack.serialise());
    }
    if (!last_fragment_ || whole != *last_fragment_ + 1) return;
    Octets stub;
    for (const auto& [number, part] : fragments_) stub.insert(stub.end(), part.begin(), part.end());
    out.notes.push_back({Note::What::received, name, "response", stub.size(), {}, call_->causality, {}, {}, {}});
    finish({CallOutcome::Kind::answered, std::move(stub), answer.order, 0, {}}, out);
}

ClientOutput DatagramClient::lost(std::string reason) {
    ClientOutput out;
    if (call_) finish({CallOutcome::Kind::broken, {}, {}, 0, std::move(reason)}, out);
    return out;
}

void DatagramClient::finish(CallOutcome outcome, ClientOutput& out) {
    call_.reset();
    deadline_.reset();
    out.outcome = std::move(outcome);
}

}  // namespace wmlab::rpc
