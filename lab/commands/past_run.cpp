#include "lab/commands/past_run.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "common/scenario/verdict.hpp"
#include "lab/commands/bundle.hpp"
#include "lab/commands/options.hpp"
#include "lab/report/clean.hpp"

namespace wmlab::lab::commands {
namespace {

std::string said(const boost::json::object& object, std::string_view key) {
    const auto* const value = object.if_contains({key.data(), key.size()});
    return value != nullptr && value->is_string() ? clean({value->get_string().data(), value->get_string().size()})
                                                  : std::string{};
}

PastFlow flow_from(const boost::json::object& object) {
    PastFlow flow;
    flow.id = said(object, "id");
    flow.transport = said(object, "transport");
    flow.headline = said(object, "verdict");
    flow.passed = flow.headline == text(scenario::Verdict::pass);
    if (const auto leg = said(object, "leg"); !leg.empty()) flow.headline += " at " + leg;
    const auto cause = said(object, "cause"), reason = said(object, "reason");
    if (!cause.empty() || !reason.empty()) flow.headline += ": " + (cause.empty() ? reason : cause);
    if (const auto* const expected = object.if_contains("as_expected"))
        flow.as_expected = expected->is_bool() && expected->get_bool();
    if (const auto* const rule = object.if_contains("rule"); rule != nullptr && rule->is_object())
        flow.rule = said(rule->get_object(), "text");
    return flow;
}

void surroundings_from(const boost::json::object& identity, PastRun& run) {
    run.when = said(identity, "when");
    for (const auto* key : {"kernel", "nft", "iptables", "machine", "lab"}) run.surroundings[key] = said(identity, key);
    if (const auto* const self = identity.if_contains("wmlab"); self != nullptr && self->is_object())
        run.surroundings["wmlab"] =
            fmt::format("{} {}", said(self->get_object(), "version"), said(self->get_object(), "commit"));
    const auto hashed = [&](const std::string& what, const boost::json::value& value) {
        if (value.is_object())
            run.surroundings[what + " " + said(value.get_object(), "name")] = said(value.get_object(), "sha256");
    };
    if (const auto* const scenario = identity.if_contains("scenario"); scenario != nullptr && scenario->is_object())
        run.surroundings["scenario"] = said(scenario->get_object(), "sha256");
    for (const auto& [key, what] : {std::pair{"rulesets", "ruleset"}, std::pair{"contents", "content"}})
        if (const auto* const list = identity.if_contains(key); list != nullptr && list->is_array())
            for (const auto& entry : list->get_array()) hashed(what, entry);
}

}  // namespace

std::string PastFlow::outcome() const {
    auto words = headline;
    if (!transport.empty()) words += " over " + transport;
    if (!rule.empty() && !passed) words += fmt::format(", by `{}`", rule);
    return words;
}

const PastFlow* PastRun::flow(const std::string& id) const {
    const auto found = std::ranges::find(flows, id, &PastFlow::id);
    return found == flows.end() ? nullptr : &*found;
}

PastRun past_run(const std::filesystem::path& file) {
    PastRun run;
    run.file = file;
    std::string text;
    if (is_bundle(file)) {
        try {
            const auto bundle = read_bundle(file);
            text = bundle.member("report.json");
            for (const auto& [name, bytes] : bundle.members) {
                if (!name.starts_with("rulesets/")) continue;
                std::istringstream in{bytes};
                for (std::string line; std::getline(in, line);) run.rulesets[name].push_back(clean(line));
            }
        } catch (const BundleRefused& refused) {
            throw UsageError{refused.what()};
        }
    } else {
        errno = 0;
        std::ifstream in{file, std::ios::binary};
        if (!in) throw UsageError{fmt::format("{}: {}", file.string(), std::strerror(errno))};
        std::ostringstream all;
        all << in.rdbuf();
        text = std::move(all).str();
    }
    boost::system::error_code failure;
    const auto value = boost::json::parse(text, failure);
    const auto* const report = failure ? nullptr : value.if_object();
    if (report == nullptr || said(*report, "schema") != "wmlab.report/1")
        throw UsageError{fmt::format("{}: this is neither a bundle nor a JSON report of wmlab", file.string())};
    run.scenario = said(*report, "scenario");
    run.ruleset = said(*report, "ruleset");
    if (const auto* const identity = report->if_contains("identity"); identity != nullptr && identity->is_object())
        surroundings_from(identity->get_object(), run);
    if (const auto* const flows = report->if_contains("flows"); flows != nullptr && flows->is_array())
        for (const auto& flow : flows->get_array())
            if (flow.is_object()) run.flows.push_back(flow_from(flow.get_object()));
    return run;
}

}  // namespace wmlab::lab::commands
