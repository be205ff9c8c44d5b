#include "lab/run/recorder.hpp"

#include <cerrno>
#include <system_error>

#include "common/evidence/fields.hpp"
#include "lab/host/error.hpp"

namespace wmlab::lab {
namespace {

constexpr const char* runner = "wmlab";
constexpr const char* the_lab = "lab";  // the host of events that are about none

}  // namespace

Recorder::Recorder(std::filesystem::path directory, std::function<void(const evidence::Event&)> seen)
    : directory_{std::move(directory)}, seen_{std::move(seen)} {
    if (directory_.empty()) return;
    std::error_code failure;
    std::filesystem::create_directories(directory_, failure);
    if (!failure && ::access(directory_.c_str(), W_OK) != 0) failure = {errno, std::system_category()};
    if (failure) throw SetupFailed{"make the journals' directory " + directory_.string(), failure.message()};
}

void Recorder::write(const std::string& file, std::string line) {
    if (directory_.empty()) return;
    try {
        auto& sink = files_[file];
        if (!sink) {
            std::filesystem::remove(directory_ / file);  // of an earlier run
            sink = evidence::file_sink(directory_ / file);
        }
        sink(line += '\n');
    } catch (const std::exception& failure) {
        if (problems.empty() || !problems.back().starts_with(file))
            problems.push_back(file + ": cannot be written: " + failure.what());
    }
}

void Recorder::add(evidence::Event event) {
    if (event.utc.time_since_epoch().count() == 0) event.utc = clock_.utc();
    if (event.monotonic.count() == 0) event.monotonic = clock_.monotonic();
    if (event.host.empty()) event.host = the_lab;
    event.process = runner;
    ++own_lines_;
    if (event.event == evidence::What::stopped) event.fields[field::lines] = own_lines_;
    write("wmlab.jsonl", evidence::to_line(event));
    events.push_back(std::move(event));
    if (seen_) seen_(events.back());
}

void Recorder::note(evidence::What what, const std::string& host, const std::string& flow, boost::json::object fields) {
    evidence::Event event;
    event.event = what;
    event.host = host;
    event.flow = flow;
    event.fields = std::move(fields);
    add(std::move(event));
}

const evidence::Event* Recorder::line(const std::string& host, const std::string& program, std::string_view line) {
    write(host + "." + program + ".jsonl", std::string{line});
    std::string problem;
    auto event = evidence::event_from_line(line, problem);
    if (!event) {
        constexpr std::size_t told_max = 100;
        if (!problem.empty() && problems.size() < told_max) problems.push_back(program + " on " + host + ": " + problem);
        return nullptr;
    }
    events.push_back(std::move(*event));
    if (seen_) seen_(events.back());
    return &events.back();
}

void Recorder::finish(const std::string& reason) {
    boost::json::object fields;
    fields[field::reason] = reason;
    note(evidence::What::stopped, {}, {}, std::move(fields));
}

}  // namespace wmlab::lab
