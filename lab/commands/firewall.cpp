// wmlab firewall: the firewall's part in a lab of containers or machines: loads the ruleset and records what its kernel
// decides, until it is told to stop.
#include "lab/firewall/loading.hpp"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <iostream>
#include <optional>

#include "lab/commands/options.hpp"
#include "lab/firewall/ruleset_file.hpp"
#include "lab/firewall/tracer.hpp"
#include "lab/host/error.hpp"
#include "lab/run/recorder.hpp"

namespace wmlab::lab::commands {
namespace {

namespace po = boost::program_options;

// Before any thread is made, so that all inherit that these signals are for the descriptor.
Descriptor stop_signals() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, number);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    return Descriptor{::signalfd(-1, &signals, SFD_CLOEXEC)};
}

void wait_for_the_end(const Descriptor& signals, bool input) {
    for (;;) {
        std::array<pollfd, 2> waits{pollfd{signals.get(), POLLIN, 0}, pollfd{input ? STDIN_FILENO : -1, POLLIN, 0}};
        if (::poll(waits.data(), waits.size(), -1) < 0) continue;
        if (waits[0].revents != 0) return;
        std::array<char, 256> ignored{};
        if (waits[1].revents != 0 && ::read(STDIN_FILENO, ignored.data(), ignored.size()) <= 0) return;
    }
}

// Rules are named by the file as the user knows it, wherever it lies here.
void rename_file(boost::json::value& value, const std::string& from, const std::string& to) {
    if (auto* list = value.if_array())
        for (auto& part : *list) rename_file(part, from, to);
    auto* object = value.if_object();
    if (!object) return;
    if (auto* file = object->if_contains("file"); file && file->is_string() && file->get_string() == from) *file = to;
    for (auto& member : *object) rename_file(member.value(), from, to);
}

}  // namespace

int firewall_command(Arguments arguments) {
    Usage usage{
        "firewall",
        "RULESET --journal DIR",
        "Loads the ruleset, unmodified, into the kernel of the machine or container this runs in, says `ready`, "
        "and records which rule decides about which packet, until SIGTERM or the end of its input. For "
        "`wmlab judge`, beside the journals of the hosts. Needs NET_ADMIN; the rules stay when it ends.",
        {},
        ""};
    auto add = usage.options.add_options();
    add("journal", po::value<std::string>()->value_name("DIR"), "where wmlab.jsonl goes");
    add("called", po::value<std::string>()->value_name("FILE"), "what the report calls the ruleset's file");
    add("no-trace", "load the ruleset only, and name no rule");
    add("trace-buffer", po::value<unsigned>()->value_name("BYTES"),
        "for what the kernel says about decisions until it is read; what does not fit is lost, which the report says");
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    const auto files = words(*values);
    if (files.size() != 1) throw UsageError{"firewall: one ruleset, please"};
    if (!values->contains("journal")) throw UsageError{"firewall: --journal says where the journal goes"};
    const auto ruleset = examine_ruleset(files.front());
    const auto called = values->contains("called") ? (*values)["called"].as<std::string>() : ruleset.string();
    const auto buffer =
        values->contains("trace-buffer") ? (*values)["trace-buffer"].as<unsigned>() : rules::trace_buffer_wanted;

    const auto signals = stop_signals();
    try {
        Recorder recorder{(*values)["journal"].as<std::string>(), {}};
        const auto here = Namespace::current();
        const auto dialect = load_ruleset(here, ruleset);
        recorder.note(evidence::What::ruleset_loaded, {}, {},
                      {{"file", called}, {"dialect", dialect == rules::Dialect::iptables ? "iptables" : "nft"}});
        std::optional<Tracer> tracer;
        if (!values->contains("no-trace")) {
            try {
                tracer.emplace(here, ruleset, buffer);
            } catch (const SetupFailed& failure) {
                std::cerr << "wmlab: no rule can be named: " << failure.what() << '\n';
            }
        }
        std::cout << "ready" << std::endl;
        struct stat input {};
        const bool told_by_input =
            ::fstat(STDIN_FILENO, &input) == 0 && (S_ISFIFO(input.st_mode) || ::isatty(STDIN_FILENO));
        wait_for_the_end(signals, told_by_input);
        if (tracer)
            for (auto& event : tracer->finish(false)) {
                boost::json::value fields = std::move(event.fields);
                rename_file(fields, ruleset.string(), called);
                event.fields = std::move(fields.get_object());
                recorder.add(std::move(event));
            }
        recorder.finish("finished");
        for (const auto& problem : recorder.problems) std::cerr << "wmlab: " << problem << '\n';
        return recorder.problems.empty() ? 0 : 3;
    } catch (const RulesetRefused& refused) {
        std::cerr << refused.what() << '\n';
        return 2;
    } catch (const SetupFailed& failure) {
        std::cerr << "wmlab: " << failure.what() << '\n';
        return 3;
    }
}

}  // namespace wmlab::lab::commands
