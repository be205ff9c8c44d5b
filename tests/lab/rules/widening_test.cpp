#include "lab/rules/widening.hpp"

#include "tests/catch.hpp"

using namespace wmlab::lab;
using namespace wmlab::lab::rules;

namespace {

// The line of the rule is the one on which it begins.
std::string after(const std::string& text, const std::string& more, Dialect dialect) {
    const auto rule = AcceptRule::from(more, dialect);
    REQUIRE(rule);
    const auto end = text.find(dialect == Dialect::nft ? "accept" : "ACCEPT");
    const auto mark = std::min(end, text.rfind("ip saddr", end));
    const auto line = static_cast<unsigned>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(mark), '\n')) + 1;
    const auto edit = widened(text, line, *rule, dialect, {text});
    return edit ? with_edit(text, *edit) : "";
}

}  // namespace

TEST_CASE("widening: a value more in the list of a rule that lets exactly the rest through", "[rules]") {
    struct Row {
        std::string name, text, more, wanted;  // wanted empty: no such change
    };
    const std::string to_media = "ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport ";
    const auto row = GENERATE_COPY(values<Row>({
        {"one port becomes a list", "  " + to_media + "1755 accept\n", to_media + "7007 accept", "  " + to_media + "{ 1755, 7007 } accept\n"},
        {"a list of ports", to_media + "{ 80, 1755 } accept", to_media + "7007 accept", to_media + "{ 80, 1755, 7007 } accept"},
        {"only what is missing", to_media + "{ 80, 1755 } accept", to_media + "{ 80, 7007 } accept", to_media + "{ 80, 1755, 7007 } accept"},
        {"a list without blanks, and a comma at its end", to_media + "{80,1755,} accept", to_media + "7007 accept", to_media + "{80,1755, 7007} accept"},
        {"a range", to_media + "{ 1024-1030 } accept", to_media + "2000-2010 accept", to_media + "{ 1024-1030, 2000-2010 } accept"},
        {"ranges that overlap", to_media + "{ 1024-1030 } accept", to_media + "1030-1040 accept", ""},
        {"counter, comment, log and new connections",
         "ct state new " + to_media + "1755 counter packets 0 bytes 0 log prefix \"x \" accept comment \"dport 9\"", to_media + "80 accept",
         "ct state new " + to_media + "{ 1755, 80 } counter packets 0 bytes 0 log prefix \"x \" accept comment \"dport 9\""},
        {"a comment behind", to_media + "1755 accept # the stream", to_media + "80 accept", to_media + "{ 1755, 80 } accept # the stream"},
        {"a source", "ip saddr { 10.20.0.10, 10.20.0.11 } ip daddr 10.10.0.10 tcp dport 1755 accept",
         "ip saddr 10.20.0.12 ip daddr 10.10.0.10 tcp dport 1755 accept",
         "ip saddr { 10.20.0.10, 10.20.0.11, 10.20.0.12 } ip daddr 10.10.0.10 tcp dport 1755 accept"},
        {"a source in a network that is there", "ip saddr 10.20.0.0/24 ip daddr 10.10.0.10 tcp dport 1755 accept",
         "ip saddr 10.20.0.12 ip daddr 10.10.0.10 tcp dport 1755 accept", ""},
        {"two things differ", to_media + "1755 accept", "ip saddr 10.20.0.12 ip daddr 10.10.0.10 tcp dport 80 accept", ""},
        {"from anywhere: more would come through", "ip daddr 10.10.0.10 tcp dport 1755 accept", to_media + "80 accept", ""},
        {"values in another order", "ip saddr { 10.20.0.11, 10.20.0.10 } ip daddr 10.10.0.10 tcp dport { 1755, 80 } accept",
         "ip saddr { 10.20.0.10, 10.20.0.11 } ip daddr 10.10.0.10 tcp dport 7007 accept",
         "ip saddr { 10.20.0.11, 10.20.0.10 } ip daddr 10.10.0.10 tcp dport { 1755, 80, 7007 } accept"},
        {"neighbouring ports", "ip saddr 10.20.0.11 ip daddr 10.10.0.10 tcp dport { 1756, 1755 } accept",
         "ip saddr 10.20.0.12 ip daddr 10.10.0.10 tcp dport 1755-1756 accept",
         "ip saddr { 10.20.0.11, 10.20.0.12 } ip daddr 10.10.0.10 tcp dport { 1756, 1755 } accept"},
        {"the way out follows from the address", "iifname \"wan\" " + to_media + "1755 accept", "iifname \"wan\" oifname \"lan\" " + to_media + "80 accept",
         "iifname \"wan\" " + to_media + "{ 1755, 80 } accept"},
        {"the way in does not", to_media + "1755 accept", "iifname \"wan\" " + to_media + "80 accept", ""},
        {"another interface", "iifname \"lan\" " + to_media + "1755 accept", "iifname \"wan\" " + to_media + "80 accept", ""},
        {"the same interface", "iifname \"wan\" " + to_media + "1755 accept", "iifname \"wan\" " + to_media + "80 accept",
         "iifname \"wan\" " + to_media + "{ 1755, 80 } accept"},
        {"another protocol", to_media + "1755 accept", "ip saddr 10.20.0.10 ip daddr 10.10.0.10 udp dport 1755 accept", ""},
        {"a condition of its own", to_media + "1755 ip ttl 3 accept", to_media + "80 accept", ""},
        {"a limit", to_media + "1755 limit rate 5/second accept", to_media + "80 accept", ""},
        {"defines for single values", "define MEDIA = 10.10.0.10\ndefine OTHER = 10.10.0.11\nip saddr 10.20.0.10 ip daddr $MEDIA tcp dport 1755 accept",
         "ip saddr 10.20.0.10 ip daddr 10.10.0.11 tcp dport 1755 accept",
         "define MEDIA = 10.10.0.10\ndefine OTHER = 10.10.0.11\nip saddr 10.20.0.10 ip daddr { $MEDIA, $OTHER } tcp dport 1755 accept"},
        {"a define with a list", "define PORTS = { 80, 1755 }\nip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport $PORTS accept", to_media + "7007 accept",
         "define PORTS = { 80, 1755, 7007 }\nip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport $PORTS accept"},
        {"a set over several lines",
         "set friends {\n type ipv4_addr\n elements = { 10.20.0.10,\n   10.20.0.11 }\n}\nip saddr @friends ip daddr 10.10.0.10 tcp dport 1755 accept\n",
         "ip saddr 10.20.0.12 ip daddr 10.10.0.10 tcp dport 1755 accept",
         "set friends {\n type ipv4_addr\n elements = { 10.20.0.10,\n   10.20.0.11, 10.20.0.12 }\n}\nip saddr @friends ip daddr 10.10.0.10 tcp dport 1755 accept\n"},
        {"a set that others use",
         "set friends {\n type ipv4_addr\n elements = { 10.20.0.10 }\n}\nip saddr @friends ip daddr 10.10.0.10 tcp dport 1755 accept\nip saddr @friends drop\n",
         "ip saddr 10.20.0.12 ip daddr 10.10.0.10 tcp dport 1755 accept", ""},
        {"a set with a name like another's",
         "set friends {\n type ipv4_addr\n elements = { 10.20.0.10 }\n}\nip saddr @friends ip daddr 10.10.0.10 tcp dport 1755 accept\nip saddr @friends2 drop\n",
         "ip saddr 10.20.0.12 ip daddr 10.10.0.10 tcp dport 1755 accept",
         "set friends {\n type ipv4_addr\n elements = { 10.20.0.10, 10.20.0.12 }\n}\nip saddr @friends ip daddr 10.10.0.10 tcp dport 1755 accept\nip saddr @friends2 drop\n"},
        {"a set without elements",
         "set friends {\n type ipv4_addr\n flags dynamic\n}\nset other {\n elements = { 1.2.3.4 }\n}\nip saddr @friends ip daddr 10.10.0.10 tcp dport 1755 accept\n",
         "ip saddr 10.20.0.12 ip daddr 10.10.0.10 tcp dport 1755 accept", ""},
        {"a set whose elements have more to them",
         "set friends {\n type ipv4_addr\n elements = { 10.20.0.10 timeout 1h }\n}\nip saddr @friends ip daddr 10.10.0.10 tcp dport 1755 accept\n",
         "ip saddr 10.20.0.12 ip daddr 10.10.0.10 tcp dport 1755 accept", ""},
        {"a set with comments between its values",
         "set friends {\n type ipv4_addr\n elements = {\n  10.20.0.10, # the {first}\n  10.20.0.11  # and \"last\"\n }\n}\nip saddr @friends ip daddr 10.10.0.10 tcp dport 1755 accept\n",
         "ip saddr 10.20.0.12 ip daddr 10.10.0.10 tcp dport 1755 accept",
         "set friends {\n type ipv4_addr\n elements = {\n  10.20.0.10, # the {first}\n  10.20.0.11, 10.20.0.12  # and \"last\"\n }\n}\nip saddr @friends ip daddr 10.10.0.10 tcp dport 1755 accept\n"},
        {"a list of the rule's own over several lines", "ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport {\n  80, # web\n  1755,\n} accept\n",
         to_media + "7007 accept", "ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport {\n  80, # web\n  1755, 7007\n} accept\n"},
        {"a set of single ports takes no range",
         "set ports { type inet_service; elements = { 80 }; }\nip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport @ports accept\n",
         to_media + "7000-7007 accept", ""},
        {"a set of single ports takes a port",
         "set ports { type inet_service; elements = { 80 }; }\nip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport @ports accept\n", to_media + "7007 accept",
         "set ports { type inet_service; elements = { 80, 7007 }; }\nip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport @ports accept\n"},
        {"a set of intervals, said behind its values",
         "set ports {\n type inet_service\n elements = { 80 }\n flags interval\n}\nip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport @ports accept\n",
         to_media + "7000-7007 accept",
         "set ports {\n type inet_service\n elements = { 80, 7000-7007 }\n flags interval\n}\nip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport @ports accept\n"},
        {"a set of single addresses takes no network",
         "set friends { type ipv4_addr; elements = { 10.20.0.10 }; }\nip saddr @friends ip daddr 10.10.0.10 tcp dport 1755 accept\n",
         "ip saddr 10.30.0.0/24 ip daddr 10.10.0.10 tcp dport 1755 accept", ""},
        {"a set that may be full",
         "set ports { type inet_service; size 1; elements = { 80 }; }\nip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport @ports accept\n",
         to_media + "7007 accept", ""},
        {"a set whose values end",
         "set ports { type inet_service; timeout 1h; elements = { 80 }; }\nip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport @ports accept\n",
         to_media + "7007 accept", ""},
        {"a set of that name in a comment only", "# set ports { elements = { 1 } }\nip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport @ports accept\n",
         to_media + "7007 accept", ""},
        {"two statements on a line", "tcp dport 23 drop; " + to_media + "1755 accept", to_media + "80 accept", ""},
        {"what is there already", to_media + "{ 80, 1755 } accept", to_media + "80 accept", ""},
    }));
    INFO(row.name);
    CHECK(after(row.text, row.more, Dialect::nft) == row.wanted);
}

TEST_CASE("widening: a rule of interfaces that its packets come by, and of others", "[rules]") {
    const std::string text = "iifname \"wan\" oifname \"lan\" ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport 1755 accept\n";
    const auto more = AcceptRule::from("ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport 80 accept", Dialect::nft);
    const auto elsewhere = AcceptRule::from("iifname \"dmz\" ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport 80 accept", Dialect::nft);
    REQUIRE((more && elsewhere));
    CHECK_FALSE(widened(text, 1, *more, Dialect::nft, {text}));
    CHECK(widened(text, 1, *more, Dialect::nft, {text}, true));
    CHECK_FALSE(widened(text, 1, *elsewhere, Dialect::nft, {text}, true));
}

TEST_CASE("widening: one value after the other makes a rule right that lacked two", "[rules]") {
    std::string text = "ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport { 80, 1755 } accept\n";
    for (const std::string more :
         {"ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport 7007 accept", "ip saddr 10.20.0.11 ip daddr 10.10.0.10 tcp dport { 80, 1755, 7007 } accept"}) {
        const auto rule = AcceptRule::from(more, Dialect::nft);
        REQUIRE(rule);
        const auto edit = widened(text, 1, *rule, Dialect::nft, {text});
        REQUIRE(edit);
        text = with_edit(text, *edit);
    }
    CHECK(text == "ip saddr { 10.20.0.10, 10.20.0.11 } ip daddr 10.10.0.10 tcp dport { 80, 1755, 7007 } accept\n");
}

TEST_CASE("widening: iptables lists of ports", "[rules]") {
    struct Row {
        std::string name, text, more, wanted;
    };
    const std::string to_media = "-A FORWARD -s 10.20.0.10/32 -d 10.10.0.10/32 -p tcp ";
    const auto row = GENERATE_COPY(values<Row>({
        {"a list", to_media + "-m multiport --dports 80,1755 -j ACCEPT\n", to_media + "-m tcp --dport 7007 -j ACCEPT",
         to_media + "-m multiport --dports 80,1755,7007 -j ACCEPT\n"},
        {"one port", to_media + "-m tcp --dport 1755 -j ACCEPT", to_media + "-m tcp --dport 2000:5000 -j ACCEPT",
         to_media + "-m tcp -m multiport --dports 1755,2000:5000 -j ACCEPT"},
        {"new connections and a comment", to_media + "-m conntrack --ctstate NEW -m comment --comment \"the, stream\" -m multiport --dports 80,1755 -j ACCEPT",
         to_media + "-m tcp --dport 7007 -j ACCEPT",
         to_media + "-m conntrack --ctstate NEW -m comment --comment \"the, stream\" -m multiport --dports 80,1755,7007 -j ACCEPT"},
        {"no more room", to_media + "-m multiport --dports 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29 -j ACCEPT", to_media + "-m tcp --dport 7007 -j ACCEPT", ""},
        {"no more room where neighbours stand by themselves", to_media + "-m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15 -j ACCEPT",
         to_media + "-m tcp --dport 7007 -j ACCEPT", ""},
        {"another address", to_media + "-m tcp --dport 1755 -j ACCEPT", "-A FORWARD -s 10.20.0.11/32 -d 10.10.0.10/32 -p tcp -m tcp --dport 1755 -j ACCEPT",
         ""},
    }));
    INFO(row.name);
    CHECK(after(row.text, row.more, Dialect::iptables) == row.wanted);
}
