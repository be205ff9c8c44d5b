// Does the scenario's `events:` to the standing lab while the flows of a wave run, and writes down when it did (`happened`
// in docs/journal.md). Built-in setting only.
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lab/firewall/tracer.hpp"
#include "lab/run/crew.hpp"
#include "lab/run/lab.hpp"

namespace wmlab::lab {

class Incidents {
public:
    // `ruleset`: what is loaded when a wave begins; `tracer`: null where nothing is traced.
    Incidents(Lab& lab, Recorder& recorder, const ScenarioText& text, std::filesystem::path ruleset, Tracer* tracer);

    void start(Crew& crew, std::size_t wave);  // the flows begin now
    void stop();     // the flows are over: what has not happened does not happen
    void restore();  // nobody sends any more: all becomes what it was before start(). SetupFailed

private:
    struct Running {  // one entry, in one wave
        std::size_t index = 0;
        std::int64_t began = 0;
        bool done = false;
        std::function<void()> undo;  // after `lasts`, or at the end
    };
    void arm(std::size_t index, std::chrono::steady_clock::time_point start);
    void begin(std::size_t index);
    void end(Running& running);
    void note(const Running& running, std::int64_t ended, const std::string& problem);
    std::function<void()> perform(const scenario::Incident& incident, std::string& problem);
    void reload(const scenario::Incident& incident, std::string& problem);
    void trace_again(const std::filesystem::path& ruleset);

    Lab& lab_;
    Recorder& recorder_;
    const ScenarioText& text_;
    const std::filesystem::path ruleset_;
    Tracer* tracer_;
    Crew* crew_ = nullptr;
    std::size_t wave_ = 0;
    bool other_rules_ = false;  // than ruleset_
    std::vector<std::pair<std::string, std::string>> settings_;  // that were changed, as they were
    std::vector<std::unique_ptr<boost::asio::steady_timer>> timers_;
    std::vector<std::unique_ptr<Running>> running_;
};

// "reload of new.nft, flushed first": an entry of `events:` in words.
std::string incident_text(const scenario::Incident& incident);

}  // namespace wmlab::lab
