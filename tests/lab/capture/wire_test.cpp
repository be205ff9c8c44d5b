#include "lab/capture/wire.hpp"

#include <atomic>
#include <boost/json/serialize.hpp>
#include <sstream>

#include "lab/firewall/loading.hpp"
#include "lab/network/network.hpp"
#include "tests/catch.hpp"
#include "tests/lab/in_lab.hpp"
#include "tests/lab/sockets.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace wmlab::lab::tests;

namespace {

std::vector<Tap> taps(const Network& network) {
    std::vector<Tap> result;
    for (const auto* host : {"media", "player", "second"})
        result.push_back({host, &network.host(host), host_interface, {}});
    return result;
}

// "player out udp 10.20.0.10:2000>10.10.0.10:1755 x3 30"; ephemeral ports as *
std::vector<std::string> lines(const std::vector<evidence::Event>& events) {
    std::vector<std::string> result;
    for (const auto& event : events) {
        const auto& fields = event.fields;
        if (fields.at("kind") == "total") continue;
        const auto word = [&](const char* key) {
            const auto* const value = fields.if_contains(key);
            if (value == nullptr) return std::string{};
            return value->is_string() ? std::string{value->as_string()} : boost::json::serialize(*value);
        };
        result.push_back(event.host + " " + word("direction") + " " + word("kind") + " " + word("source") + ">" +
                         word("destination") + " x" + word("packets") + " " + word("bytes"));
        if (word("kind") == "icmp")
            result.back() += " " + word("type") + "/" + word("code") + " " + word("sender") + " " + word("quotes");
    }
    return result;
}

std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const auto& part : parts) text += part + "\n";
    return text;
}

}  // namespace

TEST_CASE("every datagram is counted on both wires, exactly, and a wave starts from zero", "[lab]") {
    const auto who = GENERATE(As::root, As::user);
    INFO(name(who));
    const auto outcome = in_lab(who, [](const Inside&) {
        const Network network{two_zones()};
        Wire wire{taps(network)};
        Socket media{network.host("media"), SOCK_DGRAM}, player{network.host("player"), SOCK_DGRAM};
        media.bind("10.10.0.10", 1755);
        player.bind("10.20.0.10", 2000);
        std::string text;
        for (const int count : {1000, 3}) {
            for (int i = 0; i < count; ++i) {
                player.send_to(std::string(10, 'x'), "10.10.0.10", 1755);
                if (media.receive().size() != 10) text += "lost\n";
            }
            text += joined(lines(wire.take())) + "--\n";
        }
        return text;
    });
    CHECK(outcome.text ==
          "media in udp 10.20.0.10:2000>10.10.0.10:1755 x1000 10000\n"
          "player out udp 10.20.0.10:2000>10.10.0.10:1755 x1000 10000\n--\n"
          "media in udp 10.20.0.10:2000>10.10.0.10:1755 x3 30\n"
          "player out udp 10.20.0.10:2000>10.10.0.10:1755 x3 30\n--\n");
}

TEST_CASE("a TCP conversation: each sort of packet on its line, the TTL tells who is behind a hop", "[lab]") {
    const auto outcome = in_lab(As::user, [](const Inside&) {
        const Network network{two_zones()};
        Wire wire{taps(network)};
        {
            Socket listener{network.host("media"), SOCK_STREAM};
            listener.bind("10.10.0.10", 80).listen();
            Socket player{network.host("player"), SOCK_STREAM};
            player.bind("10.20.0.10", 2000).connect("10.10.0.10", 80);
            auto accepted = listener.accept();
            player.send("hello");
            accepted.receive();
        }
        std::string text;
        for (const auto& event : wire.take())
            if (event.host == "media" && (event.fields.at("kind") == "syn" || event.fields.at("kind") == "syn-ack" ||
                                          event.fields.at("kind") == "data"))
                text += lines({event}).front() + " ttl " + boost::json::serialize(event.fields.at("ttl")) + "\n";
        return text;
    });
    CHECK(outcome.text ==
          "media in syn 10.20.0.10:2000>10.10.0.10:80 x1 0 ttl 63\n"
          "media in data 10.20.0.10:2000>10.10.0.10:80 x1 5 ttl 63\n"
          "media out syn-ack 10.10.0.10:80>10.20.0.10:2000 x1 0 ttl 64\n");
}

TEST_CASE("a large datagram in fragments is one packet of its whole size", "[lab]") {
    const auto outcome = in_lab(As::user, [](const Inside&) {
        const Network network{two_zones()};
        Wire wire{taps(network)};
        Socket media{network.host("media"), SOCK_DGRAM}, player{network.host("player"), SOCK_DGRAM};
        media.bind("10.10.0.10", 1755);
        player.bind("10.20.0.10", 2000);
        media.send_to(std::string(16000, 'x'), "10.20.0.10", 2000);
        player.receive();
        return joined(lines(wire.take()));
    });
    CHECK(outcome.text ==
          "media out udp 10.10.0.10:1755>10.20.0.10:2000 x1 16000\n"
          "player in udp 10.10.0.10:1755>10.20.0.10:2000 x1 16000\n");
}

TEST_CASE("a large TCP write is counted in packets as they would be on a cable", "[lab]") {
    const auto outcome = in_lab(As::user, [](const Inside&) {
        const Network network{two_zones()};
        Socket listener{network.host("media"), SOCK_STREAM};
        listener.bind("10.10.0.10", 80).listen();
        Socket player{network.host("player"), SOCK_STREAM};
        player.connect("10.10.0.10", 80);
        auto accepted = listener.accept();
        std::atomic<std::size_t> longest = 0;
        Wire wire{taps(network), [&](const CapturedFrame& frame) {
                      longest = std::max<std::size_t>(longest, std::max(frame.length, frame.frame.size()));
                  }};
        accepted.send(std::string(12000, 'x'));
        for (std::size_t got = 0; got < 12000;) got += player.receive().size();
        (void)wire.take();
        return std::to_string(longest);
    });
    CHECK(outcome.text == "1514");
}

TEST_CASE("an ICMP reject is seen with its sender and what it is about", "[lab]") {
    const auto outcome = in_lab(As::user, [](const Inside&) {
        const Network network{two_zones()};
        char rules[] = "/dev/shm/wmlab-rules-XXXXXX";
        const Descriptor file{::mkstemp(rules)};
        const std::string text =
            "table inet filter {\n chain forward { type filter hook forward priority 0; udp dport 1755 reject with icmp type admin-prohibited\n }\n}\n";
        if (::write(file.get(), text.data(), text.size()) < 0) return std::string{"write"};
        load_ruleset(network.firewall(), rules);
        ::unlink(rules);
        Wire wire{taps(network)};
        Socket player{network.host("player"), SOCK_DGRAM};
        player.bind("10.20.0.10", 2000).send_to("x", "10.10.0.10", 1755);
        const auto error = player.icmp_error();
        return error + "\n" + joined(lines(wire.take()));
    });
    CHECK(outcome.text ==
          "icmp 3/13 from 10.20.0.1\n"
          "player in icmp 10.20.0.10:2000>10.10.0.10:1755 x1 29 3/13 10.20.0.1 udp\n"
          "player out udp 10.20.0.10:2000>10.10.0.10:1755 x1 1\n");
}

TEST_CASE("the total closes each host's account: all of its lines together, and what was lost", "[lab]") {
    const auto outcome = in_lab(As::user, [](const Inside&) {
        const Network network{two_zones()};
        Wire wire{taps(network)};
        Socket media{network.host("media"), SOCK_DGRAM};
        media.bind("10.10.0.10", 1755);
        for (std::uint16_t port = 2000; port < 2005; ++port) {
            Socket player{network.host("player"), SOCK_DGRAM};
            player.bind("10.20.0.10", port).send_to("x", "10.10.0.10", 1755);
            if (media.receive() != "x") return std::string{"lost"};
        }
        std::string text;
        for (const auto& event : wire.take())
            if (event.fields.at("kind") == "total")
                text += event.host + " " + boost::json::serialize(event.fields.at("packets")) + " " +
                        boost::json::serialize(event.fields.at("dropped")) + "\n";
        return text;
    });
    CHECK(outcome.text == "media 5 0\nplayer 5 0\nsecond 0 0\n");
}

TEST_CASE("packets the witness could not take are reported", "[lab]") {
    const auto outcome = in_lab(As::user, [](const Inside&) {
        const Network network{two_zones()};
        std::atomic<bool> hold = true;
        Wire wire{taps(network), [&](const CapturedFrame&) {
                      while (hold) ::poll(nullptr, 0, 1);  // the witness is kept from reading
                  }};
        Socket player{network.host("player"), SOCK_DGRAM};
        player.bind("10.20.0.10", 2000);
        for (int i = 0; i < 20000; ++i) player.send_to("x", "10.10.0.10", 1755);
        hold = false;
        std::uint64_t lost = 0;
        for (const auto& event : wire.take())
            if (event.fields.at("kind") == "total") lost += event.fields.at("dropped").to_number<std::uint64_t>();
        return std::string{lost > 0 ? "lost" : "none lost"};
    });
    CHECK(outcome.text == "lost");
}
