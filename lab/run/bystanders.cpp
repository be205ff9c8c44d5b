#include "lab/run/bystanders.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <fstream>
#include <stdexcept>

#include "common/evidence/fields.hpp"
#include "lab/host/error.hpp"
#include "lab/host/listeners.hpp"
#include "lab/programs/carried_program.hpp"

namespace wmlab::lab {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;
using evidence::What;

constexpr auto listening_limit = 20s, terminate_limit = 2s;
constexpr std::size_t output_max = 4096;

void keep_last(std::string& all, std::string_view part) {
    all += part;
    if (all.size() > 2 * output_max) all.erase(0, all.size() - output_max);
}

std::string last(const std::string& all) {
    return all.size() <= output_max ? all : all.substr(all.size() - output_max);
}

boost::json::object ending_fields(const Ending& ending, const std::string& output) {
    boost::json::object fields;
    if (ending.signal != 0) {
        fields[field::signal] = ending.signal;
    } else {
        fields[field::exit] = ending.code;
    }
    fields[field::output] = last(output);
    return fields;
}

template <class Members>
void end_all(Lab& lab, Members& members) {
    const auto all_over = [&] { return std::ranges::all_of(members, [](const auto& member) { return member.over; }); };
    for (const auto number : {SIGTERM, SIGKILL}) {
        if (all_over()) return;
        for (auto& member : members)
            if (!member.over) member.process->signal(number);
        lab.wait_regardless(all_over, steady_clock::now() + (number == SIGTERM ? terminate_limit : kill_limit));
    }
}

}  // namespace

struct HostPrograms::Member {
    std::string host, program;
    std::shared_ptr<Process> process;
    std::string output;
    bool over = false;
    std::string prefix;               // the command by which another machine is reached; empty: the host is here
    bool started = false;             // that machine says so
    bool stopping = false;            // because its input has ended: not by itself
    std::set<std::uint16_t> listens;  // and this
};

HostPrograms::HostPrograms(Lab& lab, Recorder& recorder, const ScenarioText& text, const std::set<std::string>& hosts,
                           std::function<void(const std::string&)> say)
    : lab_{lab}, recorder_{recorder}, scenario_{text.scenario}, say_{std::move(say)} {
    for (const auto& host : scenario_.hosts) {
        if (host.run.empty() || !hosts.contains(host.name)) continue;
        auto& member =
            members_.emplace_back(Member{host.name, host.run.front(), nullptr, {}, false, {}, false, false, {}});
        Start start;
        start.host = host.name;
        start.argv = host.run;
        start.directory = text.directory;
        start.confined = !lab_.setting.trust;
        start.names = lab_.names_at(host.name);
        std::string carried;
        if (const auto launched = lab_.setting.launched.find(host.name); launched != lab_.setting.launched.end()) {
            member.prefix = fmt::format("{}", fmt::join(launched->second, " "));
            carried = carry(host, text.directory);
            start.argv = {"sh", "-s"};
            start.directory.clear();
            start.line = [&member](std::string_view line) {
                member.started = member.started || line == carried_started;
                member.stopping = member.stopping || line == carried_stopping;
                if (line.starts_with(carried_listening))
                    member.listens.insert(static_cast<std::uint16_t>(
                        std::atoi(std::string{line.substr(carried_listening.size())}.c_str())));
            };
        }
        start.noise = [&member](std::string_view part) { keep_last(member.output, part); };
        start.ended = [this, &member](const Ending& ending) {
            member.over = true;
            if (stopping_ || member.stopping || unreachable(member)) return;  // which wait_until_listening says
            recorder_.note(What::program_exited, member.host, {}, ending_fields(ending, member.output));
            if (say_)
                say_(fmt::format("{} on {} ended: {}{}{}", member.program, member.host, ending.text(),
                                 member.output.empty() ? "" : "\n", last(member.output)));
        };
        member.process = lab_.launcher.start(std::move(start));
        if (member.prefix.empty()) {
            member.process->close_input();
        } else {
            member.process->write(std::move(carried));
        }
    }
}

std::string HostPrograms::carry(const scenario::Host& host, const std::filesystem::path& directory) const {
    std::set<std::uint16_t> ports;
    for (const auto& flow : scenario_.flows)
        if (flow.proxy && flow.proxy->host == host.name) ports.insert(flow.proxy->port);
    try {
        return carried_program(host.run, directory, ports);
    } catch (const std::invalid_argument& problem) {
        throw SetupFailed{fmt::format("run {} on {}", host.run.front(), host.name), problem.what()};
    }
}

bool HostPrograms::unreachable(const Member& member) const { return !member.prefix.empty() && !member.started; }

void HostPrograms::stop_elsewhere() {
    const auto away = [](const Member& member) { return member.prefix.empty() || member.over; };
    for (auto& member : members_)
        if (!away(member)) member.process->close_input();
    lab_.wait_regardless([&] { return std::ranges::all_of(members_, away); }, steady_clock::now() + terminate_limit);
}

HostPrograms::~HostPrograms() {
    stopping_ = true;
    stop_elsewhere();
    end_all(lab_, members_);
}

void HostPrograms::wait_until_listening(const std::vector<scenario::FlowInstance>& flows) {
    std::set<std::pair<std::string, std::uint16_t>> wanted;
    for (const auto& flow : flows)
        if (flow.flow->proxy) wanted.emplace(flow.flow->proxy->host, flow.flow->proxy->port);
    const auto limit = steady_clock::now() + listening_limit;
    for (const auto& [host, port] : wanted) {
        const auto* const place = lab_.place_of(host);
        const auto member = std::ranges::find(members_, host, &Member::host);
        const bool here = place != nullptr;
        if (!here && member == members_.end())
            continue;  // another machine's own proxy: what comes through it shows that it is there
        const auto listening = [&] {
            return here ? find_listener(*place, scenario::Protocol::tcp, port).has_value()
                        : member->listens.contains(port);
        };
        bool listener = false;
        const auto decided = [&] {
            listener = listening();
            return listener || member == members_.end() || member->over;
        };
        while (!decided() && lab_.interruptions == 0 && steady_clock::now() < limit)
            lab_.io.run_one_for(5ms);  // the kernel does not announce listeners
        if (member != members_.end() && unreachable(*member) && lab_.interruptions == 0)
            lab_.unreachable.emplace(
                host, SetupFailed{fmt::format("start {} on {} by `{}`", member->program, host, member->prefix),
                                  !member->output.empty() ? last(member->output)
                                  : member->over          ? member->process->ending()->text()
                                                          : "nothing comes back",
                                  fmt::format("try it by hand: `{} {}`; it must work without asking anything",
                                              member->prefix, member->program)});
        evidence::Event event;
        event.host = host;
        event.leg = "proxy";
        event.local = scenario_.host(host)->address.text() + ":" + std::to_string(port);
        event.fields[field::protocol] = "tcp";
        event.event = listener ? What::listening : What::listen_failed;
        if (!listener) event.fields[field::error] = "no program of the host listens on it";
        recorder_.add(std::move(event));
    }
}

struct Commands::Member {
    Member(Lab& lab, std::string instance) : flow{std::move(instance)}, deadline{lab.io} {}
    std::string flow;
    std::shared_ptr<Process> process;
    std::string output;
    boost::asio::steady_timer deadline;
    bool over = false, too_long = false;
};

Commands::Commands(Lab& lab, Recorder& recorder, const ScenarioText& scenario)
    : lab_{lab}, recorder_{recorder}, text_{scenario} {}
Commands::~Commands() { stop(); }

void Commands::start(const scenario::FlowInstance& flow) {
    auto& waiting = waiting_[flow.from];
    waiting.push_back(flow);
    if (waiting.size() == 1) launch(flow);
}

void Commands::next(const std::string& host) {
    auto& waiting = waiting_[host];
    if (!waiting.empty()) waiting.pop_front();
    if (waiting.empty() || stopping_) return;
    launch(scenario::FlowInstance{waiting.front()});
}

// The host's sockets get their ports from a range that no program before had. Empty: not here, or not allowed.
std::string Commands::own_ports(const std::string& host) {
    constexpr unsigned first = 10'000, size = 500, blocks = 100;
    const auto* const place = lab_.place_of(host);
    if (place == nullptr) return {};
    const auto from = first + size * (blocks_[host] % blocks), to = from + size - 1;
    const Entered inside{*place};
    std::ofstream range{"/proc/sys/net/ipv4/ip_local_port_range"};
    range << from << ' ' << to << '\n';
    if (!range.flush()) return {};
    ++blocks_[host];
    return fmt::format("{}-{}", from, to);
}

void Commands::launch(const scenario::FlowInstance& flow) {
    auto& member = members_.emplace_back(lab_, flow.id);
    boost::json::object started;
    started[field::type] = "command";
    started[field::attempt] = 1;
    started[field::target] = fmt::format("{}", fmt::join(flow.flow->run, " "));
    if (const auto ports = own_ports(flow.from); !ports.empty()) started[field::ports] = ports;
    recorder_.note(What::flow_started, flow.from, flow.id, std::move(started));

    const auto seconds = std::chrono::duration<double>{flow.flow->deadline}.count();
    const auto ended = [this, &member, host = flow.from, id = flow.id, seconds](const Ending& ending) {
        member.over = true;
        member.deadline.cancel();
        auto fields = ending_fields(ending, member.output);
        if (member.too_long) fields[field::too_long] = true;
        recorder_.note(What::program_exited, host, id, std::move(fields));
        boost::json::object end;
        end[field::outcome] = ending.ok() ? "worked" : "failed";
        end[field::reason] = member.too_long ? fmt::format("it still ran after {} s and was ended", seconds) : ending.text();
        recorder_.note(What::flow_ended, host, id, std::move(end));
        boost::asio::post(lab_.io, [this, host, alive = std::weak_ptr{alive_}] {
            if (!alive.expired()) next(host);
        });
    };
    Start start;
    start.host = flow.from;
    start.argv = flow.flow->run;
    start.directory = text_.directory;
    start.confined = !lab_.setting.trust;
    start.names = lab_.names_at(flow.from);
    start.noise = [&member](std::string_view part) { keep_last(member.output, part); };
    start.ended = ended;
    try {
        member.process = lab_.launcher.start(std::move(start));
    } catch (const SetupFailed& failure) {
        member.output = failure.what();
        return ended(Ending{127, 0});  // as a shell has it
    }
    member.process->close_input();
    member.deadline.expires_after(flow.flow->deadline);
    member.deadline.async_wait([&member](boost::system::error_code cancelled) {
        if (cancelled || member.over) return;
        member.too_long = true;
        member.process->signal(SIGTERM);
        member.deadline.expires_after(terminate_limit);
        member.deadline.async_wait([&member](boost::system::error_code over) {
            if (!over && !member.over) member.process->signal(SIGKILL);
        });
    });
}

bool Commands::ended(const scenario::FlowInstance& flow) const {
    const auto found = std::ranges::find(members_, flow.id, &Member::flow);
    if (found != members_.end()) return found->over;
    const auto host = waiting_.find(flow.from);
    return host == waiting_.end() || std::ranges::find(host->second, flow.id, &scenario::FlowInstance::id) == host->second.end();
}

void Commands::stop() {
    stopping_ = true;
    end_all(lab_, members_);
    for (const auto& [host, blocks] : blocks_) {  // as the kernel has it
        const auto* const place = lab_.place_of(host);
        if (place == nullptr) continue;
        const Entered inside{*place};
        std::ofstream{"/proc/sys/net/ipv4/ip_local_port_range"} << "32768 60999\n";
    }
    blocks_.clear();
}

}  // namespace wmlab::lab
