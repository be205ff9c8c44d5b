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

// Without the line end. Bytes that are not UTF-8 become U+FFFD; fields that are named like the event's own parts
// ("time", "host", ...) are left out.
std::string to_line(const Event& event);

// Where lines go. A sink takes whole lines, line end included, and throws std::system_error when it cannot keep one.
using Sink = std::function<void(std::string_view)>;
Sink file_sink(const std::filesystem::path& file);  // created or appended to; throws where that is not possible
Sink descriptor_sink(int descriptor);               // standard output; not closed. SIGPIPE is the caller's to ignore
Sink sink_for(const std::string& where);            // "-" is standard output, otherwise a file

class Journal {
public:
    // A line that the sink refuses (disk full) is counted, the first is said on `complaints`; the process goes on. The
    // `stopped` event then tells how many were lost, if it can be written at all. It always tells how many lines were
    // written, itself included: so a reader knows when one is missing.
    // Without a sink nothing is written anywhere.
    Journal(std::string host, std::string process, Sink sink, Clock clock = Clock::system());
    void complain_to(std::function<void(const std::string&)> complaints) { complaints_ = std::move(complaints); }
    void write(Event event);  // fills in the time, host and process where they are empty
    const std::string& host() const { return host_; }
    const std::string& process() const { return process_; }
    bool kept() const { return static_cast<bool>(sink_); }
    std::size_t lost() const { return lost_; }  // lines the sink refused

private:
    std::string host_, process_;
    Sink sink_;
    Clock clock_;
    std::function<void(const std::string&)> complaints_;  // standard error unless set
    std::size_t written_ = 0, lost_ = 0;
};

// Reads lines of a journal. An incomplete last line (a crash) is left out; a broken line inside is a problem.
struct ReadJournal {
    std::vector<Event> events;
    std::vector<std::string> problems;  // "player.jsonl:17: not a JSON object"; at most 100
    std::size_t unknown = 0;            // events of a word that this version does not know
    bool truncated = false;             // the last line was incomplete
};
ReadJournal read_journal(std::istream& in, std::string_view name);
// Nothing and an empty `problem`: an event that this version does not know.
std::optional<Event> event_from_line(std::string_view line, std::string& problem);

inline constexpr std::size_t line_size_max = std::size_t{4} << 20;  // longer lines are problems

// "2026-11-24T16:31:32.123456789Z"
std::string text(std::chrono::sys_time<std::chrono::nanoseconds> time);
std::optional<std::chrono::sys_time<std::chrono::nanoseconds>> time_from(std::string_view text);

}  // namespace wmlab::evidence
