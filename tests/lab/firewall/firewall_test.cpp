#include "lab/firewall/loading.hpp"

#include <filesystem>
#include <fstream>

#include "lab/host/error.hpp"
#include "lab/network/network.hpp"
#include "tests/catch.hpp"
#include "tests/lab/directory.hpp"
#include "tests/lab/in_lab.hpp"
#include "tests/lab/sockets.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace wmlab::lab::tests;

namespace {

// Connects player (or another host) to media, where something listens. What is expected to be silence is waited for
// only so long; everything else may take its time on a busy machine.
constexpr int silence = 300, patience = 20000;  // ms
int connect_to(const Network& network, std::uint16_t port, int milliseconds = patience, const char* from = "player") {
    Socket listener{network.host("media"), SOCK_STREAM};
    listener.bind("10.10.0.10", port).listen();
    Socket client{network.host(from), SOCK_STREAM};
    return client.connect("10.10.0.10", port, milliseconds);
}

std::string text_of(int error) { return error == 0 ? "connected" : std::strerror(error); }

constexpr const char* only_80 = R"(
flush ruleset
define web = 80
table inet filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "fw-out" oifname "fw-in" tcp dport $web accept
    tcp dport 81 reject with icmp type admin-prohibited
    tcp dport 82 reject with tcp reset
    udp dport 1000-2000 reject
  }
}
)";

}  // namespace

TEST_CASE("the user's nftables file decides what passes", "[lab]") {
    const auto who = GENERATE(As::root, As::user);
    INFO(name(who));
    const Directory directory;
    const auto file = directory.write("rules.nft", only_80);
    const auto outcome = in_lab(who, [&](const Inside&) {
        const Network network{two_zones()};
        load_ruleset(network.firewall(), file);
        return text_of(connect_to(network, 80)) + ", " + text_of(connect_to(network, 81)) + ", " +
               text_of(connect_to(network, 82)) + ", " + text_of(connect_to(network, 83, silence));
    });
    CHECK(outcome.text == "connected, No route to host, Connection refused, Connection timed out");
}

TEST_CASE("traffic inside a zone does not meet the firewall", "[lab]") {
    const Directory directory;
    const auto file = directory.write("rules.nft", R"(
table inet filter {
  chain forward { type filter hook forward priority 0; policy drop; }
  chain input { type filter hook input priority 0; policy drop; }
  chain pre { type filter hook prerouting priority -300; policy drop; }
}
table bridge filter { chain forward { type filter hook forward priority 0; policy drop; }
}
table arp filter { chain input { type filter hook input priority 0; policy drop; }
}
)");
    const auto outcome = in_lab(As::user, [&](const Inside&) {
        const Network network{two_zones()};
        load_ruleset(network.firewall(), file);
        return text_of(connect_to(network, 80, patience, "second")) + ", " + text_of(connect_to(network, 80, silence));
    });
    CHECK(outcome.text.starts_with("connected, "));
    CHECK(outcome.text.find("connected, connected") == std::string::npos);
}

TEST_CASE("every reject is seen, not only the first few", "[lab]") {
    const auto outcome = in_lab(As::user, [](const Inside&) {
        const Directory directory;
        const Network network{two_zones()};
        load_ruleset(network.firewall(), directory.write("rules.nft", only_80));
        int seen = 0;
        for (std::uint16_t i = 0; i < 50; ++i) {
            Socket socket{network.host("player"), SOCK_DGRAM};
            socket.send_to("x", "10.10.0.10", static_cast<std::uint16_t>(1000 + i));
            if (socket.icmp_error() == "icmp 3/3 from 10.20.0.1") ++seen;
        }
        return std::to_string(seen);
    });
    CHECK(outcome.text == "50");
}

TEST_CASE("relative includes are those of the file's directory, whatever the working directory", "[lab]") {
    const auto how = GENERATE("parts/web.nft", "./parts/web.nft", "parts/*.nft");
    INFO(how);
    const Directory directory;
    std::filesystem::create_directory(directory.path() / "parts");
    directory.write("parts/web.nft", "add rule inet filter forward tcp dport 80 accept\n");
    const auto file = directory.write("rules.nft", std::string{R"(
table inet filter {
  chain forward { type filter hook forward priority 0; policy drop; ct state established accept; }
}
include ")"} + how + "\"\n");
    const auto outcome = in_lab(As::user, [&](const Inside&) {
        const Network network{two_zones()};
        const auto before = std::filesystem::current_path();
        load_ruleset(network.firewall(), file);
        return text_of(connect_to(network, 80)) + ", " + text_of(connect_to(network, 81, silence)) +
               (std::filesystem::current_path() == before ? "" : ", elsewhere");
    });
    CHECK(outcome.text == "connected, Connection timed out");
}

TEST_CASE("a ruleset that is refused says what nft says, with the file as the user named it and the line", "[lab]") {
    struct Row {
        std::string name, text;
        std::vector<std::string> says;
    };
    const auto row = GENERATE(values<Row>({
        {"a word nft does not know",
         "table inet filter {\n  chain forward {\n    tcp dprt 80 accept\n  }\n}\n",
         {"rules.nft:3:", "Error: syntax error"}},
        {"a chain that is not there",
         "add table inet filter\nadd rule inet filter nowhere accept\n",
         {"rules.nft:2:", "Error"}},
        {"an include that is not there", "include \"./missing.nft\"\n", {"rules.nft:1:", "missing.nft"}},
        {"an iptables-save file with an unknown match",
         "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -p tcp --dprt 80 -j ACCEPT\nCOMMIT\n",
         {"rules.nft", "unknown option", "3"}},
        {"lines of Windows", "table inet filter {\r\n}\r\n", {"rules.nft: ", "CR LF", "rules.nft:1:"}},
        {"a byte order mark", "\xEF\xBB\xBF*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", {"rules.nft: ", "byte order mark"}},
        {"a script", "#!/bin/sh\niptables -P FORWARD DROP\n", {"shell script that calls iptables", "iptables-save"}},
        {"a script by its variable", "NFT=/usr/sbin/nft\n$NFT flush ruleset\n", {"shell script that calls nft"}},
        {"chains without a name too deep for nft, which would end wmlab with it",
         "table inet t {\n chain c {\n  jump {\n   jump {\n    jump {\n     drop\n    }\n   }\n  }\n }\n}\n",
         {"rules.nft:5: chains without a name"}},
        {"nft's JSON", "{\"nftables\": []}\n", {"JSON", "nft list ruleset"}},
        {"the listing of rules that iptables made",
         "table ip filter {\n  chain FORWARD {\n    xt match recent counter\n  }\n}\n",
         {"iptables-save", "rules.nft:3:"}},
    }));
    DYNAMIC_SECTION(row.name) {
        const Directory directory;
        const auto file = directory.write("rules.nft", row.text);
        const auto outcome = in_lab(As::user, [&](const Inside&) {
            const Network network{two_zones()};
            try {
                load_ruleset(network.firewall(), file);
            } catch (const RulesetRefused& refused) {
                return std::string{"refused: "} + refused.what();
            }
            return std::string{"loaded"};
        });
        CHECK(outcome.text.starts_with("refused: "));
        for (const auto& part : row.says) {
            INFO(outcome.text);
            CHECK(outcome.text.find(part) != std::string::npos);
        }
    }
}

TEST_CASE("an iptables-save file is recognised by its content and loaded", "[lab]") {
    const auto who = GENERATE(As::root, As::user);
    INFO(name(who));
    const Directory directory;
    const auto file = directory.write("rules.nft", R"(# Generated by iptables-save v1.8.9
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i fw-out -o fw-in -p tcp -m multiport --dports 80,1755 -j ACCEPT
-A FORWARD -p tcp --dport 81 -j REJECT --reject-with icmp-host-prohibited
COMMIT
)");
    const auto outcome = in_lab(who, [&](const Inside&) {
        const Network network{two_zones()};
        const auto dialect = load_ruleset(network.firewall(), file);
        return std::string{dialect == rules::Dialect::iptables ? "iptables" : "nft"} + ", " +
               text_of(connect_to(network, 80)) + ", " + text_of(connect_to(network, 81)) + ", " +
               text_of(connect_to(network, 82, silence));
    });
    CHECK(outcome.text == "iptables, connected, No route to host, Connection timed out");
}

TEST_CASE("a ruleset of 3000 rules with sets loads as an ordinary user, or says plainly what limits it", "[lab]") {
    const auto outcome = in_lab(As::user, [](const Inside&) {
        std::string text = "table inet filter {\n  chain forward {\n    type filter hook forward priority 0;\n";
        for (int i = 0; i < 3000; ++i)
            text += "    tcp dport { " + std::to_string(10000 + i) + ", " + std::to_string(20000 + i) + " } drop\n";
        const Directory directory;
        const Network network{two_zones()};
        try {
            load_ruleset(network.firewall(), directory.write("rules.nft", text + "  }\n}\n"));
        } catch (const SetupFailed& failure) {
            return failure.remedy();
        }
        return text_of(connect_to(network, 12999, silence));
    });
    INFO(outcome.text);
    CHECK((outcome.text == "Connection timed out" || outcome.text.find("net.core.wmem_max") != std::string::npos));
}

TEST_CASE("connection tracking is emptied between waves", "[lab]") {
    const auto outcome = in_lab(As::user, [](const Inside&) {
        const Directory directory;
        Network network{two_zones()};
        load_ruleset(network.firewall(), directory.write("rules.nft", R"(
table inet filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established accept
    iifname "fw-out" udp dport 1755 accept
  }
}
)"));
        Socket media{network.host("media"), SOCK_DGRAM}, player{network.host("player"), SOCK_DGRAM};
        media.bind("10.10.0.10", 1755);
        player.bind("10.20.0.10", 2000);
        player.send_to("question", "10.10.0.10", 1755);
        auto text = media.receive();
        media.send_to(" answer", "10.20.0.10", 2000);
        text += player.receive();
        network.forget_connections();
        media.send_to(" late", "10.20.0.10", 2000);
        text += player.receive(100);
        return text;
    });
    CHECK(outcome.text == "question answer");
}
