// Collects the evidence of one lab: the runner's own events and the journals of the programs it started.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/evidence/journal.hpp"

namespace wmlab::lab {

class Recorder {
public:
    // `directory`: one journal per host and program; empty: none. SetupFailed where it cannot be made.
    Recorder(std::filesystem::path directory, std::function<void(const evidence::Event&)> seen);

    // An event of the runner itself; `host` may be empty where it is about the lab.
    void note(evidence::What what, const std::string& host = {}, const std::string& flow = {},
              boost::json::object fields = {});
    void add(evidence::Event event);  // made elsewhere by the runner (wires, traces)
    // A line of a program's journal; what it says, or nothing where it cannot be read (then it is a problem).
    const evidence::Event* line(const std::string& host, const std::string& program, std::string_view line);
    void finish(const std::string& reason);  // the runner's `stopped`

    std::vector<evidence::Event> events;
    std::vector<std::string> problems;  // lines that could not be read

private:
    void write(const std::string& file, std::string line);

    std::filesystem::path directory_;
    std::function<void(const evidence::Event&)> seen_;
    evidence::Clock clock_ = evidence::Clock::system();
    std::map<std::string, evidence::Sink> files_;
    std::size_t own_lines_ = 0;
};

}  // namespace wmlab::lab
