// A network in memory between DcomClient and Machine: streams cut anywhere, datagrams lost, doubled or replayed,
// addresses that cannot be reached. Time passes only when nothing else can happen.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/rpc/datagram_server.hpp"
#include "common/rpc/dcom_client.hpp"
#include "common/rpc/server_connection.hpp"

namespace wmlab::tests {

using namespace wmlab::rpc;

inline DynamicPorts ports(const std::string& text) {
    std::string problem;
    return dynamic_ports(InternetKey::reserve(port_ranges_from(text, problem).value()));
}

inline MachineOptions machine_options(const std::string& reserved = "3001-3010", std::uint16_t minor = 6) {
    MachineOptions options;
    options.addresses = {"10.66.1.10"};
    options.version = {5, minor};
    options.ports = ports(reserved);
    return options;
}

// As the reference server of the captures numbers them.
inline MachineOptions numbered(MachineOptions options) {
    struct Counts {
        std::uint64_t processes = 0, sets = 0;
        std::uint32_t interfaces = 0;
    };
    constexpr std::uint64_t base = std::uint64_t{0x0189416A} << 32;
    const auto counts = std::make_shared<Counts>();
    options.number = [counts](MachineOptions::Numbered what) {
        if (what == MachineOptions::Numbered::process) return base + ++counts->processes;
        if (what == MachineOptions::Numbered::object) return base + counts->interfaces + 1;
        return 0x5E7 + counts->sets++;
    };
    options.ipid = [counts](std::uint16_t port) {
        bytes::Writer out;
        out.u32(++counts->interfaces);
        out.u16(port);
        out.u16(0);
        out.raw(std::string_view{"\x80\0WIMSM1", 8});
        std::array<std::byte, 16> wire{};
        std::copy_n(out.bytes().begin(), 16, wire.begin());
        return Guid::from_wire(wire);
    };
    return options;
}

struct MemoryNet {
    Machine& machine;
    std::size_t piece = 0;                                 // bytes of a stream delivered at once; 0: all
    std::function<bool(const Endpoint&)> reachable{};      // empty: everything
    std::function<std::vector<Octets>(Octets)> disturb{};  // what becomes of a datagram; empty: it arrives
    std::map<std::string, std::string> translated{};       // dialled host -> real host

    TimePoint now{};
    std::vector<std::string> messages{};  // names of what the client sent and received, in order
    std::vector<std::string> server_messages{};
    std::vector<Endpoint> connected_to{};
    struct Frame {
        bool to_server;
        std::uint16_t port;
        unsigned channel;
        Octets octets;
    };
    std::vector<Frame> frames{};
    std::vector<MachineEvent> events{};
    std::optional<DcomDone> done{};
    bool holding = false;

    struct Peer {
        Endpoint to;
        std::unique_ptr<ServerConnection> tcp;
        std::shared_ptr<DatagramServer> udp;
    };
    std::map<unsigned, Peer> peers{};
    std::map<std::uint16_t, std::shared_ptr<DatagramServer>> udp_ports{};

    void perform(DcomClient& client, DcomActions first, bool udp) {
        std::deque<DcomAction> queue{first.begin(), first.end()};
        const auto add = [&](DcomActions more) { queue.insert(queue.end(), more.begin(), more.end()); };
        for (int steps = 0; steps < 100000; ++steps) {
            if (queue.empty()) {
                if (done || holding) return;
                const auto deadline = client.deadline();
                if (!deadline) return;  // stuck: the caller's checks will say so
                now = std::max(now, *deadline);
                add(client.expire(now));
                if (queue.empty()) return;
                continue;
            }
            const auto action = std::move(queue.front());
            queue.pop_front();
            if (const auto* connect = std::get_if<DcomConnect>(&action)) {
                add(open(client, *connect, udp));
            } else if (const auto* send = std::get_if<DcomSend>(&action)) {
                add(udp ? datagram(client, *send) : stream(client, *send));
            } else if (const auto* note = std::get_if<DcomNote>(&action)) {
                messages.push_back(note->note.message + (note->note.what == Note::What::sent ? " >" : " <"));
            } else if (std::get_if<DcomHolding>(&action) != nullptr) {
                holding = true;
            } else if (const auto* end = std::get_if<DcomDone>(&action)) {
                done = *end;
            }
        }
    }

    DcomActions open(DcomClient& client, const DcomConnect& connect, bool udp) {
        connected_to.push_back(connect.to);
        auto real = connect.to;
        if (const auto found = translated.find(real.host); found != translated.end()) real.host = found->second;
        const bool ours = std::find(machine.options().addresses.begin(), machine.options().addresses.end(),
                                    real.host) != machine.options().addresses.end();
        const bool there = ours && (!reachable || reachable(connect.to)) &&
                           (real.port == mapper_port || machine.process_at(real.port) != nullptr);
        if (!there && !udp) return client.failed(connect.channel, "timed out", now);
        Peer peer{connect.to, nullptr, nullptr};
        if (!udp) {
            peer.tcp = std::make_unique<ServerConnection>(machine, real.port);
        } else if (there) {
            auto& server = udp_ports[real.port];
            if (!server) server = std::make_shared<DatagramServer>(machine, real.port);
            peer.udp = server;
        }
        peers[connect.channel] = std::move(peer);
        return client.connected(connect.channel, now);
    }

    void note(const std::vector<Note>& notes) {
        for (const auto& one : notes)
            server_messages.push_back(one.message + (one.what == Note::What::sent ? " >" : " <"));
        for (auto& event : machine.take_events()) events.push_back(event);
    }

    DcomActions stream(DcomClient& client, const DcomSend& send) {
        auto& peer = peers.at(send.channel);
        frames.push_back({true, peer.to.port, send.channel, send.octets});
        DcomActions all;
        const Bytes whole{send.octets};
        const auto step = piece == 0 ? whole.size() : piece;
        for (std::size_t at = 0; at < whole.size(); at += step) {
            const auto output = peer.tcp->receive(whole.subspan(at, std::min(step, whole.size() - at)), now);
            note(output.notes);
            if (!output.send.empty()) frames.push_back({false, peer.to.port, send.channel, output.send});
            const Bytes answer{output.send};
            const auto back = piece == 0 ? std::max<std::size_t>(answer.size(), 1) : piece;
            for (std::size_t i = 0; i < answer.size(); i += back) {
                auto more = client.received(send.channel, answer.subspan(i, std::min(back, answer.size() - i)), now);
                all.insert(all.end(), more.begin(), more.end());
            }
            if (output.close) {
                auto more = client.failed(send.channel, "closed by the server", now);
                all.insert(all.end(), more.begin(), more.end());
            }
        }
        return all;
    }

    DcomActions datagram(DcomClient& client, const DcomSend& send) {
        auto& peer = peers.at(send.channel);
        frames.push_back({true, peer.to.port, send.channel, send.octets});
        DcomActions all;
        if (!peer.udp) return all;
        for (const auto& arriving : disturb ? disturb(send.octets) : std::vector<Octets>{send.octets}) {
            const auto output = peer.udp->receive("10.66.1.20:" + std::to_string(4000 + send.channel), arriving, now);
            note(output.notes);
            for (const auto& answer : output.send) {
                frames.push_back({false, peer.to.port, send.channel, answer});
                for (const auto& back : disturb ? disturb(answer) : std::vector<Octets>{answer}) {
                    auto more = client.received(send.channel, back, now);
                    all.insert(all.end(), more.begin(), more.end());
                }
            }
        }
        return all;
    }

    DcomDone run(DcomClient& client, bool udp = false) {
        perform(client, client.start(now), udp);
        return done.value_or(DcomDone{false, "none", "the client is stuck", 0, false, {}});
    }
};

}  // namespace wmlab::tests
