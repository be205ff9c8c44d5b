// What server_sim, client_sim and encoder_sim share: the command line, scenario mode with its control channel (see
// docs/architecture.md), the journal, signals, privileges and exit codes.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/positional_options.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/process/context.hpp"

namespace wmlab::process {

struct Description {
    std::string name;                                     // "server_sim"
    std::string summary;                                  // one sentence
    std::string usage;                                    // the plain tool: "server_sim --content FILE [options]"
    boost::program_options::options_description options;  // its own, besides the common ones
    boost::program_options::positional_options_description positional;
};

class Simulator {
public:
    virtual ~Simulator() = default;
    // Binds everything, writing `listening` and `listen-failed`. Throws EnvironmentError where a port is needed and
    // taken. Runs as the user who started the process; after it root is dropped.
    virtual void prepare() {}
    // From `start` until the work is done or stop() was called; then every session's last event must be written.
    virtual asio::awaitable<int> run() = 0;
    virtual void stop() = 0;  // may be called at any time, also before run()
    virtual std::vector<std::filesystem::path> reads() const { return {}; }   // files it needs after root is dropped
    virtual std::vector<std::filesystem::path> writes() const { return {}; }  // likewise, files it creates
    virtual bool reads_nothing_else() const { return false; }                 // than reads()
};

using Make = std::function<std::unique_ptr<Simulator>(Context&)>;

// The whole life of a simulator; returns the exit code. `make` may throw UsageError or EnvironmentError.
int run(const Description& description, int argc, const char* const* argv, const Make& make);

std::string_view version();

}  // namespace wmlab::process
