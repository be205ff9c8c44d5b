#include "lab/rules/literals.hpp"

#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::lab::rules;

namespace {

Literals literals(std::string_view text) {
    Literals found;
    collect_literals(text, found);
    return found;
}
scenario::Ipv4 ip(const char* text) { return *scenario::Ipv4::from(text); }

}  // namespace

TEST_CASE("literals: where a rule may begin to treat ports differently", "[rules]") {
    const auto found =
        literals("  tcp dport { 80, 1024-5000 } accept comment \"port 9999\" # 8888\n  udp dport >= 70 drop\n");
    CHECK(found.ports.contains(80));
    CHECK(found.ports.contains(81));
    CHECK(found.ports.contains(1024));
    CHECK(found.ports.contains(5001));
    CHECK(found.ports.contains(70));
    CHECK_FALSE(found.ports.contains(9999));
    CHECK_FALSE(found.ports.contains(8888));
    CHECK_FALSE(found.ports_opaque);
}

TEST_CASE("literals: addresses that no rule can tell apart", "[rules]") {
    struct Row {
        std::string name, text, one, other;
        bool same;
    };
    const auto row = GENERATE(values<Row>({
        {"nobody names either", "ip saddr 10.9.0.1 accept", "10.20.0.10", "10.20.0.11", true},
        {"one is named", "ip saddr 10.20.0.10 accept", "10.20.0.10", "10.20.0.11", false},
        {"a prefix holds both", "ip saddr 10.20.0.0/24 accept", "10.20.0.10", "10.20.0.11", true},
        {"a prefix holds one", "ip saddr 10.20.0.8/30 accept", "10.20.0.10", "10.20.0.12", false},
        {"a range holds one", "ip saddr 10.20.0.1-10.20.0.10 accept", "10.20.0.10", "10.20.0.11", false},
        {"a mask of iptables holds one", "-A FORWARD -s 10.20.0.8/255.255.255.252 -j ACCEPT", "10.20.0.11",
         "10.20.0.12", false},
        {"a mask of nftables may pick any", "ip saddr & 0.0.0.1 == 1 accept", "10.20.0.10", "10.20.0.12", false},
        {"flags are no mask of addresses", "tcp flags & (fin | syn) == syn accept", "10.20.0.10", "10.20.0.12", true},
        {"hardware addresses", "ether saddr 00:11:22:33:44:55 accept", "10.20.0.10", "10.20.0.11", false},
        {"a hash", "jhash ip saddr mod 2 0 accept", "10.20.0.10", "10.20.0.11", false},
        {"an extension that nft has no words for", "xt match \"u32\" accept", "10.20.0.10", "10.20.0.11", false},
    }));
    DYNAMIC_SECTION(row.name) {
        CHECK(literals(row.text).same_address(ip(row.one.c_str()), ip(row.other.c_str())) == row.same);
    }
}
