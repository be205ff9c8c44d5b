// Both ends of an MSBD connection: against each other, and each by itself against what a peer may do.
#include <functional>
#include <map>
#include <random>

#include "common/msbd/pulling_session.hpp"
#include "common/msbd/serving_session.hpp"
#include "tests/catch.hpp"
#include "tests/common/msbd/samples.hpp"

using namespace wmlab;
using namespace wmlab::msbd;
using namespace wmlab::msbd::test;
using namespace std::chrono_literals;

namespace {

std::vector<std::byte> payload(std::uint32_t number) {
    return std::vector<std::byte>(100 + number % 700, static_cast<std::byte>(number & 0xFF));
}

// A serving and a pulling session; what one sends the other receives at once.
struct Pair {
    explicit Pair(ServingOptions serving_options = {}, PullingOptions pulling_options = {})
        : serving{std::move(serving_options), now}, pulling{std::move(pulling_options)} {}

    void perform(ServingActions actions) {
        for (auto& action : actions) {
            if (auto* send = std::get_if<Send>(&action)) {
                from_serving.emplace_back(name(send->message));
                to_pulling(send->bytes);
            } else if (auto* media = std::get_if<SendPacket>(&action)) {
                to_pulling(*media->bytes);
            } else if (auto* accepted = std::get_if<Connected>(&action)) {
                connected = *accepted;
            } else if (auto* close = std::get_if<Close>(&action)) {
                closed = *close;
                perform(pulling.disconnected(now));
            } else if (auto* bad = std::get_if<Malformed>(&action)) {
                malformed.push_back(*bad);
            }
        }
    }
    void perform(PullingActions actions) {
        for (auto& action : actions) {
            if (auto* send = std::get_if<Send>(&action)) {
                from_pulling.emplace_back(name(send->message));
                if (answers) to_serving(send->bytes);
            } else if (auto* join = std::get_if<JoinGroup>(&action)) {
                joined = join->group;
            } else if (auto* started = std::get_if<StreamStarted>(&action)) {
                streams.push_back(started->stream);
            } else if (auto* packet = std::get_if<PacketReceived>(&action)) {
                packets.push_back(*packet);
            } else if (std::holds_alternative<StreamEnded>(action)) {
                ++ends;
            } else if (auto* end = std::get_if<Finished>(&action)) {
                finished = *end;
                perform(serving.disconnected(now));
            } else if (auto* bad = std::get_if<Malformed>(&action)) {
                malformed.push_back(*bad);
            }
        }
    }
    void to_pulling(const std::vector<std::byte>& bytes) {
        for (std::size_t at = 0; at < bytes.size(); at += step)
            perform(pulling.receive(bytes::Bytes{bytes}.subspan(at, std::min(step, bytes.size() - at)), now));
    }
    void to_serving(const std::vector<std::byte>& bytes) {
        for (std::size_t at = 0; at < bytes.size(); at += step)
            perform(serving.receive(bytes::Bytes{bytes}.subspan(at, std::min(step, bytes.size() - at)), now));
    }
    void start() { perform(pulling.start(now)); }
    void media(std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) perform(serving.packet(payload(number++), now));
    }
    // The time until nothing is due any more, or the limit is reached.
    void wait(TimePoint::duration limit) {
        const auto end = now + limit;
        while (true) {
            auto next = serving.next_deadline();
            if (const auto other = pulling.next_deadline(); other && (!next || *other < *next)) next = other;
            if (!next || *next > end) break;
            now = std::max(now, *next);
            perform(serving.tick(now));
            perform(pulling.tick(now));
        }
        now = end;
    }

    TimePoint now{};
    ServingSession serving;
    PullingSession pulling;
    std::size_t step = 1 << 20;
    bool answers = true;
    std::uint32_t number = 0;

    std::vector<std::string> from_serving, from_pulling;
    std::optional<Connected> connected;
    std::optional<Close> closed;
    std::optional<Group> joined;
    std::vector<StreamInfo> streams;
    std::vector<PacketReceived> packets;
    std::vector<Malformed> malformed;
    int ends = 0;
    std::optional<Finished> finished;
};

template <class Action, class Actions>
std::vector<Action> all(const Actions& actions) {
    std::vector<Action> found;
    for (const auto& action : actions)
        if (const auto* one = std::get_if<Action>(&action)) found.push_back(*one);
    return found;
}

}  // namespace

TEST_CASE("a stream from its beginning to its end", "[msbd]") {
    Pair pair;
    pair.step = GENERATE(std::size_t{1} << 20, std::size_t{1}, std::size_t{23});
    pair.perform(pair.serving.stream(stream(), pair.now));
    CHECK(pair.from_serving.empty());  // nobody is there yet
    pair.start();
    REQUIRE(pair.connected);
    CHECK(pair.connected->szChannel == u"NetShow");
    CHECK_FALSE(pair.connected->multicast);
    pair.media(300);
    pair.perform(pair.serving.end(pair.now));
    REQUIRE(pair.finished);
    CHECK(pair.finished->worked);
    CHECK(pair.finished->reason == "the stream has ended");
    REQUIRE(pair.closed);
    CHECK(pair.closed->hr == bytes::S_OK);  // the pulling end is the one that closes
    CHECK(pair.ends == 1);
    CHECK(pair.streams == std::vector{stream()});
    REQUIRE(pair.packets.size() == 300);
    for (std::uint32_t i = 0; i < 300; ++i) {
        CHECK(pair.packets[i].dwPacketId == i);
        CHECK(pair.packets[i].payload == payload(i));
        CHECK(pair.packets[i].missing == 0);
    }
    CHECK(pair.from_pulling == std::vector<std::string>{"MSB_MSG_REQ_CONNECT"});
    CHECK(pair.from_serving == std::vector<std::string>{"MSB_MSG_RES_CONNECT", "MSB_MSG_IND_STREAMINFO",
                                                        "MSB_MSG_IND_EOS", "MSB_MSG_IND_STREAMINFO"});
}

TEST_CASE("a live encoder may tell its header late, and packets before it go nowhere", "[msbd]") {
    Pair pair;
    pair.start();
    pair.media(3);
    CHECK(pair.packets.empty());
    pair.wait(9s);
    CHECK_FALSE(pair.finished);
    pair.perform(pair.serving.stream(stream(), pair.now));
    pair.media(3);
    CHECK(pair.packets.size() == 3);
    CHECK(pair.serving.next_packet_id() == 3);
}

TEST_CASE("a playlist: another stream, with and without an end between", "[msbd]") {
    Pair pair;
    pair.perform(pair.serving.stream(stream(1), pair.now));
    pair.start();
    pair.media(2);
    pair.perform(pair.serving.next_stream(stream(2), pair.now));
    pair.media(2);
    pair.perform(pair.serving.stream(stream(3), pair.now));  // a header after data
    pair.media(2);
    CHECK(pair.ends == 1);
    CHECK(pair.streams == std::vector{stream(1), stream(2), stream(3)});
    REQUIRE(pair.packets.size() == 6);
    for (std::uint32_t i = 0; i < 6; ++i) {
        CHECK(pair.packets[i].wStreamId == 1 + i / 2);
        CHECK(pair.packets[i].missing == 0);
    }
}

TEST_CASE("REQ_STREAMINFO is answered, whatever is known", "[msbd]") {
    Pair pair;
    pair.start();
    pair.perform(pair.pulling.request_stream_info(pair.now));
    CHECK(pair.from_serving.back() == "MSB_MSG_RES_STREAMINFO");
    CHECK_FALSE(pair.finished);
    CHECK(pair.streams.empty());
    pair.perform(pair.serving.stream(stream(), pair.now));
    pair.perform(pair.pulling.request_stream_info(pair.now));
    CHECK(pair.from_serving.back() == "MSB_MSG_RES_STREAMINFO");
    CHECK(pair.streams.size() == 1);  // known already
}

TEST_CASE("pings", "[msbd]") {
    Pair pair;
    pair.perform(pair.serving.stream(stream(), pair.now));
    pair.start();
    SECTION("every two minutes, answered, also when the stream is silent for an hour") {
        pair.wait(1h);
        CHECK_FALSE(pair.finished);
        CHECK(pair.pulling.statistics().pings == 30);
        CHECK(pair.from_pulling.size() == 31);
    }
    SECTION("unanswered for two minutes: the serving end closes, and streams until then") {
        pair.answers = false;
        pair.wait(239s);
        CHECK_FALSE(pair.closed);
        pair.media(1);
        CHECK(pair.packets.size() == 1);
        pair.wait(1s);
        REQUIRE(pair.closed);
        CHECK(pair.closed->reason == "no MSB_MSG_RES_PING came");
        CHECK(pair.closed->hr == bytes::NS_E_TIMEOUT);
    }
}

TEST_CASE("what ends a connection in its own time", "[msbd]") {
    SECTION("no REQ_CONNECT for 30 s") {
        Pair pair;
        pair.wait(29s);
        CHECK_FALSE(pair.closed);
        pair.wait(1s);
        REQUIRE(pair.closed);
        CHECK(pair.closed->reason == "no MSB_MSG_REQ_CONNECT came");
    }
    SECTION("no RES_CONNECT") {
        Pair pair;
        pair.answers = false;
        pair.start();
        pair.wait(10s);
        REQUIRE(pair.finished);
        CHECK(pair.finished->reason == "no MSB_MSG_RES_CONNECT came");
    }
    SECTION("no IND_STREAMINFO") {
        Pair pair;
        pair.start();
        pair.wait(15s);
        REQUIRE(pair.finished);
        CHECK(pair.finished->hr == bytes::NS_E_TIMEOUT);
        CHECK(pair.finished->reason == "no MSB_MSG_IND_STREAMINFO came");
    }
    SECTION("silence, even of pings") {
        ServingOptions options;
        options.ping_interval = std::chrono::hours{5};
        Pair pair{options};
        pair.perform(pair.serving.stream(stream(), pair.now));
        pair.start();
        pair.media(1);
        pair.wait(5min);
        REQUIRE(pair.finished);
        CHECK(pair.finished->reason == "the serving end went silent");
    }
    SECTION("a pulling end that does not close after the end") {
        Pair pair;
        pair.perform(pair.serving.stream(stream(), pair.now));
        pair.start();
        ServingActions end = pair.serving.end(pair.now);  // lost on its way
        CHECK(pair.serving.state() == ServingSession::State::drain);
        pair.wait(10s);
        REQUIRE(pair.closed);
        CHECK(pair.closed->hr == bytes::S_OK);
    }
}

TEST_CASE("connections that are refused", "[msbd]") {
    ServingOptions serving;
    PullingOptions pulling;
    std::uint32_t hr = bytes::NS_E_FILE_NOT_FOUND;
    SECTION("an unknown channel") {
        serving.channels = {u"NetShow", u"lecture"};
        pulling.channel = u"other";
    }
    SECTION("multicast that is not offered") { pulling.multicast = true; }
    SECTION("everybody") { serving.refuse_all_hr = hr = bytes::E_ACCESSDENIED; }
    Pair pair{serving, pulling};
    pair.start();
    REQUIRE(pair.finished);
    CHECK_FALSE(pair.finished->worked);
    CHECK(pair.finished->hr == hr);
    REQUIRE(pair.closed);
    CHECK(pair.closed->hr == hr);
    CHECK_FALSE(pair.connected);
}

TEST_CASE("multicast: control on TCP, packets by datagram", "[msbd]") {
    ServingOptions serving;
    serving.multicast = Group{0xEFC00109, 7000};
    serving.header_in_nsc = true;
    PullingOptions pulling;
    pulling.multicast = true;
    Pair pair{serving, pulling};
    pair.perform(pair.serving.stream(stream(), pair.now));
    pair.start();
    CHECK(pair.joined == Group{0xEFC00109, 7000});
    CHECK(pair.connected->multicast);
    CHECK(pair.serving.packet(payload(0), pair.now).empty());
    const auto datagram = [&pair](std::uint32_t id, std::uint16_t number = 3) {
        pair.perform(pair.pulling.datagram(packet_message(id, number, payload(id)), pair.now));
    };
    datagram(10), datagram(11), datagram(14), datagram(12), datagram(14), datagram(15, 4), datagram(16);
    REQUIRE(pair.packets.size() == 5);
    CHECK(pair.packets[2].missing == 2);
    CHECK(pair.packets[3].dwPacketId == 12);  // late, and not lost after all
    CHECK(pair.packets[4].missing == 0);      // 15 came, though of another stream
    CHECK(pair.pulling.statistics().missing == 1);
    CHECK(pair.pulling.statistics().repeated == 1);
    CHECK(pair.pulling.statistics().dropped == 1);
    pair.perform(pair.pulling.datagram(std::vector<std::byte>(30), pair.now));
    CHECK(pair.malformed.size() == 1);
    pair.perform(pair.pulling.datagram(serialise(MSB_MSG_IND_EOS{}), pair.now));
    CHECK(pair.pulling.state() == PullingSession::State::receiving);  // only packets go over UDP
    pair.perform(pair.serving.end(pair.now));
    CHECK(pair.finished->worked);
}

TEST_CASE("datagrams are nobody's business in unicast", "[msbd]") {
    Pair pair;
    pair.perform(pair.serving.stream(stream(), pair.now));
    pair.start();
    CHECK(pair.pulling.datagram(packet_message(0, 3, payload(0)), pair.now).empty());
}

TEST_CASE("the serving end against bad input", "[msbd]") {
    struct Row {
        std::string name, wire;
        bool connected_before;
        std::string answer;  // message sent in return
        std::uint32_t hr;    // of Close
        bool closes;
    };
    const std::string connect = "4d53422006010700220000000000000001000000 4e006500740053006800 6f007700";
    const auto row = GENERATE_COPY(values<Row>({
        {"another signature", "48454c4f 0601 0100 10000000 00000000", false, "", bytes::NS_E_BAD_CONTROL_DATA, true},
        {"another major version", "4d534220 0602 0700 10000000 00000000", false, "", bytes::NS_E_BAD_CONTROL_DATA,
         true},
        {"a length out of range", "4d534220 0601 0700 ffffff7f 00000000", false, "", bytes::NS_E_BAD_CONTROL_DATA,
         true},
        {"an id that is nobody's, before REQ_CONNECT", "4d534220 0601 0b00 10000000 00000000", false, "", 0, false},
        {"an id that is nobody's, later", "4d534220 0601 0000 12000000 00000000 0000", true, "", 0, false},
        {"a ping's answer before REQ_CONNECT", "4d534220 0601 0200 10000000 00000000", false, "",
         bytes::NS_E_INVALID_REQUEST, true},
        {"a ping's answer nobody waits for", "4d534220 0601 0200 10000000 00000000", true, "", 0, false},
        {"a serving end's message", "4d534220 0601 0100 10000000 00000000", true, "", bytes::NS_E_BAD_CONTROL_DATA,
         true},
        {"a packet from the pulling end", "4d534220 0601 0a00 18000000 00000000 00000000 0300 0800", true, "",
         bytes::NS_E_BAD_CONTROL_DATA, true},
        {"REQ_CONNECT without flags", "4d534220 0601 0700 10000000 00000000", false, "MSB_MSG_RES_CONNECT",
         bytes::E_INVALIDARG, true},
        {"REQ_CONNECT with flags of no meaning", "4d534220 0601 0700 14000000 00000000 00000000", false,
         "MSB_MSG_RES_CONNECT", bytes::E_INVALIDARG, true},
        {"REQ_CONNECT with an odd channel", "4d534220 0601 0700 15000000 00000000 01000000 4e", false,
         "MSB_MSG_RES_CONNECT", bytes::E_INVALIDARG, true},
        {"REQ_CONNECT a second time", connect, true, "MSB_MSG_RES_CONNECT", bytes::E_INVALIDARG, true},
    }));
    DYNAMIC_SECTION(row.name) {
        ServingSession serving{{}, TimePoint{}};
        if (row.connected_before) {
            serving.stream(stream(), TimePoint{});
            serving.receive(serialise(MSB_MSG_REQ_CONNECT{}), TimePoint{});
            REQUIRE(serving.streaming());
        }
        const auto out = serving.receive(bytes::from_hex(row.wire).value(), TimePoint{});
        const auto sent = all<Send>(out);
        REQUIRE(sent.size() == (row.answer.empty() ? 0U : 1U));
        if (!sent.empty()) {
            CHECK(name(sent[0].message) == row.answer);
            CHECK(result(sent[0].message) == row.hr);
        }
        REQUIRE(all<Close>(out).size() == (row.closes ? 1U : 0U));
        CHECK(serving.finished() == row.closes);
        if (row.closes) {
            CHECK(all<Close>(out)[0].hr == row.hr);
            CHECK(serving.receive(serialise(MSB_MSG_RES_PING{}), TimePoint{}).empty());
            CHECK_FALSE(serving.next_deadline());
        }
        for (const auto& bad : all<Malformed>(out)) CHECK(bad.head.size() <= 16);
    }
}

TEST_CASE("the pulling end against bad input", "[msbd]") {
    struct Row {
        std::string name, wire;
        PullingSession::State state;
        bool closes;
        std::uint64_t dropped;
    };
    using State = PullingSession::State;
    const std::string zeros20(40, '0');
    const auto row = GENERATE_COPY(values<Row>({
        {"another signature", "48545450 0601 0100 10000000 00000000", State::receiving, true, 0},
        {"a length out of range", "4d534220 0601 0a00 00000100 00000000", State::receiving, true, 0},
        {"an id that is nobody's", "4d534220 0601 0600 10000000 00000000", State::receiving, false, 0},
        {"the pulling end's message", "4d534220 0601 0700 14000000 00000000 01000000", State::receiving, true, 0},
        {"RES_CONNECT a second time", "4d534220 0601 0800 24000000 00000000" + zeros20, State::receiving, true, 0},
        {"RES_CONNECT too short", "4d534220 0601 0800 20000000 00000000" + zeros20.substr(0, 32), State::wait_res, true,
         0},
        {"multicast nobody asked for",
         "4d534220 0601 0800 24000000 00000000 00000000 02001b58 efc00109 0000000000000000", State::wait_res, true, 0},
        {"anything before RES_CONNECT", "4d534220 0601 0100 10000000 00000000", State::wait_res, true, 0},
        {"IND_STREAMINFO whose lengths lie",
         "4d534220 0601 0500 30000000 00000000 0100e803 00000000 00fa0000 ffffffff 00000080 00000080 00000000 00000000",
         State::wait_stream, true, 0},
        {"IND_EOS before any stream", "4d534220 0601 0900 10000000 00000000", State::wait_stream, true, 0},
        {"a packet before any stream", "4d534220 0601 0a00 18000000 00000000 00000000 0300 0800", State::wait_stream,
         false, 1},
        {"a packet of another stream", "4d534220 0601 0a00 18000000 00000000 00000000 0400 0800", State::receiving,
         false, 1},
        {"a packet whose wPacketSize lies", "4d534220 0601 0a00 18000000 00000000 00000000 0300 0900", State::receiving,
         true, 0},
        {"a failure of another kind than the end", "4d534220 0601 0500 10000000 2a000dc0", State::receiving, true, 0},
    }));
    DYNAMIC_SECTION(row.name) {
        PullingSession pulling;
        pulling.start(TimePoint{});
        if (row.state != State::wait_res) pulling.receive(serialise(MSB_MSG_RES_CONNECT{}), TimePoint{});
        if (row.state == State::receiving) pulling.receive(serialise(MSB_MSG_IND_STREAMINFO{0, stream()}), TimePoint{});
        REQUIRE(pulling.state() == row.state);
        const auto out = pulling.receive(bytes::from_hex(row.wire).value(), TimePoint{});
        REQUIRE(all<Finished>(out).size() == (row.closes ? 1U : 0U));
        CHECK(pulling.finished() == row.closes);
        CHECK(pulling.statistics().dropped == row.dropped);
        CHECK(all<PacketReceived>(out).empty());
        if (row.closes) {
            CHECK_FALSE(all<Finished>(out)[0].worked);
            CHECK(bytes::is_failure(all<Finished>(out)[0].hr));
            CHECK_FALSE(pulling.next_deadline());
        }
    }
}

TEST_CASE("packets larger than announced are dropped, gaps are counted", "[msbd]") {
    PullingSession pulling;
    pulling.start(TimePoint{});
    pulling.receive(serialise(MSB_MSG_RES_CONNECT{}), TimePoint{});
    pulling.receive(serialise(MSB_MSG_IND_STREAMINFO{0, stream()}), TimePoint{});
    pulling.receive(packet_message(0xFFFFFFFE, 3, payload(0)), TimePoint{});
    pulling.receive(packet_message(0xFFFFFFFF, 3, std::vector<std::byte>(801)), TimePoint{});
    const auto out = pulling.receive(packet_message(2, 3, std::vector<std::byte>(800)), TimePoint{});  // the id wraps
    REQUIRE(all<PacketReceived>(out).size() == 1);
    CHECK(all<PacketReceived>(out)[0].missing == 2);
    CHECK(pulling.statistics().missing == 2);
    CHECK(pulling.statistics().dropped == 1);
}

TEST_CASE("the connection is lost", "[msbd]") {
    Pair pair;
    SECTION("before an answer") {
        pair.answers = false;
        pair.start();
    }
    SECTION("before the stream") { pair.start(); }
    SECTION("in the middle of it, and of a packet") {
        pair.perform(pair.serving.stream(stream(), pair.now));
        pair.start();
        const auto half = packet_message(0, 3, payload(50));
        pair.to_pulling({half.begin(), half.begin() + 40});
    }
    pair.perform(pair.pulling.disconnected(pair.now));
    REQUIRE(pair.finished);
    CHECK_FALSE(pair.finished->worked);
    CHECK(pair.finished->hr == bytes::NS_E_CONNECTION_FAILURE);
    CHECK(pair.packets.empty());
}

TEST_CASE("messages, wishes and time at random", "[msbd]") {
    const auto messages = samples();
    for (std::uint32_t seed = 0; seed < 500; ++seed) {
        std::mt19937 random{seed};
        const auto pick = [&random](std::uint32_t below) { return static_cast<std::uint32_t>(random() % below); };
        ServingOptions serving;
        PullingOptions pulling;
        if (pick(2) == 0) serving.multicast = Group{0xEFC00109, 7000};
        pulling.multicast = pick(3) == 0;
        Pair pair{serving, pulling};
        pair.step = 1 + pick(100);
        pair.start();
        for (int i = 0; i < 60; ++i) {
            auto message = serialise(messages[pick(static_cast<std::uint32_t>(messages.size()))]);
            if (pick(4) == 0)
                message[12 + pick(static_cast<std::uint32_t>(message.size() - 12))] = static_cast<std::byte>(pick(256));
            switch (pick(12)) {
                case 0:
                    if (pick(4) == 0) pair.to_serving(message);
                    break;
                case 1:
                    if (pick(4) == 0) pair.to_pulling(message);
                    break;
                case 2:
                    pair.perform(pair.pulling.datagram(message, pair.now));
                    break;
                case 3:
                    pair.perform(pair.serving.stream(stream(static_cast<std::uint16_t>(pick(4))), pair.now));
                    break;
                case 4:
                    pair.perform(pair.serving.next_stream(stream(static_cast<std::uint16_t>(pick(4))), pair.now));
                    break;
                case 5:
                    if (pick(8) == 0) pair.perform(pair.serving.end(pair.now));
                    break;
                case 6:
                    pair.perform(pair.pulling.request_stream_info(pair.now));
                    break;
                case 7:
                    pair.wait(std::chrono::seconds{pick(100)});
                    break;
                default:
                    pair.media(pick(3));
            }
        }
        pair.perform(pair.pulling.stop(pair.now));
        pair.wait(1h);
        INFO("seed " << seed);
        CHECK(pair.pulling.finished());
        CHECK(pair.serving.finished());
        CHECK(pair.finished);
    }
}

// --- departures of docs/protocols/msbd.md: a test for each

TEST_CASE("departure 2.2.1: an unknown wMessageId is skipped, another minor version read", "[msbd]") {
    for (const bool unknown : {true, false}) {
        Pair pair;
        pair.perform(pair.serving.stream(stream(), pair.now));
        pair.start();
        auto message = serialise(unknown ? Message{UnknownMessage{0x0006, 0, {}}} : Message{MSB_MSG_REQ_PING{}});
        if (!unknown) message[4] = std::byte{0x07};  // 0107
        pair.to_pulling(message);
        pair.media(2);
        CHECK_FALSE(pair.finished);
        CHECK(pair.packets.size() == 2);
        CHECK(pair.pulling.statistics().pings == (unknown ? 0 : 1));
    }
}

TEST_CASE("departure 2.2.5: RES_STREAMINFO has 32 bits of dwBitRate and msDuration", "[msbd]") {
    auto info = stream();
    info.dwBitRate = 300'000;
    info.msDuration = 3'600'000;
    const auto read = parse_message(serialise(MSB_MSG_RES_STREAMINFO{0, info}));
    REQUIRE(read.has_value());
    CHECK(std::get<MSB_MSG_RES_STREAMINFO>(*read).stream == info);
}

TEST_CASE("departure 2.2.6: a header that no message holds is a problem that is told", "[msbd]") {
    auto info = stream();
    const auto texts = info.title.size() + info.description.size() + info.link.size();
    info.header.resize(StreamInfo::binary_size_max - texts);
    CHECK_FALSE(problem(info));
    info.header.resize(info.header.size() + 1);
    REQUIRE(problem(info));
    CHECK(problem(info)->find("65487 fit") != std::string::npos);
    Pair pair;
    pair.start();
    CHECK(pair.serving.next_stream(info, pair.now).empty());  // nothing half
}

TEST_CASE("departure 2.2.7: a channel may be a name, and end in a null character", "[msbd]") {
    for (const auto* const channel : {u"NetShow", u"lecture"}) {
        MSB_MSG_REQ_CONNECT connect;
        connect.szChannel = std::u16string{channel} + u'\0';
        ServingSession serving{{}, {}};
        const auto connected = all<Connected>(serving.receive(serialise(connect), {}));
        REQUIRE(connected.size() == 1);
        CHECK(connected.front().szChannel == channel);
    }
}

TEST_CASE("departure 2.2.8: a longer RES_CONNECT is read", "[msbd]") {
    auto message = serialise(MSB_MSG_RES_CONNECT{});
    message.resize(44);
    message[8] = std::byte{44};
    PullingSession pulling{{}};
    pulling.start({});
    CHECK(all<Finished>(pulling.receive(message, {})).empty());
    CHECK(all<StreamStarted>(pulling.receive(serialise(MSB_MSG_IND_STREAMINFO{0, stream()}), {})).size() == 1);
}

TEST_CASE("departure 3.1.5.3: a stream may follow without IND_EOS, and 16 octets are an empty IND_STREAMINFO", "[msbd]") {
    Pair pair;
    pair.perform(pair.serving.stream(stream(1), pair.now));
    pair.start();
    pair.to_pulling(serialise(MSB_MSG_IND_STREAMINFO{0, stream(2)}));
    CHECK(pair.streams.size() == 2);
    pair.to_pulling(serialise(MSB_MSG_IND_EOS{}));
    auto empty = serialise(MSB_MSG_IND_STREAMINFO::empty());
    empty.resize(16);
    empty[8] = std::byte{16};
    pair.to_pulling(empty);
    REQUIRE(pair.finished);
    CHECK(pair.finished->worked);
}

TEST_CASE("departure 3.2.5.2: REQ_STREAMINFO before the stream is known is answered with NS_E_NO_STREAM, and ends nothing", "[msbd]") {
    Pair pair;
    pair.start();
    const auto answers = all<Send>(pair.serving.receive(serialise(MSB_MSG_REQ_STREAMINFO{}), pair.now));
    REQUIRE(answers.size() == 1);
    CHECK(std::get<MSB_MSG_RES_STREAMINFO>(answers.front().message).hr == bytes::NS_E_NO_STREAM);
    pair.to_pulling(answers.front().bytes);
    CHECK_FALSE(pair.finished);
    pair.perform(pair.serving.stream(stream(), pair.now));
    CHECK(pair.streams.size() == 1);
}
