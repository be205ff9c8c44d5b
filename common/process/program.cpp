#include "common/process/program.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/host_name.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/program_options/parsers.hpp>
#include <charconv>
#include <csignal>
#include <iostream>
#include <sstream>
#include <system_error>

#include "common/bytes/read_file.hpp"
#include "common/evidence/fields.hpp"
#include "common/net/own_addresses.hpp"
#include "common/process/confinement.hpp"
#include "common/process/control.hpp"
#include "common/process/load_watch.hpp"
#include "common/process/privileges.hpp"
#include "common/scenario/loader.hpp"

namespace wmlab::process {
namespace {

constexpr std::size_t config_size_max = 1U << 20;

namespace po = boost::program_options;
using evidence::What;

constexpr std::size_t command_line_max = 4096;       // of the control channel
constexpr std::chrono::seconds patience_at_stop{5};  // for conversations to write their last events

po::options_description common_options() {
    po::options_description options{"Common options"};
    auto add = options.add_options();
    add("help,h", "print this help and exit");
    add("version", "print the version and exit");
    add("own-addresses", po::value<std::vector<std::string>>()->multitoken()->zero_tokens()->value_name("ADDRESS"),
        "print the addresses that this machine has, and from which it sends to these, as a line of JSON, and exit");
    add("config", po::value<std::string>()->value_name("FILE"), "more options, one `name = value` a line");
    add("log-level", po::value<std::string>()->value_name("LEVEL"),
        "of the log on standard error: trace, debug, info, warning, error, off");
    add("scenario", po::value<std::string>()->value_name("FILE|-"), "play one host of a scenario");
    add("host", po::value<std::string>()->value_name("NAME"), "which host of the scenario");
    add("journal", po::value<std::string>()->value_name("FILE|-"),
        "where the evidence goes, JSON Lines (default: standard output with --scenario, else nowhere)");
    add("flow", po::value<std::vector<std::string>>()->composing()->value_name("ID"),
        "only this flow (repeatable); an id means all its instances, @N the Nth instance of the scenario");
    add("endpoint", po::value<std::vector<std::string>>()->composing()->value_name("FLOW=HOST:PORT"),
        "where the flow's other end listens, if not where the scenario says (repeatable)");
    add("base", po::value<std::string>()->value_name("DIR"),
        "for relative file names of a scenario that comes by standard input");
    return options;
}

po::variables_map parse(const Description& description, const po::options_description& all, int argc,
                        const char* const* argv) {
    po::variables_map values;
    po::store(po::command_line_parser{argc, argv}.options(all).positional(description.positional).run(), values);
    if (values.contains("config")) {
        const auto& name = values["config"].as<std::string>();
        const auto text = bytes::read_file(name, config_size_max);
        if (!text) throw UsageError{"the config file " + text.error().text()};
        std::istringstream file{*text};
        try {
            po::store(po::parse_config_file(file, all), values);
        } catch (const po::error& error) {
            throw UsageError{name + ": " + error.what()};
        }
    }
    po::notify(values);
    return values;
}

void set_up_log(const std::string& name, const po::variables_map& values) {
    const auto logger = std::make_shared<spdlog::logger>(name, std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    logger->set_pattern("%^%H:%M:%S.%e %n %l:%$ %v");
    std::string level = values.contains("scenario") ? "warning" : "info";
    if (values.contains("log-level")) level = values["log-level"].as<std::string>();
    const auto known = spdlog::level::from_str(level);
    if (known == spdlog::level::off && level != "off")
        throw UsageError{"unknown log level `" + level + "`: trace, debug, info, warning, error or off"};
    logger->set_level(known);
    spdlog::set_default_logger(logger);
}

// What --scenario brings.
struct Scenario {
    std::optional<scenario::Scenario> scenario;
    bool control = false;  // commands follow on standard input
    std::string rest;      // of them, read already
};

Scenario load_scenario(const po::variables_map& values) {
    Scenario out;
    if (!values.contains("scenario")) {
        for (const auto* option : {"host", "flow", "endpoint", "base"})
            if (values.contains(option)) throw UsageError{std::string{"--"} + option + " goes with --scenario"};
        return out;
    }
    const auto& name = values["scenario"].as<std::string>();
    std::string yaml;
    std::filesystem::path directory = std::filesystem::current_path();
    if (name == "-") {
        auto input = read_scenario(STDIN_FILENO);
        yaml = std::move(input.yaml);
        out.rest = std::move(input.rest);
        out.control = true;
        if (values.contains("base")) directory = std::filesystem::absolute(values["base"].as<std::string>());
    } else {
        auto text = bytes::read_file(name, scenario::document_size_max);
        if (!text) throw UsageError{"the scenario " + text.error().text()};
        yaml = std::move(*text);
        directory = std::filesystem::absolute(name).parent_path();
    }
    // The ruleset and other hosts' files need not be here; what this host needs it opens itself.
    auto loaded = scenario::load(yaml, name, directory, scenario::Files::not_checked);
    if (!loaded.ok()) {
        std::string all;
        for (const auto& problem : loaded.problems) all += scenario::explain(problem);
        throw UsageError{all};
    }
    out.scenario = std::move(loaded.scenario);
    return out;
}

bool wanted(const scenario::FlowInstance& flow, const std::vector<std::string>& only) {
    if (only.empty()) return true;
    return std::ranges::any_of(only, [&](const auto& id) { return id == flow.id || id == flow.flow->id; });
}

// `@3` is the third instance of the scenario: a name that no remote shell can take for something else.
std::string instance_id(const std::vector<scenario::FlowInstance>& all, const std::string& id) {
    if (!id.starts_with('@')) return id;
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(id.data() + 1, id.data() + id.size(), number);
    if (error != std::errc{} || end != id.data() + id.size() || number == 0 || number > all.size()) return id;
    return all[number - 1].id;
}

void choose_flows(Context& context, const po::variables_map& values) {
    if (!context.scenario) return;
    if (!values.contains("host")) throw UsageError{"--scenario needs --host NAME"};
    context.host = values["host"].as<std::string>();
    if (!context.scenario->host(context.host)) throw UsageError{"the scenario has no host `" + context.host + "`"};
    std::vector<std::string> only;
    if (values.contains("flow")) only = values["flow"].as<std::vector<std::string>>();
    const auto all = scenario::instances(*context.scenario);
    for (auto& id : only) id = instance_id(all, id);
    for (const auto& id : only)
        if (std::ranges::none_of(all, [&](const auto& flow) { return wanted(flow, {id}); }))
            throw UsageError{"the scenario has no flow `" + id + "`"};
    for (const auto& flow : all)
        if ((flow.from == context.host || flow.to == context.host) && wanted(flow, only)) context.flows.push_back(flow);
    if (values["scenario"].as<std::string>() != "-")  // a runner has asked, and knows whose machine did not say
        for (const auto& flow : context.flows)
            for (const auto& name : {flow.from, flow.to})
                if (const auto* const host = context.scenario->host(name); host != nullptr && host->asked)
                    throw UsageError{"host `" + name +
                                     "` has `address: auto`, which `wmlab run` asks for: name the address where simulators are started by hand"};
    if (!values.contains("endpoint")) return;
    for (const auto& text : values["endpoint"].as<std::vector<std::string>>()) {
        const auto endpoint = endpoint_option(text);
        if (!endpoint) throw UsageError{"--endpoint wants FLOW=HOST:PORT, not `" + text + "`"};
        context.endpoints[endpoint->flow] = endpoint->at;
    }
}

evidence::Sink journal_sink(const po::variables_map& values) {
    if (!values.contains("journal") && !values.contains("scenario")) return {};  // nobody reads it
    const std::string where = values.contains("journal") ? values["journal"].as<std::string>() : "-";
    try {
        return evidence::sink_for(where);
    } catch (const std::system_error& error) {
        throw EnvironmentError{"cannot write the journal " + where + ": " + error.code().message()};
    }
}

// From `ready` to the end: the control channel, the signals and the simulator's own end, whichever comes first.
class Life {
public:
    // Signals are caught from here on: they may come as soon as somebody reads `ready`.
    Life(Context& context, Simulator& simulator, LoadWatch& watch)
        : context_{context}, simulator_{simulator}, watch_{watch}, force_{context.io}, signals_{context.io, SIGINT, SIGTERM} {
        signals_.async_wait([this](boost::system::error_code error, int) {
            if (!error) stop("signal");
        });
    }

    int live(bool control, std::string commands) {
        asio::posix::stream_descriptor input{context_.io};
        input_ = &input;
        controlled_ = control;
        if (control) {
            input.assign(::dup(STDIN_FILENO));
            asio::co_spawn(context_.io, read_commands(std::move(commands)), asio::detached);
        } else {
            start();
        }
        context_.io.run();
        return exit_;
    }
    const std::string& reason() const { return reason_; }

private:
    asio::awaitable<void> read_commands(std::string text) {
        std::array<char, 4096> buffer{};
        for (;;) {
            for (auto end = text.find('\n'); end != std::string::npos && !over_; end = text.find('\n')) {
                obey(text.substr(0, end));
                text.erase(0, end + 1);
            }
            if (text.size() > command_line_max) text.clear();
            const auto [error, size] =
                co_await input_->async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
            if (error == asio::error::operation_aborted || over_) co_return;
            if (error) break;
            text.append(buffer.data(), size);
        }
        stop("stop");  // the runner is gone
    }

    void obey(const std::string& line) {
        if (line.empty() || line == "\r") return;
        const auto command = command_from(line);
        if (std::holds_alternative<Start>(command)) return start();
        if (std::holds_alternative<Stop>(command)) return stop("stop");
        if (const auto* endpoint = std::get_if<Endpoint>(&command)) {
            if (std::ranges::any_of(context_.flows, [&](const auto& flow) { return flow.id == endpoint->flow; }))
                context_.endpoints[endpoint->flow] = endpoint->at;
            return;  // what another host plays is nothing to us
        }
        if (const auto* hasten = std::get_if<Hasten>(&command)) {
            context_.hastened = hasten->by;
            return;
        }
        if (const auto* lost = std::get_if<LostPackets>(&command)) return net::tell(lost->what);
        if (const auto* ping = std::get_if<Ping>(&command)) {
            boost::json::object fields;
            fields[field::token] = ping->token;
            return context_.write(What::pong, "", "", std::move(fields));
        }
        spdlog::warn("unknown command on standard input: {}", line.substr(0, 200));
    }

    void start() {
        if (started_ || over_) return;
        started_ = true;
        watch_.start();
        asio::co_spawn(context_.io, simulator_.run(), [this](std::exception_ptr failure, int code) {
            ended_ = true;
            exit_ = code;
            if (failure) {
                try {
                    std::rethrow_exception(failure);
                } catch (const std::exception& error) {
                    spdlog::error("{}", error.what());
                    boost::json::object fields;
                    fields[field::error] = error.what();
                    context_.write(What::fatal, "", "", std::move(fields));
                }
                exit_ = did_not_work;
            }
            // With a control channel the runner says when to leave: it takes a process that leaves for one that died.
            if (over_ || !controlled_) over("finished");
        });
    }

    void stop(std::string reason) {
        if (over_) return;
        over_ = true;
        reason_ = std::move(reason);
        if (!started_ || ended_) return over(reason_);
        simulator_.stop();
        force_.expires_after(patience_at_stop);
        force_.async_wait([this](boost::system::error_code error) {
            if (error) return;
            spdlog::error("some conversations did not end within {} s", patience_at_stop.count());
            over(reason_);
        });
    }

    void over(const std::string& reason) {
        if (reason_.empty()) reason_ = reason;
        over_ = true;
        context_.io.stop();
    }

    Context& context_;
    Simulator& simulator_;
    LoadWatch& watch_;
    asio::steady_timer force_;
    asio::signal_set signals_;
    asio::posix::stream_descriptor* input_ = nullptr;
    bool controlled_ = false, started_ = false, ended_ = false, over_ = false;
    std::string reason_;
    int exit_ = worked;
};

void write_started(const Context& context) {
    boost::json::object fields;
    fields[field::version] = version();
    fields[field::pid] = ::getpid();
    boost::json::array flows;
    for (const auto& flow : context.flows) flows.emplace_back(flow.id);
    fields[field::flows] = std::move(flows);
    context.write(What::started, "", "", std::move(fields));
}

int live(const Description& description, const po::variables_map& values, const Make& make) {
    auto given = load_scenario(values);
    const auto host = values.contains("host") ? values["host"].as<std::string>() : asio::ip::host_name();
    evidence::Journal journal{host, description.name, journal_sink(values)};
    journal.complain_to([](const std::string& complaint) { spdlog::error("{}", complaint); });
    raise_descriptor_limit();
    asio::io_context io{1};
    Context context{io, journal, values, given.scenario ? &*given.scenario : nullptr, host, {}, {}};
    choose_flows(context, values);
    write_started(context);
    const auto tell_fault = [&](auto step) {  // why it never became ready, for whoever judges by the journal
        try {
            return step();
        } catch (const std::exception& error) {
            boost::json::object fields;
            fields[field::error] = error.what();
            context.write(What::fatal, "", "", std::move(fields));
            throw;
        }
    };
    const auto simulator = tell_fault([&] { return make(context); });
    LoadWatch watch{context};
    Life life{context, *simulator, watch};
    tell_fault([&] { simulator->prepare(); });
    drop_root_for_good(simulator->reads(), simulator->writes());
    const auto confined = confine({simulator->reads(), simulator->writes(), simulator->reads_nothing_else()});
    spdlog::debug("confined by: {}", confined.empty() ? "nothing that this kernel has" : confined);
    context.write(What::ready, "", "");
    const int code = life.live(given.control, std::move(given.rest));
    watch.finish();
    boost::json::object fields;
    fields[field::reason] = life.reason();
    context.write(What::stopped, "", "", std::move(fields));
    if (journal.lost() > 0) {
        spdlog::error("{} journal lines could not be written", journal.lost());
        return environment;
    }
    return code;
}

}  // namespace

std::string_view version() { return WMLAB_VERSION; }

int run(const Description& description, int argc, const char* const* argv, const Make& make) {
    po::options_description all{description.name};
    all.add(description.options).add(common_options());
    std::signal(SIGPIPE, SIG_IGN);
    try {
        const auto values = parse(description, all, argc, argv);
        if (values.contains("help")) {
            std::cout << description.name << ": " << description.summary << "\n\nUsage: " << description.usage
                      << "\n       " << description.name
                      << " --scenario FILE|- --host NAME [--journal FILE|-] [--flow ID]...\n\n"
                      << description.options << '\n'
                      << common_options() << "\nExit codes: 0 worked, 1 did not, 2 usage or scenario error, "
                      << "3 environment (cannot bind, no permission).\n";
            return worked;
        }
        if (values.contains("version")) {
            std::cout << description.name << " (wmlab) " << version() << '\n';
            return worked;
        }
        if (values.contains("own-addresses")) {
            std::vector<scenario::Ipv4> towards;
            for (const auto& word : values["own-addresses"].as<std::vector<std::string>>()) {
                const auto address = scenario::Ipv4::from(word);
                if (!address) throw UsageError{"--own-addresses wants IPv4 addresses, not `" + word + "`"};
                towards.push_back(*address);
            }
            std::cout << net::to_line(net::own_addresses(towards, std::string{version()})) << '\n';
            return worked;
        }
        set_up_log(description.name, values);
        return live(description, values, make);
    } catch (const UsageError& error) {
        std::cerr << description.name << ": " << error.what() << '\n';
        return usage;
    } catch (const po::error& error) {
        std::cerr << description.name << ": " << error.what() << " (see --help)\n";
        return usage;
    } catch (const EnvironmentError& error) {
        std::cerr << description.name << ": " << error.what() << '\n';
        return environment;
    } catch (const std::exception& error) {
        std::cerr << description.name << ": " << error.what() << '\n';
        return did_not_work;
    }
}

}  // namespace wmlab::process
