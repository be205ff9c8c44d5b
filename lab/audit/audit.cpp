#include "lab/audit/audit.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <thread>

#include "lab/audit/opened.hpp"
#include "lab/audit/openers.hpp"
#include "lab/firewall/kernel_rules.hpp"
#include "lab/firewall/loading.hpp"
#include "lab/firewall/settling.hpp"
#include "lab/firewall/tracer.hpp"
#include "lab/host/error.hpp"
#include "lab/network/network.hpp"
#include "lab/rules/literals.hpp"
#include "lab/rules/unmatchable.hpp"

namespace wmlab::lab {
namespace {

using scenario::Protocol;
using scenario::Scenario;

constexpr std::string_view anyone = "anyone";

struct Pair {
    scenario::Host from, to;
    Protocol protocol;
    std::size_t job = 0;  // whose result it has
};

struct Job {  // one sweep; pairs of hosts that no rule can tell apart share it
    scenario::Host from, to;
    Protocol protocol;
    Sweep sweep;
    std::vector<std::optional<RuleRef>> rules;
    double seconds = 0;
    std::size_t direction = 0;
};

// An address of the zone that no host has: what is open to it is open to everyone there.
std::optional<scenario::Host> stranger(const Scenario& scenario, const scenario::Zone& zone) {
    for (auto value = zone.subnet.broadcast().value - 1; zone.subnet.contains({value}); --value) {
        const scenario::Ipv4 address{value};
        if (address == zone.gateway || address == zone.subnet.network || scenario.host_at(address)) continue;
        scenario::Host host;
        host.name = std::string{anyone} + "-" + zone.name;
        host.zone = zone.name;
        host.address = address;
        return host;
    }
    return std::nullopt;
}

OnTheWay between(const Network& network, const Scenario& scenario, const Job& job) {
    return {&network.firewall(),
            scenario.zone(job.from.zone)->interface,
            scenario.zone(job.to.zone)->interface,
            {&network.switch_of(job.from.zone), &network.switch_of(job.to.zone)}};
}

// As many sweeps at a time as there are processors: each keeps one busy. All in one direction: the probes of one must
// not be answers to those of another. The seconds it took.
double sweep_all(Network& network, const Scenario& scenario, std::span<Job> jobs, const AuditOptions& options) {
    const auto start = std::chrono::steady_clock::now();
    std::mutex mutex;
    std::size_t next = 0;
    std::exception_ptr failure;
    const auto work = [&] {
        for (;;) {
            Job* job = nullptr;
            {
                const std::scoped_lock lock{mutex};
                if (next == jobs.size() || failure) return;
                job = &jobs[next++];
                if (options.progress)
                    options.progress(job->from.name + " -> " + job->to.name + " " +
                                     std::string{scenario::text(job->protocol)});
                network.forget_connections();
            }
            try {
                job->sweep = sweep({&network.host(job->from.name), job->from.address},
                                   {&network.host(job->to.name), job->to.address}, between(network, scenario, *job),
                                   job->protocol);
                job->seconds = job->sweep.seconds;
            } catch (...) {
                const std::scoped_lock lock{mutex};
                failure = std::current_exception();
            }
        }
    };
    std::vector<std::thread> workers;
    const auto at_once = std::min<std::size_t>({std::max(std::thread::hardware_concurrency(), 1u), 4, jobs.size()});
    for (std::size_t i = 1; i < at_once; ++i) workers.emplace_back(work);
    work();
    for (auto& worker : workers) worker.join();
    if (failure) std::rethrow_exception(failure);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// False: with all its rules the firewall decides otherwise than it did in the sweep.
bool find_rules(Network& network, Job& job, const rules::Ruleset& ruleset, const rules::Literals& literals, bool confirm) {
    const auto start = std::chrono::steady_clock::now();
    network.forget_connections();
    const SweepEnd from{&network.host(job.from.name), job.from.address};
    const SweepEnd to{&network.host(job.to.name), job.to.address};
    const auto open = stretches(job.sweep.ports, literals);
    job.rules = openers(from, to, network.firewall(), job.protocol, ruleset, open);
    if (confirm && (std::ranges::any_of(open, [&](const Stretch& s) { return !job.rules[s.first]; }) ||
                    !stay_closed(from, to, network.firewall(), job.protocol, ruleset, job.sweep.ports)))
        return false;
    job.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return true;
}

// The kernel walks through every rule for each of 65,535 probes. Of a large ruleset those that no probe can match are
// left out of the sweep; afterwards, with all rules, both ends of every stretch of ports are tried again.
constexpr std::size_t worth_leaving_out = 500;

std::vector<const rules::Rule*> to_leave_out(Network& network, const Scenario& scenario, const std::vector<Job>& jobs,
                                             const rules::Ruleset& ruleset) {
    if (ruleset.rules().size() < worth_leaving_out) return {};
    std::vector<rules::Packet> probes;
    for (const auto& job : jobs) {
        const auto way = between(network, scenario, job);
        rules::Packet probe;
        probe.in = way.in, probe.out = way.out;
        probe.source = job.from.address, probe.destination = job.to.address;
        probe.protocol = scenario::text(job.protocol);
        probes.push_back(std::move(probe));
    }
    auto found = rules::unmatchable(ruleset, probes);
    if (found.size() < worth_leaving_out) found.clear();
    return found;
}

}  // namespace

AuditReport audit(const Scenario& asked, const AuditOptions& options) {
    const auto start = std::chrono::steady_clock::now();
    const auto given = scenario::without_samples(asked);  // `anyone` is tried as an address that no host has
    Scenario scenario = given;
    std::map<std::string, std::vector<scenario::Host>> sources, targets;  // by zone: hosts that take part in a flow
    std::set<std::string> used;
    for (const auto& instance : scenario::instances(asked)) {
        used.insert(instance.from), used.insert(instance.to);
        if (instance.flow->proxy) used.insert(instance.flow->proxy->host);
    }
    for (const auto& host : given.hosts)
        if (used.contains(host.name)) sources[host.zone].push_back(host), targets[host.zone].push_back(host);
    for (const auto& zone : given.zones) {
        if (auto host = stranger(given, zone)) {
            sources[zone.name].push_back(*host);
            scenario.hosts.push_back(std::move(*host));
        }
    }

    AuditReport report;
    report.scenario = given.name;
    const auto ruleset = options.ruleset.empty() ? given.firewall.ruleset : options.ruleset;
    report.ruleset = ruleset.string();
    Network network{scenario};
    auto dialect = rules::Dialect::nft;
    if (!ruleset.empty()) dialect = load_ruleset(network.firewall(), ruleset);
    report.notes = network.notes();

    std::optional<rules::Ruleset> rules_loaded;
    rules::Literals literals;
    if (!ruleset.empty()) {
        rules_loaded = read_ruleset(network.firewall(), ruleset);
        rules::collect_literals(list_rules(network.firewall()), literals);
        for (const auto& file : rules_loaded->source().files)
            rules::collect_literals(rules::read_from_disk(file).value_or(""), literals);
    }
    // One probe is not to decide about another: limits and sets that packets fill.
    const auto settle = [&] {
        const auto& firewall = network.firewall();
        const auto past = past_rules(firewall, dialect);
        if (past.rules().empty()) return;
        settle_rules(firewall, dialect, past, {});  // which of them it could not load, the further packets tell
        rules_loaded->renumber(rules::Ruleset::parse(running_json(firewall), {}, {}));
    };
    if (rules_loaded) settle();
    std::vector<Neighbour> neighbours;
    for (const auto& host : scenario.hosts)
        neighbours.push_back({{&network.host(host.name), host.address}, scenario.zone(host.zone)->gateway});
    get_acquainted(neighbours, network.firewall());

    // Answers are none of the audit's business: without them it takes half the time.
    for (const auto& host : scenario.hosts)
        load_rules(network.host(host.name),
                   "table ip wmlab_quiet {\n chain before {\n  type filter hook prerouting priority raw\n"
                   "  ip protocol { tcp, udp, icmp } drop\n }\n}\n");

    std::vector<Job> jobs;  // those of one direction follow each other
    std::vector<Pair> pairs;
    for (const auto& from_zone : given.zones)
        for (const auto& to_zone : given.zones) {
            if (from_zone.name == to_zone.name) continue;
            report.directions.push_back({from_zone.name, to_zone.name, 0});
            for (const auto& from : sources[from_zone.name])
                for (const auto& to : targets[to_zone.name])
                    for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
                        auto same = std::ranges::find_if(jobs, [&](const Job& job) {
                            return !options.every_host && job.protocol == protocol && job.from.zone == from.zone &&
                                   job.to.zone == to.zone && literals.same_address(job.from.address, from.address) &&
                                   literals.same_address(job.to.address, to.address);
                        });
                        if (same == jobs.end()) same = jobs.insert(same, {from, to, protocol, {}, {}, 0, report.directions.size() - 1});
                        pairs.push_back({from, to, protocol, static_cast<std::size_t>(same - jobs.begin())});
                    }
        }
    const auto left_out =
        rules_loaded ? to_leave_out(network, scenario, jobs, *rules_loaded) : std::vector<const rules::Rule*>{};
    take_out(network.firewall(), left_out);
    const auto sweep_direction = [&](std::size_t direction) {
        const auto [first, last] = std::ranges::equal_range(jobs, direction, {}, &Job::direction);
        report.directions[direction].seconds += sweep_all(network, scenario, std::span{first, last}, options);
    };
    for (std::size_t direction = 0; direction < report.directions.size(); ++direction) sweep_direction(direction);
    if (rules_loaded) {
        if (!left_out.empty()) {
            report.notes.push_back(fmt::format(
                "{} of {} rules, which no probe can match by its addresses and interfaces, were left out while all "
                "ports were probed; with all rules every end of a stretch of open or closed ports was probed again",
                left_out.size(), rules_loaded->rules().size()));
            load_rules(network.firewall(), "flush ruleset");
            load_ruleset(network.firewall(), ruleset);
            rules_loaded = read_ruleset(network.firewall(), ruleset);
            settle();
        }
        switch_trace_on(network.firewall(), *rules_loaded, 1'000'000);
        for (auto& job : jobs) {
            if (!find_rules(network, job, *rules_loaded, literals, !left_out.empty())) {
                sweep_all(network, scenario, std::span{&job, 1}, options);
                find_rules(network, job, *rules_loaded, literals, false);
            }
            report.directions[job.direction].seconds += job.seconds - job.sweep.seconds;
        }
    }

    Explored explored;
    if (!ruleset.empty()) {
        if (options.progress) options.progress("further packets");
        ExploreOptions further;
        further.dimensions = options.dimensions;
        std::set<std::pair<std::string, std::string>> swept;
        for (const auto& pair : pairs) {
            const bool stranger_from = pair.from.name.starts_with(std::string{anyone} + "-");
            swept.insert({stranger_from ? std::string{anyone} : pair.from.name, pair.to.name});
        }
        further.swept = [&](const std::string& from, const std::string& to) { return swept.contains({from, to}); };
        explored = explore_ruleset(asked, ruleset, further);
    }
    report.opened = std::move(explored.opened), report.conditional = std::move(explored.conditional);
    report.tried = std::move(explored.tried), report.not_tried = std::move(explored.not_tried);
    report.notes.insert(report.notes.end(), explored.notes.begin(), explored.notes.end());
    report.explored_seconds = explored.seconds;

    const auto of_all = rules::needs(asked);
    for (const auto& [from, to, protocol, number] : pairs) {
        const auto& job = jobs[number];
        auto needed = of_all;
        for (auto* list : {&needed.needs, &needed.alternatives})
            for (auto& need : *list) {  // whoever it is may be anyone
                if (need.source_net && need.source_zone == from.zone) need.source = from.name;
                if (need.destination_net && need.destination_zone == to.zone) need.destination = to.name;
            }
        auto pair =
            find_openings(from.name, to.name, protocol, job.sweep.ports, needed.needs, job.rules, needed.alternatives, [&](unsigned port) {
                return explored.reaches && explored.reaches(from.name, to.name, protocol, port);
            });
        pair.from_zone = from.zone, pair.to_zone = to.zone;
        pair.seconds = job.seconds, pair.rounds = job.sweep.rounds;
        if (!job.sweep.lost.empty()) pair.doubts.push_back(job.sweep.lost);
        if (job.from.name != from.name || job.to.name != to.name)
            pair.probed_as = job.from.name + " -> " + job.to.name, pair.seconds = 0, pair.rounds = 0;
        report.pairs.push_back(std::move(pair));
    }
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report;
}

}  // namespace wmlab::lab
