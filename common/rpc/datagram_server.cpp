#include "common/rpc/datagram_server.hpp"

#include <algorithm>

#include "common/bytes/hex.hpp"

namespace wmlab::rpc {
namespace {

constexpr std::uint16_t conv_who_are_you2 = 1;
constexpr std::size_t packet_head = 28;  // of IP and UDP: an address that is sent something pays for it as well
constexpr std::size_t stub_max = 64 * 1024;  // of a fragmented request over UDP: ours are all small

// Sequence numbers wrap; `a` is older than `b` if it is less than half the range behind.
bool is_older(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) < 0; }

std::string address_of(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

}  // namespace

std::size_t DatagramServer::GuidHash::operator()(const Guid& guid) const {
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(guid.octets.data()), guid.octets.size()});
}

std::size_t DatagramServer::KeyHash::operator()(const Key& key) const {
    return std::hash<std::string>{}(key.first) * 31 + GuidHash{}(key.second);
}

// --- whose address is proven

DatagramServer::Activity* DatagramServer::activity(const Key& key, TimePoint now) {
    const auto found = activities_.find(key);
    if (found == activities_.end()) return nullptr;
    auto& one = found->second;
    one.used = now;
    by_use_.splice(by_use_.end(), by_use_, one.by_use);
    auto& siblings = of_addresses_[address_of(key.first)];
    siblings.splice(siblings.end(), siblings, one.of_address);
    return &one;
}

// One address cannot crowd out what others have proven.
DatagramServer::Activity& DatagramServer::proven(const Key& key, TimePoint now) {
    if (auto* one = activity(key, now)) return *one;
    const auto address = address_of(key.first);
    if (const auto own = of_addresses_.find(address);
        own != of_addresses_.end() && own->second.size() >= activities_of_address_max)
        forget_activity(Key{own->second.front()});
    else if (activities_.size() >= activities_max)
        forget_activity(Key{by_use_.front()});
    auto& one = activities_[key];
    one.used = now;
    one.by_use = by_use_.insert(by_use_.end(), key);
    auto& siblings = of_addresses_[address];
    one.of_address = siblings.insert(siblings.end(), key);
    return one;
}

void DatagramServer::forget_activity(const Key& key) {
    const auto found = activities_.find(key);
    if (found == activities_.end()) return;
    by_use_.erase(found->second.by_use);
    const auto siblings = of_addresses_.find(address_of(key.first));
    siblings->second.erase(found->second.of_address);
    if (siblings->second.empty()) of_addresses_.erase(siblings);
    activities_.erase(found);
}

void DatagramServer::expire(TimePoint now) {
    while (!by_use_.empty() && now - activities_.at(by_use_.front()).used >= memory)
        forget_activity(Key{by_use_.front()});
    while (!by_age_.empty() && now - questions_.at(by_age_.front()).asked_at >= answer_limit)
        forget_question(Guid{by_age_.front()});
}

// The question carries an activity of our own that nobody can guess, and its answer carries it back. One question for
// one request, and smaller than any request that has an object or arguments.
void DatagramServer::ask(const Key& key, const Datagram& call, Bytes octets, DatagramOutput& out, TimePoint now) {
    if (call.flags1 & pf1::maybe) return;  // nothing is promised to it
    const auto before = asked_.find(key);
    const auto name = before != asked_.end() ? before->second : machine_.random_guid();
    if (before == asked_.end()) {
        if (questions_.size() >= questions_max) forget_question(Guid{by_age_.front()});
        questions_.emplace(name, Question{key, {}, now, by_age_.insert(by_age_.end(), name), 0});
        asked_.emplace(key, name);
    }
    auto& question = questions_.at(name);
    const auto same = [&](const Octets& other) { return std::ranges::equal(other, octets); };
    if (held_ + octets.size() <= held_max && question.held + octets.size() <= held_for_one_max &&
        std::ranges::none_of(question.requests, same)) {
        question.requests.emplace_back(octets.begin(), octets.end());
        question.held += octets.size();
        held_ += octets.size();
    }
    Datagram who;
    who.ptype = PduType::request;
    who.flags1 = pf1::idempotent;
    who.if_id = interface::conv.uuid;
    who.if_vers_major = interface::conv.major;
    who.act_id = name;
    who.opnum = conv_who_are_you2;
    NdrWriter body;
    body.guid(key.second);
    body.u32(machine_.options().boot_time);
    who.body = body.take();
    send(who, operation_name(who.if_id, who.opnum), out);
}

void DatagramServer::forget_question(const Guid& name) {
    const auto found = questions_.find(name);
    if (found == questions_.end()) return;
    held_ -= found->second.held;
    by_age_.erase(found->second.by_age);
    asked_.erase(found->second.asked);
    questions_.erase(found);
}

void DatagramServer::answered(const std::string& peer, const Datagram& answer, std::size_t size, DatagramOutput& out,
                              TimePoint now) {
    const auto found = questions_.find(answer.act_id);
    if (answer.if_id != interface::conv.uuid || found == questions_.end() || found->second.asked.first != peer) {
        ++dropped_;
        return;
    }
    out.proven = true;
    out.notes.push_back({Note::What::received,
                         operation_name(answer.if_id, conv_who_are_you2),
                         "response",
                         size,
                         {},
                         {},
                         {},
                         {},
                         {}});
    const auto key = found->second.asked;
    const auto waiting = std::move(found->second.requests);
    forget_question(answer.act_id);
    auto& one = proven(key, now);
    for (const auto& octets : waiting)
        if (const auto call = Datagram::parse(octets)) request(one, *call, out, now, octets.size());
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
            const Key key{peer, call.act_id};
            if (auto* one = activity(key, now)) {
                out.proven = true;
                request(*one, call, out, now, octets.size());
            } else {
                unproven_request(key, call, octets, out, now);
            }
            return out;
        }
        case PduType::ping: {
            out.notes.push_back({Note::What::received, "ping", "ping", octets.size(), {}, {}, {}, {}, {}});
            auto* one = activity({peer, call.act_id}, now);
            out.proven = one != nullptr;
            if (one != nullptr && one->known && one->seqnum == call.seqnum && one->done && !one->answer.empty())
                send_answer(*one, out);
            else if (one == nullptr || !one->known || !is_older(call.seqnum, one->seqnum))
                send(answer_to(call, PduType::nocall), "nocall", out);
            return out;
        }
        case PduType::ack:
        case PduType::fack: {
            auto* one = activity({peer, call.act_id}, now);
            out.proven = one != nullptr;
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
        case PduType::response:
            return answered(peer, call, octets.size(), out, now), out;
        default:
            break;  // other answers are for clients
    }
    ++dropped_;
    return out;
}

// What only reads is answered at once where the answer is small. Everything else waits until the sender is known.
void DatagramServer::unproven_request(const Key& key, const Datagram& call, Bytes octets, DatagramOutput& out,
                                      TimePoint now) {
    out.notes.push_back({Note::What::received,
                         operation_name(call.if_id, call.opnum),
                         "request",
                         octets.size(),
                         {},
                         {},
                         {},
                         {},
                         {}});
    const bool known = offers(machine_, port_, call.interface());
    const bool stale = call.server_boot != 0 && call.server_boot != machine_.options().boot_time;
    if (stale || (!known && !(call.flags1 & pf1::frag))) {
        const auto why = stale ? status::nca_wrong_boot_time : status::nca_unk_if;
        auto answer = answer_to(call, PduType::reject);
        answer.body = datagram_status(why);
        send(answer, operation_name(call.if_id, call.opnum), out);
        out.notes.back().hr = why;
        return;
    }
    if (known && !(call.flags1 & (pf1::frag | pf1::maybe)) && changes_nothing(call.interface(), call.opnum)) {
        DatagramOutput direct = out;
        Reply reply;
        const auto answer = executed(call, call.body, reply, direct, now);
        for (const auto& part : answer) send(part, operation_name(part.if_id, part.opnum), direct);
        std::size_t size = 0;
        for (const auto& datagram : direct.send) size += packet_head + datagram.size();
        if (size <= unproven_factor * (packet_head + octets.size())) {
            tell(reply, direct);
            out = std::move(direct);
            return;
        }
    }
    ask(key, call, octets, out, now);
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
        one.fragments.clear();
        one.last_fragment.reset();
        one.fragment_bytes = 0;
        one.done = false;
        one.answer.clear();
        one.acknowledged = 0;
        one.known = true;
        one.seqnum = call.seqnum;
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
    Reply reply;
    one.answer = executed(call, stub, reply, out, now);
    one.done = true;
    one.acknowledged = 0;
    send_answer(one, out);
    tell(reply, out);
}

// The fragments of the answer; none: the caller wants none.
std::vector<Datagram> DatagramServer::executed(const Datagram& call, const Octets& stub, Reply& reply,
                                               DatagramOutput& out, TimePoint now) {
    const auto name = operation_name(call.if_id, call.opnum);
    std::optional<Guid> object;
    if (call.object != Guid{}) object = call.object;
    reply = serve(machine_, {port_, call.interface(), call.opnum, object, stub, call.order, now});
    out.notes.back().causality = reply.causality;
    if (reply.problem) {
        Note note{Note::What::malformed, name, "request", stub.size(), {}, {}, {}, reply.problem, {}};
        note.head = bytes::hex(Bytes{stub}.first(std::min<std::size_t>(stub.size(), 32)));
        out.notes.push_back(std::move(note));
    }
    if (call.flags1 & pf1::maybe) return {};
    ++machine_.statistics.calls_out;
    if (!reply.fault) return datagram_fragments(answer_to(call, PduType::response), reply.stub);
    auto answer = answer_to(call, reply.did_not_execute ? PduType::reject : PduType::fault);
    answer.body = datagram_status(*reply.fault);
    return {answer};
}

void DatagramServer::tell(const Reply& reply, DatagramOutput& out) {
    for (auto& note : out.notes) {
        if (note.what != Note::What::sent || note.pdu == "request") continue;
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
