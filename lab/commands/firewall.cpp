// wmlab firewall: the firewall's part in a lab of containers or machines: loads the ruleset and records what its kernel
// decides, until it is told to stop.
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <iostream>
#include <optional>

#include "common/evidence/fields.hpp"
#include "lab/commands/options.hpp"
#include "lab/commands/trial.hpp"
#include "lab/firewall/join.hpp"
#include "lab/firewall/loading.hpp"
#include "lab/firewall/ruleset_file.hpp"
#include "lab/firewall/same_rules.hpp"
#include "lab/firewall/tracer.hpp"
#include "lab/host/error.hpp"
#include "lab/programs/carried_wmlab.hpp"
#include "lab/run/recorder.hpp"
#include "lab/verdict/exit_code.hpp"

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

bool ended_by_input() {
    struct stat input {};
    return ::fstat(STDIN_FILENO, &input) == 0 && (S_ISFIFO(input.st_mode) || ::isatty(STDIN_FILENO));
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

// By hand, for `wmlab judge`: names the rules of a firewall whose rules are running, and leaves them alone.
int join_by_hand(const std::string& file, const po::variables_map& values, unsigned buffer) {
    const auto whole = read_scenario(file, scenario::Files::not_checked);
    if (!whole) return 2;
    const auto scenario = seen_by_option("firewall", values, *whole);
    const auto signals = stop_signals();
    Recorder recorder{values["journal"].as<std::string>(), {}};
    const auto here = Namespace::current();
    const auto running = read_running(here);
    auto places = source_of(running);
    if (values.contains("ruleset")) {
        const auto ruleset = examine_ruleset(values["ruleset"].as<std::string>());
        auto interfaces = interfaces_named(running.listing);
        for (const auto& zone : scenario.zones) interfaces.insert(zone.interface);
        auto matched = match_running(running, rules::read_source(ruleset), listing_of_file(ruleset, interfaces));
        if (!matched.other.empty())
            std::cerr << fmt::format(
                "wmlab: table {} of {} is not what runs: {}; lines are those of the running rules\n",
                matched.other.front(), ruleset.string(), matched.first_difference);
        places = std::move(matched.source);
    }
    JoinedFirewall joined{here, places};
    try {
        joined.trace(addresses_of(scenario), buffer);
    } catch (const SetupFailed& failure) {
        std::cerr << "wmlab: the rules' counters only, because the trace is refused: " << failure.what() << '\n';
    }
    std::cout << "ready" << std::endl;
    wait_for_the_end(signals, ended_by_input());
    for (auto& event : joined.finish({})) {
        if (values.contains("box")) event.fields[field::box] = values["box"].as<std::string>();
        recorder.add(std::move(event));
    }
    recorder.finish("finished");
    for (const auto& problem : recorder.problems) std::cerr << "wmlab: " << problem << '\n';
    return recorder.problems.empty() ? 0 : 3;
}

unsigned buffer_wanted(const po::variables_map& values) {
    return values.contains("trace-buffer") ? values["trace-buffer"].as<unsigned>() : rules::trace_buffer_wanted;
}

int load_and_trace(const std::filesystem::path& ruleset, const po::variables_map& values) {
    const auto called = values.contains("called") ? values["called"].as<std::string>() : ruleset.string();
    const auto signals = stop_signals();
    return saying_refusals([&] {
        Recorder recorder{values["journal"].as<std::string>(), {}};
        const auto here = Namespace::current();
        const auto dialect = load_ruleset(here, ruleset);
        boost::json::object loaded;
        loaded[field::file] = called;
        loaded[field::dialect] = dialect == rules::Dialect::iptables ? "iptables" : "nft";
        if (values.contains("box")) loaded[field::box] = values["box"].as<std::string>();
        recorder.note(evidence::What::ruleset_loaded, {}, {}, std::move(loaded));
        std::optional<Tracer> tracer;
        if (!values.contains("no-trace")) {
            try {
                tracer.emplace(here, ruleset, buffer_wanted(values));
            } catch (const SetupFailed& failure) {
                std::cerr << "wmlab: no rule can be named: " << failure.what() << '\n';
            }
        }
        std::cout << "ready" << std::endl;
        wait_for_the_end(signals, ended_by_input());
        if (tracer)
            for (auto& event : tracer->finish(false)) {
                boost::json::value fields = std::move(event.fields);
                rename_file(fields, ruleset.string(), called);
                event.fields = std::move(fields.get_object());
                if (values.contains("box")) event.fields[field::box] = values["box"].as<std::string>();
                recorder.add(std::move(event));
            }
        recorder.finish("finished");
        for (const auto& problem : recorder.problems) std::cerr << "wmlab: " << problem << '\n';
        return recorder.problems.empty() ? ends::as_expected : ends::not_set_up;
    });
}

}  // namespace

int firewall_command(Arguments arguments) {
    Usage usage{
        "firewall",
        "RULESET --journal DIR | --join [SCENARIO --journal DIR]",
        "Loads the ruleset, unmodified, into the kernel of the machine or container this runs in, says `ready`, and records which rule decides about which packet, until SIGTERM or the end of its input. For "
        "`wmlab judge`, beside the journals of the hosts. Needs NET_ADMIN; the rules stay when it ends. With --join it loads nothing and reads the rules of a firewall that is at work.",
        {},
        ""};
    auto add = usage.options.add_options();
    add("journal", po::value<std::string>()->value_name("DIR"), "write the journal wmlab.jsonl to this folder");
    add("called", po::value<std::string>()->value_name("FILE"), "the file name that the report shows for the ruleset");
    add("box", po::value<std::string>()->value_name("NAME"), "which one of several `firewalls:` of the scenario it is");
    add("no-trace", "only load the ruleset: no rule is named in the report");
    add("trace-buffer", po::value<unsigned>()->value_name("BYTES"),
        "size of the buffer for the kernel's messages about rule decisions; what does not fit is lost, and the report says so");
    add("join",
        "load nothing: name the rules of the firewall that runs here, whose kernel is only read and traced for the addresses of a scenario. With SCENARIO and --journal by hand; without, `wmlab run --firewall` talks to it");
    add("ruleset", po::value<std::string>()->value_name("FILE"),
        "with --join: name lines of this file where its rules are those that run");
    add("carried", po::value<std::string>()->value_name("DIR"),
        "with --join: where its own files were put; removed at once");
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    if (values->contains("carried")) remove_carried_files((*values)["carried"].as<std::string>());
    const auto files = words(*values);
    if (values->contains("join")) {
        if (files.empty()) return serve_join(STDIN_FILENO, std::cout);
        if (files.size() != 1) throw UsageError{"firewall: --join takes one scenario"};
        if (!values->contains("journal")) throw UsageError{"firewall: --journal says where the journal goes"};
        return saying_refusals([&] { return join_by_hand(files.front(), *values, buffer_wanted(*values)); });
    }
    if (values->contains("ruleset")) throw UsageError{"firewall: --ruleset goes with --join"};
    if (files.size() != 1) throw UsageError{"firewall: one ruleset, please"};
    if (!values->contains("journal")) throw UsageError{"firewall: --journal says where the journal goes"};
    return load_and_trace(examine_ruleset(files.front()), *values);
}

}  // namespace wmlab::lab::commands
