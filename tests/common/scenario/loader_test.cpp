#include "common/scenario/loader.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "common/scenario/catalogue.hpp"
#include "tests/catch.hpp"
#include "tests/common/scenario/scenarios.hpp"

using namespace wmlab::scenario;
namespace fs = std::filesystem;

namespace {

const fs::path source{WMLAB_SOURCE_DIR};

std::string contents_of(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

std::vector<fs::path> yaml_files(const fs::path& directory) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator{directory})
        if (entry.path().extension() == ".yaml") files.push_back(entry.path());
    std::ranges::sort(files);
    return files;
}

}  // namespace

TEST_CASE("the example of the reference is accepted, every value where it belongs", "[scenario]") {
    const auto loaded = load_file(source / "tests/scenario/accepted/kb189416-all-types.yaml");
    REQUIRE(explain(loaded.problems) == "");
    const auto& scenario = loaded.scenario;
    CHECK(scenario.name == "KB189416 - every stream type, server inside, players outside");
    REQUIRE(scenario.zones.size() == 2);
    CHECK(scenario.zones[0].name == "inside");
    CHECK(scenario.zones[0].gateway.text() == "10.10.0.1");
    CHECK(scenario.zones[1].interface == "outside");
    REQUIRE(scenario.hosts.size() == 5);
    CHECK(scenario.host("proxy")->run == std::vector<std::string>{"tinyproxy", "-d", "-c", "proxy.conf"});
    CHECK(scenario.host_at(*Ipv4::from("10.20.0.11"))->name == "studio");
    CHECK(scenario.firewall.ruleset == source / "tests/scenario/accepted/rules/kb189416.nft");
    CHECK(scenario.content("lecture")->bitrate == 64'000);
    REQUIRE(scenario.flows.size() == 12);
    const auto flow = [&](std::string_view id) -> const Flow& {
        return *std::ranges::find(scenario.flows, id, &Flow::id);
    };
    CHECK(flow("unicast-udp").client_ports == PortRange{1024, 5000});
    CHECK(flow("unicast-udp").play == milliseconds{1000});
    CHECK(flow("unicast-udp").content == "lecture");
    CHECK(flow("unicast-udp").expect.verdict == Verdict::pass);
    CHECK(flow("unicast-tcp").idle == milliseconds{300'000});
    CHECK(flow("unicast-udp").idle == milliseconds{0});
    CHECK(flow("web").port == 80);
    CHECK(flow("web-proxied").proxy->host == "proxy");
    CHECK(flow("web-proxied").port == 80);
    CHECK(flow("rollover").expect.transport == "tcp");
    CHECK(flow("feed").source == Source::encoder);
    CHECK_FALSE(flow("feed").msbd_port.fallback);
    CHECK(flow("feed-busy").msbd_port.fallback);
    CHECK(flow("station").group.text() == "239.1.2.3");
    CHECK(flow("station").port == 8080);
    CHECK(flow("admin").processes == 3);
    CHECK(flow("admin").reserved_ports == PortList{{3001, 3010}});
    CHECK(flow("alias").alias == "lecture");
    CHECK(flow("no-telnet").ports == PortList{{23, 23}});
    CHECK(flow("no-telnet").expect.verdict == Verdict::blocked);
    CHECK(flow("no-telnet").line == 29);
    CHECK(instances(scenario).size() == 13);
}

TEST_CASE("a registry export gives the reserved ports", "[scenario]") {
    const auto loaded = load_file(source / "scenarios/dcom.yaml");
    REQUIRE(explain(loaded.problems) == "");
    const auto flow = std::ranges::find(loaded.scenario.flows, "from-registry", &Flow::id);
    REQUIRE(flow != loaded.scenario.flows.end());
    CHECK(flow->registry == source / "scenarios/internet.reg");
    CHECK(flow->reserved_ports == PortList{{3001, 3010}});
}

TEST_CASE("all accepted scenarios load", "[scenario]") {
    for (const auto& directory : {"tests/scenario/accepted", "scenarios"}) {
        for (const auto& file : yaml_files(source / directory)) {
            INFO(file);
            CHECK(explain(load_file(file).problems) == "");
        }
    }
}

TEST_CASE("every refused scenario gives exactly the text beside it", "[scenario]") {
    const auto files = yaml_files(source / "tests/scenario/refused");
    CHECK(files.size() >= 70);
    for (const auto& file : files) {
        INFO(file);
        const auto loaded = load(contents_of(file), file.filename().string(), file.parent_path());
        CHECK_FALSE(loaded.ok());
        auto expected_file = file;
        auto text = explain(loaded.problems);
        const auto here = file.parent_path().string();
        for (auto at = text.find(here); at != std::string::npos; at = text.find(here))
            text.replace(at, here.size(), "HERE");
        CHECK(text == contents_of(expected_file.replace_extension(".err")));
    }
}

TEST_CASE("what editors of other systems write is read the same", "[scenario]") {
    const auto plain = scenario_text("  - { id: a, type: mms-tcp, from: player, to: media }\n");
    std::string windows;
    for (const char c : plain) windows += c == '\n' ? std::string{"\r\n"} : std::string{c};
    for (const auto& text : {plain, windows, "\xEF\xBB\xBF" + plain, "\xEF\xBB\xBF" + windows, "---\n" + plain,
                             plain + "...\n", plain + "# the end", plain.substr(0, plain.size() - 1)}) {
        const auto loaded = load(text, "test.yaml", "/", Files::not_checked);
        CHECK(explain(loaded.problems) == "");
        CHECK(loaded.scenario.flows.size() == 1);
    }
    const auto bad = load("\xEF\xBB\xBF" + windows + "  - { id: b, type: mms-tpc, from: player, to: media }\r\n", "test.yaml", "/", Files::not_checked);
    CHECK(explain(bad.problems) ==
          "test.yaml:11:20: unknown flow type `mms-tpc`\n"
          "  - { id: b, type: mms-tpc, from: player, to: media }\n"
          "                   ^^^^^^^ did you mean `mms-tcp`?\n");
}

TEST_CASE("a player's UDP port is within 1024-5000, or VLC's", "[scenario]") {
    const auto vlc = load_flows("  - { id: a, type: mms-udp, from: player, to: media, client_ports: 7000 }\n"
                                "  - { id: b, type: mms-auto, from: player, to: media, client_ports: 7000-7000 }\n");
    REQUIRE(explain(vlc.problems) == "");
    for (const auto& flow : vlc.scenario.flows) CHECK(flow.client_ports == PortRange{7000, 7000});
    for (const std::string ports : {"7001", "1024-7000", "5000-7000", "6999-7000", "7000-7001"})
        CHECK(explain(load_flows("  - { id: a, type: mms-udp, from: player, to: media, client_ports: " + ports + " }\n").problems)
                  .find("is outside of 1024-5000") != std::string::npos);
}

TEST_CASE("defaults: what a flow does not say", "[scenario]") {
    const auto loaded = load_flows(
        "  - { id: a, type: mms-udp, from: player, to: media }\n"
        "  - { id: b, type: msbd, from: player, to: media }\n"
        "  - { id: c, type: http-distribution, from: player, to: media }\n"
        "  - { id: d, type: multicast, from: media, to: player, group: 224.0.0.1, port: 65000 }\n"
        "  - { id: e, type: dcom, from: player, to: media, reserved_ports: [3001-3010, 135] }\n"
        "  - { id: f, type: mms-auto, from: player, to: media, expect: { transport: http } }\n"
        "defaults: { deadline: 500ms, max_loss: 2% }\n");
    REQUIRE(explain(loaded.problems) == "");
    const auto& flows = loaded.scenario.flows;
    CHECK(flows[0].client_ports == PortRange{1024, 5000});
    CHECK(flows[0].content == "lecture");  // there is only one
    CHECK(flows[0].deadline == milliseconds{500});
    CHECK(flows[0].max_loss == 0.02);
    CHECK(flows[1].msbd_port.port == 7007);
    CHECK(flows[1].source == Source::server);
    CHECK(flows[2].port == 80);
    CHECK(flows[3].port == 65000);
    CHECK(flows[3].ttl == 5);
    CHECK(flows[4].processes == 1);
    CHECK(flows[4].reserved_ports == PortList{{3001, 3010}, {135, 135}});
    CHECK(flows[5].port == 80);
    CHECK_FALSE(flows[5].expect.verdict.has_value());
    CHECK(loaded.scenario.zones[0].interface == "inside");
    CHECK(loaded.scenario.name == "test");
}

TEST_CASE("a document of a stream ends at the line `...`, the rest stays", "[scenario]") {
    std::istringstream in{"version: 1\nname: x ... y\n...\nstart\nstop\n"};
    CHECK(read_document(in) == "version: 1\nname: x ... y\n");
    std::string command;
    std::getline(in, command);
    CHECK(command == "start");
    std::istringstream windows{"a: 1\r\n...\r\nstart\r\n"};
    CHECK(read_document(windows) == "a: 1\r\n");
    std::istringstream ended{"a: 1"};
    CHECK(read_document(ended) == "a: 1\n");
    std::istringstream huge{std::string(3 * document_size_max, '#') + "\n...\nstart\n"};
    const auto document = read_document(huge);
    CHECK(document.size() <= document_size_max + 1);
    CHECK_FALSE(load(document, "-", "/", Files::not_checked).ok());
    std::getline(huge, command);
    CHECK(command == "start");
}

TEST_CASE("hostile YAML ends in a problem, soon and with little memory", "[scenario]") {
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 12; ++i) {
        const auto before = "*a" + std::to_string(i - 1);
        bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int j = 0; j < 10; ++j) bomb += before + (j < 9 ? ", " : "]\n");
    }
    std::string chain = "a0: &a0 x\n";
    for (int i = 1; i < 3000; ++i)
        chain += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
    std::string wide = "flows: [";
    for (int i = 0; i < 200'000; ++i) wide += "x,";
    std::string keys;
    for (int i = 0; i < 40'000; ++i) keys += "k" + std::to_string(i) + ": 1\n";
    std::string unknown_hosts = "  - { id: a, type: mms-tcp, from: [";
    for (int i = 0; i < 50'000; ++i) unknown_hosts += "h" + std::to_string(i) + ", ";
    unknown_hosts += "x], to: media }\n";
    struct Row {
        std::string name, text, problem;
    };
    const auto row = GENERATE_COPY(values<Row>({
        {"aliases of aliases", bomb, "more than 100000 values in one file"},
        {"a chain of aliases, each a level deeper", chain, "nested deeper than 32 levels"},
        {"an alias inside of itself", "a: &a [*a]\n", "an alias inside of what it stands for"},
        {"100000 open brackets", std::string(100'000, '['), ""},
        {"100000 open braces", "a: " + std::string(100'000, '{'), ""},
        {"more values than a scenario has", wide + "x]", "more than 100000 values in one file"},
        {"40000 unknown keys", keys, "unknown key in the scenario"},
        {"50000 unknown hosts", scenario_text(unknown_hosts), "unknown host"},
        {"more than a MiB", std::string(document_size_max + 1, ' '), "larger than 1 MiB: not a scenario"},
        {"nothing", "", "the scenario is empty"},
        {"a NUL", std::string{"version: 1\0", 11}, "a control character"},
        {"the end-of-transmission character, at which YAML libraries stop", "version: 1\n\x04", "a control character"},
        {"Latin-1", "name: M\xFCnchen\n", "not UTF-8 from here on"},
        {"UTF-16", std::string{"\xFF\xFEv\0e\0r\0", 8}, "is UTF-16"},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto loaded = load(row.text, "test.yaml", "/", Files::not_checked);
        REQUIRE_FALSE(loaded.ok());
        CHECK(loaded.problems.size() <= 201);
        const auto found = std::ranges::any_of(loaded.problems, [&](const Problem& problem) {
            return problem.what.find(row.problem) != std::string::npos;
        });
        INFO(explain(loaded.problems.front()));
        CHECK(found);
    }
}

TEST_CASE("no part of a scenario makes the loader fail", "[scenario]") {
    const auto text = contents_of(source / "tests/scenario/accepted/kb189416-all-types.yaml");
    for (std::size_t size = 0; size < text.size(); size += 3) {
        const auto loaded = load(std::string_view{text}.substr(0, size), "test.yaml", "/", Files::not_checked);
        for (const auto& problem : loaded.problems) CHECK_FALSE(explain(problem).empty());
    }
    for (std::size_t at = 0; at < text.size(); at += 3) {
        auto damaged = text;
        damaged[at] = "{}[]:,&*#\n\t'\"x0-"[at % 16];
        const auto loaded = load(damaged, "test.yaml", "/", Files::not_checked);
        CHECK(explain(loaded.problems).find('\0') == std::string::npos);
    }
}

TEST_CASE("an explanation shows no control characters and no endless lines", "[scenario]") {
    Problem problem{
        "x.yaml", 1, 1001, std::string(500, 'v'), "bad", "hint", std::string(1000, ' ') + std::string(500, 'v')};
    const auto text = explain(problem);
    CHECK(text.size() < 600);
    CHECK(text.find("^^^^ hint") != std::string::npos);
    problem.source_line = "a\x1b[31m: 1";
    problem.column = 1;
    CHECK(explain(problem).find('\x1b') == std::string::npos);
    CHECK(explain(Problem{"x.yaml", 0, 0, "", "no such file", "", ""}) == "x.yaml: no such file\n");
}

TEST_CASE("a file that is not there, a directory", "[scenario]") {
    CHECK(explain(load_file("/nowhere/x.yaml").problems) == "/nowhere/x.yaml: no such file\n");
    CHECK(explain(load_file("/").problems) == "/: is a directory, not a scenario file\n");
}
