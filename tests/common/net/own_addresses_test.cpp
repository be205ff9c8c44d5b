#include "common/net/own_addresses.hpp"

#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::net;

namespace {

scenario::Ipv4 address(const char* text) { return scenario::Ipv4::from(text).value(); }

OwnAddresses machine(std::vector<OwnAddresses::One> all, std::vector<scenario::Ipv4> sent_from = {}) { return {std::move(all), std::move(sent_from), "1"}; }

}  // namespace

TEST_CASE("which of a machine's addresses is a host's", "[net]") {
    struct Row {
        std::string name;
        OwnAddresses own;
        std::string found, why;
    };
    const auto row = GENERATE(values<Row>({
        {"the only one in the zone", machine({{"eth0", address("10.10.0.7")}, {"docker0", address("172.17.0.1")}}), "10.10.0.7", ""},
        {"none at all", machine({}), "", "none of its addresses is in zone inside, 10.10.0.0/24: it has none"},
        {"none in the zone", machine({{"eth0", address("10.11.0.7")}, {"docker0", address("172.17.0.1")}}, {address("10.11.0.7")}), "",
         "none of its addresses is in zone inside, 10.10.0.0/24: it has 10.11.0.7 (eth0), 172.17.0.1 (docker0)"},
        {"several, one of which it sends from", machine({{"eth0", address("10.10.0.7")}, {"eth0", address("10.10.0.8")}}, {address("10.10.0.8")}), "10.10.0.8",
         ""},
        {"several, and it sends from another zone's", machine({{"eth0", address("10.10.0.7")}, {"eth1", address("10.10.0.8")}}, {address("10.11.0.9")}), "",
         "several of its addresses are in zone inside, 10.10.0.0/24: 10.10.0.7 (eth0), 10.10.0.8 (eth1), and it sends from none of them: say which, `address:` of the host"},
        {"several that it sends from", machine({{"eth0", address("10.10.0.7")}, {"eth1", address("10.10.0.8")}}, {address("10.10.0.7"), address("10.10.0.8")}),
         "",
         "several of its addresses are in zone inside, 10.10.0.0/24: 10.10.0.7 (eth0), 10.10.0.8 (eth1), and it sends from several: say which, `address:` of the host"},
        {"one on two interfaces", machine({{"eth0", address("10.10.0.7")}, {"br0", address("10.10.0.7")}}), "10.10.0.7", ""},
    }));
    scenario::Zone zone;
    zone.name = "inside", zone.subnet = scenario::Subnet::from("10.10.0.0/24").value();
    std::string why;
    INFO(row.name);
    const auto found = address_in(row.own, zone, why);
    CHECK((found ? found->text() : "") == row.found);
    CHECK(why == row.why);
}

TEST_CASE("a machine's addresses are said in one line, and nothing else is taken for it", "[net]") {
    const auto own = machine({{"eth0", address("10.10.0.7")}, {"eth1", address("10.11.0.7")}}, {address("10.11.0.7")});
    const auto line = to_line(own);
    const auto read = own_addresses_from(line);
    REQUIRE(read);
    CHECK(to_line(*read) == line);
    CHECK(own_addresses_from(to_line(own_addresses({address("127.0.0.1"), address("10.99.0.1")}, "1"))));
    for (std::size_t size = 0; size < line.size(); ++size) CHECK_FALSE(own_addresses_from(line.substr(0, size)));
    for (const auto* other : {"Last login: today", "[]", "{}", "{\"own_addresses\":7}", "null", "\"x\""}) CHECK_FALSE(own_addresses_from(other));
    const auto odd = own_addresses_from(
        R"({"own_addresses":[1,{"address":"10.10.0.999"},{"interface":7,"address":"10.10.0.7"},{"interface":"eth0"}],"sent_from":[7,"x","10.10.0.7"],"version":[]})");
    REQUIRE(odd);
    CHECK(odd->all.size() == 1);
    CHECK(odd->sent_from.size() == 1);
    const auto hostile = own_addresses_from(R"({"own_addresses":[{"interface":"a\u001b[31m b\u00e9","address":"10.10.0.7"}]})");
    REQUIRE(hostile);
    CHECK(hostile->all[0].interface == "a?[31m?b??");
}
