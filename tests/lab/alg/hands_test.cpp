#include "lab/alg/hands.hpp"

#include <spdlog/fmt/fmt.h>

#include "lab/verdict/version.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace std::chrono_literals;

namespace {

// One host behind a shell script, which is given `sh -s` as arguments and what wmlab says on its input.
struct Machine {
    explicit Machine(const std::string& script) {
        scenario::Zone zone;
        zone.name = "outside", zone.interface = "outside", zone.subnet = *scenario::Subnet::from("127.0.0.0/8");
        scenario.zones.push_back(zone);
        scenario::Host host;
        host.name = "player", host.zone = "outside", host.address = {0x7F000001};
        scenario.hosts.push_back(host);
        setting.launched["player"] = {"sh", "-c", script};
        lab.emplace(scenario, inside, std::filesystem::path{}, recorder, setting);
        hands.emplace(*lab, scenario, HandLimits{1000ms, 1000ms, 300ms});
        player = hands->of("player");
    }
    std::string refusal() {
        HandQuestion end;
        end.what = HandQuestion::What::end;
        try {
            hands->ask(player, end);
        } catch (const SetupFailed& failure) {
            return failure.what();
        }
        return {};
    }
    scenario::Scenario scenario;
    Setting setting;
    Inside inside;
    Recorder recorder{{}, {}};
    std::optional<Lab> lab;
    std::optional<Hands> hands;
    Hand* player = nullptr;
};

std::string hello() { return fmt::format(R"(echo '{{"hand":"hello","protocol":1,"version":"{}","place":"there"}}'; )", version()); }
// Answers the first question, which comes behind the shell's own lines.
const std::string begun = R"(while read -r line; do case $line in *'"question"'*) break;; esac; done; echo '{"hand":"answer","number":1}'; )";

}  // namespace

TEST_CASE("hands: a machine that does not do its part is told in words, and nobody waits for it", "[alg]") {
    struct Row {
        std::string name, script, says;
    };
    const auto row = GENERATE(values<Row>({
        {"silent", "cat > /dev/null", "nothing comes back after 1 s"},
        {"silent, and says why", "echo password, please >&2; cat > /dev/null", "nothing comes back after 1 s: password, please"},
        {"ends at once", "echo no route >&2; exit 255", "it ended with exit status 255: no route"},
        {"ends without a word", "exit 0", "it ended with exit status 0"},
        {"is killed", "kill -KILL $$", "it ended with signal 9"},
        {"no such program", "exec nonesuch-program", "nonesuch-program"},
        {"another version", R"(echo '{"hand":"hello","protocol":1,"version":"0.0.1"}'; cat > /dev/null)", "wmlab is another version there, `0.0.1`"},
        {"another protocol", fmt::format(R"(echo '{{"hand":"hello","protocol":2,"version":"{}"}}'; cat > /dev/null)", version()),
         "wmlab is another version there"},
        {"a hello that is none", R"(echo '{"hand":"hello","protocol":"one"}'; cat > /dev/null)", "it says what is not understood: protocol is no number"},
        {"another kind of machine", R"(echo '{"carry":"pdp11"}'; cat > /dev/null)", "a machine of another kind (pdp11"},
        {"a line without end", "tr '\\0' x < /dev/zero | head -c 300000; echo; cat > /dev/null", "it says a line of 300000 bytes"},
        {"a banner, then a good one, that does not answer", "echo Welcome; echo '{}'; " + hello() + "cat > /dev/null", "it does not answer any more"},
        {"an answer that is none", hello() + R"(read -r line; echo '{"hand":"answer","number":1,"port":70000}'; cat > /dev/null)",
         "it says what is not understood: port is no number"},
        {"an answer to another question", hello() + R"(read -r line; echo '{"hand":"answer","number":99}'; cat > /dev/null)", "it does not answer any more"},
        {"one that cannot",
         hello() + R"(read -r line; echo '{"hand":"answer","number":1,"step":"act as player there","cause":"it is no player"}'; cat > /dev/null)",
         "it is no player"},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto before = std::chrono::steady_clock::now();
        Machine machine{row.script};
        CHECK(machine.player->broken().find("player, by `sh -c ") == 0);
        CHECK(machine.player->broken().find(row.says) != std::string::npos);
        CHECK(machine.refusal().find("cannot act on another machine as player: player, by `sh -c ") == 0);
        CHECK(machine.refusal().find(row.says) != std::string::npos);
        CHECK(std::chrono::steady_clock::now() - before < 15s);
    }
}

TEST_CASE("hands: a machine that ends later is told when it is asked", "[alg]") {
    const auto [script, says] = GENERATE(table<std::string, std::string>({
        {"exit 7", "it ended with exit status 7"},
        {"kill -KILL $$", "it ended with signal 9 (Killed)"},
        {"read -r line; echo lost >&2; exit 1", "it ended with exit status 1: lost"},
        {"cat > /dev/null", "it does not answer any more"},
        {R"(read -r line; echo '{"hand":"answer","number":2,"arrived":[1,2,"three"]}'; cat > /dev/null)",
         "it says what is not understood: arrived is no number"},
    }));
    DYNAMIC_SECTION(script) {
        Machine machine{hello() + begun + script};
        CHECK(machine.refusal().find(says) != std::string::npos);
        CHECK(machine.refusal().find(says) != std::string::npos);
        CHECK_FALSE(machine.player->broken().empty());
    }
}

TEST_CASE("hands: a good one answers, and what another could not do is no fault of its own", "[alg]") {
    Machine machine{
        hello() + begun +
        R"(read -r line; echo '{"hand":"answer","number":2,"step":"open a port","cause":"it is taken"}'; read -r line; echo '{"hand":"answer","number":3}'; cat > /dev/null)"};
    CHECK(machine.player->broken().empty());
    CHECK(machine.refusal() == "cannot open a port: it is taken");
    CHECK(machine.refusal().empty());
    CHECK(machine.player->broken().empty());
}
