#include "lab/alg/packets.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <set>

#include "lab/host/error.hpp"

namespace wmlab::lab {
namespace {

using std::chrono::milliseconds;
using What = HandQuestion::What;

constexpr milliseconds segment_patience{300};

HandQuestion question(What what) {
    HandQuestion asked;
    asked.what = what;
    return asked;
}

// Who waits for another machine's answer waits for the pipe, too, and the way between the machines may be as long.
milliseconds with_pipes(milliseconds patience, std::initializer_list<const Hand*> hands) {
    milliseconds latency{0};
    for (const auto* hand : hands) latency = std::max(latency, hand->latency());
    return patience + 2 * latency;
}

// Few are open at a time.
unsigned next_connection() {
    constexpr unsigned most = hand_connection_max;
    static unsigned last = 0;
    return last = last % most + 1;
}

}  // namespace

std::string Probe::words() const {
    return fmt::format("{} {}{} -> {}:{}", scenario::text(protocol), from->name, from_port == 0 ? std::string{} : fmt::format(":{}", from_port), to->name, to_port);
}

Arrived arrive(Hands& hands, const std::vector<Probe>& probes, const std::string& text, milliseconds patience) {
    struct Part {
        std::set<std::pair<scenario::Protocol, std::uint16_t>> places;
        std::vector<HandQuestion::Packet> packets;
        std::vector<unsigned> wanted;
    };
    std::map<Hand*, Part> parts;
    for (unsigned i = 0; i < probes.size(); ++i) {
        const auto& probe = probes[i];
        auto &from = parts[probe.from->hand], &to = parts[probe.to->hand];
        to.places.emplace(probe.protocol, probe.to_port);
        const bool datagram = probe.protocol == scenario::Protocol::udp;
        if (datagram) from.places.emplace(probe.protocol, probe.from_port);
        from.packets.push_back({i, probe.protocol, probe.from_port, probe.to_port, probe.to->address});
        (datagram ? to : from).wanted.push_back(i);
    }
    for (const auto& [hand, part] : parts) patience = std::max(patience, with_pipes(patience, {hand}));
    using Fill = void (*)(const Part&, HandQuestion&);
    const auto ask_all = [&](What what, Fill fill) {
        std::vector<Hands::Asked> asked;
        for (const auto& [hand, part] : parts) {
            auto one = question(what);
            one.text = text;
            if (what == What::look) one.patience = patience;
            fill(part, one);
            asked.push_back({hand, std::move(one)});
        }
        return hands.ask(std::move(asked));
    };
    ask_all(What::bind, [](const Part& part, HandQuestion& one) {
        for (const auto& [protocol, port] : part.places) one.places.push_back({protocol, port});
    });
    Arrived result{std::vector<bool>(probes.size(), false), std::vector<std::string>(probes.size())};
    for (const auto& answer : ask_all(What::send, [](const Part&part, HandQuestion&one) { one.packets = part.packets; }))
        for (const auto& [number, why] : answer.kept)
            if (number < probes.size()) result.kept[number] = why;
    ask_all(What::look, [](const Part& part, HandQuestion& one) { one.wanted = part.wanted; });
    for (const auto& answer : ask_all(What::end, [](const Part&, HandQuestion&) {}))
        for (const auto number : answer.arrived)
            if (number < probes.size()) result.probes[number] = true;
    return result;
}

AlgConnection::AlgConnection(Hands& hands, const AlgHost& client, const AlgHost& server, scenario::Protocol protocol)
    : hands_{hands}, client_{client.hand}, server_{server.hand}, protocol_{protocol}, number_{next_connection()} {}

AlgConnection::~AlgConnection() {
    if (closed_) return;
    for (auto* hand : {client_, server_}) Hands::tell(hand, about(What::close));
}

HandQuestion AlgConnection::about(What what) const {
    auto asked = question(what);
    asked.connection = number_, asked.protocol = protocol_;
    return asked;
}

std::unique_ptr<AlgConnection> AlgConnection::open(Hands& hands, const AlgHost& client, const AlgHost& server, scenario::Protocol protocol, std::uint16_t port,
                                                   milliseconds patience) {
    std::unique_ptr<AlgConnection> made{new AlgConnection{hands, client, server, protocol}};
    auto listen = made->about(What::listen), connect = made->about(What::connect), accept = made->about(What::accept);
    listen.port = connect.port = port, connect.address = server.address;
    accept.patience = with_pipes(patience, {client.hand, server.hand});
    hands.ask(server.hand, std::move(listen));
    const auto own = hands.ask(client.hand, std::move(connect));
    made->client_address_ = own.address, made->client_port_ = own.port;
    if (protocol == scenario::Protocol::udp) return made;
    const auto came = hands.ask(server.hand, std::move(accept));
    if (!came.yes) return nullptr;
    return made;
}

bool AlgConnection::refused(Hands& hands, const AlgHost& client, const AlgHost& server, std::uint16_t port, milliseconds patience) {
    auto asked = question(What::refused);
    asked.address = server.address, asked.port = port, asked.patience = with_pipes(patience, {client.hand, server.hand});
    return hands.ask(client.hand, std::move(asked)).yes;
}

bool AlgConnection::say(const Announcement::Segment& segment) {
    auto *speaks = segment.by_client ? client_ : server_, *hears = segment.by_client ? server_ : client_;
    auto said = about(What::say), heard = about(What::hear), once_more = about(What::again);
    said.bytes = segment.bytes, said.again = segment.again;
    if (protocol_ == scenario::Protocol::udp && !segment.by_client) said.address = client_address_, said.port = client_port_;
    if (!hands_.ask(speaks, std::move(said)).yes) return false;
    heard.size = segment.bytes.size(), heard.patience = with_pipes(segment_patience, {client_, server_});
    const auto got = hands_.ask(hears, std::move(heard));
    if (protocol_ == scenario::Protocol::udp && segment.by_client && got.yes) client_address_ = got.address, client_port_ = got.port;
    if (!segment.again) return got.yes;
    once_more.bytes = segment.bytes;
    if (const auto answer = hands_.ask(speaks, std::move(once_more)); !answer.yes && not_repeated_.empty()) not_repeated_ = answer.note;
    return got.yes;
}

void AlgConnection::close() {
    closed_ = true;
    for (auto* hand : {client_, server_}) hands_.ask(hand, about(What::close));
}

}  // namespace wmlab::lab
