// One change of the user's files: rules merged, put in and written as a difference.
#include "lab/rules/patch.hpp"

#include "lab/rules/suggestion.hpp"
#include "tests/catch.hpp"

using namespace wmlab::lab::rules;
using wmlab::scenario::Ipv4;
using wmlab::scenario::one;

namespace {

AcceptRule from_to(const char* source, const char* destination, std::uint16_t port) {
    return {"", "", {{*Ipv4::from(source), 32}}, {{*Ipv4::from(destination), 32}}, "tcp", false, one(port)};
}

}  // namespace

TEST_CASE("an accepting rule is read back from its own words", "[rules]") {
    auto rule = from_to("10.20.0.10", "10.10.0.10", 1755);
    const auto dialect = GENERATE(Dialect::nft, Dialect::iptables);
    const auto shape = GENERATE(0, 1, 2, 3, 4, 5, 6);
    if (shape == 1) rule.sources.push_back({*Ipv4::from("10.20.0.11"), 32});
    if (shape == 2) rule.ports = {{80, 80}, {1024, 5000}};
    if (shape == 3) rule.in = "eth0", rule.out = "eth1", rule.answers = true;
    if (shape == 4) rule.protocol = "udp", rule.ports.clear();
    if (shape == 5) rule.sources = {*wmlab::scenario::Subnet::from("10.20.0.0/24")};
    if (shape == 6) rule.in = "eth0", rule.sources.clear();
    const auto lines = rule.text(dialect, "forward");
    REQUIRE(lines.size() == 1);
    CHECK(AcceptRule::from(lines[0], dialect) == rule);
}

TEST_CASE("rules that say the same of several hosts or ports become one, and nothing else opens", "[rules]") {
    const auto a = from_to("10.20.0.10", "10.10.0.10", 80), b = from_to("10.20.0.10", "10.10.0.10", 1755);
    const auto c = from_to("10.20.0.11", "10.10.0.10", 80), d = from_to("10.20.0.11", "10.10.0.10", 1755);
    CHECK(merged({a, a}).size() == 1);
    REQUIRE(merged({a, b}).size() == 1);
    CHECK(merged({a, b})[0].text(Dialect::nft, "forward")[0] ==
          "ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport { 80, 1755 } accept");
    REQUIRE(merged({a, b, c, d}).size() == 1);
    CHECK(merged({a, d}).size() == 2);  // one rule for both would open two ways more
    CHECK(merged({a, b, c}).size() == 2);
    const auto all_four = merged({a, b, c, d})[0];
    for (const auto& one : {a, b, c, d, all_four}) CHECK(all_four.covers(one));  // whatever the number of lists it differs in
    CHECK_FALSE(a.covers(all_four));
    CHECK_FALSE(all_four.covers(from_to("10.20.0.12", "10.10.0.10", 80)));
    CHECK_FALSE(all_four.covers(from_to("10.20.0.10", "10.10.0.10", 81)));
    auto anyone = a, by_interface = a, other_protocol = a;
    anyone.sources.clear(), by_interface.in = "eth0", other_protocol.protocol = "udp";
    CHECK(anyone.covers(a));
    CHECK_FALSE(a.covers(anyone));
    CHECK(a.covers(by_interface));
    CHECK_FALSE(by_interface.covers(a));
    CHECK_FALSE(a.covers(other_protocol));
    std::vector<AcceptRule> twenty;
    for (int i = 0; i < 20; ++i)
        twenty.push_back(from_to(("10.20.0." + std::to_string(i + 10)).c_str(), "10.10.0.10", 80));
    CHECK(merged(twenty).size() == 1);
    // nft takes no set with a network and an address of it.
    auto all = from_to("10.20.0.10", "10.10.0.10", 80);
    all.sources = {*wmlab::scenario::Subnet::from("10.20.0.0/24")};
    twenty.push_back(all);
    twenty.push_back(from_to("10.30.0.1", "10.10.0.10", 80));
    REQUIRE(merged(twenty).size() == 1);
    CHECK(merged(twenty)[0].text(Dialect::nft, "forward")[0] == "ip saddr { 10.20.0.0/24, 10.30.0.1 } ip daddr 10.10.0.10 tcp dport 80 accept");
}

TEST_CASE("a define of the file stands for its value", "[rules]") {
    const auto names = names_in(
        "define MEDIA = 10.10.0.10\ndefine WAN = \"eth0\"\ndefine ALL = { 1.1.1.1 }\ntable inet f {\n  define IN = 10.10.0.11\n}\ndefine LATER = 10.20.0.10\n",
        7);
    auto rule = from_to("10.20.0.10", "10.10.0.10", 80);
    rule.in = "eth0";
    CHECK(rule.text(Dialect::nft, "forward", names)[0] ==
          "iifname $WAN ip saddr 10.20.0.10 ip daddr $MEDIA tcp dport 80 accept");
}

TEST_CASE("a long list of ports is more than one rule of iptables", "[rules]") {
    AcceptRule rule = from_to("10.20.0.10", "10.10.0.10", 1);
    rule.ports.clear();
    for (std::uint16_t port = 100; port < 140; port = static_cast<std::uint16_t>(port + 2))
        rule.ports.push_back({port, port});
    CHECK(rule.text(Dialect::iptables, "FORWARD").size() == 2);
}

TEST_CASE("rules are put in as what is around them", "[rules]") {
    const std::string text = "table ip f {\n\tchain c {\n\t\taccept\n\t}\n}";
    CHECK(with_rules(text, {{3, "drop"}}).text == "table ip f {\n\tchain c {\n\t\tdrop\n\t\taccept\n\t}\n}");
    CHECK(with_rules(text, {{4, "drop"}}).text == "table ip f {\n\tchain c {\n\t\taccept\n\t\tdrop\n\t}\n}");
    CHECK(with_rules(text, {{6, "add x"}}).text == text + "\nadd x\n");
    CHECK(with_rules("a\r\nb\r\n", {{2, "x"}}).text == "a\r\nx\r\nb\r\n");
    CHECK(with_rules(text, {{3, "one"}, {3, "two"}}).original == std::vector<unsigned>{1, 2, 3, 3, 3, 4, 5, 6});
}

TEST_CASE("the difference is unified", "[rules]") {
    CHECK(unified_diff("f", "a\nb\n", "a\nb\n").empty());
    CHECK(unified_diff("f", "a\nb\nc\nd\ne\n", "a\nb\nc\nx\nd\ne\n") ==
          "--- f\n+++ f\n@@ -1,5 +1,6 @@\n a\n b\n c\n+x\n d\n e\n");
    CHECK(unified_diff("f", "a", "a\nx\n") ==
          "--- f\n+++ f\n@@ -1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+x\n");
    std::string before, after;
    for (int i = 0; i < 200; ++i) {
        before += std::to_string(i) + "\n";
        if (i == 20 || i == 150) after += "x\n";
        after += std::to_string(i) + "\n";
    }
    const auto diff = unified_diff("f", before, after);
    CHECK(diff.find("@@ -18,6 +18,7 @@") != std::string::npos);
    CHECK(diff.find("@@ -148,6 +149,7 @@") != std::string::npos);
}

TEST_CASE("a rule is a command where the file is no list", "[rules]") {
    CHECK(as_command("accept", Dialect::nft, "inet filter forward", "insert 3") ==
          "insert rule inet filter forward index 3 accept");
    CHECK(as_command("accept", Dialect::nft, "inet filter forward", "add") == "add rule inet filter forward accept");
    CHECK(as_command("-A FORWARD -j ACCEPT", Dialect::iptables, "ip filter FORWARD", "insert 3") ==
          "-I FORWARD 3 -j ACCEPT");
    CHECK(as_command("-A FORWARD -j ACCEPT", Dialect::iptables, "ip filter FORWARD", "insert") ==
          "-I FORWARD -j ACCEPT");
}
