// server_sim and client_sim as libraries against each other on loopback: one io_context, journals in memory.
#pragma once
#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/program_options/parsers.hpp>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "common/evidence/journal.hpp"
#include "common/process/program.hpp"

namespace wmlab::tests {

inline const bool quiet = [] {  // the log is for people
    spdlog::set_level(spdlog::level::off);
    return true;
}();

namespace asio = boost::asio;
using evidence::Event;
using evidence::What;

// One simulator in this process. `options` is its command line.
class Sim {
public:
    Sim(asio::io_context& io, std::string host, std::string process,
        const boost::program_options::options_description& options, const std::vector<std::string>& command_line,
        const process::Make& make, const scenario::Scenario* scenario = nullptr)
        : io_{io}, journal_{host, process, [this](std::string_view line) { text_ += line; }} {
        namespace po = boost::program_options;
        po::store(po::command_line_parser{command_line}.options(options).run(), values_);
        po::notify(values_);
        context_.emplace(process::Context{io, journal_, values_, scenario, host, {}, {}});
        if (scenario)
            for (const auto& flow : scenario::instances(*scenario))
                if (flow.from == host || flow.to == host) context_->flows.push_back(flow);
        simulator_ = make(*context_);
    }

    void prepare() { simulator_->prepare(); }
    void start() {
        asio::co_spawn(io_, simulator_->run(), [this](std::exception_ptr failure, int code) {
            ended_ = true;
            code_ = failure ? -1 : code;
        });
    }
    void stop() { simulator_->stop(); }
    bool ended() const { return ended_; }
    int code() const { return code_; }
    process::Context& context() { return *context_; }

    std::vector<Event> events() const {
        std::istringstream lines{text_};
        return evidence::read_journal(lines, "journal").events;
    }
    std::vector<Event> events(What what, std::string_view flow = "") const {
        auto all = events();
        std::erase_if(all,
                      [&](const Event& event) { return event.event != what || (!flow.empty() && event.flow != flow); });
        return all;
    }
    bool has(What what) const { return !events(what).empty(); }
    // The port that a listener of this leg got.
    std::uint16_t port(std::string_view leg) const {
        for (const auto& event : events(What::listening))
            if (event.leg == leg)
                return static_cast<std::uint16_t>(std::stoul(event.local.substr(event.local.rfind(':') + 1)));
        return 0;
    }

private:
    asio::io_context& io_;
    std::string text_;
    evidence::Journal journal_;
    boost::program_options::variables_map values_;
    std::optional<process::Context> context_;
    std::unique_ptr<process::Simulator> simulator_;
    bool ended_ = false;
    int code_ = -1;
};

// Runs the loop until it holds; false: not within a generous time, so that a broken build does not hang.
inline bool run_until(asio::io_context& io, const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    io.restart();
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) return false;
        io.run_one_for(std::chrono::milliseconds{50});
        io.restart();
    }
    return true;
}

inline std::string text(const Event& event, std::string_view field) {
    const auto* value = event.fields.if_contains(field);
    return value && value->is_string() ? std::string{value->get_string()} : "";
}
inline double number(const Event& event, std::string_view field) {
    const auto* value = event.fields.if_contains(field);
    return value && value->is_number() ? value->to_number<double>() : -1;
}

}  // namespace wmlab::tests
