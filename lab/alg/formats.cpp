// What wmlab alg found, for people and for machines (schema wmlab.alg/1).
#include <spdlog/fmt/fmt.h>

#include <boost/json.hpp>

#include "lab/alg/kit.hpp"
#include "lab/report/clean.hpp"
#include "lab/report/json_string.hpp"
#include "lab/report/renderers.hpp"

namespace wmlab::lab {
namespace json = boost::json;
namespace {

std::string_view wish_words(Announcement::Wish wish) {
    using enum Announcement::Wish;
    return wish == opens ? "is to open" : wish == stays ? "is to open nothing" : "may open";
}

std::string about(const AlgFinding& finding) {
    std::vector<std::string> words;
    if (!finding.why.empty()) words.push_back(finding.why);
    for (const auto& through : finding.through) words.push_back(through + " got through");
    for (const auto& packet : finding.left_out) words.push_back("not tried: " + packet);
    if (finding.conduct == Conduct::does_not_help) words.emplace_back("the announced port stays shut");
    if (finding.opened_after > 0) words.push_back(fmt::format("open after {:.0f} ms", finding.opened_after));
    words.insert(words.end(), finding.notes.begin(), finding.notes.end());
    return fmt::format("{}", fmt::join(words, "; "));
}

std::string sum(const AlgReport& report) {
    const auto partly = report.count(Conduct::partly_tried);
    return fmt::format("{} announcements: {} conforming,{} {} that do not help, {} that open too much, {} not tried; {:.1f} s", report.findings.size(),
                       report.count(Conduct::conforming), partly == 0 ? "" : fmt::format(" {} partly tried,", partly), report.count(Conduct::does_not_help),
                       report.count(Conduct::opens_too_much), report.count(Conduct::not_tried), report.seconds);
}

std::string subject(const AlgReport& report) {
    std::string words = report.ruleset.empty() ? "the firewall" : report.ruleset;
    if (!report.inspector.empty()) words += ", inspected by `" + report.inspector + "`";
    return words;
}

std::string as_text(const AlgReport& report) {
    std::string out = fmt::format("{}\n{}: {}\n", report.scenario, subject(report), text(report.conduct()));
    for (const auto& note : report.notes) out += "note: " + note + "\n";
    out += "\n";
    for (const auto& finding : report.findings) {
        const bool bad = finding.conduct == Conduct::does_not_help || finding.conduct == Conduct::opens_too_much;
        out += fmt::format("{} {:<22} {:<15} {}\n", bad ? "!" : " ", finding.announcement.id, text(finding.conduct), finding.announcement.what);
        if (const auto words = about(finding); !words.empty()) out += fmt::format("      {}\n", words);
    }
    if (!report.captures.empty()) out += fmt::format("\ncaptures in {}: the packets of an announcement carry its name (`frame contains \"split-2\"`)\n", report.captures);
    return printable(out + "\n" + sum(report) + "\n", false);
}

std::string as_json(const AlgReport& report) {
    const auto strings = [](const std::vector<std::string>& list) {
        json::array all;
        for (const auto& one : list) all.push_back(string(one));
        return all;
    };
    json::array findings;
    for (const auto& finding : report.findings) {
        const auto& one = finding.announcement;
        json::object entry{{"id", string(one.id)},
                           {"what", string(one.what)},
                           {"protocol", string(text(one.kind))},
                           {"wish", string(wish_words(one.wish))},
                           {"port", one.port},
                           {"verdict", string(text(finding.conduct))},
                           {"opened", finding.opened},
                           {"through", strings(finding.through)},
                           {"left_out", strings(finding.left_out)},
                           {"notes", strings(finding.notes)}};
        if (finding.opened_after > 0) entry["milliseconds"] = finding.opened_after;
        if (!finding.why.empty()) entry["why"] = string(finding.why);
        findings.push_back(std::move(entry));
    }
    const json::object root{{"schema", "wmlab.alg/1"},
                            {"scenario", string(report.scenario)},
                            {"ruleset", report.ruleset.empty() ? json::value(nullptr) : json::value(string(report.ruleset))},
                            {"inspector", report.inspector.empty() ? json::value(nullptr) : json::value(string(report.inspector))},
                            {"captures", report.captures.empty() ? json::value(nullptr) : json::value(string(report.captures))},
                            {"verdict", string(text(report.conduct()))},
                            {"announcements", std::move(findings)},
                            {"notes", strings(report.notes)},
                            {"seconds", report.seconds}};
    return inert_json(json::serialize(json::value(root))) + "\n";
}

std::string as_junit(const AlgReport& report) {
    std::string cases;
    for (const auto& finding : report.findings) {
        const auto name = xml_escaped(fmt::format("{}: {}", finding.announcement.id, finding.announcement.what));
        const bool bad = finding.conduct == Conduct::does_not_help || finding.conduct == Conduct::opens_too_much;
        if (finding.conduct == Conduct::conforming) {
            cases += fmt::format("    <testcase classname=\"alg\" name=\"{}\" time=\"0\"/>\n", name);
            continue;
        }
        cases += fmt::format("    <testcase classname=\"alg\" name=\"{0}\" time=\"0\">\n      <{1} type=\"{2}\" message=\"{3}\"/>\n    </testcase>\n", name,
                             bad ? "failure" : "error", text(finding.conduct), xml_escaped(about(finding)));
    }
    const auto counts = fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\"", report.findings.size(),
                                    report.count(Conduct::does_not_help) + report.count(Conduct::opens_too_much), report.count(Conduct::not_tried));
    return fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"wmlab\" {0} time=\"{2:.3f}\">\n  <testsuite name=\"{1}\" {0} skipped=\"0\" time=\"{2:.3f}\">\n    <properties>\n      <property name=\"subject\" value=\"{4}\"/>\n    </properties>\n{3}  </testsuite>\n</testsuites>\n",
                       counts, xml_escaped(report.scenario), report.seconds, cases, xml_escaped(subject(report)));
}

// One table, as HTML; forges show it in markdown too, and nothing in it can become markup.
std::string table(const AlgReport& report) {
    std::string out = "<table>\n<thead><tr><th>announcement</th><th></th><th>verdict</th><th></th></tr></thead>\n<tbody>\n";
    for (const auto& finding : report.findings)
        out += fmt::format("<tr><td>{}</td><td>{}; {}</td><td>{}</td><td>{}</td></tr>\n", xml_escaped(finding.announcement.id), xml_escaped(finding.announcement.what),
                           wish_words(finding.announcement.wish), text(finding.conduct), xml_escaped(about(finding)));
    out += "</tbody>\n</table>\n";
    for (const auto& note : report.notes) out += fmt::format("<p>{}</p>\n", xml_escaped(note));
    return out;
}

std::string as_markdown(const AlgReport& report) {
    return fmt::format("## wmlab alg: {}\n\n{}\n\n<p>{}</p>\n\n{}", text(report.conduct()), sum(report),
                       xml_escaped(fmt::format("{}: {}", report.scenario, subject(report))), table(report));
}

std::string as_html(const AlgReport& report) {
    return fmt::format("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>wmlab alg: {0}</title>\n<style>body{{font-family:sans-serif}}"
                       "td,th{{border:1px solid #888;padding:.2em .5em;text-align:left}}table{{border-collapse:collapse}}</style>\n</head>\n<body>\n<h1>{0}</h1>\n"
                       "<p>{1}: <strong>{2}</strong></p>\n<p>{3}</p>\n{4}</body>\n</html>\n",
                       xml_escaped(report.scenario), xml_escaped(subject(report)), text(report.conduct()), sum(report), table(report));
}

}  // namespace

std::vector<std::string_view> alg_formats() { return {"text", "json", "junit", "html", "markdown"}; }

std::string render_alg(const std::string& format, const AlgReport& report) {
    if (format == "json") return as_json(report);
    if (format == "junit") return as_junit(report);
    if (format == "html") return as_html(report);
    return format == "markdown" ? as_markdown(report) : as_text(report);
}

}  // namespace wmlab::lab
