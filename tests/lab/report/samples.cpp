// report_samples DIRECTORY: writes sample.FORMAT and judged.FORMAT for every format, for formats_test.py. Each file
// DIRECTORY/attacks/NAME holds words that somebody may have written into a ruleset: NAME.FORMAT has them everywhere.
#include <fstream>
#include <iostream>
#include <iterator>

#include "lab/judge/judge.hpp"
#include "lab/report/report.hpp"
#include "tests/lab/judge/journal_builder.hpp"
#include "tests/lab/report/sample_report.hpp"

using namespace wmlab::lab;

namespace {

// What the judge itself makes of a run: a pass, a block, something unknown.
Report judged() {
    Story story{mms_flow("good", "mms-udp") + mms_flow("bad", "mms-tcp") + mms_flow("gone", "mms-tcp")};
    mms_processes(story, {"good", "bad"});
    mms_udp_session(story, "good", {.resend = Fate::lost});
    const auto c = story.fail("bad", "control", "player", "media", 1755, Story::unreachable(13, "10.20.0.1"));
    story.crosses("player", "media", "tcp", "syn", c.local, c.remote, 1, Fate::lost);
    story.ended("player", "bad", "failed", "tcp");
    return judge(story.scenario(), story.events());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const std::filesystem::path directory = argv[1];
    for (const auto& renderer : renderers()) {
        const std::string format{renderer.name};
        std::ofstream{directory / ("sample." + format)} << renderer.render(sample_report(), {});
        std::ofstream{directory / ("judged." + format)} << renderer.render(judged(), {});
        std::ofstream{directory / ("empty." + format)} << renderer.render(Report{}, {});
    }
    const auto attacks = directory / "attacks";
    if (!std::filesystem::exists(attacks)) return 0;
    for (const auto& entry : std::filesystem::directory_iterator{attacks}) {
        std::ifstream in{entry.path(), std::ios::binary};
        const std::string words{std::istreambuf_iterator<char>{in}, {}};
        for (const auto& renderer : renderers()) {
            const auto name = entry.path().filename().string() + "." + std::string{renderer.name};
            std::ofstream{directory / name, std::ios::binary} << renderer.render(attacked_report(words), {});
            if (renderer.name == "text")
                std::ofstream{directory / (name + "-colour"), std::ios::binary}
                    << renderer.render(attacked_report(words), {true, false, 80});
        }
    }
    return 0;
}
