// A device's log while a scenario runs: a file, what a command prints, or what the device sends by syslog. Bounded;
// what goes wrong costs the names of rules, never verdicts.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "lab/run/lab.hpp"

namespace wmlab::lab {

std::string log_name(const scenario::DeviceLog& device);       // for reports
std::string read_log_file(const std::filesystem::path& file);  // its end, where it is large; empty: it cannot be read

class DeviceLogSource {
public:
    DeviceLogSource(Lab& lab, const scenario::DeviceLog& device, std::string box);
    ~DeviceLogSource();
    DeviceLogSource(const DeviceLogSource&) = delete;
    DeviceLogSource& operator=(const DeviceLogSource&) = delete;
    std::string finish();            // after a moment for what is under way
    const std::string box;           // whose log it is
    std::vector<std::string> notes;  // for the report

private:
    struct State;
    void listen();
    void receive();
    void accept();
    Lab& lab_;
    const scenario::DeviceLog& device_;
    std::shared_ptr<State> state_;
};

}  // namespace wmlab::lab
