// The player's session by itself: captured servers, and what a server may do to it.
#include "common/mms/player_session.hpp"

#include "common/mms/asf_streams.hpp"
#include "tests/catch.hpp"
#include "tests/common/mms/link.hpp"
#include "tests/common/mms/samples.hpp"
#include "tests/pcap.hpp"

using namespace wmlab;
using namespace wmlab::mms;
using namespace wmlab::mms::test;

namespace {

template <class Action>
std::vector<Action> all(const PlayerActions& actions) {
    std::vector<Action> found;
    for (const auto& action : actions)
        if (const auto* one = std::get_if<Action>(&action)) found.push_back(*one);
    return found;
}

void append(PlayerActions& all, PlayerActions more) { all.insert(all.end(), more.begin(), more.end()); }

}  // namespace

TEST_CASE("captured servers are played to the end", "[mms]") {
    struct Row {
        std::string file;
        bool udp, funnel_info;
        std::size_t packets;
    };
    const auto row = GENERATE(values<Row>({
        {"libmms_mmst_wmv", false, false, 85},
        {"libmms_mmst_ping", false, false, 85},
        {"libmms_mmst_split_header", false, false, 85},
        {"refclient_mmst_pair", false, true, 85},
        {"refclient_mmsu_clean", true, true, 85},
        {"refclient_mmsu_loss_resend_pair", true, true, 85},
    }));
    DYNAMIC_SECTION(row.file) {
        const auto capture =
            tests::read_pcap(std::string{WMLAB_SOURCE_DIR} + "/tests/vectors/mms/" + row.file + ".pcap");
        PlayerOptions options;
        options.incarnations = Incarnations::open_players;
        options.transport = row.udp ? Transport::udp : Transport::tcp;
        options.funnel_info = row.funnel_info;
        options.local_port = 1024;
        if (row.file == "refclient_mmst_pair") options.packet_pair = PacketPair::tcp;
        // Data packets carry the captured player's numbers; ours are 2 and 4.
        std::map<std::byte, std::byte> numbers;
        StreamSplitter requests{StreamDirection::to_server};
        for (const auto& item : requests.feed(capture.connections[0].to_server).items) {
            const auto message = parse_message(std::get<MessagePacket>(item).messages[0]);
            if (const auto* read = std::get_if<LinkViewerToMacReadBlock>(&*message))
                numbers[static_cast<std::byte>(read->playIncarnation)] = std::byte{2};
            if (const auto* start = std::get_if<LinkViewerToMacStartPlaying>(&*message))
                numbers[static_cast<std::byte>(start->playIncarnation)] = std::byte{4};
        }
        const auto numbered = [&numbers](std::vector<std::byte> packet) {
            if (const auto known = numbers.find(packet[4]); known != numbers.end()) packet[4] = known->second;
            return packet;
        };
        TimePoint now{};
        PlayerSession player{options};
        PlayerActions out = player.start(now);
        StreamSplitter answers{StreamDirection::to_player};
        std::size_t next_datagram = 0;
        const auto datagrams = [&](bool until_media) {
            for (; next_datagram < capture.datagrams.size(); ++next_datagram) {
                const auto& datagram = capture.datagrams[next_datagram];
                if (datagram.destination.port == 1755) continue;
                const bool header = (datagram.payload[5] & std::byte{0x0C}) != std::byte{0} && next_datagram < 3;
                if (until_media && !header && datagram.payload[5] != std::byte{0x10}) return;
                append(out, player.datagram(numbered(datagram.payload), now));
            }
        };
        for (const auto& item : answers.feed(capture.connections[0].to_client).items) {
            if (const auto* packet = std::get_if<MessagePacket>(&item)) {
                const auto message = parse_message(packet->messages[0]);
                if (std::holds_alternative<LinkMacToViewerReportEndOfStream>(*message)) datagrams(false);
                append(out, player.receive(packet->serialise(), now));
                if (std::holds_alternative<LinkMacToViewerReportReadBlock>(*message)) datagrams(true);
            } else {
                append(out, player.receive(numbered(std::get<Data>(item).serialise()), now));
            }
        }
        now += 10s;
        append(out, player.tick(now));
        REQUIRE(all<Finished>(out).size() == 1);
        INFO(all<Finished>(out)[0].reason);
        CHECK(all<Finished>(out)[0].worked);
        CHECK(all<HeaderComplete>(out).size() == 1);
        CHECK(all<HeaderComplete>(out)[0].header.size() == 809);
        CHECK(player.statistics().packets == row.packets);
        CHECK(player.statistics().lost == 0);
        CHECK(all<Malformed>(out).empty());
    }
}

TEST_CASE("what a server must not send ends the player, with the reason", "[mms]") {
    using State = PlayerSession::State;
    const auto state = GENERATE(State::connecting, State::funnel_info, State::funnel, State::opening, State::selecting,
                                State::starting, State::playing);
    // The session led to a state by a server that stops answering there.
    const std::map<State, std::string> next = {{State::connecting, "LinkMacToViewerReportConnectedEX"},
                                               {State::funnel_info, "LinkMacToViewerReportFunnelInfo"},
                                               {State::funnel, "LinkMacToViewerReportConnectedFunnel"},
                                               {State::opening, "LinkMacToViewerReportOpenFile"},
                                               {State::selecting, "LinkMacToViewerReportStreamSwitch"},
                                               {State::starting, "LinkMacToViewerReportStartedPlaying"}};
    std::size_t refused = 0;
    for (const auto& message : samples()) {
        Link link{Transport::tcp, 0};
        link.content.live = true;
        link.passes = [&](const Message& sent) { return next.count(state) == 0 || name(sent) != next.at(state); };
        link.run(1s);
        REQUIRE(link.player->state() == state);
        Framer framer;
        const auto out = link.player->receive(framer.frame(serialise(message)), link.now);
        INFO(name(message));
        CHECK(all<Received>(out).size() == 1);
        if (from_player(message) && !std::holds_alternative<UnknownMessage>(message)) {
            REQUIRE(all<Finished>(out).size() == 1);
            CHECK(all<Finished>(out)[0].hr == bytes::NS_E_BAD_CONTROL_DATA);
            ++refused;
        }
        if (std::holds_alternative<LinkMacToViewerPing>(message)) CHECK(all<Send>(out).size() == 1);
        for (const auto& finished : all<Finished>(out)) CHECK_FALSE(finished.reason.empty());
    }
    CHECK(refused == 16);
}

TEST_CASE("the server hangs up", "[mms]") {
    Link link{Transport::tcp, 0};
    link.content.live = true;
    link.run(1s);
    link.perform(link.player->disconnected(link.now));
    REQUIRE(link.finished);
    CHECK(link.finished->hr == bytes::NS_E_CONNECTION_FAILURE);
    CHECK(link.finished->reason == "the server closed the control connection while playing");
}

TEST_CASE("a server that asks for authentication", "[mms]") {
    Link link;
    link.passes = [](const Message& message) {
        return !std::holds_alternative<LinkMacToViewerReportOpenFile>(message);
    };
    link.run(1s);
    Framer framer;
    link.perform(link.player->receive(framer.frame(serialise(LinkMacToViewerSecurityChallenge{})), link.now));
    REQUIRE(link.finished);
    CHECK(link.finished->hr == bytes::E_ACCESSDENIED);
}

TEST_CASE("headers without an end, and headers without end", "[mms]") {
    Link link;
    link.wire = [](DataKind, std::uint32_t) { return std::vector<milliseconds>{}; };
    link.player_options.incarnations = Incarnations::open_players;
    link.run(500ms);
    REQUIRE(link.player->state() == PlayerSession::State::header);
    const auto header = asf_header();
    SECTION("a server that does not mark the last part: known by its size") {
        const bytes::Bytes whole{header};
        link.perform(link.player->datagram(data_packet(0, 2, 0x04, whole.first(100)), link.now));
        link.perform(link.player->datagram(data_packet(2, 2, 0x00, whole.subspan(200)), link.now));
        CHECK(link.header.empty());
        link.perform(link.player->datagram(data_packet(1, 2, 0x00, whole.subspan(100, 100)), link.now));
        CHECK(link.header == header);
    }
    SECTION("megabytes of it") {
        std::uint32_t part = 0;
        for (; part < 100000 && !link.finished; ++part)
            link.perform(link.player->datagram(data_packet(part, 2, 0x04, std::vector<std::byte>(1000)), link.now));
        REQUIRE(link.finished);
        CHECK(part < 300);
    }
    SECTION("parts of nothing") {
        for (std::uint32_t part = 0; part < 5000 && !link.finished; ++part)
            link.perform(link.player->datagram(data_packet(part, 2, 0x04, {}), link.now));
        REQUIRE(link.finished);
        CHECK(link.finished->reason == "the header is larger than the limit");
    }
    SECTION("of another number: none of ours") {
        link.perform(link.player->datagram(data_packet(0, 3, 0x0C, header), link.now));
        CHECK(link.header.empty());
        CHECK(link.player->statistics().stray == 1);
    }
}

TEST_CASE("media larger than announced is not taken", "[mms]") {
    Link link{Transport::udp, 0};
    link.content.live = true;
    link.player_options.incarnations = Incarnations::open_players;
    link.interval = 1h;
    link.run(1s);
    link.perform(link.player->datagram(data_packet(1, 4, 1, std::vector<std::byte>(201)), link.now));
    REQUIRE(link.malformed.size() == 1);
    CHECK(link.malformed[0].error.field == "PacketSize");
    CHECK(link.media.size() == 1);
}

TEST_CASE("a flood of gaps asks for no more than it can keep", "[mms]") {
    Link link{Transport::udp, 0};
    link.content.live = true;
    link.player_options.incarnations = Incarnations::open_players;
    link.interval = 1h;
    link.run(1s);
    for (std::uint32_t i = 1; i < 2000; ++i)
        link.perform(link.player->datagram(data_packet(i * 100, 4, static_cast<std::uint8_t>(i * 100), Link::packet(i)),
                                           link.now));
    link.run(10s);
    CHECK(link.player->statistics().lost + link.player->statistics().packets >= 199900);
    std::size_t asked = 0;
    for (const auto& request : link.resend_requests) asked += request.sequences.size();
    CHECK(asked <= 3 * 1024);
}

TEST_CASE("numbers of every player's manner stay where they must", "[mms]") {
    for (const auto manner : {Incarnations::shared_counter, Incarnations::media_player_9}) {
        Link link{Transport::tcp, 0};
        link.content.live = true;
        link.player_options.incarnations = manner;
        link.player_options.autoplay = false;
        int rounds = 0;
        link.on_ready = [&rounds](Link& self) {
            if (++rounds < 700) self.perform(self.player->play({}, self.now));
        };
        link.on_playing = [](Link& self) { self.perform(self.player->pause(self.now)); };
        link.run(1h);
        REQUIRE(rounds == 700);
        for (const auto& message : link.player_sent) {
            if (const auto* start = std::get_if<LinkViewerToMacStartPlaying>(&message)) {
                const auto low = start->playIncarnation;
                CHECK(low != 0xCE);  // would look like a TcpMessageHeader
                CHECK(low >= (manner == Incarnations::media_player_9 ? 9U : 1U));
                CHECK(low <= 0xFE);
            }
            if (const auto* read = std::get_if<LinkViewerToMacReadBlock>(&message)) CHECK(read->playIncarnation <= 8);
        }
    }
}

TEST_CASE("stream numbers of an ASF header, whole or damaged", "[mms]") {
    const auto header = asf_header(40);
    CHECK(asf_stream_numbers(header) == std::vector<std::uint16_t>{1, 2});
    for (std::size_t size = 0; size <= header.size(); ++size) {
        const std::vector<std::byte> prefix{header.begin(), header.begin() + static_cast<std::ptrdiff_t>(size)};
        CHECK(asf_stream_numbers(prefix).size() <= 2);
    }
    auto changed = header;
    for (std::size_t at = 0; at < header.size(); ++at) {
        changed[at] ^= std::byte{0xFF};
        CHECK(asf_stream_numbers(changed).size() <= 127);
        changed[at] = header[at];
    }
}
