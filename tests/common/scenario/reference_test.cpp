#include <fstream>
#include <sstream>

#include "common/scenario/catalogue.hpp"
#include "common/scenario/loader.hpp"
#include "common/scenario/options.hpp"
#include "common/scenario/values.hpp"
#include "tests/catch.hpp"
#include "tests/common/scenario/scenarios.hpp"

using namespace wmlab::scenario;

namespace {

std::string reference() {
    std::ifstream in{std::string{WMLAB_SOURCE_DIR} + "/docs/scenario-reference.md"};
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

std::string row_of(const FlowTypeSpec& type) {
    std::string legs;
    for (const auto& leg : type.legs)
        legs += (legs.empty() ? "" : ", ") + ticked(leg.name) + (leg.optional ? " (optional)" : "");
    return "| " + ticked(type.name) + " | " + std::string{type.summary} + " | " + std::string{text(type.from)} + " | " +
           std::string{text(type.to)} + " | " + (legs.empty() ? "none" : legs) + " |\n";
}

}  // namespace

TEST_CASE("docs/scenario-reference.md has the catalogue's table", "[scenario]") {
    const auto text = reference();
    for (const auto& type : catalogue()) {
        INFO(row_of(type));
        CHECK(text.find(row_of(type)) != std::string::npos);
    }
}

TEST_CASE("docs/scenario-reference.md names every option with the types that take it", "[scenario]") {
    const auto text = reference();
    for (const auto& option : flow_options()) {
        const auto row =
            "\n| " + ticked(option.name) + " | " + (option.types.empty() ? "" : types_text(option) + " | ");
        INFO(row);
        CHECK(text.find(row) != std::string::npos);
    }
    for (const auto verdict : verdict_names) CHECK(text.find(ticked(verdict)) != std::string::npos);
    for (const auto cause : cause_names) CHECK(text.find(ticked(cause)) != std::string::npos);
}

TEST_CASE("the example of docs/scenario-reference.md is a good scenario", "[scenario]") {
    const auto text = reference();
    const auto begin = text.find("```yaml\n") + 8;
    const auto loaded = load(text.substr(begin, text.find("```\n", begin) - begin), "example.yaml",
                             std::string{WMLAB_SOURCE_DIR} + "/scenarios");
    CHECK(explain(loaded.problems) == "");
    CHECK(loaded.scenario.flows.size() == 2);
}

TEST_CASE("what the reference gives as examples is accepted", "[scenario]") {
    const std::string ends = ", from: player, to: media, ";
    for (const auto& options : std::vector<std::string>{
             "type: mms-udp" + ends + "client_ports: 5000, max_loss: 2%, deadline: 1.5s, play: 1h",
             "type: http" + ends + "proxy: { host: edge }, count: 10000",
             "type: multicast" + ends + "group: 239.1.2.3, port: 65000, ttl: 255, igmp_version: 2",
             "type: dcom" + ends + "reserved_ports: 3001-3010, processes: 1000, transport: udp",
             "type: dcom" + ends + "registry: internet.reg",
             "type: encoder-alias" + ends + "alias: live, reserved_ports: [3001-3010, 135], msbd_port: fallback",
             "type: probe" + ends + "ports: [23, 1024-1030], expect: blocked",
             "type: command" + ends + "run: [curl, -sf, 'http://media/lecture']",
             "type: mms-tcp" + ends + "idle: 5m",
             "type: mms-auto" + ends + "expect: { transport: tcp }",
             "type: mms-udp" + ends + "expect: { verdict: blocked, leg: media, cause: dropped }",
         }) {
        INFO(options);
        CHECK(explain(load_flows("  - { id: a, " + options + " }\n").problems) == "");
    }
}

TEST_CASE("notations: durations, bitrates, numbers, parts, words", "[scenario]") {
    CHECK(duration_from("3s") == milliseconds{3000});
    CHECK(duration_from("500ms") == milliseconds{500});
    CHECK(duration_from("1m") == milliseconds{60'000});
    CHECK(duration_from("1.5s") == milliseconds{1500});
    CHECK(duration_from("2h") == milliseconds{7'200'000});
    for (const auto* bad :
         {"", "s", "3", "-3s", "3 s", "3sec", "1e3s", ".5s", "5.s", "1.2.3s", "9999999999999s", "\xD9\xA3s"})
        CHECK_FALSE(duration_from(bad).has_value());
    CHECK(bitrate_from("64k") == 64'000U);
    CHECK(bitrate_from("1.5M") == 1'500'000U);
    CHECK(bitrate_from("64000") == 64'000U);
    for (const auto* bad : {"", "k", "64K", "64kbit", "-1k", "99999999999", "9999M"})
        CHECK_FALSE(bitrate_from(bad).has_value());
    CHECK(count_from("0") == 0U);
    CHECK(count_from("999999999") == 999'999'999U);
    for (const auto* bad : {"", "01", "+1", "1.0", "1000000000", "0x1"}) CHECK_FALSE(count_from(bad).has_value());
    CHECK(fraction_from("0.5") == 0.5);
    CHECK(fraction_from("100%") == 1.0);
    for (const auto* bad : {"", "%", "1.1", "101%", "-0.1", "half"}) CHECK_FALSE(fraction_from(bad).has_value());
    CHECK(words_from(" ssh  'a b' c\"d e\" '' ") == std::vector<std::string>{"ssh", "a b", "cd e", ""});
    CHECK(text(milliseconds{1500}) == "1500ms");
    CHECK(text(milliseconds{3000}) == "3s");
    CHECK(text(milliseconds{120'000}) == "2m");
    CHECK(nearest("mms-upd", {"mms-udp", "mms-tcp"}) == "mms-udp");
    CHECK(nearest("block", {"dropped", "blocked"}) == "blocked");
    CHECK_FALSE(nearest("rtsp", {"mms-udp", "http"}).has_value());
}
