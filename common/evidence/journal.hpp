// The journal: JSON Lines, one event a line, flushed line by line so that a killed process loses at most its last line.
#pragma once
#include <filesystem>
#include <functional>
#include <istream>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "common/evidence/event.hpp"

namespace wmlab::evidence {

struct Clock {
    std::function<std::chrono::sys_time<std::chrono::nanoseconds>()> utc;
    std::function<std::chrono::nanoseconds()> monotonic;
    static Clock system();
};

std::string to_line(const Event& event);  // without the line end

class Journal {
public:
    // `sink` gets whole lines, line end included. A sink that throws (disk full) is reported once and counted.
    Journal(std::string host, std::string process, std::function<void(std::string_view)> sink,
            Clock clock = Clock::system());
    void write(Event event);  // fills in the time, host and process where they are empty
    const std::string& host() const { return host_; }
    std::size_t lost() const { return lost_; }  // lines the sink refused

private:
    std::string host_, process_;
    std::function<void(std::string_view)> sink_;
    Clock clock_;
    std::size_t lost_ = 0;
};

// Reads lines of a journal. An incomplete last line (a crash) is left out; a broken line inside is a problem.
struct ReadJournal {
    std::vector<Event> events;
    std::vector<std::string> problems;  // "player.jsonl:17: not a JSON object"
    bool truncated = false;             // the last line was incomplete
};
ReadJournal read_journal(std::istream& in, std::string_view name);
std::optional<Event> event_from_line(std::string_view line, std::string& problem);

}  // namespace wmlab::evidence
