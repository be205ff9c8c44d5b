// wmlab alg: makes each announcement through the firewall and sees which packets get through because of it.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "lab/alg/announcements.hpp"
#include "lab/network/sandbox.hpp"
#include "lab/run/lab.hpp"

namespace wmlab::lab {

enum class Conduct {
    conforming,      // what is to open opens, and nothing else
    does_not_help,   // what is to open stays shut
    opens_too_much,  // packets get through that nobody announced, or that a wrong announcement named
    partly_tried,    // nothing wrong was seen, but not all that may open could be tried
    not_tried,
};
std::string_view text(Conduct conduct);  // "opens too much"

struct AlgFinding {
    Announcement announcement;
    Conduct conduct = Conduct::not_tried;
    bool opened = false;               // for the stream that was announced
    double opened_after = 0;           // ms after it was made; 0: not known
    std::vector<std::string> through;  // packets that got through and should not
    std::vector<std::string> left_out;  // packets that could not be tried
    std::vector<std::string> notes;
    std::string why;  // not_tried
};

struct AlgReport {
    std::string scenario, file, ruleset, inspector, captures;
    std::vector<AlgFinding> findings;
    std::vector<std::string> notes;
    double seconds = 0;
    bool interrupted = false;
    std::size_t count(Conduct conduct) const;
    Conduct conduct() const;  // the worst
};

struct AlgOptions {
    std::filesystem::path ruleset, captures;
    Setting setting;
    std::vector<std::string> inspector;  // a program that runs on the built-in firewall, and says `ready`; empty: none
    std::vector<Announces> kinds;        // empty: those of the scenario's flows, MMS and the mapper in any case
    std::chrono::milliseconds lifetime{1000};       // how long an open port is left alone, and kept in use for twice that
    std::function<bool(const Announcement&)> only;  // empty: all
    std::function<void(const std::string&)> progress;
};

// Inside the sandbox. SetupFailed, RulesetRefused.
AlgReport try_announcements(const ScenarioText& text, const Inside& inside, const AlgOptions& options);
std::vector<Announces> kinds_of(const scenario::Scenario& scenario);
// 0 conforming, 1 something does not help or opens too much, 4 something could not be tried, or not wholly, 130 interrupted.
int exit_code(const AlgReport& report);

// "text", "json", "junit", "html", "markdown"
std::vector<std::string_view> alg_formats();
std::string render_alg(const std::string& format, const AlgReport& report);

}  // namespace wmlab::lab
