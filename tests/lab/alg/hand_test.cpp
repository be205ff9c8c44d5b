#include "lab/alg/hand.hpp"

#include <unistd.h>

#include <array>
#include <functional>
#include <sstream>

#include "lab/alg/hand_sockets.hpp"
#include "lab/report/clean.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace std::chrono_literals;

namespace {

using What = HandQuestion::What;
constexpr auto by_udp = scenario::Protocol::udp, by_tcp = scenario::Protocol::tcp;

HandQuestion full_question() {
    HandQuestion question;
    question.what = What::say, question.connection = 7, question.protocol = by_udp, question.address = {0x0A140A0A}, question.port = 1755;
    question.text = "mapper-correct before", question.places = {{by_udp, 1755}, {by_tcp, 0}}, question.wanted = {0, 3, 255};
    question.packets = {{0, by_udp, 1755, 2000, {0x0A0A0A0A}}, {1, by_tcp, 0, 3001, {0x0A140A0A}}};
    question.bytes = {std::byte{0}, std::byte{0xFF}, std::byte{0x0A}}, question.size = 1400, question.again = true, question.patience = 1500ms;
    return question;
}

HandAnswer full_answer() {
    HandAnswer answer;
    answer.step = "open UDP port 10.20.0.10:2000 on player", answer.cause = "Address already in use", answer.yes = true, answer.address = {0x0A140A0A},
    answer.port = 4321;
    answer.arrived = {0, 2}, answer.kept = {{1, "Network is unreachable"}}, answer.note = "\"quoted\"\n";
    return answer;
}

std::string line_of(const std::string& text) { return R"({"hand":"question","number":1,)" + text + "}"; }

}  // namespace

TEST_CASE("hand: what one end writes the other reads", "[alg]") {
    const auto question = full_question();
    const auto line = hand_line(17, question);
    CHECK(line.find('\n') == std::string::npos);
    CHECK(hand_kind(line) == "question");
    const auto read = hand_question(line);
    CHECK(read.problem.empty());
    CHECK(read.number == 17);
    CHECK(read.message == question);
    const auto answered = hand_answer(hand_line(4'000'000'000U, full_answer()));
    CHECK(answered.problem.empty());
    CHECK(answered.number == 4'000'000'000U);
    CHECK(answered.message == full_answer());
    const HandHello hello{hand_protocol, "1.2.3", "boot 4:5"};
    CHECK(hand_hello(hand_line(hello)).message == hello);
    for (unsigned what = 0; what <= static_cast<unsigned>(What::refused); ++what) {
        HandQuestion empty;
        empty.what = static_cast<What>(what);
        CHECK(hand_question(hand_line(1, empty)).message == empty);
    }
}

TEST_CASE("hand: words that are too long or no UTF-8 are cut, and can be read", "[alg]") {
    const auto unit = GENERATE(std::string{"x"}, std::string{"\xC3\xA9"}, std::string{"\xFF"}, std::string{"\xE2\x82\xAC"});
    HandAnswer answer;
    for (std::size_t i = 0; i < 2000; ++i) answer.cause += unit, answer.step += unit, answer.note += unit;
    answer.kept = {{1, answer.note}};
    const auto read = hand_answer(hand_line(1, answer));
    CHECK(read.problem.empty());
    CHECK(read.message.cause.size() > 100);
    CHECK(read.message.kept.size() == 1);
}

TEST_CASE("hand: a line that is no question says what is wrong with it", "[alg]") {
    struct Row {
        std::string line, problem;
    };
    const auto row = GENERATE(values<Row>({
        {"", "the line is no JSON object"},
        {"[]", "the line is no JSON object"},
        {"Welcome to player", "the line is no JSON object"},
        {std::string(hand_line_max + 1, ' '), "the line is longer than 262144 bytes"},
        {std::string(1000, '['), "the line is no JSON object"},
        {"{}", "hand is not `question`"},
        {R"({"hand":"answer"})", "hand is not `question`"},
        {R"({"hand":7})", "hand is no text of at most 256 bytes"},
        {R"({"hand":"question"})", "what is no question"},
        {line_of(R"("what":"fly")"), "what is no question"},
        {line_of(R"("what":["say"])"), "what is no text of at most 256 bytes"},
        {line_of(R"("what":"say","connection":16)"), "connection is no number from 0 to 15"},
        {line_of(R"("what":"say","connection":-1)"), "connection is no number from 0 to 15"},
        {line_of(R"("what":"say","port":65536)"), "port is no number from 0 to 65535"},
        {line_of(R"("what":"say","port":1.5)"), "port is no number from 0 to 65535"},
        {line_of(R"("what":"say","port":"80")"), "port is no number from 0 to 65535"},
        {line_of(R"("what":"say","port":18446744073709551615)"), "port is no number from 0 to 65535"},
        {line_of(R"("what":"say","address":"player")"), "address is no IPv4 address"},
        {line_of(R"("what":"say","address":"10.0.0.256")"), "address is no IPv4 address"},
        {line_of(R"("what":"say","protocol":"igmp")"), "protocol is not `tcp` or `udp`"},
        {line_of(R"("what":"say","bytes":"0")"), "bytes is no hexadecimal text"},
        {line_of(R"("what":"say","bytes":"zz")"), "bytes is no hexadecimal text"},
        {line_of(R"("what":"say","again":1)"), "again is not true or false"},
        {line_of(R"("what":"look","patience":60001)"), "patience is no number from 0 to 60000"},
        {line_of(R"("what":"look","wanted":7)"), "wanted is no list of at most 256"},
        {line_of(R"("what":"look","wanted":[-7])"), "wanted is no number from 0 to 256"},
        {line_of(R"("what":"bind","places":[1])"), "places has an entry that is no object"},
        {line_of(R"("what":"bind","places":[{"port":70000}])"), "port is no number from 0 to 65535"},
        {line_of(R"("what":"send","packets":[{"number":257}])"), "number is no number from 0 to 256"},
        {line_of(R"("what":"bind","text":")" + std::string(257, 'x') + "\""), "text is no text of at most 256 bytes"},
        {R"({"hand":"question","what":"end","number":4294967296})", "number is no number from 0 to 4294967295"},
    }));
    CHECK(hand_question(row.line).problem == row.problem);
}

TEST_CASE("hand: lists are bounded", "[alg]") {
    for (const auto* key : {"places", "packets", "wanted"}) {
        std::string list;
        for (std::size_t i = 0; i <= hand_list_max; ++i) list += std::string{i == 0 ? "" : ","} + (std::string{key} == "wanted" ? "1" : "{}");
        CHECK(hand_question(line_of(R"("what":"bind",")" + std::string{key} + "\":[" + list + "]")).problem == std::string{key} + " is no list of at most 256");
    }
}

TEST_CASE("hand: no shorter or damaged line is taken for more than it is", "[alg]") {
    for (const auto& line : {hand_line(17, full_question()), hand_line(17, full_answer()), hand_line(HandHello{1, "1.2.3", "here"})}) {
        for (std::size_t length = 0; length < line.size(); ++length) {
            CHECK_FALSE(hand_question(line.substr(0, length)).problem.empty());
            CHECK_FALSE(hand_answer(line.substr(0, length)).problem.empty());
            CHECK_FALSE(hand_hello(line.substr(0, length)).problem.empty());
            CHECK(hand_kind(line.substr(0, length)).empty());
        }
        for (std::size_t at = 0; at < line.size(); ++at)
            for (const char put : {'\0', '"', '9', '}', '\xFF'}) {
                auto damaged = line;
                damaged[at] = put;
                const auto question = hand_question(damaged);
                if (!question.problem.empty()) CHECK(question.message == HandQuestion{});
                const auto answer = hand_answer(damaged);
                if (!answer.problem.empty()) CHECK(answer.message == HandAnswer{});
            }
    }
}

TEST_CASE("hand: lines come out whole however they are cut, and none behind one that is too long", "[alg]") {
    const std::string text = "one\n\ntwo three\nrest";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        HandLines lines;
        std::vector<std::string> got;
        const auto take = [&] {
            while (auto line = lines.next()) got.push_back(*line);
        };
        lines.add(text.substr(0, cut)), take();
        lines.add(text.substr(cut)), take();
        CHECK(got == std::vector<std::string>{"one", "", "two three"});
        CHECK_FALSE(lines.too_long());
    }
    for (const bool ended : {false, true}) {
        HandLines lines;
        lines.add("one\n" + std::string(hand_line_max + 1, 'x') + (ended ? "\ntwo\n" : ""));
        CHECK(lines.next() == "one");
        CHECK_FALSE(lines.next());
        CHECK(lines.too_long());
        lines.add("\nthree\n");
        CHECK_FALSE(lines.next());
    }
    HandLines lines;
    lines.add(std::string(hand_line_max, 'x') + "\n");
    CHECK(lines.next()->size() == hand_line_max);
}

TEST_CASE("hand: checksums are filled in as the wire has them, of fragments and of what is none nothing is changed", "[alg]") {
    // From 10.0.0.1:1000 to 10.0.0.2:2000, "hey"; checksums by another program.
    std::vector<std::byte> datagram;
    for (const int byte : {0x45, 0, 0, 31, 0, 1, 0, 0, 64, 17, 0x66, 0xCB, 10, 0, 0, 1, 10, 0, 0, 2, 3, 0xE8, 7, 0xD0, 0, 11, 0xFE, 0xB7, 0x68, 0x65, 0x79})
        datagram.push_back(static_cast<std::byte>(byte));
    auto filled = datagram;
    filled[26] = filled[27] = filled[10] = std::byte{0x5A};
    filled.push_back(std::byte{0x77});  // a card's padding
    CHECK(fill_checksums(filled));
    filled.pop_back();
    CHECK(filled == datagram);
    for (std::size_t length = 0; length < datagram.size(); ++length) {
        auto shorter = std::vector<std::byte>(datagram.begin(), datagram.begin() + static_cast<std::ptrdiff_t>(length));
        const auto before = shorter;
        CHECK_FALSE(fill_checksums(shorter));
        CHECK(shorter == before);
    }
    for (const auto& [at, put] : {std::pair{6U, 0x20}, {7U, 1}, {0U, 0x65}, {0U, 0x44}, {9U, 1}, {9U, 6}, {2U, 1}}) {  // 6: too short for TCP
        auto other = datagram;
        other[at] = static_cast<std::byte>(put);
        const auto before = other;
        CHECK_FALSE(fill_checksums(other));
        CHECK(other == before);
    }
}

namespace {

struct Served {
    int code = -1;
    std::vector<std::string> lines;
};

// What the hand says to these lines, the end of which is the end of its input.
Served served(const std::string& text) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    ::close(ends[1]);
    std::ostringstream out;
    Served result;
    result.code = serve_hand(ends[0], out);
    ::close(ends[0]);
    std::istringstream in{out.str()};
    for (std::string line; std::getline(in, line);) result.lines.push_back(line);
    return result;
}

HandQuestion beginning(std::uint32_t address) {
    HandQuestion begin;
    begin.address = {address}, begin.text = "player";
    return begin;
}

constexpr std::uint32_t loopback = 0x7F000001, nowhere = 0xC0000201;  // 192.0.2.1

}  // namespace

TEST_CASE("hand: served over a pipe, it says who it is, answers, and ends with its input in the middle of a wait", "[alg]") {
    HandQuestion bind, look;
    bind.what = What::bind, bind.text = "one", bind.places = {{by_udp, 0}};
    look.what = What::look, look.wanted = {0}, look.patience = hand_patience_max;
    const auto before = std::chrono::steady_clock::now();
    const auto got = served(hand_line(1, beginning(loopback)) + "\n" + hand_line(2, bind) + "\n" + hand_line(3, look) + "\n" + hand_line(4, look) + "\n");
    CHECK(std::chrono::steady_clock::now() - before < hand_patience_max / 2);
    CHECK(got.code == 0);
    REQUIRE(got.lines.size() == 3);
    CHECK(hand_hello(got.lines[0]).message.protocol == hand_protocol);
    CHECK_FALSE(hand_hello(got.lines[0]).message.place.empty());
    CHECK(hand_answer(got.lines[1]).number == 1);
    CHECK(hand_answer(got.lines[2]).number == 2);
    CHECK(hand_answer(got.lines[2]).message == HandAnswer{});
}

TEST_CASE("hand: what cannot be done is answered in words", "[alg]") {
    struct Row {
        std::string name;
        HandQuestion question;
        std::string step, cause;
    };
    HandQuestion unknown, accepted;
    unknown.what = What::say, unknown.connection = 3;
    accepted.what = What::accept, accepted.connection = 3;
    const auto row = GENERATE_COPY(values<Row>({
        {"an address that is not there", beginning(nowhere), "act as player there", "that machine does not have the address 192.0.2.1; it has"},
        {"no such connection to say something on", unknown, "go on with a connection of player", "there is none with the number 3"},
        {"no such connection to accept", accepted, "go on with a connection of player", "there is none with the number 3"},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto here = Namespace::current();
        HandSockets sockets{"player", here};
        sockets.ask(beginning(loopback));
        REQUIRE(sockets.answer() == HandAnswer{});
        sockets.ask(row.question);
        const auto answer = sockets.answer();
        REQUIRE(answer);
        CHECK(answer->step == row.step);
        CHECK(answer->cause.starts_with(row.cause));
    }
}

TEST_CASE("hand: who was not told its address does nothing", "[alg]") {
    const auto here = Namespace::current();
    HandSockets sockets{"player", here};
    HandQuestion bind;
    bind.what = What::bind, bind.places = {{by_udp, 0}};
    sockets.ask(bind);
    CHECK(sockets.answer()->cause == "its address was not told");
}

TEST_CASE("hand: a line that is no question ends it, with what is wrong", "[alg]") {
    const auto got =
        served(hand_line(1, beginning(loopback)) + "\n" + line_of(R"("what":"say","port":70000)") + "\n" + hand_line(3, beginning(loopback)) + "\n");
    CHECK(got.code == 3);
    REQUIRE(got.lines.size() == 3);
    CHECK(hand_answer(got.lines[2]).message.cause == "port is no number from 0 to 65535");
    CHECK(served(std::string(30'000, '{')).code == 0);  // no line at all
}

TEST_CASE("hand: two of them on one machine send packets to each other, and what is not sent does not arrive", "[alg]") {
    const auto here = Namespace::current();
    HandSockets sends{"player", here}, receives{"media", here};
    const auto ask = [](HandSockets& hand, HandQuestion question) {
        hand.ask(std::move(question));
        for (;;) {
            if (auto answer = hand.answer()) return *answer;
            std::vector<pollfd> waits;
            hand.wait_for(waits);
            ::poll(waits.data(), waits.size(), 10);
        }
    };
    ask(sends, beginning(loopback)), ask(receives, beginning(loopback));
    // A port that is free: bound, told by its peer, and let go.
    HandQuestion probe, listen, accept, say, hear, refused;
    probe.what = What::connect, probe.connection = 1, probe.protocol = by_tcp, probe.address = {loopback}, probe.port = 1;
    const auto port = ask(sends, probe).port;
    probe.what = What::close, ask(sends, probe);

    HandQuestion bind, send, look, end;
    bind.what = What::bind, bind.text = "one", bind.places = {{by_udp, port}, {by_tcp, port}};
    REQUIRE(ask(receives, bind) == HandAnswer{});
    bind.places = {{by_udp, 0}};
    REQUIRE(ask(sends, bind) == HandAnswer{});
    send.what = What::send;
    send.packets = {{0, by_udp, 0, port, {loopback}}, {2, by_tcp, 0, port, {loopback}}};
    REQUIRE(ask(sends, send) == HandAnswer{});
    look.what = What::look, look.wanted = {0}, look.patience = 20s;
    CHECK(ask(receives, look).arrived == std::vector<unsigned>{0});
    look.wanted = {2};
    CHECK(ask(sends, look).arrived == std::vector<unsigned>{2});
    look.wanted = {1}, look.patience = 30ms;
    CHECK(ask(receives, look).arrived == std::vector<unsigned>{0});
    end.what = What::end;
    CHECK(ask(receives, end).arrived == std::vector<unsigned>{0});
    CHECK(ask(receives, end).arrived.empty());
    CHECK(ask(sends, end).arrived == std::vector<unsigned>{2});

    // A connection, and a port where nobody listens.
    listen.what = What::listen, listen.connection = 1, listen.protocol = by_tcp, listen.port = port;
    REQUIRE(ask(receives, listen) == HandAnswer{});
    probe.what = What::connect, probe.port = port;
    const auto own = ask(sends, probe);
    accept.what = What::accept, accept.connection = 1, accept.patience = 20s;
    const auto came = ask(receives, accept);
    CHECK(came.yes);
    CHECK(came.port == own.port);
    say.what = What::say, say.connection = 1, say.bytes = Octets(3000, std::byte{7});
    CHECK(ask(sends, say).yes);
    hear.what = What::hear, hear.connection = 1, hear.size = 3000, hear.patience = 20s;
    CHECK(ask(receives, hear).yes);
    hear.patience = 20ms;
    CHECK_FALSE(ask(receives, hear).yes);
    HandQuestion close;
    close.what = What::close, close.connection = 1;
    ask(receives, close), ask(sends, close);
    refused.what = What::refused, refused.address = {loopback}, refused.port = port, refused.patience = 20s;
    CHECK(ask(sends, refused).yes);
}
