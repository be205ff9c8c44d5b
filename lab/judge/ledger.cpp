#include "lab/judge/ledger.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "common/evidence/trace.hpp"
#include "common/scenario/boxes.hpp"
#include "lab/judge/conversation.hpp"
#include "lab/judge/path.hpp"
#include "lab/judge/udp_leg.hpp"

namespace wmlab::lab {
namespace {

using enum Way;

struct Seen {
    Sighting packet;
    const WireLine* line;
    bool matched = false;
    std::int64_t arrived = 0;  // the packet it is matched with
};

// The packets of one direction on one wire.
std::vector<Seen> packets_on(const WireRecord& wire, Way way, std::string_view protocol, const Between& between) {
    std::vector<Seen> all;
    for (const auto* line : wire.between(way, protocol, between))
        for (const auto& packet : line->each) all.push_back({packet, line, false, 0});
    std::ranges::stable_sort(all, {}, [](const Seen& seen) { return seen.packet.at; });
    return all;
}

bool has_payload(const Seen& seen) { return seen.packet.bytes > 0; }

// Distances in a sequence space that wraps.
std::int64_t after(std::uint32_t sequence, std::uint32_t base) { return static_cast<std::int32_t>(sequence - base); }

class Stretch {  // of a stream
public:
    void add(std::int64_t from, std::int64_t to) {
        if (from >= to) return;
        auto at = parts_.upper_bound(from);
        if (at != parts_.begin() && std::prev(at)->second >= from) --at;
        while (at != parts_.end() && at->first <= to) {
            from = std::min(from, at->first);
            to = std::max(to, at->second);
            at = parts_.erase(at);
        }
        parts_.emplace(from, to);
    }
    bool holds(std::int64_t from, std::int64_t to) const {
        auto at = parts_.upper_bound(from);
        return at != parts_.begin() && std::prev(at)->second >= to;
    }
    std::int64_t missing_of(std::int64_t from, std::int64_t to) const {
        std::int64_t held = 0;
        for (const auto& [begin, end] : parts_) held += std::max<std::int64_t>(0, std::min(end, to) - std::max(begin, from));
        return to - from - held;
    }
    const std::map<std::int64_t, std::int64_t>& parts() const { return parts_; }

private:
    std::map<std::int64_t, std::int64_t> parts_;
};

// The packets of a wire are cut and joined by network cards; then the stream tells whether they arrived.
bool cut_or_joined(const Seen& sent, const std::vector<Seen>& received) {
    constexpr std::int64_t cut_max = 64;  // packets that one of 64 KiB is cut into
    Stretch covered;
    for (const auto& one : received) {
        if (one.packet.bytes == 0 || one.packet.bytes == sent.packet.bytes) continue;
        const auto apart = static_cast<std::int16_t>(one.packet.id - sent.packet.id);
        if (apart < -cut_max || apart > cut_max) continue;
        const auto from = after(one.packet.sequence, sent.packet.sequence);
        covered.add(from, from + one.packet.bytes);
    }
    return covered.holds(0, sent.packet.bytes);
}

// What one end sent, and what of it reached the other.
class LaneAccount {
public:
    LaneAccount(std::vector<Seen> sent, std::vector<Seen> received, bool tcp, std::int64_t end)
        : sent_{std::move(sent)}, received_{std::move(received)}, tcp_{tcp}, end_{end} {}

    Lane count() {
        lane_.left = sent_.size();
        match_equal();
        match_changed();
        match_parts();
        Stretch arrived;
        count_packets(arrived);
        if (!tcp_) return std::move(lane_);
        count_missing_bytes(arrived);
        count_repeated();
        return std::move(lane_);
    }

private:
    using ById = std::multimap<std::uint16_t, std::size_t>;

    void match_equal() {
        std::multimap<std::tuple<std::uint16_t, std::uint32_t, std::uint32_t, std::uint32_t>, std::size_t> open;
        for (std::size_t i = 0; i < received_.size(); ++i) open.emplace(received_[i].packet.key(), i);
        for (auto& one : sent_) {
            const auto found = open.find(one.packet.key());
            if (found == open.end()) continue;
            one.matched = received_[found->second].matched = true;
            one.arrived = received_[found->second].packet.at;
            open.erase(found);
            ++lane_.arrived;
        }
    }

    void match_changed() {
        // What is left over at the receiver: with another sequence (a proxy for SYNs counts anew), or changed.
        ById by_id;
        for (std::size_t i = 0; i < received_.size(); ++i)
            if (!received_[i].matched) by_id.emplace(received_[i].packet.id, i);
        for (auto& one : sent_) {
            if (one.matched) continue;
            const auto [best, same] = leftover_for(one, by_id);
            if (best == by_id.end()) continue;
            one.matched = received_[best->second].matched = true;
            one.arrived = received_[best->second].packet.at;
            by_id.erase(best);
            ++(same ? lane_.arrived : lane_.changed);
        }
    }

    // Of those with its identification the one that it became, and whether it is the same; none: end().
    std::pair<ById::iterator, bool> leftover_for(const Seen& one, ById& by_id) {
        const auto [begin, stop] = by_id.equal_range(one.packet.id);
        auto best = by_id.end();
        for (auto at = begin; at != stop; ++at) {
            const auto& other = received_[at->second].packet;
            const bool whole = other.bytes == one.packet.bytes && other.hash == one.packet.hash;
            if (whole && one.packet.id != 0) {
                return {at, true};
            }
            // A rule writes over what is there; what is shorter or longer was cut or joined.
            const bool same_place = !tcp_ || (other.sequence == one.packet.sequence && one.packet.id != 0);
            if (same_place && other.bytes == one.packet.bytes) best = at;
            // A datagram of which fragments were lost did not arrive.
            if (!tcp_ && other.hash == one.packet.hash && other.bytes < one.packet.bytes) {
                received_[at->second].matched = true;
                by_id.erase(at);
                return {by_id.end(), false};
            }
        }
        return {best, false};
    }

    void match_parts() {
        std::vector<Seen> cut;
        for (const auto& one : received_)
            if (!one.matched) cut.push_back(one);
        for (auto& one : sent_) {
            if (one.matched || !tcp_ || !has_payload(one) || cut.empty() || !cut_or_joined(one, cut)) continue;
            one.matched = true;
            one.arrived = one.packet.at;  // in parts
            ++lane_.arrived;
        }
        lane_.foreign = cut.size();
    }

    void count_packets(Stretch& arrived) {
        const auto base = this->base();
        for (const auto& one : sent_) {
            if (has_payload(one)) ++lane_.data_left;
            if (!one.matched) {
                lane_.lost.push_back(one.packet);
                if (has_payload(one)) ++lane_.data_lost;
                if (one.line->kind == "syn" || one.line->kind == "syn-ack") ++lane_.opening_lost;
                if (tcp_ && !has_payload(one) && one.line->kind == "ack" && one.packet.at <= end_) ++lane_.acks_lost;
                continue;
            }
            lane_.passed.push_back({one.packet.at, one.arrived, one.packet.bytes});
            if (tcp_) {
                const auto from = after(one.packet.sequence, base);
                arrived.add(from, from + one.packet.bytes);
            }
        }
    }

    // Of the stream, from its first packet on.
    std::uint32_t base() const { return sent_.empty() ? 0U : sent_.front().packet.sequence; }

    void count_missing_bytes(Stretch& arrived) {
        for (const auto& one : sent_) {
            if (one.matched || !has_payload(one) || one.packet.at > end_) continue;
            const auto from = after(one.packet.sequence, base());
            const auto missing = arrived.missing_of(from, from + one.packet.bytes);
            if (missing <= 0) continue;
            if (lane_.bytes_missing == 0) lane_.missing_since = one.packet.at;
            lane_.bytes_missing += static_cast<std::uint64_t>(missing);
            arrived.add(from, from + one.packet.bytes);  // its further copies are the same bytes
        }
    }

    void count_repeated() {
        Stretch before;
        for (const auto& one : sent_) {
            if (!has_payload(one)) continue;
            const auto from = after(one.packet.sequence, base()), to = from + one.packet.bytes;
            if (before.missing_of(from, to) < one.packet.bytes) ++lane_.repeated;
            before.add(from, to);
        }
    }

    std::vector<Seen> sent_, received_;
    bool tcp_;
    std::int64_t end_;
    Lane lane_;
};

// When the first end closed or reset the connection, as any wire shows.
std::int64_t end_of(const std::vector<Seen>& a, const std::vector<Seen>& b, const std::vector<Seen>& c,
                    const std::vector<Seen>& d) {
    auto end = std::numeric_limits<std::int64_t>::max();
    for (const auto* packets : {&a, &b, &c, &d})
        for (const auto& one : *packets)
            if (one.line->kind == "fin" || one.line->kind == "rst") end = std::min(end, one.packet.at);
    return end;
}

}  // namespace

std::optional<CameTo> came_to(const LegContext& context, std::string_view protocol, const Between& near) {
    constexpr std::size_t asked_max = 100;  // packets: the first tell
    auto sent = packets_on(context.wire(context.leg.source), out, protocol, near);
    if (sent.empty()) return std::nullopt;
    if (!context.wire(context.leg.destination).between(in, protocol, near).empty())
        return CameTo{context.leg.destination, near};
    if (sent.size() > asked_max) sent.resize(asked_max);
    const auto& wires = context.evidence.wires(context.instance.id);
    using Place = std::tuple<std::string, Endpoint, Endpoint>;
    std::map<Place, std::uint64_t> places;
    for (const auto& one : sent) {
        for (const auto& [host, wire] : wires) {
            if (host == context.leg.source || scenario::is_box(context.scenario, host)) continue;
            for (const auto* line : wire.with(one.packet)) {
                if (line->protocol != protocol) continue;
                const Between between{line->source, line->destination};
                // Packets that look alike, but that somebody sent with just these addresses, are those.
                if (std::ranges::any_of(wires, [&](const auto& other) {
                        return !scenario::is_box(context.scenario, other.first) && !other.second.between(out, protocol, between).empty();
                    }))
                    continue;
                const bool expected = host == context.leg.destination;
                places[{host, line->source, line->destination}] += expected ? 2 : 1;
            }
        }
    }
    if (places.empty()) return std::nullopt;
    const auto& [host, source, destination] =
        std::ranges::max_element(places, {}, [](const auto& entry) { return entry.second; })->first;
    return CameTo{host, {source, destination}};
}

namespace {

// By the trace, of packets with one of these addresses: window, acknowledgement and the like, which identities leave out because firewalls may well count anew.
bool header_rewritten(const LegContext& context, std::string_view protocol, std::initializer_list<Between> all) {
    for (const auto& between : all)
        for (const auto* event : context.evidence.traced(protocol, between.source, between.destination, context.instance.id))
            if (const auto* rules = list_field(*event, field::changes))
                for (const auto& rule : *rules)
                    if (const auto* fields = rule.if_object(); fields != nullptr && evidence::rewritten_by(*fields) == evidence::Rewritten::header) return true;
    return false;
}

}  // namespace

ConnectionLedger account(const LegContext& context, std::string_view protocol, const Between& near) {
    ConnectionLedger ledger;
    ledger.protocol = protocol;
    ledger.near = ledger.far = near;
    const auto& source = context.wire(context.leg.source);
    const bool tcp = protocol == "tcp";
    auto sent = packets_on(source, out, protocol, near);
    if (const auto place = came_to(context, protocol, near)) {
        ledger.host = place->host;
        ledger.far = place->between;
        ledger.elsewhere = ledger.host != context.leg.destination;
    } else if (const auto trace = traced(context, protocol, near); trace.known && !trace.dropped) {
        ledger.far = trace.as;  // nothing arrived; what comes back is sent to there
    }
    const auto& destination = context.wire(ledger.host.empty() ? context.leg.destination : ledger.host);
    auto received = packets_on(destination, in, protocol, ledger.far);
    auto sent_back = packets_on(destination, out, protocol, ledger.far.reversed());
    auto received_back = packets_on(source, in, protocol, near.reversed());
    const auto end = ledger.ended = end_of(sent, received, sent_back, received_back);
    const bool known = source.listed() && destination.listed();
    ledger.there = LaneAccount{std::move(sent), std::move(received), tcp, end}.count();
    ledger.back = LaneAccount{std::move(sent_back), std::move(received_back), tcp, end}.count();
    ledger.there.known = ledger.back.known = known;
    ledger.header_rewritten_there = header_rewritten(context, protocol, {near, ledger.far});
    ledger.header_rewritten_back = header_rewritten(context, protocol, {near.reversed(), ledger.far.reversed()});
    return ledger;
}

std::vector<ConnectionLedger> account_leg(const LegContext& context) {
    std::vector<ConnectionLedger> all;
    const auto add = [&](std::string_view protocol, const Between& near) {
        if (near.source.port != 0 && near.destination.port != 0) all.push_back(account(context, protocol, near));
    };
    if (context.leg.protocol == scenario::Protocol::tcp) {
        for (const auto& conversation : conversations(context)) {
            const auto [local, remote] = ends_of(context, conversation);
            add("tcp", {local, remote});
        }
        return all;
    }
    if (context.leg.protocol != scenario::Protocol::udp) return all;
    if (context.leg.name == "media" || context.leg.name == "resend") {
        const auto datagrams = context.leg.name == "resend"
                                   ? resend_datagrams(context)
                                   : media_datagrams(context, context.leg.source, context.leg.destination);
        auto destination = datagrams.destination.empty() ? datagrams.bound : datagrams.destination;
        if (context.leg.destination_address.value >> 28 == 0xE && !context.leg.destination_ports.empty())
            destination = {context.destination_address(), context.leg.destination_ports.front().first};
        add("udp", {datagrams.source, destination});
        return all;
    }
    std::set<std::pair<Endpoint, Endpoint>> asked;  // calls over UDP
    for (const auto* event : context.view.at(context.leg.source, context.leg.name, What::sent))
        asked.emplace(Endpoint::from(event->local), Endpoint::from(event->remote));
    for (const auto* event : context.view.at(context.leg.source, context.leg.name, What::probe_sent))
        asked.emplace(Endpoint::from(event->local), Endpoint::from(event->remote));
    for (const auto& [local, remote] : asked) add("udp", {local, remote});
    return all;
}

std::optional<Ledger> ledger_of(const LegContext& context, const std::vector<ConnectionLedger>& connections) {
    if (connections.empty()) return std::nullopt;
    Ledger sum;
    sum.complete = true;
    sum.there.direction = context.forward;
    sum.back.direction = context.back;
    const auto put = [](const Lane& lane, Ledger::Lane& into) {
        into.left += lane.left;
        into.arrived += lane.arrived;
        into.changed += lane.changed;
        into.dropped += lane.lost.size();
        for (const auto& packet : lane.lost) into.lost.emplace_back(packet.id, packet.sequence);
    };
    for (const auto& connection : connections) {
        sum.complete = sum.complete && connection.known();
        put(connection.there, sum.there);
        put(connection.back, sum.back);
    }
    if (!sum.complete) {
        const auto blame = [&](const std::string& host) {
            const auto& wire = context.wire(host);
            if (wire.listed()) return;
            sum.unknown = wire.empty() ? "the wire of " + host + " was not watched"
                                       : "the record of " + host + "'s wire is not complete";
        };
        blame(context.leg.destination);
        blame(context.leg.source);
    }
    return sum;
}

}  // namespace wmlab::lab
