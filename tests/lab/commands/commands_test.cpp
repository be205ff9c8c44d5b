#include "lab/commands/commands.hpp"

#include <boost/json.hpp>
#include <fstream>
#include <iostream>
#include <sstream>

#include "common/evidence/journal.hpp"
#include "lab/commands/options.hpp"
#include "tests/catch.hpp"
#include "tests/lab/judge/journal_builder.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace wmlab::lab::commands;

namespace {

const std::string root = WMLAB_SOURCE_DIR;

struct Said {
    int code = 0;
    std::string out, err;
};

Said said(int (*command)(Arguments), const std::vector<std::string>& arguments) {
    std::ostringstream out, err;
    auto* old_out = std::cout.rdbuf(out.rdbuf());
    auto* old_err = std::cerr.rdbuf(err.rdbuf());
    Said result;
    try {
        result.code = command(arguments);
    } catch (const UsageError& error) {
        result = {2, "", error.what()};
    }
    std::cout.rdbuf(old_out);
    std::cerr.rdbuf(old_err);
    result.out += out.str();
    result.err += err.str();
    return result;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

struct Directory {
    std::filesystem::path path;
    Directory() {
        auto pattern = (std::filesystem::temp_directory_path() / "commands-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    ~Directory() { std::filesystem::remove_all(path); }
    std::string put(const std::string& name, const std::string& text) const {
        std::ofstream{path / name} << text;
        return (path / name).string();
    }
};

const std::string scenario_text = R"(version: 1
name: by hand
zones:
  inside:  { subnet: 10.10.0.0/24, interface: inside }
  outside: { subnet: 10.20.0.0/24, interface: outside }
hosts:
  media:  { zone: inside,  address: 10.10.0.10 }
  player: { zone: outside, address: 10.20.0.10 }
content:
  lecture: { synthetic: audio, bitrate: 64k }
firewall: { ruleset: not-on-this-machine.nft }
flows:
  - { id: f, type: mms-tcp, from: player, to: media }
)";

std::string journal_of(const Story& story, const std::string& host) {
    std::string lines;
    for (const auto& event : story.events()) {
        if (event.host == host) lines += evidence::to_line(event) + "\n";
    }
    return lines;
}

}  // namespace

TEST_CASE("check: good scenarios, and every problem of bad ones", "[commands]") {
    const auto good = said(check_command, {root + "/scenarios/kb189416.yaml"});
    CHECK(good.code == 0);
    CHECK(has(good.out, "kb189416.yaml: good, "));
    const auto bad = root + "/tests/scenario/refused/duplicate-flow.yaml";
    const auto mixed = said(check_command, {bad, root + "/scenarios/kb189416.yaml"});
    CHECK(mixed.code == 2);
    CHECK(has(mixed.err, bad + ":"));
    CHECK(has(mixed.out, "kb189416.yaml: good"));
    const auto here = std::filesystem::current_path();
    std::filesystem::current_path(root + "/scenarios");
    CHECK(said(check_command, {"kb189416.yaml"}).code == 0);
    std::filesystem::current_path(here);
    CHECK(said(check_command, {}).code == 2);
    CHECK(said(check_command, {"/nowhere.yaml"}).code == 2);
}

TEST_CASE("list: legs with addresses and ports, for people and as JSON", "[commands]") {
    const Directory directory;
    const auto file = directory.put("s.yaml", scenario_text);
    const auto table = said(list_command, {file});
    CHECK(table.code == 0);
    CHECK(has(table.out, "player 10.20.0.10"));
    CHECK(has(table.out, "media 10.10.0.10:1755"));
    const auto object = said(list_command, {"--json", file});
    const auto value = boost::json::parse(object.out);
    CHECK(value.at("schema") == "wmlab.list/1");
    CHECK(value.at("flows").at(0).at("legs").at(0).at("destination").at("ports") == "1755");
}

TEST_CASE("explain: a page, the list, a suggestion", "[commands]") {
    CHECK(has(said(explain_command, {"dropped"}).out, "How to mend it"));
    CHECK(has(said(explain_command, {}).out, "not-listening"));
    const auto wrong = said(explain_command, {"droped"});
    CHECK(wrong.code == 2);
    CHECK(has(wrong.err, "did you mean `dropped`?"));
}

TEST_CASE("judge: journals collected by hand, without wires", "[commands]") {
    const Directory directory;
    const auto scenario = directory.put("s.yaml", scenario_text);
    Story story{mms_flow("f", "mms-tcp")};
    for (const auto& host : story.scenario().hosts) story.blind(host.name);
    mms_processes(story, {"f"});
    const bool passes = GENERATE(true, false);
    if (passes) {
        mms_tcp_session(story, "f");
    } else {
        story.fail("f", "control", "player", "media", 1755, Story::timeout());
        story.ended("player", "f", "failed", "tcp");
    }
    const auto media = directory.put("media.jsonl", journal_of(story, "media"));
    const auto player = directory.put("player.jsonl", journal_of(story, "player"));
    SECTION("both journals") {
        const auto result = said(judge_command, {scenario, media, player, "--report", "json"});
        CHECK(result.code == (passes ? 0 : 1));
        const auto report = boost::json::parse(result.out);
        CHECK(report.at("flows").at(0).at("verdict") == (passes ? "pass" : "blocked"));
        if (!passes) {
            INFO(result.out);
            CHECK(report.at("flows").at(0).at("direction").is_null());
        }
    }
    SECTION("a directory stands for its journals") {
        CHECK(said(judge_command, {scenario, directory.path.string()}).code == (passes ? 0 : 1));
    }
    SECTION("one journal is missing") {
        const auto result = said(judge_command, {scenario, player});
        CHECK(result.code == 4);
        CHECK(has(result.out, "no-journal"));
    }
    SECTION("a broken line in the middle") {
        const auto broken = directory.put("broken.jsonl", "not json\n" + journal_of(story, "media"));
        const auto result = said(judge_command, {scenario, broken, player});
        CHECK(result.code == (passes ? 0 : 4));
        CHECK(has(result.out, "broken.jsonl:1: not a JSON object"));
    }
    SECTION("no flow matches --only") {
        CHECK(said(judge_command, {scenario, media, player, "--only", "x*"}).code == 4);
    }
}

TEST_CASE("judge: usage errors are said before anything is judged", "[commands]") {
    const Directory directory;
    const auto scenario = directory.put("s.yaml", scenario_text);
    CHECK(has(said(judge_command, {}).err, "which scenario"));
    CHECK(has(said(judge_command, {scenario}).err, "which journals"));
    CHECK(has(said(judge_command, {scenario, "/nowhere.jsonl"}).err, "/nowhere.jsonl: cannot be read: No such file"));
    CHECK(has(said(judge_command, {scenario, "/nowhere.jsonl", "--report", "jsn"}).err, "unknown report format"));
    CHECK(has(said(judge_command, {scenario, "/nowhere.jsonl", "--report", "json:/no/such/file"}).err,
              "cannot be written"));
    CHECK(has(said(judge_command, {scenario, "--reprot", "json"}).err, "reprot"));
    CHECK(said(judge_command, {"--help"}).code == 0);
}
