#include "lab/report/report.hpp"

#include <ctime>
#include <chrono>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/catch.hpp"
#include "tests/lab/report/sample_report.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

std::string rendered(std::string_view format, Style style = {}) {
    for (const auto& renderer : renderers()) {
        if (renderer.name == format) return renderer.render(sample_report(), style);
    }
    FAIL("no such format");
    return {};
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

struct Directory {
    std::filesystem::path path;
    Directory() {
        auto pattern = (std::filesystem::temp_directory_path() / "report-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    ~Directory() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("the text report: a table, a paragraph for what matters, a summary", "[report]") {
    const auto text = rendered("text");
    CHECK(has(text, "ruleset: rules/new.nft"));
    CHECK(has(text, "! unicast-udp           mms-udp    player -> media  blocked       media  rejected"));
    CHECK(has(text, "  unicast-tcp           mms-tcp    player -> media  pass\n"));
    CHECK(has(text, "unicast-udp: blocked at media: rejected (to->from); expected pass"));
    CHECK(has(text, "rule: rules/new.nft:14: reject"));
    CHECK(has(text, "almost: rules/new.nft:31: udp dport 1024-4999 accept (inet filter forward); destination port 5000 is above 4999"));
    CHECK(has(text, "rollover              mms-auto   player -> media  pass (tcp)"));
    CHECK(has(text, "2 flows (unicast-tcp, rollover): retried: control: connected at attempt 2"));
    CHECK(has(text, "4 flows: 2 as expected, 1 not, 1 inconclusive; 3.1 s"));
    CHECK_FALSE(has(text, "\nunicast-tcp: pass"));
}

TEST_CASE("colours and quiet", "[report]") {
    CHECK_FALSE(has(rendered("text"), "\x1b["));
    CHECK(has(rendered("text", {true, false}), "\x1b[31mblocked"));
    const auto quiet = rendered("text", {false, true});
    CHECK_FALSE(has(quiet, "unicast-tcp"));
    CHECK(has(quiet, "unicast-udp"));
}

TEST_CASE("annotations point at the rule where it is known, else at the flow", "[report]") {
    const auto text = rendered("github");
    CHECK(
        has(text, "::error file=rules/new.nft,line=14,title=unicast-udp%3A blocked at media%3A rejected (to->from)::"));
    CHECK(has(text, "::warning file=scenarios/sample.yaml,line=11,title=station[media->edge]%3A inconclusive at join%3A process-died::"));
    CHECK(has(text, "100%25 lost:%0Asecond line"));
}

TEST_CASE("JUnit says cause and evidence in each failure", "[report]") {
    const auto text = rendered("junit");
    CHECK(
        has(text, "<failure type=\"rejected\" message=\"blocked at media: rejected (to-&gt;from); expected pass; broken by the change: before it was pass\">"));
    CHECK(has(text, "media: player&#39;s interface: no UDP received."));
    CHECK(has(text, "<error type=\"process-died\""));
}

TEST_CASE("the option --report FORMAT[:FILE]", "[report]") {
    std::string problem;
    const auto plain = report_target("json", problem);
    REQUIRE(plain);
    CHECK(plain->file.empty());
    const auto filed = report_target("junit:out/a:b.xml", problem);
    REQUIRE(filed);
    CHECK(filed->file == "out/a:b.xml");
    CHECK_FALSE(report_target("jsn", problem));
    CHECK(has(problem, "unknown report format `jsn`; known are text, json"));
    CHECK_FALSE(report_target("json:", problem));
    CHECK(has(problem, "names no file"));
}

TEST_CASE("a file that cannot be written is said before, and an old report is left alone", "[report]") {
    const Directory directory;
    std::string problem;
    const auto missing = *report_target("json:" + (directory.path / "no/such.json").string(), problem);
    CHECK(has(cannot_write(std::vector{missing}), "cannot be written: No such file or directory"));
    const auto fresh = *report_target("json:" + (directory.path / "new.json").string(), problem);
    CHECK(cannot_write(std::vector{fresh}).empty());
    CHECK_FALSE(std::filesystem::exists(fresh.file));
    std::ofstream{directory.path / "old.json"} << "old";
    const auto old = *report_target("json:" + (directory.path / "old.json").string(), problem);
    CHECK(cannot_write(std::vector{old}).empty());
    CHECK(std::filesystem::file_size(old.file) == 3);
}

TEST_CASE("no line is wider than the terminal, and nothing is lost by that", "[report]") {
    for (const unsigned width : {60U, 80U, 132U}) {
        auto report = sample_report();
        report.flows[1].rule->text = std::string(200, 'r');
        std::string all, narrow;
        for (const auto& renderer : renderers()) {
            if (renderer.name != "text") continue;
            all = renderer.render(report, {});
            narrow = renderer.render(report, {false, false, width});
        }
        std::istringstream lines{narrow};
        for (std::string line; std::getline(lines, line);) CHECK(line.size() <= width);
        std::erase_if(narrow, [](char c) { return c == ' ' || c == '\n'; });
        CHECK(has(narrow, std::string(200, 'r')));
        CHECK(has(narrow, "4flows:2asexpected,1not,1inconclusive"));
    }
}

TEST_CASE("what is as expected gets no advice, and what many flows share is said once", "[report]") {
    auto report = sample_report();
    for (int i = 0; i < 200; ++i) {
        auto flow = report.flows[1];
        flow.id = "load#" + std::to_string(i);
        flow.notes = {"the same"};
        report.flows.push_back(flow);
    }
    report.summary.unexpected += 200;
    report.flows[1].as_expected = true;
    report.flows[1].suggestions[0].rule = "advice for nothing";
    std::string text;
    for (const auto& renderer : renderers())
        if (renderer.name == "text") text = renderer.render(report, {});
    CHECK_FALSE(has(text, "advice for nothing"));
    CHECK(has(text, "200 flows: rules/new.nft:14: reject"));
    CHECK(has(text, "200 flows (load#0, load#1, load#2, load#3, load#4 and 195 more): the same"));
    CHECK(text.size() < 25'000);
}

TEST_CASE("300 flows that one rule stops are a page, those that it does not are on it, and it fits a terminal", "[report]") {
    const auto text_of = [](const Report& report) {
        for (const auto& renderer : renderers())
            if (renderer.name == "text") return renderer.render(report, {false, false, 80});
        return std::string{};
    };
    const auto report_of = [](const std::vector<FlowResult>& kinds, std::size_t flows) {
        auto report = sample_report();
        report.flows.clear();
        report.notes.clear(), report.incidents.clear(), report.loads.clear(), report.coverage.reset(), report.baseline.reset(), report.patch.reset();
        for (std::size_t i = 0; i < flows; ++i) {
            report.flows.push_back(kinds[i % kinds.size()]);
            report.flows.back().id = "flow#" + std::to_string(i);
            report.flows.back().from = "player" + std::to_string(i % 7);
        }
        report.summary = {static_cast<unsigned>(flows), 0, static_cast<unsigned>(flows), 0, 7.6};
        return report;
    };
    const auto sample = sample_report();
    auto other = sample.flows[1];
    other.leg = "control", other.direction = "from->to";
    const auto many = report_of({sample.flows[1], other}, 300);
    const auto text = text_of(many);
    CHECK(std::ranges::count(text, '\n') < 60);
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 80);
    CHECK(has(text, "and 147 more"));
    CHECK(has(text, "several"));  // from whom
    // One that is otherwise has its row and its paragraph, wherever it stands.
    for (const std::size_t at : {0U, 150U, 299U}) {
        auto one = many;
        one.flows[at].id = "otherwise";
        one.flows[at].rule->line = 4711;
        const auto told = text_of(one);
        CHECK(has(told, "! otherwise"));
        CHECK(has(told, "otherwise: blocked at"));
        CHECK(has(told, "4711"));
    }
    // Of few all are shown.
    CHECK(has(text_of(report_of({sample.flows[1]}, 40)), "! flow#39"));
}

TEST_CASE("the html report draws each of several firewalls, and names the one that stopped a flow", "[report]") {
    const auto page_of = [](const Report& report) {
        for (const auto& renderer : renderers())
            if (renderer.name == "html") return renderer.render(report, {});
        return std::string{};
    };
    auto report = sample_report();
    auto picture = *report.picture;
    const auto count = [](const std::string& text, const std::string& part) {
        std::size_t found = 0;
        for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
        return found;
    };
    const auto single = page_of(report);
    CHECK(count(single, "class=\"fw\"") == 1);
    CHECK(has(single, "The zones around the firewall, "));
    REQUIRE(picture.zones.size() >= 2);
    picture.boxes = {{"near", {picture.zones[0].name, "between"}}, {"middle", {"between", "further"}}, {"far", {"further", picture.zones[1].name}}};
    report.picture = std::make_shared<const Picture>(picture);
    for (auto& flow : report.flows)
        if (flow.verdict == Verdict::blocked) flow.box = "middle";
    const auto page = page_of(report);
    CHECK(count(page, "class=\"fw\"") == 3);
    CHECK(has(page, "The zones around the firewalls, "));
    for (const auto* name : {">near<", ">middle<", ">far<"}) CHECK(has(page, name));
    CHECK_FALSE(has(page, " at the firewall:"));
}

TEST_CASE("the html report of a thousand flows can be mailed, and is written at once", "[report]") {
    auto report = sample_report();
    auto picture = *report.picture;
    while (report.flows.size() < 1000) {
        auto flow = report.flows[report.flows.size() % 5 == 0 ? 1 : 0];
        flow.id = "load#" + std::to_string(report.flows.size());
        auto ladder = picture.ladders.begin()->second;
        for (int i = 0; i < 30; ++i)
            ladder.steps.push_back(
                {Step::Kind::message, i + 3.0, "player", "media", "LinkMacToViewerReportConnectedEX " + flow.id});
        picture.ladders[flow.id] = ladder;
        report.flows.push_back(flow);
    }
    report.picture = std::make_shared<const Picture>(picture);
    for (const auto& renderer : renderers()) {
        if (renderer.name != "html") continue;
        const auto start = std::clock();  // of this process: others do not count
        const auto page = renderer.render(report, {});
        CHECK(std::clock() - start < 5 * CLOCKS_PER_SEC);  // unoptimised and under sanitizers; half a second otherwise
        CHECK(page.size() < 2'000'000);
        CHECK(has(page, "id=\"f999\""));
        CHECK(has(page, "No ladder, so that the page stays small"));
    }
}

TEST_CASE("where no report goes to standard output, the end of the text report does", "[report]") {
    const Directory directory;
    std::string problem;
    const std::vector targets{*report_target("json:" + (directory.path / "r.json").string(), problem)};
    std::ostringstream out, none;
    CHECK(write_reports(sample_report(), targets, out, {}).empty());
    CHECK(has(out.str(), "1 flow: rules/new.nft:14: reject"));
    CHECK(has(out.str(), "4 flows: 2 as expected"));
    CHECK(write_reports(sample_report(), targets, none, {false, true}).empty());
    CHECK(none.str().empty());
}

TEST_CASE("several reports at once, files never in colour", "[report]") {
    const Directory directory;
    std::string problem;
    const std::vector targets{*report_target("text:" + (directory.path / "report.txt").string(), problem),
                              *report_target("tap", problem)};
    std::ostringstream out;
    CHECK(write_reports(sample_report(), targets, out, {true, false}).empty());
    CHECK(out.str().starts_with("TAP version 13"));
    std::ifstream file{directory.path / "report.txt"};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    CHECK(has(text, "unicast-udp"));
    CHECK_FALSE(has(text, "\x1b["));
}

TEST_CASE("a load is told in every report", "[report]") {
    for (const auto* format : {"text", "markdown", "html", "junit", "tap", "github", "sarif"}) {
        INFO(format);
        std::string report;  // without markup, its lines as one
        for (const char c : rendered(format)) {
            if (c == '\n' || c == ' ') {
                if (!report.ends_with(' ')) report += ' ';
            } else if (c != '\\') {
                report += c;
            }
        }
        for (auto at = report.find("%25"); at != std::string::npos; at = report.find("%25", at + 1)) report.erase(at + 1, 2);  // GitHub's
        CHECK(has(report, "50 players of mms-udp from player to media, who come over 1.5 s and then all play 10 s: 49 set up, 30 worked."));
        CHECK(has(
            report,
            "Set-up p50 12.5 ms, p95 80.0 ms, p99 950.2 ms; loss 0.30 % (12 of 4012 packets); jitter p50 0.5 ms, p95 2.0 ms, p99 7.0 ms; 3 gaps, 0.25 a second."));
        CHECK(has(report, "The worst second began at 1.0 s: 49 playing, 12 packets lost, 3 gaps, jitter 7.0 ms."));
        CHECK(has(report, "The firewall was the limit: 30 of 50 players worked, 40 packets did not come through, by "));
        CHECK(has(report, "38 packets of 19 players"));
        CHECK(has(report, "The machine, and not the firewall, was the limit: the processors were up to 99 % busy, an event loop was up to "));
    }
}
