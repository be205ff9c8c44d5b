// Whole classes of damage: every step of a conversation cut short or changed, and messages at random.
#include <random>

#include "tests/catch.hpp"
#include "tests/common/mms/link.hpp"
#include "tests/common/mms/samples.hpp"

using namespace wmlab;
using namespace wmlab::mms;
using namespace wmlab::mms::test;

namespace {

// A server led by recorded bytes; whatever they are it must end in order, with one Close at most.
void serve(bytes::Bytes stream) {
    Link link;
    TimePoint now{};
    ServerSession server{link.server_options, now};
    std::size_t closes = 0;
    std::uint32_t number = 0;
    const auto take = [&](const ServerActions& actions) {
        for (const auto& action : actions) {
            CHECK(closes == 0);  // nothing comes after Close
            closes += std::holds_alternative<Close>(action) ? 1 : 0;
        }
        return actions;
    };
    for (std::size_t at = 0; at < stream.size(); at += 64) {
        bool open = false;
        for (const auto& action :
             take(server.receive(stream.subspan(at, std::min<std::size_t>(64, stream.size() - at)), now)))
            open = open || std::holds_alternative<OpenRequest>(action);
        if (open) take(server.opened(link.content, now));
        if (server.streaming()) {
            take(server.media(number, Link::packet(number), now));
            ++number;
        }
        now += 10ms;
        take(server.tick(now));
    }
    CHECK(server.finished() == (closes == 1));
    for (int i = 0; i < 5 && server.next_deadline(); ++i) {
        now = std::max(now, *server.next_deadline());
        take(server.tick(now));
    }
}

void play(bytes::Bytes stream, const std::vector<std::vector<std::byte>>& datagrams) {
    Link link;
    link.player_options.incarnations = Incarnations::open_players;
    TimePoint now{};
    PlayerSession player{link.player_options};
    std::size_t ends = 0;
    const auto take = [&](const PlayerActions& actions) {
        for (const auto& action : actions) {
            CHECK(ends == 0);
            ends += std::holds_alternative<Finished>(action) ? 1 : 0;
        }
    };
    take(player.start(now));
    std::size_t datagram = 0;
    for (std::size_t at = 0; at < stream.size(); at += 64) {
        take(player.receive(stream.subspan(at, std::min<std::size_t>(64, stream.size() - at)), now));
        if (datagram < datagrams.size()) take(player.datagram(datagrams[datagram++], now));
        now += 10ms;
        take(player.tick(now));
    }
    take(player.disconnected(now));
    CHECK(player.finished());
    CHECK(ends == 1);
}

struct Recorded {
    std::vector<std::byte> from_player, from_server;
    std::vector<std::vector<std::byte>> datagrams;
};

Recorded record(Transport transport) {
    Link link{transport, 4};
    link.player_options.incarnations = Incarnations::open_players;
    link.player_options.packet_pair = transport == Transport::tcp ? PacketPair::tcp : PacketPair::none;
    link.player_options.logging = false;
    link.run();
    return {link.player_stream, link.server_stream, link.datagrams};
}

}  // namespace

TEST_CASE("a conversation cut at any byte", "[mms]") {
    const auto recorded = record(GENERATE(Transport::udp, Transport::tcp));
    for (std::size_t size = 0; size <= recorded.from_player.size(); ++size)
        serve(std::vector(recorded.from_player.begin(),
                          recorded.from_player.begin() + static_cast<std::ptrdiff_t>(size)));
    for (std::size_t size = 0; size <= recorded.from_server.size(); size += 3)
        play(
            std::vector(recorded.from_server.begin(), recorded.from_server.begin() + static_cast<std::ptrdiff_t>(size)),
            recorded.datagrams);
}

TEST_CASE("a conversation with any byte changed", "[mms]") {
    const auto recorded = record(GENERATE(Transport::udp, Transport::tcp));
    auto from_player = recorded.from_player;
    for (auto& byte : from_player) {
        const auto was = byte;
        for (const unsigned change : {0x01U, 0xFFU}) {
            byte = was ^ static_cast<std::byte>(change);
            serve(from_player);
        }
        byte = was;
    }
    auto from_server = recorded.from_server;
    for (std::size_t at = 0; at < from_server.size(); ++at) {
        const auto was = from_server[at];
        from_server[at] = was ^ (at % 2 == 0 ? std::byte{0x01} : std::byte{0xFF});
        play(from_server, recorded.datagrams);
        from_server[at] = was;
    }
}

TEST_CASE("messages, datagrams, wishes and time at random", "[mms]") {
    const auto messages = samples();
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        std::mt19937 random{seed};
        const auto pick = [&random](std::uint32_t below) { return static_cast<std::uint32_t>(random() % below); };
        Link link{pick(2) == 0 ? Transport::udp : Transport::tcp, pick(3) * 10};
        link.content.live = pick(3) == 0;
        link.server_options.seed = seed;
        link.hang_up = true;
        link.server_options.allow_udp = pick(8) != 0;
        link.player_options.autoplay = pick(4) != 0;
        link.player_options.tcp_after_refusal = pick(2) == 0;
        link.player_options.packet_pair = static_cast<PacketPair>(pick(3));
        link.player_options.incarnations = static_cast<Incarnations>(pick(3));
        link.wire = [&pick](DataKind, std::uint32_t) {
            std::vector<milliseconds> times;
            for (auto n = pick(8) == 0 ? pick(3) : 1U; n > 0; --n) times.emplace_back(pick(40));
            return times;
        };
        Framer to_server, to_player;
        for (int step = 0; step < 60; ++step) {
            link.run(milliseconds{pick(80)});
            auto message = serialise(messages[pick(static_cast<std::uint32_t>(messages.size()))]);
            if (pick(4) == 0)
                message[8 + pick(static_cast<std::uint32_t>(message.size() - 8))] = static_cast<std::byte>(pick(256));
            StartPosition where;
            where.locationId = pick(60);
            switch (pick(16)) {
                case 0:
                    link.perform(link.server->receive(to_server.frame(message), link.now));
                    break;
                case 1:
                    link.perform(link.player->receive(to_player.frame(message), link.now));
                    break;
                case 2:
                    link.perform(link.player->pause(link.now));
                    break;
                case 3:
                    link.perform(link.player->resume(link.now));
                    break;
                case 4:
                    link.perform(link.player->seek(where, link.now));
                    break;
                case 5:
                    link.perform(link.player->play(where, link.now));
                    break;
                case 6:
                    link.perform(link.player->request_again(pick(100), link.now));
                    break;
                case 7:
                    link.perform(link.server->end_of_media(link.now));
                    break;
                case 8:
                    if (pick(4) == 0) link.perform(link.server->next_content(link.content, link.now));
                    break;
                case 9:
                    if (pick(10) == 0) link.perform(link.player->stop(link.now));
                    break;
                case 10:
                    link.perform(link.player->datagram(
                        data_packet(pick(100), static_cast<std::uint8_t>(pick(6)), static_cast<std::uint8_t>(pick(256)),
                                    Link::packet(pick(100))),
                        link.now));
                    break;
                case 11:
                    link.perform(link.server->datagram(message, link.now));
                    break;
                case 12:
                    link.perform(link.player->datagram(message, link.now));
                    break;
                default:
                    break;
            }
        }
        link.perform(link.player->stop(link.now));
        link.run(10min);
        INFO("seed " << seed);
        CHECK(link.player->finished());
        CHECK(link.finished);
    }
}
