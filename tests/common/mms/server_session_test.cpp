// The server's session by itself: real players' captured requests, wrong order, timers, resends.
#include "common/mms/server_session.hpp"

#include <algorithm>

#include "tests/catch.hpp"
#include "tests/common/mms/link.hpp"
#include "tests/common/mms/samples.hpp"
#include "tests/pcap.hpp"

using namespace wmlab;
using namespace wmlab::mms;
using namespace wmlab::mms::test;

namespace {

template <class Action>
std::vector<Action> all(const ServerActions& actions) {
    std::vector<Action> found;
    for (const auto& action : actions)
        if (const auto* one = std::get_if<Action>(&action)) found.push_back(*one);
    return found;
}

std::vector<std::string> names(const ServerActions& actions) {
    std::vector<std::string> found;
    for (const auto& send : all<Send>(actions)) found.emplace_back(name(send.message));
    return found;
}

// A session and a player's hand to lead it.
struct Hand {
    explicit Hand(ServerOptions options = {}) : session{unpaced(std::move(options)), now} {}
    static ServerOptions unpaced(ServerOptions options) {
        options.pace_header = false;
        return options;
    }

    ServerActions send(const Message& message) { return session.receive(framer.frame(serialise(message)), now); }
    ServerActions connect() {
        LinkViewerToMacConnect connect;
        connect.subscriberName = u"NSPlayer/7.0.0.1956; {7E667F5D-A661-495E-A512-F55686DDA178}; Host: media";
        return send(connect);
    }
    ServerActions funnel(Transport transport = Transport::udp) {
        LinkViewerToMacConnectFunnel message;
        message.funnelName = FunnelName{"192.168.0.129", transport, 2345}.text();
        return send(message);
    }
    ServerActions open() {
        LinkViewerToMacOpenFile open;
        open.fileName = u"lecture";
        send(open);
        return session.opened(content(), now);
    }
    ServerActions start() { return send(LinkViewerToMacStartPlaying{}); }
    // As far as the state asked for.
    void reach(ServerSession::State state, Transport transport = Transport::udp) {
        connect(), funnel(transport), open();
        if (state == ServerSession::State::init) return;
        send(LinkViewerToMacReadBlock{});
        if (state == ServerSession::State::ready) return;
        start();
    }
    static Content content() {
        Content content;
        content.header = asf_header();
        content.packet_size = 200;
        content.packet_count = 100;
        content.duration = std::chrono::duration<double>{6.046};
        content.bit_rate = 64000;
        content.has_video = true;
        return content;
    }

    TimePoint now{};
    Framer framer;
    ServerSession session;
};

}  // namespace

TEST_CASE("the requests of real players are answered as the captured server answered them", "[mms]") {
    const auto file = GENERATE(as<std::string>{}, "ffmpeg_mmst_wma", "ffmpeg_mmst_wmv", "libmms_mmst_wmv",
                               "libmms_mmst_ping", "refclient_mmst_pair", "refclient_mmst_stop", "refclient_mmsu_clean",
                               "refclient_mmsu_loss_resend_pair", "refclient_mmsu_blackhole", "xine_mmst_wma");
    const auto capture = tests::read_pcap(std::string{WMLAB_SOURCE_DIR} + "/tests/vectors/mms/" + file + ".pcap");
    for (const auto& connection : capture.connections) {
        StreamSplitter captured{StreamDirection::to_player};
        std::vector<std::string> expected;
        for (const auto& item : captured.feed(connection.to_client).items) {
            const auto* packet = std::get_if<MessagePacket>(&item);
            if (!packet) continue;
            const auto message = parse_message(packet->messages[0]);
            REQUIRE(message.has_value());
            const std::string which{name(*message)};
            // Pings have their own clock, and the stream's natural end is not the player's doing.
            const auto* end = std::get_if<LinkMacToViewerReportEndOfStream>(&*message);
            if (which == "LinkMacToViewerPing" || (end && file != "refclient_mmst_stop")) continue;
            expected.push_back(which);
        }
        Hand hand;
        std::vector<std::string> answered;
        std::vector<ServerAction> actions;
        std::uint32_t media = 0;
        StreamSplitter requests{StreamDirection::to_server};
        for (const auto& item : requests.feed(connection.to_server).items) {
            auto out = hand.session.receive(std::get<MessagePacket>(item).serialise(), hand.now);
            if (!all<OpenRequest>(out).empty()) {
                auto opened = hand.session.opened(Hand::content(), hand.now);
                out.insert(out.end(), opened.begin(), opened.end());
            }
            if (hand.session.streaming()) {
                for (int i = 0; i < 3; ++i) {
                    const auto sent = hand.session.media(media, Link::packet(media), hand.now);
                    ++media;
                    CHECK(all<SendData>(sent).size() == 1);
                }
            }
            for (auto& which : names(out)) answered.push_back(which);
            actions.insert(actions.end(), out.begin(), out.end());
        }
        CHECK(answered == expected);
        for (const auto& close : all<Close>(actions)) CHECK(close.reason == "the player closed the file");
        CHECK(all<Malformed>(actions).empty());
        REQUIRE(hand.session.player());
        CHECK(hand.session.player()->product == "NSPlayer");
    }
}

TEST_CASE("MPlayer reads the header after a failed OpenFile: it is told so, and let go", "[mms]") {
    Hand hand;
    hand.connect(), hand.funnel(Transport::tcp);
    LinkViewerToMacOpenFile open;
    open.playIncarnation = 0;  // outside the specification's range
    open.fileName = u"missing";
    const auto asked = hand.send(open);
    REQUIRE(all<OpenRequest>(asked).size() == 1);
    CHECK(all<OpenRequest>(asked)[0].fileName == "missing");
    const auto failed = hand.session.open_failed(bytes::NS_E_FILE_NOT_FOUND, hand.now);
    REQUIRE(all<Send>(failed).size() == 1);
    CHECK(result(all<Send>(failed)[0].message) == bytes::NS_E_FILE_NOT_FOUND);
    CHECK_FALSE(hand.session.finished());
    const auto out = hand.send(LinkViewerToMacReadBlock{});
    CHECK(names(out) == std::vector<std::string>{"LinkMacToViewerReportReadBlock"});
    CHECK(result(all<Send>(out)[0].message) == bytes::NS_E_INVALID_REQUEST);
    CHECK(all<SendData>(out).empty());
    REQUIRE(all<Close>(out).size() == 1);
    CHECK(all<Close>(out)[0].reason == "LinkViewerToMacReadBlock with no file open");
}

TEST_CASE("any openFileId will do: players send 1, whatever they were given", "[mms]") {
    Hand hand;
    hand.connect(), hand.funnel(), hand.open();
    LinkViewerToMacReadBlock read;
    read.openFileId = 0x1234;
    CHECK_FALSE(all<SendData>(hand.send(read)).empty());
    LinkViewerToMacStartPlaying start;
    start.openFileId = 99;
    CHECK(all<StartMedia>(hand.send(start)).size() == 1);
}

TEST_CASE("hr is 0 in every answer that is long enough for ffmpeg to look at it", "[mms]") {
    Link link{Transport::tcp, 5};
    link.run();
    for (const auto& message : link.server_sent)
        if (serialise(message).size() + TcpMessageHeader::size >= 56) CHECK(result(message).value_or(0) == 0);
}

TEST_CASE("requests in the wrong state get their HRESULT and end the session", "[mms]") {
    using State = ServerSession::State;
    struct Row {
        std::string name;
        State state;
        Message message;
        std::string report;
        std::uint32_t hr;
    };
    LinkViewerToMacConnectFunnel funnel;
    funnel.funnelName = u"\\\\h\\UDP\\2345";
    const auto row = GENERATE_COPY(values<Row>({
        {"Connect twice", State::init, LinkViewerToMacConnect{}, "LinkMacToViewerReportConnectedEX",
         bytes::NS_E_INVALID_REQUEST},
        {"StartPlaying without the header", State::init, LinkViewerToMacStartPlaying{},
         "LinkMacToViewerReportStartedPlaying", bytes::NS_E_INVALID_REQUEST},
        {"StartStriding without the header", State::init, LinkViewerToMacStartStriding{},
         "LinkMacToViewerReportStartStriding", bytes::NS_E_INVALID_REQUEST},
        {"ReadBlock while streaming", State::streaming, LinkViewerToMacReadBlock{}, "LinkMacToViewerReportReadBlock",
         bytes::NS_E_INVALID_REQUEST},
        {"OpenFile while streaming", State::streaming, LinkViewerToMacOpenFile{}, "LinkMacToViewerReportOpenFile",
         bytes::NS_E_INVALID_REQUEST},
        {"ConnectFunnel while streaming", State::streaming, funnel, "LinkMacToViewerReportDisconnectedFunnel",
         bytes::NS_E_INVALID_REQUEST},
        {"credentials nobody asked for", State::ready, LinkViewerToMacSecurityResponse{},
         "LinkMacToViewerReportOpenFile", bytes::NS_E_INVALID_REQUEST},
        {"a server's message", State::ready, LinkMacToViewerPing{}, "", bytes::NS_E_BAD_CONTROL_DATA},
    }));
    DYNAMIC_SECTION(row.name) {
        Hand hand;
        hand.reach(row.state);
        REQUIRE(hand.session.state() == row.state);
        const auto out = hand.send(row.message);
        if (!row.report.empty()) {
            CHECK(names(out) == std::vector<std::string>{row.report});
            CHECK(result(all<Send>(out)[0].message) == row.hr);
        }
        REQUIRE(all<Close>(out).size() == 1);
        CHECK(all<Close>(out)[0].hr == row.hr);
        CHECK(all<StopMedia>(out).size() == (row.state == State::streaming ? 1U : 0U));
        CHECK(hand.session.finished());
        CHECK(hand.send(LinkViewerToMacPong{}).empty());
        CHECK(hand.session.media(0, Link::packet(0), hand.now).empty());
    }
}

TEST_CASE("nothing but Connect may come first", "[mms]") {
    for (const auto& message : samples()) {
        if (std::holds_alternative<LinkViewerToMacConnect>(message)) continue;
        Hand hand;
        const auto out = hand.send(message);
        INFO(name(message));
        CHECK(all<Send>(out).empty());
        CHECK(all<Close>(out).size() == 1);
    }
}

TEST_CASE("OpenFile needs an accepted ConnectFunnel", "[mms]") {
    Hand hand;
    hand.connect();
    const auto refused = hand.send(LinkViewerToMacConnectFunnel{});  // no name at all
    CHECK(names(refused) == std::vector<std::string>{"LinkMacToViewerReportDisconnectedFunnel"});
    CHECK(result(all<Send>(refused)[0].message) == bytes::E_INVALIDARG);
    CHECK_FALSE(hand.session.finished());  // another ConnectFunnel may follow
    SECTION("and another does") {
        CHECK(names(hand.funnel()) == std::vector<std::string>{"LinkMacToViewerReportConnectedFunnel"});
        CHECK(hand.session.udp_port() == 2345);
    }
    SECTION("and OpenFile follows instead") {
        const auto out = hand.send(LinkViewerToMacOpenFile{});
        CHECK(result(all<Send>(out)[0].message) == bytes::NS_E_NOFUNNEL);
        CHECK(hand.session.finished());
    }
}

TEST_CASE("a message that MS-MMSP does not have is read over", "[mms]") {
    Hand hand;
    hand.reach(ServerSession::State::streaming);
    const auto out = hand.send(UnknownMessage{0x00030030, std::vector<std::byte>(8)});
    REQUIRE(out.size() == 1);
    CHECK(std::holds_alternative<Received>(out[0]));
    CHECK(hand.session.streaming());
}

TEST_CASE("StartPlaying while streaming ignores the position and changes the packets' number", "[mms]") {
    Hand hand;
    hand.reach(ServerSession::State::streaming);
    LinkViewerToMacStartPlaying start;
    start.locationId = 50;
    start.playIncarnation = 0x109;
    const auto out = hand.send(start);
    CHECK(names(out) == std::vector<std::string>{"LinkMacToViewerReportStartedPlaying"});
    CHECK(all<StartMedia>(out).empty());
    const auto media = all<SendData>(hand.session.media(3, Link::packet(3), hand.now));
    REQUIRE(media.size() == 1);
    CHECK((*media[0].packet)[4] == std::byte{0x09});
}

TEST_CASE("positions as players give them", "[mms]") {
    struct Row {
        std::string name;
        double position;
        std::uint32_t asfOffset, locationId, frameOffset;
        StartPosition expected;
    };
    const auto none = offset_unused;
    const auto at = [](double seconds) { return std::chrono::duration<double>{seconds}; };
    const auto row = GENERATE_COPY(values<Row>({
        {"ffmpeg's start", 0, none, none, 0x00FFFFFF, {}},
        {"MPlayer's start", 0, 0, 0, 0, {}},
        {"the packet number comes first", 3, 7, 9, 0, {9, {}, {}, {}}},
        {"then the byte", 3, 7, none, 0, {{}, 7, {}, {}}},
        {"then the time", 3, none, none, 0, {{}, {}, at(3), {}}},
        {"a length", 3, none, none, 0x80000000 | 1500, {{}, {}, at(3), 1500ms}},
        {"an end in the file's time", 3, none, none, 4500, {{}, {}, at(3), 1500ms}},
        {"an end before the start", 3, none, none, 1000, {{}, {}, at(3), 0ms}},
        {"nothing given", position_unused, none, none, 0, {}},
        {"not a number", std::numeric_limits<double>::quiet_NaN(), none, none, 0, {}},
        {"before the start", -5, none, none, 0, {}},
        {"after the end of time", std::numeric_limits<double>::infinity(), none, none, 0, {}},
    }));
    DYNAMIC_SECTION(row.name) {
        const bool striding = GENERATE(true, false);
        Hand hand;
        hand.reach(ServerSession::State::ready);
        ServerActions out;
        if (striding) {
            out = hand.send(LinkViewerToMacStartStriding{
                1, 0, row.position, row.asfOffset, row.locationId, row.frameOffset, 4, 1, {}});
        } else {
            out = hand.send(LinkViewerToMacStartPlaying{
                1, 0, row.position, row.asfOffset, row.locationId, row.frameOffset, 4, {}, {}});
        }
        REQUIRE(all<StartMedia>(out).size() == 1);
        CHECK(all<StartMedia>(out)[0].from == row.expected);
    }
}

TEST_CASE("rates other than real time are refused, and the session goes on", "[mms]") {
    Hand hand;
    hand.reach(ServerSession::State::ready);
    LinkViewerToMacStartStriding striding;
    striding.rate = GENERATE(5.0, -1.0, 0.0, std::numeric_limits<double>::quiet_NaN());
    const auto out = hand.send(striding);
    CHECK(result(all<Send>(out)[0].message) == bytes::E_INVALIDARG);
    CHECK(all<StartMedia>(out).empty());
    CHECK(hand.session.state() == ServerSession::State::ready);
}

TEST_CASE("acceleration is handed on", "[mms]") {
    Hand hand;
    hand.reach(ServerSession::State::ready);
    LinkViewerToMacStartPlaying start;
    start.acceleration = Acceleration{1000000, 5000, 2000000};
    CHECK(all<StartMedia>(hand.send(start))[0].acceleration == start.acceleration);
}

TEST_CASE("the counter is 32 bits, survives Stop, and its low byte is in every packet", "[mms]") {
    Hand hand;
    hand.reach(ServerSession::State::streaming);
    std::uint32_t sequence = 0;
    for (int part = 0; part < 3; ++part) {
        for (std::uint32_t i = 0; i < 300; ++i, ++sequence) {
            const auto sent = all<SendData>(hand.session.media(i, Link::packet(i), hand.now));
            REQUIRE(sent.size() == 1);
            CHECK(sent[0].sequence == sequence);
            CHECK(sent[0].transport == Transport::udp);
            CHECK((*sent[0].packet)[5] == static_cast<std::byte>(sequence & 0xFF));
        }
        const auto stopped = hand.send(LinkViewerToMacStopPlaying{1, 0x77, {}});
        CHECK(all<StopMedia>(stopped).size() == 1);
        const auto end = std::get<LinkMacToViewerReportEndOfStream>(all<Send>(stopped)[0].message);
        CHECK(end.playIncarnation == 0x77);
        CHECK(end.hr == 0);
        CHECK(hand.session.media(0, Link::packet(0), hand.now).empty());
        hand.start();
    }
}

TEST_CASE("packets larger than announced are not sent", "[mms]") {
    Hand hand;
    hand.reach(ServerSession::State::streaming);
    const std::vector<std::byte> fits(200), short_one(1);
    CHECK(hand.session.media(0, fits, hand.now).size() == 1);
    CHECK(hand.session.media(1, short_one, hand.now).size() == 1);  // its padding removed
    CHECK(hand.session.next_sequence() == 2);
}

TEST_CASE("resends: identical copies, only to whom they belong, only what is still there, not too many", "[mms]") {
    ServerOptions options;
    options.client_id = 0x1EF69F6D;
    options.history_packets = 64;
    options.resends_per_second = 50;
    Hand hand{options};
    hand.reach(ServerSession::State::streaming);
    std::vector<SendData> sent;
    for (std::uint32_t i = 0; i < 300; ++i)
        sent.push_back(all<SendData>(hand.session.media(i, Link::packet(i), hand.now))[0]);
    const auto ask = [&hand](std::vector<std::uint32_t> numbers, std::uint32_t id = 0x1EF69F6D,
                             std::uint16_t source = 1) {
        return all<SendData>(
            hand.session.datagram(RequestPacketListResend{id, source, std::move(numbers)}.serialise(), hand.now));
    };
    const auto again = ask({299, 236, 235, 300, 0xFFFFFFFF, 299});
    REQUIRE(again.size() == 3);
    CHECK(again[0].kind == DataKind::resend);
    CHECK(again[0].sequence == 299);
    CHECK(*again[0].packet == *sent[299].packet);
    CHECK(*again[1].packet == *sent[236].packet);
    CHECK(hand.session.resends() == 3);
    CHECK(ask({299}, 1).empty());
    CHECK(ask({299}, 0x1EF69F6D, 2).empty());
    std::size_t answered = 0;
    for (int i = 0; i < 10; ++i) answered += ask(std::vector<std::uint32_t>(32, 299)).size();
    CHECK(answered == 47);
    hand.now += 1s;
    CHECK(ask(std::vector<std::uint32_t>(32, 299)).size() == 32);
    const auto bad = hand.session.datagram(std::vector<std::byte>(5), hand.now);
    REQUIRE(bad.size() == 1);
    CHECK(std::holds_alternative<Malformed>(bad[0]));
    CHECK(hand.session.streaming());
}

TEST_CASE("the history of a fat stream is bounded by its bytes", "[mms]") {
    ServerOptions options;
    options.history_bytes = 1000;
    Hand hand{options};
    hand.reach(ServerSession::State::streaming);
    for (std::uint32_t i = 0; i < 100; ++i) hand.session.media(i, std::vector<std::byte>(192), hand.now);
    const auto ask = [&hand](std::uint32_t number) {
        return hand.session.datagram(RequestPacketListResend{1, 1, {number}}.serialise(), hand.now).size();
    };
    CHECK(ask(95) == 1);
    CHECK(ask(94) == 0);
}

TEST_CASE("a packet that many get: the same bytes as media() sends, and the same when asked for again", "[mms]") {
    const auto transport = GENERATE(Transport::udp, Transport::tcp);
    const auto packet = [](std::uint32_t number) {
        return std::make_shared<const std::vector<std::byte>>(200, static_cast<std::byte>(number));
    };
    ServerOptions options;
    options.again = [&](std::uint32_t LocationId) { return LocationId == 13 ? nullptr : packet(LocationId); };
    Hand alone, shared{options};
    alone.reach(ServerSession::State::streaming, transport);
    CHECK_FALSE(shared.session.shared_media(0, 200));  // not yet
    shared.reach(ServerSession::State::streaming, transport);
    CHECK_FALSE(shared.session.shared_media(0, 201));  // larger than was told
    // Numbers with gaps: packets that were skipped, or were this player's own.
    const std::vector<std::uint32_t> numbers{5, 6, 7, 10, 11, 12, 13, 20, 21, 700'000, 700'001};
    std::vector<SendData> sent;
    for (const auto number : numbers) {
        const auto whole = all<SendData>(alone.session.media(number, *packet(number), alone.now)).at(0);
        if (number == 12 || number == 21) {  // a packet of which this player does not get all
            CHECK(*all<SendData>(shared.session.media(number, *packet(number), shared.now)).at(0).packet == *whole.packet);
        } else {
            const auto head = shared.session.shared_media(number, 200);
            REQUIRE(head.has_value());
            std::vector<std::byte> both{head->octets.begin(), head->octets.end()};
            const auto body = packet(number);
            both.insert(both.end(), body->begin(), body->end());
            CHECK(both == *whole.packet);
            CHECK(head->sequence == whole.sequence);
        }
        sent.push_back(whole);
    }
    CHECK(shared.session.next_sequence() == numbers.size());
    if (transport == Transport::tcp) return;
    RequestPacketListResend request;
    request.dwClientId = shared.session.client_id();
    request.wSourceId = 1;
    for (std::uint32_t sequence = 0; sequence < numbers.size() + 2; ++sequence)
        request.dwBeginPacketList.push_back(sequence);
    const auto again = all<SendData>(shared.session.datagram(request.serialise(), shared.now));
    REQUIRE(again.size() == numbers.size() - 1);  // 13 is no longer kept
    for (const auto& one : again) {
        CHECK(one.kind == DataKind::resend);
        CHECK(one.LocationId == numbers.at(one.sequence));
        CHECK(*one.packet == *sent.at(one.sequence).packet);
    }
}

TEST_CASE("a packet that many get: what may be asked for again is bounded", "[mms]") {
    ServerOptions options;
    options.history_packets = 100;
    options.again = [](std::uint32_t) { return std::make_shared<const std::vector<std::byte>>(200); };
    Hand hand{options};
    hand.reach(ServerSession::State::streaming);
    const auto step = GENERATE(1u, 2u);  // one run, or every packet a run of its own
    for (std::uint32_t i = 0; i < 1000; ++i) REQUIRE(hand.session.shared_media(i * step, 200));
    const auto answered = [&](std::uint32_t sequence) {
        RequestPacketListResend request;
        request.dwClientId = hand.session.client_id();
        request.wSourceId = 1;
        request.dwBeginPacketList = {sequence};
        return all<SendData>(hand.session.datagram(request.serialise(), hand.now)).size() == 1;
    };
    CHECK(answered(999));
    CHECK(answered(step == 1 ? 900 : 950));
    CHECK_FALSE(answered(step == 1 ? 899 : 930));
    CHECK_FALSE(answered(1000));
}

TEST_CASE("resends are answered until the player has left, also after the end", "[mms]") {
    Hand hand;
    hand.reach(ServerSession::State::streaming);
    hand.session.media(0, Link::packet(0), hand.now);
    CHECK(hand.session.end_of_media(hand.now).empty());  // the last datagram shall not be overtaken
    CHECK(hand.session.next_deadline() == hand.now + 1s);
    hand.now += 1s;
    CHECK(names(hand.session.tick(hand.now)) == std::vector<std::string>{"LinkMacToViewerReportEndOfStream"});
    CHECK(hand.session.datagram(RequestPacketListResend{1, 1, {0}}.serialise(), hand.now).size() == 1);
    hand.send(LinkViewerToMacCloseFile{});
    CHECK(hand.session.datagram(RequestPacketListResend{1, 1, {0}}.serialise(), hand.now).empty());
}

TEST_CASE("timers", "[mms]") {
    Hand hand;
    SECTION("no Connect") {
        CHECK(hand.session.next_deadline() == hand.now + 30s);
        hand.now += 30s;
        CHECK(all<Close>(hand.session.tick(hand.now)).size() == 1);
    }
    SECTION("a ping every 30 s in which nothing came") {
        hand.reach(ServerSession::State::streaming);
        for (int i = 0; i < 5; ++i) {
            hand.now += 29s;
            CHECK(hand.session.tick(hand.now).empty());
            hand.now += 1s;
            CHECK(names(hand.session.tick(hand.now)) == std::vector<std::string>{"LinkMacToViewerPing"});
        }
        hand.now += 20s;
        hand.send(LinkViewerToMacPong{});
        CHECK(hand.session.next_deadline() == hand.now + 30s);
    }
    SECTION("an hour in which nothing came, but not while streaming") {
        hand.reach(ServerSession::State::streaming);
        hand.now += 7200s;
        CHECK(all<Close>(hand.session.tick(hand.now)).empty());
        hand.send(LinkViewerToMacStopPlaying{});
        hand.now += 3599s;
        CHECK(all<Close>(hand.session.tick(hand.now)).empty());
        hand.now += 1s;
        const auto out = hand.session.tick(hand.now);
        REQUIRE(all<Close>(out).size() == 1);
        CHECK(all<Close>(out)[0].hr == bytes::NS_E_TIMEOUT);
    }
    SECTION("half a message keeps nobody connected") {
        hand.reach(ServerSession::State::ready);
        const auto pong = hand.framer.frame(serialise(LinkViewerToMacPong{}));
        for (std::size_t i = 0; i + 1 < pong.size(); ++i) {
            hand.now += 100s;
            hand.session.receive(bytes::Bytes{pong}.subspan(i, 1), hand.now);
            hand.session.tick(hand.now);
        }
        CHECK(hand.session.finished());
    }
}

TEST_CASE("attributes of files", "[mms]") {
    struct Row {
        std::string name;
        bool live, video, seek, playlist;
        std::uint32_t attributes;
    };
    const auto row = GENERATE(values<Row>({
        {"with video", false, true, true, false, 0x01800000},
        {"audio only", false, false, true, false, 0x01000000},
        {"live", true, true, true, false, 0x06000000},
        {"not to be sought in", false, true, false, false, 0},
        {"a playlist", false, false, true, true, 0x41000000},
    }));
    DYNAMIC_SECTION(row.name) {
        Hand hand;
        hand.connect(), hand.funnel(), hand.send(LinkViewerToMacOpenFile{});
        auto content = Hand::content();
        content.live = row.live, content.has_video = row.video, content.can_seek = row.seek;
        content.playlist = row.playlist;
        const auto out = hand.session.opened(content, hand.now);
        const auto file = std::get<LinkMacToViewerReportOpenFile>(all<Send>(out)[0].message);
        CHECK(file.fileAttributes == row.attributes);
        CHECK(file.openFileId == 1);
        CHECK(file.fileHeaderSize == content.header.size());
        CHECK(file.fileBlocks == (row.live ? 0U : 7U));
        CHECK(file.filePacketCount == (row.live ? 0U : 100U));
    }
}

TEST_CASE("seq and timeSent of the server's packets", "[mms]") {
    Hand hand;
    const auto first = all<Send>(hand.connect())[0].packet;
    hand.now += 1333ms;
    const auto second = all<Send>(hand.funnel())[0].packet;
    const auto head = TcpMessageHeader::parse(second);
    REQUIRE(head.has_value());
    CHECK(TcpMessageHeader::parse(first)->timeSent == 0);
    CHECK(head->timeSent == 1333);
    CHECK(head->seq == 1);
    CHECK(head->chunkCount * 8 == head->messageLength);
}

// --- departures of docs/protocols/mms.md: a test for each

TEST_CASE("departure 2.2.3: chunkCount leaves out 16 bytes, and any is read", "[mms]") {
    Hand hand;
    const auto sent = all<Send>(hand.connect());
    REQUIRE(sent.size() == 1);
    bytes::Reader in{sent[0].packet};
    in.seek(8, "messageLength");
    const auto messageLength = in.u32("messageLength");
    in.seek(16, "chunkCount");
    CHECK(in.u32("chunkCount") == messageLength / 8);
    auto packet = hand.framer.frame(serialise(LinkViewerToMacFunnelInfo{}));
    packet[16] = std::byte{0x77};
    CHECK(names(hand.session.receive(packet, hand.now)) == std::vector<std::string>{"LinkMacToViewerReportFunnelInfo"});
}

TEST_CASE("departure 2.2.4.7: fileBitRate is what the file says of all streams together", "[mms]") {
    Hand hand;
    hand.connect(), hand.funnel();
    const auto reports = all<Send>(hand.open());
    REQUIRE(reports.size() == 1);
    CHECK(std::get<LinkMacToViewerReportOpenFile>(reports[0].message).fileBitRate == 64000);
}

TEST_CASE("departure 3.2.4.1: over UDP EndOfStream waits a second for the last datagrams", "[mms]") {
    Hand hand;
    hand.reach(ServerSession::State::streaming);
    CHECK(names(hand.session.end_of_media(hand.now)).empty());
    hand.now += std::chrono::milliseconds{1000};
    CHECK(names(hand.session.tick(hand.now)) == std::vector<std::string>{"LinkMacToViewerReportEndOfStream"});
}

TEST_CASE("departure 3.2.5.2: KeepAlive runs whenever nothing is received", "[mms]") {
    Hand hand;
    hand.reach(ServerSession::State::streaming);
    for (int i = 0; i < 3; ++i) {
        hand.now += std::chrono::seconds{30};
        CHECK(names(hand.session.tick(hand.now)) == std::vector<std::string>{"LinkMacToViewerPing"});
    }
}

TEST_CASE("departure 3.2.5.6: nothing needs authentication, and a response to no challenge ends the session", "[mms]") {
    Hand hand;
    hand.connect(), hand.funnel();
    CHECK(names(hand.open()) == std::vector<std::string>{"LinkMacToViewerReportOpenFile"});
    CHECK(all<Close>(hand.send(LinkViewerToMacSecurityResponse{})).size() == 1);
}

TEST_CASE("departure 3.2.5.8: openFileId is not verified", "[mms]") {
    Hand hand;
    hand.connect(), hand.funnel(), hand.open();
    LinkViewerToMacReadBlock read;
    read.openFileId = 4711;
    CHECK_FALSE(all<SendData>(hand.send(read)).empty());
    LinkViewerToMacStartPlaying start;
    start.openFileId = 4711;
    CHECK(all<StartMedia>(hand.send(start)).size() == 1);
}

TEST_CASE("departure 3.2.5.11: media carries the playIncarnation of StartPlaying", "[mms]") {
    Hand hand;
    hand.reach(ServerSession::State::ready);
    LinkViewerToMacStartPlaying start;
    start.playIncarnation = 0x2A;
    hand.send(start);
    const auto sent = all<SendData>(hand.session.media(0, Link::packet(0), hand.now));
    REQUIRE(sent.size() == 1);
    CHECK(std::to_integer<unsigned>((*sent[0].packet)[4]) == 0x2A);
}

TEST_CASE("departure 3.2.5.12: striding is refused", "[mms]") {
    Hand hand;
    hand.reach(ServerSession::State::ready);
    LinkViewerToMacStartStriding stride;
    stride.rate = 5;
    const auto reports = all<Send>(hand.send(stride));
    REQUIRE(reports.size() == 1);
    CHECK(std::get<LinkMacToViewerReportStartStriding>(reports[0].message).hr == bytes::E_INVALIDARG);
    CHECK_FALSE(hand.session.finished());
}

TEST_CASE("departure 3.2.5.13: resends are those of the last packets, at a bounded rate", "[mms]") {
    ServerOptions options;
    options.history_packets = 10;
    options.resends_per_second = 5;
    Hand hand{options};
    hand.reach(ServerSession::State::streaming);
    for (std::uint32_t i = 0; i < 20; ++i) hand.session.media(i, Link::packet(i), hand.now);
    RequestPacketListResend request;
    request.dwClientId = options.client_id;
    request.wSourceId = 1;
    request.dwBeginPacketList = {0, 9};
    CHECK(all<SendData>(hand.session.datagram(request.serialise(), hand.now)).empty());
    request.dwBeginPacketList = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
    CHECK(all<SendData>(hand.session.datagram(request.serialise(), hand.now)).size() == 5);
}
