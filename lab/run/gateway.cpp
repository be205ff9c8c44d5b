#include "lab/run/gateway.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <boost/json.hpp>
#include <csignal>
#include <fstream>
#include <set>

#include "common/evidence/fields.hpp"
#include "common/net/address.hpp"
#include "common/scenario/catalogue.hpp"
#include "lab/firewall/join.hpp"
#include "lab/firewall/same_rules.hpp"
#include "lab/host/error.hpp"
#include "lab/programs/carried_wmlab.hpp"
#include "lab/rules/json_fields.hpp"

namespace wmlab::lab {
namespace json = boost::json;
namespace {

using std::chrono::steady_clock;

constexpr std::size_t gateway_noise_max = 4096, gateway_events_max = 200'000;

std::string trimmed(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
    return text;
}

}  // namespace

struct Gateway::State {
    std::shared_ptr<Process> process;
    std::string noise;
    bool over = false, carrying = false, running = false, tracing = false, ended = false;
    std::string untraced;  // why; empty: it traces
    std::string failed;    // why it cannot go on
    bool told = false;     // of that, before the run
    std::size_t left_out = 0;
    std::vector<evidence::Event> events;
};

std::vector<rules::Packet> packets_sent(const scenario::Scenario& scenario, std::span<const evidence::Event> events) {
    constexpr std::uint8_t syn = 0x02;
    std::vector<rules::Packet> packets;
    std::set<std::string> known;
    const auto interface_of = [&](scenario::Ipv4 address) -> std::string {
        const auto* const zone = scenario.zone_of(address);
        return zone == nullptr ? std::string{} : zone->interface;
    };
    for (const auto& instance : scenario::instances(scenario))
        for (const auto& leg : scenario::legs(scenario, instance)) {
            if (leg.protocol == scenario::Protocol::igmp) continue;
            for (const auto& event : events) {
                if (event.flow != instance.id || event.leg != leg.name) continue;
                const bool at_source = event.host == leg.source;
                const auto source = net::host_port(at_source ? event.local : event.remote);
                const auto destination = net::host_port(at_source ? event.remote : event.local);
                if (!source || !destination || source->port == 0 || destination->port == 0) continue;
                const auto from = scenario::Ipv4::from(source->host), to = scenario::Ipv4::from(destination->host);
                if (!from || !to) continue;
                const std::string protocol{scenario::text(leg.protocol)};
                if (!known
                         .insert(fmt::format("{} {}:{} {}:{}", protocol, from->text(), source->port, to->text(),
                                             destination->port))
                         .second)
                    continue;
                rules::Packet packet;
                packet.in = interface_of(*from), packet.out = interface_of(*to);
                packet.source = *from, packet.destination = *to;
                packet.protocol = protocol;
                packet.source_port = source->port, packet.destination_port = destination->port;
                if (leg.protocol == scenario::Protocol::tcp) packet.tcp_flags = syn;
                packets.push_back(std::move(packet));
            }
        }
    return packets;
}

Gateway::Gateway(Lab& lab, const scenario::Scenario& scenario, GatewayOptions options)
    : lab_{lab}, scenario_{scenario}, options_{std::move(options)}, state_{std::make_unique<State>()} {
    const auto& host = box();  // no host of a scenario can be called so
    lab_.launcher.place(host, options_.prefix, lab_.setting.machine.get());
    Start start;
    start.host = host;
    start.argv = {"sh", "-s"};
    start.line = [this](std::string_view line) { read(line); };
    start.noise = [this](std::string_view part) {
        state_->noise += part;
        if (state_->noise.size() > 2 * gateway_noise_max)
            state_->noise.erase(0, state_->noise.size() - gateway_noise_max);
    };
    start.ended = [this](const Ending& ending) {
        state_->over = true;
        if (state_->ended || !state_->failed.empty()) return;
        const auto said = trimmed(state_->noise);
        state_->failed = said.empty() ? "it ended with " + ending.text() : said;
    };
    try {
        state_->process = lab_.launcher.start(std::move(start));
    } catch (const SetupFailed& failure) {
        state_->over = true;
        state_->failed = failure.what();
    }
    if (state_->process) state_->process->write(carrying_shell(WMLAB_VERSION, {"firewall", "--join"}));
    const auto settled = [&] {
        return state_->over || state_->tracing || !state_->untraced.empty() || !state_->failed.empty();
    };
    const bool in_time = wait(settled, options_.start_limit) ||
                         (state_->carrying && lab_.interruptions == 0 && wait(settled, options_.carry_limit));
    if (!in_time && lab_.interruptions == 0)
        state_->failed = fmt::format("nothing comes back after {} s{}{}", options_.start_limit.count() / 1000,
                                     state_->noise.empty() ? "" : ": ", trimmed(state_->noise));
    state_->told = !state_->failed.empty();
    if (state_->told)
        notes.push_back(fmt::format(
            "no rule can be named, because {} cannot be joined: {}. Try it by hand: `{} id`; it must work without asking anything, and be root there", who(),
            state_->failed, fmt::join(options_.prefix, " ")));
    else if (!state_->untraced.empty())
        notes.push_back(
            fmt::format("{} does not let its packets be traced ({}): a rule is named only where the rules and their counters leave no doubt",
                        who(), trimmed(state_->untraced)));
}

Gateway::~Gateway() {
    if (state_->process) end_program(lab_, *state_->process);
}

void end_program(Lab& lab, Process& program) {
    const auto over = [&] { return program.ending().has_value(); };
    if (over()) return;
    program.close_input();
    lab.wait_regardless(over, steady_clock::now() + std::chrono::seconds{2});
    if (over()) return;
    program.signal(SIGKILL);
    lab.wait_regardless(over, steady_clock::now() + kill_limit);
}

std::string Gateway::who() const { return fmt::format("the firewall behind `{}`", fmt::join(options_.prefix, " ")); }

bool Gateway::wait(const std::function<bool()>& done, std::chrono::milliseconds limit) {
    return lab_.wait(done, steady_clock::now() + limit);
}

void Gateway::read(std::string_view line) {
    boost::system::error_code wrong;
    const auto value = json::parse(line, wrong);
    const auto* object = wrong ? nullptr : value.if_object();
    if (object == nullptr) return;  // what a login shell says for itself
    if (const auto machine = rules::text_at(*object, "carry"); !machine.empty()) return carry(machine);
    const auto kind = rules::text_at(*object, "join");
    if (kind == "running" && !state_->running) {
        state_->running = true;
        job(RunningRules::from(*object));
    } else if (kind == "ready") {
        state_->tracing = true;
    } else if (kind == "untraced") {
        state_->untraced = rules::text_at(*object, "why");
        if (state_->untraced.empty()) state_->untraced = "it does not say why";
    } else if (kind == "event") {
        if (state_->events.size() == gateway_events_max) {
            ++state_->left_out;
            return;
        }
        evidence::Event event;
        event.event = evidence::What::trace;
        event.monotonic = std::chrono::nanoseconds{rules::number_at(*object, "monotonic")};
        if (const auto* fields = rules::object_at(*object, "fields")) event.fields = *fields;
        state_->events.push_back(std::move(event));
    } else if (kind == "end") {
        state_->ended = true;
    } else if (kind == "failed") {
        state_->failed = rules::text_at(*object, "why");
    }
}

void Gateway::carry(const std::string& machine) {
    state_->failed = bring_wmlab(*state_->process, machine, WMLAB_VERSION);
    state_->carrying = state_->failed.empty();
}

// Which line each rule is: of the file where its rules run, else of what the firewall prints.
rules::Source Gateway::places(const RunningRules& running) {
    if (options_.ruleset.empty()) {
        notes.push_back(
            fmt::format("rules are named by their lines in what {} prints ({}); give --ruleset FILE for lines of your file",
                        who(), running.iptables.empty() ? "`nft list ruleset`" : "`iptables-save`"));
        return source_of(running);
    }
    const auto file = options_.ruleset.string();
    try {
        auto interfaces = interfaces_named(running.listing);
        for (const auto& zone : scenario_.zones) interfaces.insert(zone.interface);
        const auto matched =
            match_running(running, rules::read_source(options_.ruleset), listing_of_file(options_.ruleset, interfaces));
        if (!matched.other.empty())
            notes.push_back(fmt::format(
                "the rules of {} are not what {} runs (table {}: {}): rules of {} are named by their lines in what the firewall prints",
                file, who(), matched.other.front(), matched.first_difference, fmt::join(matched.other, ", ")));
        return matched.source;
    } catch (const std::exception& failure) {
        notes.push_back(
            fmt::format("{} could not be compared with the rules that run ({}): rules are named by their lines in what the firewall prints",
                        file, trimmed(failure.what())));
        return source_of(running);
    }
}

void Gateway::job(const RunningRules& running) {
    if (!options_.journals.empty()) {
        const auto keep = [&](std::string_view name, const std::string& text) {
            if (text.empty()) return;
            const auto file = options_.journals / std::filesystem::path{name};
            std::error_code ignored;
            std::filesystem::create_directories(file.parent_path(), ignored);
            std::ofstream{file, std::ios::binary} << text;
        };
        keep(nft_listing_name, running.listing);
        keep(iptables_listing_name, running.iptables);
    }
    if (running.legacy)
        notes.push_back(
            fmt::format("{} also has rules of iptables-legacy, which the kernel does not trace: what they stop has no rule here",
                        who()));
    if (const auto forward = running.settings.find("ipv4/ip_forward");
        forward != running.settings.end() && forward->second == "0")
        notes.push_back(fmt::format("{} does not forward at all (net.ipv4.ip_forward is 0)", who()));
    json::array addresses;
    for (const auto address : addresses_of(scenario_)) addresses.emplace_back(address.text());
    const json::object job{{"addresses", std::move(addresses)},
                           {"source", to_json(places(running))},
                           {"trace", options_.trace},
                           {"buffer", options_.trace_buffer}};
    state_->process->write(json::serialize(job) + "\n");
}

std::vector<evidence::Event> Gateway::finish(std::span<const evidence::Event> events) {
    if (!state_->process || state_->told || !state_->running) return {};
    if (!state_->over && state_->failed.empty()) {
        json::array arrivals;
        for (const auto& packet : packets_sent(scenario_, events)) arrivals.push_back(packet_json(packet));
        state_->process->write(json::serialize(json::object{{"join", "finish"}, {"arrivals", std::move(arrivals)}}) +
                               "\n");
        lab_.wait_regardless([&] { return state_->ended || state_->over || !state_->failed.empty(); },
                             steady_clock::now() + options_.finish_limit);
    }
    if (!state_->ended) {
        notes.push_back(
            fmt::format("the join to {} broke off during the run ({}): a rule that is not named may still have decided",
                        who(), state_->failed.empty() ? "it does not answer any more" : trimmed(state_->failed)));
        return {};
    }
    if (state_->left_out > 0)
        notes.push_back(
            fmt::format("{} told more than can be kept; {} decisions are left out", who(), state_->left_out));
    for (const auto& event : state_->events) {
        if (true_field(event, field::changed))
            notes.push_back(
                fmt::format("the rules of {} were changed during the run: rules are named as they were at its beginning, and those that came later not at all",
                            who()));
        if (const auto problem = text_field(event, field::problem); !problem.empty())
            notes.push_back(fmt::format("{}: {}", who(), trimmed(std::string{problem})));
    }
    return std::move(state_->events);
}

}  // namespace wmlab::lab
