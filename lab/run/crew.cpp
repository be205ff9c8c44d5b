#include "lab/run/crew.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <optional>

#include "common/evidence/fields.hpp"
#include "lab/host/error.hpp"
#include "lab/host/listeners.hpp"

namespace wmlab::lab {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using namespace std::chrono_literals;
using evidence::What;

constexpr auto clock_limit = 5s;
constexpr int pings_max = 5;
// A simulator tells some dozens of events of a flow, and of each packet that is asked for again.
constexpr std::size_t lines_at_all = 50'000, lines_of_flow = 10'000;
constexpr std::size_t noise_max = 4096;  // of standard error, kept for the case that something is wrong

// The scenario as a simulator gets it: ended by the line `...`, and by no other.
std::string document(const std::string& yaml) {
    std::string text;
    for (std::size_t at = 0; at < yaml.size();) {
        const auto end = std::min(yaml.find('\n', at), yaml.size());
        const auto line = yaml.substr(at, end - at);
        if (line == "..." || line == "...\r") break;
        text += line + "\n";
        at = end + 1;
    }
    return text + "...\n";
}

}  // namespace

struct Crew::Member {
    std::string host, program;
    std::vector<std::string> flows;
    std::shared_ptr<Process> process;
    bool ready = false, stopped = false, over = false;
    std::optional<evidence::Event> listen_failed;
    std::string noise;
    std::string before_start;  // commands
    // By the scenario's word (kill).
    bool killed = false, again = false, late = false;  // late: started anew, when the others had begun
    std::size_t lines = 0;     // of its journal
    bool flooded = false;      // it wrote without an end

    // Of a member on another machine.
    bool elsewhere = false;
    std::string prefix;                  // the command by which it is reached, for people
    std::optional<std::string> version;  // it said
    int pings = 0;                       // sent
    std::chrono::nanoseconds sent_utc{}, sent{}, utc_ahead{}, monotonic_ahead{};
    std::optional<std::chrono::nanoseconds> round_trip;  // the shortest; its measurement counts
    bool clock_known() const { return over || pings > pings_max; }
};

namespace {

// Where the flow's first leg leads when nothing is translated.
std::string direct_endpoint(const scenario::Scenario& scenario, const scenario::FlowInstance& flow) {
    const auto legs = scenario::legs(scenario, flow);
    if (legs.empty() || legs.front().destination_ports.empty()) return {};
    return fmt::format("endpoint {} {}:{}\n", flow.id, legs.front().destination_address.text(),
                       legs.front().destination_ports.front().first);
}

bool is_translated(const scenario::Scenario& scenario, const scenario::FlowInstance& flow) {
    const auto *from = scenario.host(flow.from), *to = scenario.host(flow.to);
    return from != nullptr && to != nullptr && to->published_to(from->zone);
}

}  // namespace

Crew::Crew(Lab& lab, Recorder& recorder, const ScenarioText& text, const std::vector<scenario::FlowInstance>& flows,
           CrewOptions options)
    : lab_{lab},
      recorder_{recorder},
      scenario_{text.scenario},
      yaml_{document(text.yaml)},
      directory_{text.directory},
      options_{std::move(options)} {
    std::map<std::pair<std::string, scenario::Program>, Member*> parts;
    const auto take_part = [&](const std::string& host, scenario::Program program, const std::string& flow) {
        if (program == scenario::Program::none || (options_.wanted && !options_.wanted(program))) return;
        auto& member = parts[{host, program}];
        if (member == nullptr) {
            members_.push_back(std::make_unique<Member>());
            member = members_.back().get();
            member->host = host;
            member->program = scenario::text(program);
        }
        if (member->flows.empty() || member->flows.back() != flow) member->flows.push_back(flow);
    };
    for (const auto& flow : flows) {
        if (lab_.setting.away.contains(flow.from) || lab_.setting.away.contains(flow.to)) continue;  // nobody knows where that end is
        take_part(flow.from, scenario::program_at(scenario_, flow, scenario::End::from), flow.id);
        take_part(flow.to, scenario::program_at(scenario_, flow, scenario::End::to), flow.id);
    }
    for (const auto& flow : flows) {
        auto* const member = options_.direct && is_translated(scenario_, flow) ? opener(flow) : nullptr;
        if (member != nullptr) member->before_start += direct_endpoint(scenario_, flow);
    }

    for (const auto& owned : members_) {
        auto& member = *owned;
        const auto launched = lab_.setting.launched.find(member.host);
        member.elsewhere = launched != lab_.setting.launched.end();
        if (member.elsewhere) member.prefix = fmt::format("{}", fmt::join(launched->second, " "));
        if (lab_.unreachable.contains(member.host)) {
            member.over = true;
            continue;
        }
        try {
            launch(member);
        } catch (const SetupFailed& failure) {
            if (!member.elsewhere) throw;
            give_up(member, failure);
            member.over = true;
        }
    }
}

void Crew::launch(Member& member) {
    const auto file = member.elsewhere            ? std::filesystem::path{member.program}  // in that machine's PATH
                      : options_.programs.empty() ? find_simulator(member.program)
                                                  : options_.programs / member.program;
    if (file.empty())
        throw SetupFailed{"start " + member.program, "it is neither beside wmlab nor in PATH",
                          "build or install all four programs"};
    Start start;
    start.host = member.host;
    start.argv = {file.string(), "--scenario", "-", "--host", member.host, "--journal", "-"};
    const auto all = scenario::instances(scenario_);
    for (const auto& flow : member.flows) {
        start.argv.emplace_back("--flow");
        const auto instance = std::ranges::find(all, flow, &scenario::FlowInstance::id);
        // an id like station[media->edge] is not for a shell that may be on the way
        start.argv.push_back(member.elsewhere ? fmt::format("@{}", instance - all.begin() + 1) : flow);
    }
    start.directory = directory_;
    start.line = [this, &member](std::string_view line) { read(member, line); };
    start.noise = [&member](std::string_view part) {
        member.noise += part;
        if (member.noise.size() > 2 * noise_max) member.noise.erase(0, member.noise.size() - noise_max);
    };
    start.ended = [this, &member](const Ending& ending) { over(member, ending); };
    member.process = lab_.launcher.start(std::move(start));
    // Before anybody is ready: a server may be asked as soon as the first player is told to start.
    member.process->write(options_.hasten > 1 ? yaml_ + fmt::format("hasten {}\n", options_.hasten) : yaml_);
}

Crew::~Crew() {
    if (std::ranges::all_of(members_, [](const auto& member) { return member->over; })) return;
    stopping_ = true;
    for (const auto& member : members_)
        if (member->process) member->process->signal(SIGKILL);
    // their last words refer to this object
    lab_.wait_regardless(
        [&] {
            return std::ranges::all_of(members_, [](const auto& member) { return member->over || !member->process; });
        },
        steady_clock::now() + kill_limit);
}

void Crew::say(const std::string& sentence) const {
    if (options_.say) options_.say(sentence);
}

void Crew::read(Member& member, std::string_view line) {
    if (member.flooded) return;
    if (++member.lines > lines_at_all + lines_of_flow * member.flows.size()) {
        member.flooded = true;
        const auto sentence = fmt::format("{} on {} wrote more than {} lines: it was ended", member.program, member.host,
                                          member.lines - 1);
        recorder_.problems.push_back(sentence);
        say(sentence);
        if (member.process) member.process->signal(SIGKILL);
        return;
    }
    const auto* const event = recorder_.line(member.host, member.program, line);
    if (event == nullptr) return;
    switch (event->event) {
        case What::started:
            member.version = text_field(*event, field::version);
            break;
        case What::ready:
            member.ready = true;
            if (member.late) {
                member.late = false;
                tell_start(member);
            }
            break;
        case What::pong:
            if (member.elsewhere) pong(member, *event);
            break;
        case What::stopped:
            member.stopped = true;
            break;
        case What::listen_failed:
            member.listen_failed = *event;
            break;
        case What::flow_ended:
            ended_.insert(event->flow);
            break;
        case What::listening:
            // A port that nobody could know beforehand: the other end is told.
            if (event->leg == "msbd" && !event->flow.empty())
                endpoints_[event->flow] = {&member, member.host + event->local.substr(event->local.rfind(':'))};
            break;
        default:
            break;
    }
}

void Crew::over(Member& member, const Ending& ending) {
    if (member.killed) {
        member.killed = false;
        boost::json::object fields;
        fields[field::program] = member.program;
        fields[field::signal] = ending.signal;
        fields[field::by] = "scenario";
        recorder_.note(What::process_died, member.host, {}, std::move(fields));
        member.over = !member.again || stopping_;
        if (member.over) return;
        member.again = false;
        member.ready = false, member.late = true;
        launch(member);
        return;
    }
    member.over = true;
    // A complete journal is an orderly end. One that was told to stop and breaks off is not.
    if ((member.stopped && !member.flooded) || lab_.unreachable.contains(member.host)) return;
    boost::json::object fields;
    fields[field::program] = member.program;
    if (ending.signal != 0) {
        fields[field::signal] = ending.signal;
    } else {
        fields[field::exit] = ending.code;
    }
    if (stopping_) fields[field::stopping] = true;
    recorder_.note(What::process_died, member.host, {}, std::move(fields));
    if (!stopping_ && (member.ready || !member.elsewhere))
        say(fmt::format("{} on {} ended: {}{}{}", member.program, member.host, ending.text(),
                        member.noise.empty() ? "" : "\n", member.noise));
}

void Crew::refuse(const Member& member) const {
    const auto& event = *member.listen_failed;
    std::string held_by{text_field(event, field::holder)};
    const auto protocol = text_field(event, field::protocol);
    if (const auto* const place = lab_.place_of(member.host); held_by.empty() && place != nullptr) {
        const auto colon = event.local.rfind(':');
        const auto port =
            static_cast<std::uint16_t>(colon == std::string::npos ? 0 : std::atoi(event.local.c_str() + colon + 1));
        const auto listener =
            find_listener(*place, protocol == "udp" ? scenario::Protocol::udp : scenario::Protocol::tcp, port);
        if (listener) held_by = holder(*listener);
    }
    throw SetupFailed{fmt::format("bind {} {} on {} for {}", protocol, event.local, member.host, member.program),
                      std::string{text_field(event, field::error)} + (held_by.empty() ? "" : ", held by " + held_by)};
}

std::optional<SetupFailed> Crew::refused_by_machine(const Member& member) const {
    const auto step = fmt::format("start {} on {} by `{}`", member.program, member.host, member.prefix);
    auto noise = member.noise;
    while (noise.ends_with('\n') || noise.ends_with('\r')) noise.pop_back();
    if (!member.version) {
        const auto remedy = fmt::format("try it by hand: `{} {} --version`; it must work without asking anything",
                                        member.prefix, member.program);
        if (!member.over)
            return SetupFailed{step,
                               fmt::format("nothing comes back after {} s{}{}", options_.ready_limit / 1.0s,
                                           noise.empty() ? "" : ": ", noise),
                               remedy};
        const auto& ending = member.process->ending();
        return SetupFailed{step, noise.empty() ? (ending ? ending->text() : "it ended") : noise, remedy};
    }
    if (*member.version != WMLAB_VERSION)
        return SetupFailed{step, fmt::format("it is version {}, wmlab is version {}", *member.version, WMLAB_VERSION),
                           "install the same version on all machines"};
    return std::nullopt;
}

void Crew::give_up(Member& member, const SetupFailed& why) {
    if (lab_.unreachable.emplace(member.host, why).second) {
        boost::json::object fields;
        fields[field::program] = member.program;
        fields[field::unreachable] = fmt::format("cannot {}: {}", why.step(), why.cause());
        recorder_.note(What::process_died, member.host, {}, std::move(fields));
        say(why.what());
    }
    if (member.process && !member.over) member.process->signal(SIGKILL);
    member.ready = false;
}

void Crew::ping(Member& member) {
    if (++member.pings > pings_max) return;
    member.sent_utc = std::chrono::system_clock::now().time_since_epoch();
    member.sent = steady_clock::now().time_since_epoch();
    member.process->write(fmt::format("ping {}\n", member.pings));
}

void Crew::pong(Member& member, const evidence::Event& event) {
    if (text_field(event, field::token) != std::to_string(member.pings)) return;
    const std::chrono::nanoseconds round_trip = steady_clock::now().time_since_epoch() - member.sent;
    if (!member.round_trip || round_trip < *member.round_trip) {
        member.round_trip = round_trip;
        member.utc_ahead = event.utc.time_since_epoch() - member.sent_utc - round_trip / 2;
        member.monotonic_ahead = event.monotonic - member.sent - round_trip / 2;
    }
    ping(member);
}

void Crew::measure_clocks() {
    bool any = false;
    for (const auto& member : members_) {
        if (!member->elsewhere || !member->ready || member->over) continue;
        ping(*member);
        any = true;
    }
    if (!any) return;
    const auto known = [&] {
        return std::ranges::all_of(
            members_, [](const auto& member) { return !member->ready || !member->elsewhere || member->clock_known(); });
    };
    lab_.wait(known, steady_clock::now() + clock_limit);
    for (const auto& member : members_) {
        if (!member->round_trip) continue;
        boost::json::object fields;
        fields[field::program] = member->program;
        fields[field::round_trip] = member->round_trip->count();
        fields[field::utc_ahead] = member->utc_ahead.count();
        fields[field::monotonic_ahead] = member->monotonic_ahead.count();
        recorder_.note(What::clock, member->host, {}, std::move(fields));
    }
}

bool Crew::wait_until_ready() {
    const auto settled = [&] {
        return std::ranges::all_of(members_, [](const auto& member) { return member->ready || member->over; });
    };
    const bool all = lab_.wait(settled, steady_clock::now() + options_.ready_limit);
    if (lab_.interruptions > 0) return false;
    for (const auto& member : members_) {
        if (member->elsewhere && member->process) {
            if (const auto refused = refused_by_machine(*member)) {
                give_up(*member, *refused);
                continue;
            }
        }
        if (member->ready || !member->process) continue;
        if (member->listen_failed) refuse(*member);
        if (!all && !member->over)
            say(fmt::format("{} on {} is not ready after {} s", member->program, member->host,
                            options_.ready_limit / 1.0s));
    }
    measure_clocks();
    return lab_.interruptions == 0;
}

void Crew::tell_start(Member& member) {
    auto commands = member.before_start;
    for (const auto& flow : member.flows)
        if (const auto known = endpoints_.find(flow); known != endpoints_.end() && known->second.listener != &member)
            commands += "endpoint " + flow + " " + known->second.at + "\n";
    member.process->write(commands + "start\n");
}

void Crew::start() {
    for (const auto& member : members_)
        if (!member->over && !lab_.unreachable.contains(member->host)) tell_start(*member);
}

void Crew::kill(const std::string& host, bool again) {
    for (const auto& member : members_) {
        if (member->host != host || member->stopped || !member->process) continue;
        if (member->over) {  // it was killed before
            if (!again) continue;
            member->over = member->ready = false;
            member->late = true;
            launch(*member);
            continue;
        }
        member->killed = true;
        member->again = again;
        member->process->signal(SIGKILL);
    }
}

Crew::Member* Crew::opener(const scenario::FlowInstance& flow) const {
    const auto end = scenario::telling_end(*flow.flow);
    const auto program = scenario::text(scenario::program_at(scenario_, flow, end));
    const auto& host = end == scenario::End::to ? flow.to : flow.from;
    for (const auto& member : members_)
        if (member->host == host && member->program == program) return member.get();
    return nullptr;
}

bool Crew::ended(const scenario::FlowInstance& flow) const {
    if (ended_.contains(flow.id)) return true;
    const auto* const member = opener(flow);
    return member == nullptr || member->over || !(member->ready || member->again || member->late);
}

void Crew::lost(scenario::Ipv4 address, const std::string& protocol, const std::string& local, const std::string& remote) {
    const auto* const host = scenario_.host_at(address);
    if (host == nullptr) return;
    for (const auto& member : members_)
        if (member->host == host->name && !member->over)
            member->process->write("lost " + protocol + " " + local + " " + remote + "\n");
}

void Crew::stop() {
    stopping_ = true;
    for (const auto& member : members_) {
        if (member->over) continue;
        member->process->write("stop\n");
        member->process->close_input();
    }
    const auto all_over = [&] {
        return std::ranges::all_of(members_, [](const auto& member) { return member->over; });
    };
    const auto interrupted = lab_.interruptions;
    const auto or_impatient = [&] { return all_over() || lab_.interruptions > interrupted; };  // a second Ctrl-C
    // Who interrupts a run does not wait for an overloaded machine to end it in good order.
    constexpr milliseconds hurry{1500};
    const auto within = [&](milliseconds limit) { return lab_.interruptions > 0 ? std::min(limit, hurry) : limit; };
    lab_.wait_regardless(or_impatient, steady_clock::now() + within(options_.stop_limit));
    for (const auto number : {SIGTERM, SIGKILL}) {
        if (all_over()) return;
        for (const auto& member : members_) {
            if (member->over) continue;
            say(fmt::format("{} on {} does not stop: signal {}", member->program, member->host, number));
            member->process->signal(number);
        }
        lab_.wait_regardless(
            all_over, steady_clock::now() + within(number == SIGTERM ? options_.terminate_limit : milliseconds{kill_limit}));
    }
}

}  // namespace wmlab::lab
