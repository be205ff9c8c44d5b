#include "common/asf/synthesiser.hpp"
#include "common/msb/player_session.hpp"
#include "common/msb/sender_session.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::msb;
using namespace std::chrono_literals;

namespace {

Station station() {
    Station s;
    s.ip_address = "239.1.2.3";
    s.ip_port = 8080;
    s.unicast_url = "mms://media/lecture";
    s.log_url = "http://media/log";
    s.formats = {{1, asf::Synthesiser::make({}).value()->header(), ""},
                 {2, asf::Synthesiser::make({}).value()->header(), ""}};
    return s;
}

Datagram datagram(std::uint32_t id, std::uint16_t wStreamID = 1) {
    static const auto content = asf::Synthesiser::make({}).value();
    return Packet{id, wStreamID, content->packet(id)}.serialise();
}

// What the actions are, in few words.
std::string words(const PlayerActions& actions) {
    std::string out;
    for (const auto& action : actions) {
        if (!out.empty()) out += ", ";
        if (const auto* sign = std::get_if<FirstSign>(&action)) out += "first " + std::string{text(sign->kind)};
        if (const auto* stream = std::get_if<StreamStarted>(&action))
            out += "stream " + std::to_string(stream->format->id);
        if (const auto* play = std::get_if<Play>(&action)) out += "play " + std::to_string(play->media.dwPacketID);
        if (const auto* ignored = std::get_if<Ignored>(&action)) out += "ignored " + std::string{text(ignored->kind)};
        if (std::holds_alternative<StreamEnded>(action)) out += "stream ended";
        if (const auto* end = std::get_if<Finished>(&action))
            out += "finished: " + end->reason + " " + end->unicast_url + end->log_url;
    }
    return out;
}

const TimePoint t0{};

}  // namespace

TEST_CASE("the player plays, and the station falls silent", "[msb]") {
    PlayerSession player{station()};
    CHECK(words(player.receive(datagram(0), "10.0.0.1", t0)).empty());  // not started
    CHECK(words(player.start(t0)).empty());
    CHECK(player.next_deadline() == t0 + 20s);
    CHECK(words(player.tick(t0 + 19s)).empty());
    CHECK(words(player.receive(datagram(7), "10.0.0.1", t0 + 19s)) == "first media, stream 1, play 7");
    CHECK(player.state() == PlayerSession::State::playing);
    CHECK(words(player.receive(datagram(8), "10.0.0.1", t0 + 20s)) == "play 8");
    CHECK(words(player.receive(datagram(8), "10.0.0.1", t0 + 20s)).empty());
    CHECK(words(player.receive(datagram(9, 2), "10.0.0.1", t0 + 25s)) == "stream 2, play 9");
    CHECK(player.longest_gap() == 5s);
    CHECK(player.next_deadline() == t0 + 55s);
    CHECK(words(player.tick(t0 + 55s)) == "finished: the station fell silent: nothing for 30 s http://media/log");
    CHECK_FALSE(player.next_deadline().has_value());
    CHECK(words(player.receive(datagram(10), "10.0.0.1", t0 + 56s)).empty());
    CHECK(words(player.stop(t0 + 57s)).empty());
}

TEST_CASE("a group that stays silent: over to unicast", "[msb]") {
    PlayerOptions options;
    options.open_timeout = 1500ms;
    PlayerSession player{station(), options};
    player.start(t0);
    // What is not the station's is no sign of it.
    CHECK(words(player.receive(datagram(1, 3), "10.0.0.1", t0 + 1s)) == "ignored unknown-format");
    CHECK(words(player.receive(datagram(2, 3), "10.0.0.1", t0 + 1s)).empty());
    CHECK(words(player.receive({}, "10.0.0.1", t0 + 1s)) == "ignored foreign");
    CHECK(player.next_deadline() == t0 + 1500ms);
    CHECK(words(player.tick(t0 + 1500ms)) ==
          "finished: nothing arrived at 239.1.2.3:8080 for 1.5 s mms://media/lecture");
    CHECK(player.state() == PlayerSession::State::finished);
    CHECK(player.counts().unknown_format == 2);
}

TEST_CASE("beacons keep a player waiting, before and after the packets", "[msb]") {
    PlayerSession player{station()};
    player.start(t0);
    CHECK(words(player.receive(beacon_packet, "10.0.0.1", t0 + 5s)) == "first beacon");
    CHECK(player.state() == PlayerSession::State::waiting);
    CHECK(words(player.receive(beacon_packet, "10.0.0.1", t0 + 30s)).empty());
    CHECK(words(player.tick(t0 + 35s)).empty());
    CHECK(words(player.receive(datagram(0), "10.0.0.1", t0 + 40s)) == "stream 1, play 0");
    CHECK(words(player.receive(beacon_packet, "10.0.0.1", t0 + 65s)).empty());
    CHECK(player.next_deadline() == t0 + 70s);
    CHECK(words(player.tick(t0 + 70s)) == "stream ended");
    CHECK(player.state() == PlayerSession::State::waiting);
    CHECK(words(player.receive(datagram(1, 0x8001), "10.0.0.1", t0 + 80s)) == "stream 1, play 1");
    CHECK(words(player.stop(t0 + 81s)) == "finished: stopped http://media/log");
}

TEST_CASE("beacons and then nothing: the station is gone", "[msb]") {
    PlayerSession player{station()};
    player.start(t0);
    player.receive(beacon_packet, "10.0.0.1", t0 + 5s);
    CHECK(player.next_deadline() == t0 + 35s);
    CHECK(words(player.tick(t0 + 35s)) == "finished: the station fell silent: nothing for 30 s http://media/log");
}

TEST_CASE("the sender: beacons while it has nothing, a new wStreamID for every stream", "[msb]") {
    SenderSession sender;
    const std::vector<std::byte> packet(100);
    CHECK(sender.packet(packet).empty());
    CHECK_FALSE(sender.next_deadline().has_value());
    sender.start(t0);
    CHECK(sender.tick(t0) == Datagram{beacon_packet.begin(), beacon_packet.end()});
    CHECK_FALSE(sender.tick(t0 + 4s).has_value());
    CHECK(sender.next_deadline() == t0 + 5s);
    CHECK(sender.tick(t0 + 5s).has_value());

    const auto wStreamID_of = [&] { return Packet::parse(sender.packet(packet).at(0)).value().wStreamID; };
    sender.start_stream(1, t0 + 6s);
    CHECK_FALSE(sender.next_deadline().has_value());
    CHECK(wStreamID_of() == 0x0001);
    sender.start_stream(1, t0 + 7s);
    CHECK(wStreamID_of() == 0x8001);
    sender.start_stream(2, t0 + 8s);
    CHECK(wStreamID_of() == 0x0002);
    sender.end_stream(t0 + 9s);
    CHECK(sender.packet(packet).empty());
    CHECK(sender.next_deadline() == t0 + 14s);
    sender.start_stream(2, t0 + 10s);
    CHECK(wStreamID_of() == 0x8002);
    CHECK(sender.next_dwPacketID() == 4);
    sender.stop();
    CHECK(sender.packet(packet).empty());
    CHECK_FALSE(sender.next_deadline().has_value());
}

TEST_CASE("the sender: options and limits", "[msb]") {
    SECTION("beacons go on as in Windows 2000 Server") {
        SenderOptions options;
        options.beacon_while_streaming = true;
        options.beacon_interval = 60s;  // more than the specification allows
        SenderSession sender{options};
        sender.start_stream(1, t0);
        CHECK(sender.next_deadline() == t0 + 10s);
        CHECK(sender.tick(t0 + 10s).has_value());
    }
    SECTION("a packet that fits no datagram is not sent") {
        SenderSession sender;
        sender.start_stream(1, t0);
        CHECK(sender.packet(std::vector<std::byte>(asf_packet_max)).size() == 1);
        CHECK(sender.packet(std::vector<std::byte>(asf_packet_max + 1)).empty());
    }
}

// --- departures of docs/protocols/msb.md: a test for each

TEST_CASE("departure 2.2.2: no parity packets unless a span is asked for", "[msb]") {
    const auto content = asf::Synthesiser::make({}).value();
    for (const unsigned span : {0u, 5u}) {
        SenderOptions options;
        options.span = span;
        SenderSession sender{options};
        sender.start({}), sender.start_stream(1, {});
        std::size_t datagrams = 0;
        for (std::uint64_t n = 0; n < 20; ++n) datagrams += sender.packet(content->packet(n)).size();
        CHECK(datagrams == (span == 0 ? 20 : 24));
    }
}

TEST_CASE("departure 2.2.4: padding is sent", "[msb]") {
    const auto content = asf::Synthesiser::make({}).value();
    SenderSession sender;
    sender.start({}), sender.start_stream(1, {});
    const auto sent = sender.packet(content->packet(3));
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].size() == Packet::head_size + content->header().packet_size);
}

TEST_CASE("departure 3.2.2: the player's timers are options", "[msb]") {
    PlayerOptions options;
    CHECK(options.open_timeout == 20s);
    CHECK(options.end_of_stream_timeout == 30s);
    options.open_timeout = 1s;
    PlayerSession player{station(), options};
    player.start({});
    CHECK(player.next_deadline() == TimePoint{} + 1s);
}
