#include "lab/network/forgotten.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <cstring>

#include "lab/network/netlink.hpp"
#include "tests/catch.hpp"

using namespace wmlab::lab;

namespace {

std::vector<std::byte> message(std::uint8_t protocol, std::uint32_t status, std::uint16_t type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
                               std::uint16_t source_type = CTA_IP_V4_SRC) {
    NetlinkMessage made{type, 0};
    made.fixed(nfgenmsg{AF_INET, NFNETLINK_V0, 0});
    const auto tuple = made.open(CTA_TUPLE_ORIG);
    const auto ip = made.open(CTA_TUPLE_IP);
    made.attribute(source_type, htonl(0x0A14000A));
    made.attribute(CTA_IP_V4_DST, htonl(0x0A0A000A));
    made.close(ip);
    const auto ports = made.open(CTA_TUPLE_PROTO);
    made.attribute(CTA_PROTO_NUM, protocol);
    made.attribute(CTA_PROTO_SRC_PORT, htons(1217));
    made.attribute(CTA_PROTO_DST_PORT, htons(1755));
    made.close(ports);
    made.close(tuple);
    made.attribute(CTA_STATUS, htonl(status));
    const auto bytes = made.bytes();
    return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("a connection that the kernel forgets is told with its first packet's addresses and what it was to the kernel", "[forgotten]") {
    const auto told = parse_forgotten(message(IPPROTO_UDP, IPS_SEEN_REPLY | IPS_CONFIRMED));
    REQUIRE(told);
    CHECK(told->protocol == "udp");
    CHECK(told->source == "10.20.0.10:1217");
    CHECK(told->destination == "10.10.0.10:1755");
    CHECK(told->replied);
    CHECK_FALSE(told->assured);
    CHECK(parse_forgotten(message(IPPROTO_UDP, IPS_SEEN_REPLY | IPS_ASSURED))->assured);
    CHECK(parse_forgotten(message(IPPROTO_TCP, 0))->protocol == "tcp");
    CHECK_FALSE(parse_forgotten(message(IPPROTO_ICMP, 0)));
    CHECK_FALSE(parse_forgotten(message(IPPROTO_UDP, 0, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW)));
    CHECK_FALSE(parse_forgotten(message(IPPROTO_UDP, 0, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, CTA_IP_V6_SRC)));
}

TEST_CASE("a damaged message of the kernel does no harm", "[forgotten]") {
    const auto whole = message(IPPROTO_UDP, 0);
    for (std::size_t size = 0; size < whole.size(); ++size) CHECK_FALSE(parse_forgotten({whole.data(), size}));
    for (std::size_t at = 0; at < whole.size(); ++at)
        for (const unsigned put : {0U, 1U, 127U, 255U}) {
            auto damaged = whole;
            damaged[at] = static_cast<std::byte>(put);
            parse_forgotten(damaged);
        }
}
