#include "lab/run/runner.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "common/evidence/clocks.hpp"
#include "common/evidence/fields.hpp"
#include "common/scenario/catalogue.hpp"
#include "common/scenario/waves.hpp"
#include "lab/firewall/tracer.hpp"
#include "lab/host/error.hpp"
#include "lab/rules/site.hpp"
#include "lab/run/bystanders.hpp"
#include "lab/run/crew.hpp"
#include "lab/run/device_log.hpp"
#include "lab/run/gateway.hpp"
#include "lab/run/haste.hpp"
#include "lab/run/header_time.hpp"
#include "lab/run/incidents.hpp"

namespace wmlab::lab {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using namespace std::chrono_literals;
using evidence::What;
using Flows = std::vector<scenario::FlowInstance>;

constexpr milliseconds reports_limit{300};  // hosts report a membership within milliseconds, and again within a second

std::vector<Flows> plan(const scenario::Scenario& scenario, const RunOptions& options) {
    auto flows = scenario::instances(scenario);
    if (!options.flows.empty()) {
        const std::set<std::string> wanted(options.flows.begin(), options.flows.end());
        // What is played may be what another flow brings: that one runs too, though nobody asked for its verdict.
        std::set<std::string> needed = wanted;
        for (const auto& flow : flows) {
            if (!wanted.contains(flow.id)) continue;
            for (auto source = scenario::feeder(scenario, flow); source && needed.insert(source->id).second;)
                source = scenario::feeder(scenario, *source);
        }
        std::erase_if(flows, [&](const auto& flow) { return !needed.contains(flow.id); });
    }
    auto waves = scenario::waves(scenario, flows);
    if (options.jobs == 0) return waves;
    std::vector<Flows> smaller;
    for (const auto& wave : waves) {
        std::map<std::string, std::size_t> places;  // a flow is with the one that brings its content, a player with its load
        const auto first = smaller.size();
        for (const auto& flow : wave) {
            const auto source = scenario::feeder(scenario, flow);
            auto with = source ? places.find(source->id) : places.end();
            if (with == places.end() && flow.flow->load) with = places.find(flow.load());
            if (with != places.end()) {
                smaller[with->second].push_back(flow);
                places[flow.id] = with->second;
                continue;
            }
            if (smaller.size() == first || smaller.back().size() >= options.jobs) smaller.emplace_back();
            smaller.back().push_back(flow);
            places[flow.id] = smaller.size() - 1;
            if (flow.flow->load) places[flow.load()] = smaller.size() - 1;
        }
    }
    return smaller;
}

std::set<std::string> hosts_of(const std::vector<Flows>& waves) {
    std::set<std::string> hosts;
    for (const auto& wave : waves)
        for (const auto& flow : wave) {
            hosts.insert({flow.from, flow.to});
            if (flow.flow->proxy) hosts.insert(flow.flow->proxy->host);
        }
    return hosts;
}

bool is_command(const scenario::FlowInstance& flow) { return flow.flow->type == scenario::FlowType::command; }

void note_lab(const Lab& lab, Recorder& recorder, const RunOptions& options, std::size_t wave, const Flows& flows) {
    boost::json::object fields;
    fields[field::kind] = lab.setting.kind();
    fields[field::control] = options.control;
    fields[field::wave] = wave;
    boost::json::array played;
    for (const auto& flow : flows) played.emplace_back(flow.id);
    fields[field::flows] = std::move(played);
    if (!lab.setting.asked.empty()) {
        boost::json::object addresses;
        for (const auto& [host, address] : lab.setting.asked) addresses[host] = address.text();
        fields[field::addresses] = std::move(addresses);
    }
    if (lab.multicast.active()) fields[field::routes] = to_json(lab.routes);
    if (!lab.notes.empty()) {
        boost::json::array notes;
        for (const auto& note : lab.notes) notes.emplace_back(note);
        fields[field::notes] = std::move(notes);
    }
    recorder.note(What::lab_up, {}, {}, std::move(fields));
}

// Packets that begin something and that the firewall drops, from the thread that reads the trace to the wave at hand.
// Only where every rule is plain: then whoever sends them once more sends them in vain.
class Drops {
public:
    explicit Drops(Lab& lab) : lab_{lab} {}

    void see(const rules::Decision& decision) {  // any thread
        constexpr std::uint8_t syn = 0x02;
        if (!plain || decision.fate != rules::Decision::Fate::dropped || !decision.complete || decision.own) return;
        const auto& packet = decision.arrived;
        // Behind the beginning another packet may be another matter: a longer one, or one that nobody waits for.
        const bool begins = packet.protocol == "tcp" ? (packet.tcp_flags & syn) != 0 : packet.protocol == "udp" && packet.ct_state != "established";
        if (!begins) return;
        boost::asio::post(lab_.io, [this, packet] {
            const auto place = [](scenario::Ipv4 address, std::uint16_t port) {
                return fmt::format("{}:{}", address.text(), port);
            };
            const auto from = place(packet.source, packet.source_port);
            const auto to = place(packet.destination, packet.destination_port);
            if (crew == nullptr || !told_.insert(packet.protocol + " " + from + " " + to).second) return;
            crew->lost(packet.source, packet.protocol, from, to);
            if (packet.protocol == "tcp" || by_ports) crew->lost(packet.destination, packet.protocol, from, to);
        });
    }
    void wave(Crew* next) {  // null: it is over
        crew = next;
        told_.clear();
    }

    // What was dropped once is dropped when it is sent again; and whatever else is sent between the same ports: of several datagrams that come to somebody
    // who waits, the one he waits for may be another than the one that was dropped.
    std::atomic<bool> plain = false, by_ports = false;

private:
    Lab& lab_;
    Crew* crew = nullptr;         // of the wave at hand
    std::set<std::string> told_;  // in it
};

void run_wave(Lab& lab, Recorder& recorder, const ScenarioText& text, const Flows& flows, const RunOptions& options,
              Drops& drops, Incidents* incidents, std::size_t wave) {
    auto how = options.crew;
    Haste haste{lab, recorder};
    how.hasten = haste.begin(text.scenario, flows, wave);
    how.direct = lab.open() && options.setting.built_in();  // a device has rules of its own
    Crew crew{lab, recorder, text, flows, how};
    struct Told {
        Drops& drops;
        Told(Drops& whose, Crew& of) : drops{whose} { drops.wave(&of); }
        ~Told() { drops.wave(nullptr); }
    } const told{drops, crew};
    Commands commands{lab, recorder, text};
    if (crew.wait_until_ready()) {
        // The players have joined; their first reports are under way. One that is stopped is waited for in vain.
        lab.wait([&] { return lab.multicast.ready_for(flows); }, steady_clock::now() + reports_limit);
        crew.start();
        if (incidents != nullptr) incidents->start(crew, wave);
        const auto started = steady_clock::now();
        for (const auto& flow : flows)
            if (is_command(flow)) commands.start(flow);
        const auto over = [&](const scenario::FlowInstance& flow) {
            return is_command(flow) ? commands.ended(flow) : crew.ended(flow);
        };
        milliseconds programs{0};  // of one host they run one after another
        for (const auto& flow : flows)
            if (is_command(flow)) programs += longest(*flow.flow);
        for (const auto& flow : flows) {
            // Twice: the player may have to ask for the header again.
            const auto limit = (is_command(flow) ? programs : longest(*flow.flow) + 2 * header_time(text.scenario, *flow.flow)) + options.margin;
            if (lab.wait([&] { return over(flow); }, started + limit) || lab.interruptions > 0) continue;
            if (options.crew.say) options.crew.say(fmt::format("{} has not ended after {} s", flow.id, limit / 1.0s));
        }
    }
    if (incidents != nullptr) incidents->stop();
    commands.stop();
    crew.stop();
    for (auto& event : lab.wire.take(wave)) recorder.add(std::move(event));
    for (auto& event : lab.multicast.take()) recorder.add(std::move(event));
    haste.end();
    if (incidents != nullptr) incidents->restore();
    lab.network.forget_connections();
}

struct BoxTracer {  // of one firewall
    BoxTracer(const BoxRules& of, const Namespace& place, const RunOptions& options, std::function<void(const rules::Decision&)> seen)
        : box{of},
          tracer{place, of.ruleset, options.trace_buffer > 0 ? options.trace_buffer : rules::trace_buffer_wanted, std::move(seen),
                 of.view.firewall.include_path} {}
    const BoxRules& box;
    Tracer tracer;
};

// A machine that is away costs its own flows. Where it costs all of them, nothing was tested.
void refuse_if_nothing_is_left(const Lab& lab, const std::vector<Flows>& waves) {
    if (lab.unreachable.empty()) return;
    const auto away = [&](const std::string& host) { return lab.unreachable.contains(host); };
    for (const auto& wave : waves)
        for (const auto& flow : wave)
            if (!away(flow.from) && !away(flow.to) && !(flow.flow->proxy && away(flow.flow->proxy->host))) return;
    throw lab.unreachable.begin()->second;
}

// The kernel's trace at every firewall of the built-in lab, and what its ruleset says about the run.
void start_tracers(Lab& lab, const ScenarioText& text, const RunOptions& options, std::deque<BoxTracer>& tracers, Drops& drops, Run& result) {
    if (!options.trace || !options.setting.built_in()) return;
    bool plain = text.scenario.events.empty(), by_ports = plain;  // what is dropped now may pass when something has happened
    for (const auto& box : lab.boxes) {
        if (box.ruleset.empty()) continue;
        const auto whose = lab.boxes.size() > 1 ? box.name() + ": " : std::string{};
        try {
            const auto& ruleset =
                tracers.emplace_back(box, lab.network.firewall(box.name()), options, [&](const rules::Decision& decision) { drops.see(decision); })
                    .tracer.ruleset();
            plain = plain && rules::plain(ruleset);
            by_ports = by_ports && rules::same_for_all_between_two_ports(ruleset);
            auto conditionals = rules::conditionals(ruleset);
            result.conditionals.insert(result.conditionals.end(), conditionals.begin(), conditionals.end());
            if (ruleset.empty())
                lab.notes.push_back(
                    box.ruleset.string() +
                    " holds no rule and no policy that drops: the firewall forwards everything. (What iptables-save, iptables-legacy-save and nft list ruleset print are three things.)");
            for (const auto& sentence : rules::misfits(ruleset, box.view)) {
                if (options.crew.say) options.crew.say("note: " + whose + sentence);
                lab.notes.push_back(whose + sentence);
            }
        } catch (const SetupFailed& failure) {
            plain = false;
            lab.notes.push_back(whose + "no rule can be named: " + failure.what());
        }
    }
    drops.plain = plain && !tracers.empty();
    drops.by_ports = drops.plain && by_ports;
}

// Firewalls elsewhere: Linux gateways that are asked for their rules and trace, devices whose logs are read.
struct Elsewhere {
    std::deque<Gateway> gateways;
    std::deque<DeviceLogSource> logs;

    Elsewhere(Lab& lab, const RunOptions& options) {
        const bool several = lab.boxes.size() > 1;
        for (const auto& box : lab.boxes) {
            if (options.setting.built_in()) break;
            const auto& prefix = several ? box.view.firewall.launch : options.setting.firewall;
            if (!prefix.empty())
                gateways.emplace_back(lab, box.view,
                                      GatewayOptions{prefix, several ? box.view.firewall.ruleset : options.ruleset, options.trace, options.trace_buffer,
                                                     several && !options.journals.empty() ? options.journals / box.name() : options.journals});
            if (!box.view.firewall.log.empty()) logs.emplace_back(lab, box.view.firewall.log, box.name());
        }
    }

    void finish(Lab& lab, Recorder& recorder, Run& result) {
        for (auto& gateway : gateways) {
            for (auto& event : gateway.finish(recorder.events)) {
                if (lab.boxes.size() > 1) event.fields[field::box] = gateway.box();
                recorder.add(std::move(event));
            }
            lab.notes.insert(lab.notes.end(), gateway.notes.begin(), gateway.notes.end());
        }
        for (auto& log : logs) {
            result.device_logs[log.box] = log.finish();
            lab.notes.insert(lab.notes.end(), log.notes.begin(), log.notes.end());
        }
    }
};

}  // namespace

milliseconds longest(const scenario::Flow& flow) {
    constexpr int steps = 5;  // of a transport, each of which may take the deadline
    const auto attempts = static_cast<int>(std::max<std::size_t>(scenario::transports(flow).size(), 1));
    unsigned ports = 0;
    for (const auto& range : flow.ports) ports += range.size();
    const auto played = flow.idle.count() > 0 ? flow.play + flow.idle + flow.play : flow.play;
    const auto ramp = flow.load ? flow.load->ramp : milliseconds{0};
    return attempts * (steps * flow.deadline + played + ramp) + milliseconds{ports} + milliseconds{flow.count * 20};
}

Run run(const ScenarioText& text, const Inside& inside, const RunOptions& options) {
    Recorder recorder{options.journals, options.seen};
    const auto waves = plan(text.scenario, options);
    auto setting = options.setting;
    setting.plain = options.control;
    Lab lab{text.scenario, inside, options.ruleset, recorder, setting, options.captures};
    Run result;
    Drops drops{lab};
    std::deque<BoxTracer> tracers;
    start_tracers(lab, text, options, tracers, drops, result);
    std::optional<Incidents> incidents;
    if (!text.scenario.events.empty() && !options.control && options.setting.built_in())
        incidents.emplace(lab, recorder, text, options.ruleset, tracers.empty() ? nullptr : &tracers.front().tracer);
    Elsewhere elsewhere{lab, options};
    {
        HostPrograms programs{lab, recorder, text, hosts_of(waves), options.crew.say};
        for (std::size_t number = 0; number < waves.size() && lab.interruptions == 0; ++number) {
            for (auto& one : tracers) one.tracer.begin_wave(number + 1);
            note_lab(lab, recorder, options, number + 1, waves[number]);
            programs.wait_until_listening(waves[number]);
            run_wave(lab, recorder, text, waves[number], options, drops, incidents ? &*incidents : nullptr, number + 1);
            if (number + 1 == waves.size()) refuse_if_nothing_is_left(lab, waves);
        }
        if (!options.before_end) programs.stop_elsewhere();
        result.interrupted = lab.interruptions > 0;
        for (auto& one : tracers)
            for (auto& event : one.tracer.finish(options.coverage, arrivals(one.box.view, recorder.events))) {
                if (lab.boxes.size() > 1) event.fields[field::box] = one.box.name();
                recorder.add(std::move(event));
            }
        elsewhere.finish(lab, recorder, result);
        recorder.finish(result.interrupted ? "signal" : "finished");
        result.events = std::move(recorder.events);
        evidence::align_clocks(result.events);
        result.problems = std::move(recorder.problems);
        result.notes = lab.notes;
        if (options.before_end && !result.interrupted) options.before_end(lab, result);
    }
    lab.wire.stop();
    if (lab.captures)
        for (auto& problem : lab.captures->close()) {
            if (options.crew.say) options.crew.say(problem);
            result.notes.push_back(std::move(problem));
        }
    return result;
}

}  // namespace wmlab::lab
