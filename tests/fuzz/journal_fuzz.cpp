// A journal from anybody, as `wmlab judge` reads it and as the runner takes it line by line from a simulator: events that
// can be written again, and verdicts for every flow.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <sstream>
#include <string>

#include "common/evidence/clocks.hpp"
#include "common/evidence/journal.hpp"
#include "common/scenario/catalogue.hpp"
#include "common/scenario/loader.hpp"
#include "lab/judge/judge.hpp"
#include "lab/report/report.hpp"
#include "lab/rules/attribution.hpp"

using namespace wmlab;

namespace {

void require_of_journal(bool holds) {
    if (!holds) std::abort();
}

const scenario::Scenario& scenario_of_journal() {
    static const auto loaded = scenario::load(R"(version: 1
name: fuzz
zones: { i: { subnet: 10.0.0.0/24 }, o: { subnet: 10.1.0.0/24 } }
hosts: { a: { zone: i, address: 10.0.0.2 }, b: { zone: o, address: 10.1.0.2, published: 10.0.0.99 }, p: { zone: o, address: 10.1.0.3, run: [x] } }
content: { c: { synthetic: audio } }
defaults: { content: c }
flows:
  - { id: m, type: mms-tcp, from: a, to: b }
  - { id: u, type: mms-udp, from: a, to: b }
  - { id: r, type: mms-auto, from: a, to: b }
  - { id: h, type: http, from: a, to: b }
  - { id: x, type: http, from: a, to: b, proxy: { host: p, port: 3128 } }
  - { id: s, type: msbd, from: a, to: b, source: encoder }
  - { id: d, type: dcom, from: a, to: b, processes: 1, reserved_ports: 3001-3010 }
  - { id: e, type: encoder-alias, from: a, to: b, alias: al, reserved_ports: 3001-3010 }
  - { id: g, type: multicast, from: b, to: a, group: 239.1.2.3, port: 8080 }
  - { id: t, type: probe, from: a, to: b, protocol: tcp, ports: 23 }
  - { id: q, type: probe, from: a, to: b, protocol: udp, ports: 24-30 }
  - { id: k, type: command, from: a, to: b, run: [y] }
)",
                                              "fuzz.yaml", "/", scenario::Files::not_checked);
    require_of_journal(loaded.ok());
    return loaded.scenario;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text{reinterpret_cast<const char*>(data), size};
    std::istringstream in{text};
    auto journal = evidence::read_journal(in, "fuzz.jsonl");
    require_of_journal(journal.problems.size() <= 101);
    for (const auto& event : journal.events) {
        std::string problem;
        const auto again = evidence::event_from_line(evidence::to_line(event), problem);
        require_of_journal(again && problem.empty() && again->event == event.event);
        // The order of fields may be another; what they say may not.
        require_of_journal(boost::json::parse(evidence::to_line(*again)) == boost::json::parse(evidence::to_line(event)));
    }
    evidence::align_clocks(journal.events);
    const auto& scenario = scenario_of_journal();
    // The second half as what was seen with the firewall open.
    const std::span all{journal.events};
    for (const auto half : {all.size(), all.size() / 2}) {
        lab::JudgeOptions options;
        options.control_run = half != all.size();
        options.problems = journal.problems;
        auto report = lab::judge(scenario, all.first(half), all.subspan(half), options);
        lab::rules::attribute(report, scenario, all);
        require_of_journal(report.flows.size() == scenario::instances(scenario).size());
        for (const auto& flow : report.flows) {
            require_of_journal(!flow.id.empty());
            // Nothing passes without evidence that it did.
            if (flow.verdict == lab::Verdict::pass) require_of_journal(half > 0 && !flow.legs.empty());
        }
        require_of_journal(lab::exit_code(report) >= 0);
    }
    return 0;
}
