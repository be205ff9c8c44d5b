#include "lab/network/setting.hpp"

#include <stdexcept>

#include "common/scenario/loader.hpp"
#include "tests/catch.hpp"
#include "tests/lab/in_lab.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using Words = std::vector<std::string>;

TEST_CASE("where the hosts are: what the options say", "[setting]") {
    const auto scenario = tests::two_zones();
    CHECK(setting_from(scenario, {}, {}, false).kind() == "built-in");

    const auto attached = setting_from(scenario, Words{"inside=eth1", "outside=eth2"}, {}, false);
    CHECK(attached.kind() == "attached");
    CHECK(attached.device() == "the device between eth1 (inside) and eth2 (outside)");
    CHECK(attached.has(*scenario.host("media")));

    const auto mixed = setting_from(scenario, Words{"inside=eth1"}, Words{"player=ssh -p 22 'lab@the player'"}, false);
    CHECK(mixed.kind() == "attached");
    CHECK(mixed.launched.at("player") == Words{"ssh", "-p", "22", "lab@the player"});
    CHECK_FALSE(mixed.has(*scenario.host("player")));

    const auto machines = setting_from(scenario, {}, Words{"media=a", "second=b", "player=c"}, false);
    CHECK(machines.kind() == "machines");
}

TEST_CASE("where the hosts are: what is refused, and how it is said", "[setting]") {
    struct Row {
        Words attach, launch;
        const char* said;
    };
    const auto row = GENERATE(values<Row>({
        {{"inside"}, {}, "--attach wants ZONE=NIC, not `inside`"},
        {{"=eth1"}, {}, "--attach wants ZONE=NIC"},
        {{"inside="}, {}, "--attach wants ZONE=NIC"},
        {{"dmz=eth1"}, {}, "no zone `dmz`; it has inside, outside"},
        {{"inside=eth1", "outside=eth1"}, {}, "eth1 cannot be in zone inside and in zone outside"},
        {{"inside=eth1", "inside=eth2"}, {}, "zone inside is given twice"},
        {{"inside=eth1"}, {}, "attach a second zone"},
        {{"inside=eth1"}, {"media=ssh media"}, "host player is nowhere"},
        {{}, {"media=ssh media"}, "host second is nowhere"},
        {{}, {"nobody=ssh nobody"}, "no host `nobody`; it has media, second, player"},
        {{}, {"media"}, "--launch wants HOST=PREFIX"},
    }));
    CHECK_THROWS_WITH(setting_from(tests::two_zones(), row.attach, row.launch, false), contains(row.said));
}
