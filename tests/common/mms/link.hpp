// A server session and a player session joined by wires in memory, with a clock that only moves when nothing is left to
// do. What the wires do to a message or datagram is up to the test.
#pragma once
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes/hex.hpp"
#include "common/bytes/writer.hpp"
#include "common/mms/player_session.hpp"
#include "common/mms/server_session.hpp"

namespace wmlab::mms::test {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// An ASF header with two streams, and the Data Object's first 50 bytes.
inline std::vector<std::byte> asf_header(std::size_t padding = 0) {
    bytes::Writer out;
    const auto object = [&out](std::string_view guid, std::uint64_t size) {
        out.guid(*bytes::Guid::from_text(guid));
        out.u64(size);
    };
    object("75B22630-668E-11CF-A6D9-00AA0062CE6C", 30 + 2 * 78 + padding + 24);
    out.u32(3), out.u8(1), out.u8(2);
    for (const auto number : {std::uint16_t{1}, std::uint16_t{2}}) {
        object("B7DC0791-A9B7-11CF-8EE6-00C00C205365", 78);
        out.zeros(48);
        out.u16(number);
        out.zeros(4);
    }
    object("1806D474-CADF-4509-A4BA-9AABCB96AAE8", padding + 24);
    out.zeros(padding);
    object("75B22636-668E-11CF-A6D9-00AA0062CE6C", 50);
    out.zeros(24);
    out.u8(1), out.u8(1);
    return out.take();
}

struct Link {
    static constexpr std::uint32_t packet_size = 200;

    ServerOptions server_options;
    PlayerOptions player_options;
    Content content;
    std::vector<Content> playlist;  // what follows the content
    milliseconds interval = 10ms;   // between packets
    std::size_t step = 1 << 20;     // bytes of a TCP segment, at most
    // When the n-th datagram of this kind arrives, after how long; none: it is lost; two: it comes twice.
    std::function<std::vector<milliseconds>(DataKind, std::uint32_t)> wire = [](DataKind, std::uint32_t) {
        return std::vector<milliseconds>{1ms};
    };
    std::function<bool(const Message&)> passes = [](const Message&) { return true; };  // over TCP

    bool hang_up = false;  // the player's embedder closes the connection when it has finished

    // What happened.
    std::vector<std::string> to_server, to_player;  // messages sent
    std::vector<Message> server_sent, player_sent;
    std::vector<std::byte> server_stream, player_stream;  // every byte over TCP
    std::vector<std::vector<std::byte>> datagrams;        // from the server
    std::vector<OpenRequest> opens;
    std::vector<StartMedia> starts;
    std::vector<STREAM_SWITCH_ENTRY> streams;
    std::vector<std::byte> header;
    std::vector<MediaReceived> media;
    std::vector<std::uint32_t> lost;
    std::vector<MediaSilent> silences;
    std::vector<StreamEnded> ends;
    std::vector<SendDatagram> resend_requests;
    std::vector<FunnelRefused> refusals;
    std::vector<Malformed> malformed;
    int readies = 0, playing = 0, stops = 0;
    std::optional<Finished> finished;
    std::optional<Close> closed;
    TimePoint finished_at{};
    std::function<void(Link&)> on_ready, on_media, on_playing;

    TimePoint now{};
    std::optional<ServerSession> server;
    std::optional<PlayerSession> player;

    explicit Link(Transport transport = Transport::udp, std::uint64_t packets = 50) {
        content.header = asf_header();
        content.packet_size = packet_size;
        content.packet_count = packets;
        content.duration = std::chrono::duration<double>{static_cast<double>(packets) / 100};
        content.bit_rate = 160000;
        content.has_video = true;
        server_options.client_id = 0x00C5B7E2;
        player_options.host = "media";
        player_options.fileName = "lecture";
        player_options.guid = bytes::Guid::named("unicast");
        player_options.transport = transport;
        player_options.local_address = "10.20.0.10";
        player_options.local_port = 2345;
    }

    static std::vector<std::byte> packet(std::uint32_t number) {
        std::vector<std::byte> bytes(packet_size - number % 3);  // some without their padding
        std::uint32_t state = number * 0x9E3779B1U + 1;
        for (auto& byte : bytes) byte = static_cast<std::byte>((state = state * 1664525U + 1013904223U) >> 24U);
        return bytes;
    }

    void at(Duration after, std::function<void()> what) {
        events.emplace(std::pair{now + after, order++}, std::move(what));
    }

    void run(Duration limit = std::chrono::hours{3}) {
        if (!server) {
            server.emplace(server_options, now);
            player.emplace(player_options);
            perform(player->start(now));
        }
        const auto end = now + limit;
        for (int events_left = 200000; events_left > 0; --events_left) {
            std::optional<TimePoint> next;
            const auto consider = [&next](std::optional<TimePoint> when) {
                if (when && (!next || *when < *next)) next = when;
            };
            if (!events.empty()) consider(events.begin()->first.first);
            consider(server->next_deadline());
            consider(player->next_deadline());
            if (!next || *next > end) {
                now = end;
                return;
            }
            now = std::max(now, *next);
            if (!events.empty() && events.begin()->first.first <= now) {
                const auto what = std::move(events.begin()->second);
                events.erase(events.begin());
                what();
                continue;
            }
            if (const auto due = server->next_deadline(); due && *due <= now) perform(server->tick(now));
            if (const auto due = player->next_deadline(); due && *due <= now) perform(player->tick(now));
        }
        throw std::runtime_error("a session spins: its deadline does not move");
    }

    void perform(ServerActions actions) {
        for (auto& action : actions) {
            if (auto* send = std::get_if<Send>(&action)) {
                to_player.emplace_back(name(send->message));
                server_sent.push_back(send->message);
                if (passes(send->message)) tcp(send->packet, true);
            } else if (auto* data = std::get_if<SendData>(&action)) {
                if (data->transport == Transport::tcp) {
                    tcp(*data->packet, true);
                } else {
                    datagrams.push_back(*data->packet);
                    for (const auto after : wire(data->kind, sent[data->kind]++))
                        at(after, [this, packet = data->packet] { perform(player->datagram(*packet, now)); });
                }
            } else if (auto* open = std::get_if<OpenRequest>(&action)) {
                opens.push_back(*open);
                const auto name = open->fileName;
                at(1ms, [this, name] {
                    perform(name == "lecture"     ? server->opened(content, now)
                            : name == "elsewhere" ? server->redirect("mmst://edge/lecture", now)
                                                  : server->open_failed(bytes::NS_E_FILE_NOT_FOUND, now));
                });
            } else if (auto* start = std::get_if<StartMedia>(&action)) {
                starts.push_back(*start);
                std::uint32_t first = 0;
                if (start->from.locationId) first = *start->from.locationId;
                if (start->from.position) first = static_cast<std::uint32_t>(start->from.position->count() * 100);
                pump(++pumping, first);
            } else if (std::holds_alternative<StopMedia>(action)) {
                ++pumping;
                ++stops;
            } else if (auto* selected = std::get_if<StreamsSelected>(&action)) {
                streams = selected->entries;
            } else if (auto* bad = std::get_if<Malformed>(&action)) {
                malformed.push_back(*bad);
            } else if (auto* close = std::get_if<Close>(&action)) {
                closed = *close;
                at(2ms, [this] { perform(player->disconnected(now)); });
            }
        }
    }

    void perform(PlayerActions actions) {
        for (auto& action : actions) {
            if (auto* send = std::get_if<Send>(&action)) {
                to_server.emplace_back(name(send->message));
                player_sent.push_back(send->message);
                if (passes(send->message)) tcp(send->packet, false);
            } else if (auto* request = std::get_if<SendDatagram>(&action)) {
                resend_requests.push_back(*request);
                at(1ms, [this, packet = request->packet] { perform(server->datagram(packet, now)); });
            } else if (auto* refused = std::get_if<FunnelRefused>(&action)) {
                refusals.push_back(*refused);
            } else if (auto* complete = std::get_if<HeaderComplete>(&action)) {
                header = complete->header;
            } else if (std::holds_alternative<Ready>(action)) {
                ++readies;
                if (on_ready) at(0ms, [this] { on_ready(*this); });
            } else if (std::holds_alternative<PlayingStarted>(action)) {
                ++playing;
                if (on_playing) at(0ms, [this] { on_playing(*this); });
            } else if (auto* received = std::get_if<MediaReceived>(&action)) {
                media.push_back(*received);
                if (on_media) on_media(*this);
            } else if (auto* gone = std::get_if<MediaLost>(&action)) {
                lost.insert(lost.end(), gone->sequences.begin(), gone->sequences.end());
            } else if (auto* silent = std::get_if<MediaSilent>(&action)) {
                silences.push_back(*silent);
            } else if (auto* ended = std::get_if<StreamEnded>(&action)) {
                ends.push_back(*ended);
            } else if (auto* bad = std::get_if<Malformed>(&action)) {
                malformed.push_back(*bad);
            } else if (auto* end = std::get_if<Finished>(&action)) {
                finished = *end;
                if (hang_up) at(2ms, [this] { perform(server->close("the player hung up", bytes::S_OK, now)); });
                finished_at = now;
            }
        }
    }

    // Packets received, each once, by their number.
    std::map<std::uint32_t, std::vector<std::byte>> received() const {
        std::map<std::uint32_t, std::vector<std::byte>> by_number;
        for (const auto& one : media)
            if (!one.duplicate) by_number.emplace(one.LocationId, one.packet);
        return by_number;
    }
    bool complete() const {
        const auto all = received();
        if (all.size() != content.packet_count) return false;
        for (const auto& [number, bytes] : all)
            if (bytes != packet(number)) return false;
        return true;
    }

private:
    void tcp(const std::vector<std::byte>& bytes, bool to_the_player) {
        auto& stream = to_the_player ? server_stream : player_stream;
        stream.insert(stream.end(), bytes.begin(), bytes.end());
        for (std::size_t first = 0; first < bytes.size(); first += step) {
            const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(first);
            const auto size = std::min(step, bytes.size() - first);
            at(1ms, [this, to_the_player, part = std::vector(begin, begin + static_cast<std::ptrdiff_t>(size))] {
                if (to_the_player) {
                    perform(player->receive(part, now));
                } else {
                    perform(server->receive(part, now));
                }
            });
        }
    }

    void pump(std::uint64_t mine, std::uint32_t number) {
        if (mine != pumping) return;
        if (content.live || number < content.packet_count) {
            perform(server->media(number, packet(number), now));
            at(interval, [this, mine, number] { pump(mine, number + 1); });
        } else if (!playlist.empty()) {
            content = playlist.front();
            playlist.erase(playlist.begin());
            perform(server->next_content(content, now));
            at(interval, [this, mine] { pump(mine, 0); });
        } else {
            perform(server->end_of_media(now));
        }
    }

    std::map<std::pair<TimePoint, std::uint64_t>, std::function<void()>> events;
    std::uint64_t order = 0, pumping = 0;
    std::map<DataKind, std::uint32_t> sent;
};

}  // namespace wmlab::mms::test
