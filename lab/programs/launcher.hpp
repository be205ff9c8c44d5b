// Starts programs on hosts: in the built-in lab by fork and setns, elsewhere by a command prefix (ssh lab@media ...).
// Nothing but standard input and output connects them with the runner. One thread (that of the io_context).
#pragma once
#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/host/namespaces.hpp"

namespace wmlab::lab {

constexpr std::chrono::seconds kill_limit{5};  // until a program is gone that was killed

struct Ending {
    int code = 0;    // exit status
    int signal = 0;  // not 0: ended by it
    bool ok() const { return code == 0 && signal == 0; }
    std::string text() const;  // "exit status 1", "signal 9 (Killed)"
};

struct Start {
    std::string host;
    std::vector<std::string> argv;
    std::filesystem::path directory;              // empty: the caller's
    std::string names;                            // lines of /etc/hosts instead of the lab's; empty: those
    bool confined = false;                        // confinement.hpp; only where it is started in a namespace
    bool terminal = false;                        // has the caller's standard streams and its process group (exec)
    std::function<void(std::string_view)> line;   // each line of standard output, without its end
    std::function<void(std::string_view)> noise;  // standard error as it comes, and output where there is no `line`
    std::function<void(const Ending&)> ended;     // after the last line
};

class Process {
public:
    virtual ~Process() = default;
    virtual pid_t pid() const = 0;
    virtual const std::optional<Ending>& ending() const = 0;  // nothing while it runs
    virtual void write(std::string text) = 0;                 // queued; lost without error when the program is gone
    virtual void close_input() = 0;                           // after what is queued
    virtual void signal(int number) = 0;                      // to it and its children
};

class Launcher {
public:
    explicit Launcher(boost::asio::io_context& io);
    ~Launcher();                                         // kills what still runs
    void place(std::string host, const Namespace& net);  // programs of this host run in the namespace
    // Or are started by this command, from the namespace `from` (where it is not the caller's). It has no terminal:
    // what wants to ask for a password fails instead of waiting.
    void place(std::string host, std::vector<std::string> prefix, const Namespace* from = nullptr);
    std::shared_ptr<Process> start(Start start);  // SetupFailed: no such program, not permitted

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

// Runs a program to its end in a namespace, with `input`; for short tools (iptables-nft-restore).
struct ToolResult {
    Ending ending;
    std::string output;  // both streams
};
ToolResult run_tool(const Namespace& place, const std::vector<std::string>& argv, std::string_view input = {});

// The file a program's name stands for, in PATH and the system's directories: the first that may be run, and `fits`.
// Empty: nowhere.
std::filesystem::path find_program(std::string_view name, bool (*fits)(const std::filesystem::path&) = nullptr);
// The same for a simulator: beside the running program first.
std::filesystem::path find_simulator(std::string_view name);

}  // namespace wmlab::lab
