#include "lab/audit/audit.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <thread>

#include "common/scenario/boxes.hpp"
#include "lab/audit/opened.hpp"
#include "lab/audit/openers.hpp"
#include "lab/firewall/kernel_rules.hpp"
#include "lab/firewall/loading.hpp"
#include "lab/firewall/settling.hpp"
#include "lab/firewall/tracer.hpp"
#include "lab/host/at_once.hpp"
#include "lab/host/error.hpp"
#include "lab/host/interruption.hpp"
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
        const bool own = scenario::own_address(scenario, zone) == address;
        if (own || address == zone.gateway || address == zone.subnet.network || scenario.host_at(address)) continue;
        scenario::Host host;
        host.name = std::string{anyone} + "-" + zone.name;
        host.zone = zone.name;
        host.address = address;
        return host;
    }
    return std::nullopt;
}

OnTheWay between(const Network& network, const Scenario& scenario, const Job& job) {
    // Of several firewalls the one under audit is by itself: whoever is behind others has another zone there.
    const auto &from = *scenario.zone(scenario.host(job.from.name)->zone), &to = *scenario.zone(scenario.host(job.to.name)->zone);
    return {&network.firewall(), from.interface, to.interface, {&network.switch_of(from.name), &network.switch_of(to.name)}};
}

// As many sweeps at a time as there are processors: each keeps one busy. All in one direction: the probes of one must
// not be answers to those of another. The seconds it took.
double sweep_all(Network& network, const Scenario& scenario, std::span<Job> jobs, const AuditOptions& options) {
    const auto start = std::chrono::steady_clock::now();
    std::mutex mutex;
    at_once(jobs.size(), std::min(std::max(std::thread::hardware_concurrency(), 1u), 4u), [&](std::size_t i) {
        auto& job = jobs[i];
        {
            const std::scoped_lock lock{mutex};
            if (Interruptions::unanswered() > 0) return;
            if (options.progress) options.progress(job.from.name + " -> " + job.to.name + " " + std::string{scenario::text(job.protocol)});
            network.forget_connections();
        }
        job.sweep = sweep({&network.host(job.from.name), job.from.address}, {&network.host(job.to.name), job.to.address}, between(network, scenario, job),
                          job.protocol);
        job.seconds = job.sweep.seconds;
    });
    Interruptions::check();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// False: with all its rules the firewall decides otherwise than it did in the sweep.
bool find_rules(Network& network, Job& job, const rules::Ruleset& ruleset, const rules::Literals& literals, bool confirm) {
    const auto start = std::chrono::steady_clock::now();
    network.forget_connections();
    const SweepEnd from{&network.host(job.from.name), job.from.address};
    const SweepEnd to{&network.host(job.to.name), job.to.address};
    const auto open = stretches(job.sweep.ports, literals);
    job.rules = openers(from, to, network.firewall(), job.protocol, ruleset, open, literals.ports_opaque);
    if (confirm && (std::ranges::any_of(open, [&](const Stretch& s) { return !job.rules[s.first]; }) ||
                    !stay_closed(from, to, network.firewall(), job.protocol, ruleset, job.sweep.ports)))
        return false;
    job.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return true;
}

// The kernel walks through every rule for each of 65,535 probes. Of a large ruleset those that no probe can match are
// left out of the sweep; afterwards, with all rules, both ends of every stretch of ports are tried again.
constexpr std::size_t worth_leaving_out = 500;

std::vector<const rules::Rule*> to_leave_out(Network& network, const Scenario& scenario, const std::vector<Job>& jobs, const rules::Ruleset& ruleset) {
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

// One audit, step by step.
class PortAudit {
public:
    PortAudit(const Scenario& asked, const AuditOptions& options)
        : asked_{asked},
          options_{options},
          given_{scenario::without_samples(asked)},  // `anyone` is tried as an address that no host has
          scenario_{scenario::by_itself(with_strangers(given_))},
          file_{options.ruleset.empty() ? given_.firewall.ruleset : options.ruleset},
          network_{scenario_} {}

    AuditReport run() {
        report_.scenario = given_.name;
        report_.ruleset = file_.string();
        if (!file_.empty()) dialect_ = load_ruleset(network_.firewall(), file_);
        report_.notes = network_.notes();
        if (scenario::several_boxes(asked_))
            report_.notes.push_back(fmt::format("firewall {} by itself, as if the others let everything through", asked_.firewall.name));
        read_rules();
        make_ready();
        choose_pairs();
        const auto left_out = rules_ ? to_leave_out(network_, scenario_, jobs_, *rules_) : std::vector<const rules::Rule*>{};
        take_out(network_.firewall(), left_out);
        for (std::size_t direction = 0; direction < report_.directions.size(); ++direction) {
            const auto [first, last] = std::ranges::equal_range(jobs_, direction, {}, &Job::direction);
            report_.directions[direction].seconds += sweep_all(network_, scenario_, std::span{first, last}, options_);
        }
        if (rules_) name_rules(left_out.size());
        const auto explored = explore_further();
        const auto needs = rules::needs(asked_);
        for (const auto& pair : pairs_) report_.pairs.push_back(told(pair, needs, explored));
        report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
        return std::move(report_);
    }

private:
    static Scenario with_strangers(const Scenario& given) {
        auto scenario = given;
        for (const auto& zone : given.zones)
            if (auto host = stranger(given, zone)) scenario.hosts.push_back(std::move(*host));
        return scenario;
    }

    void read_rules() {
        if (file_.empty()) return;
        rules_ = read_ruleset(network_.firewall(), file_);
        rules::collect_literals(list_rules(network_.firewall()), literals_);
        for (const auto& file : rules_->source().files) rules::collect_literals(rules::read_from_disk(file).value_or(""), literals_);
        settle();
    }

    // One probe is not to decide about another: limits and sets that packets fill.
    void settle() {
        const auto past = past_rules(network_.firewall(), dialect_);
        if (past.rules().empty()) return;
        settle_rules(network_.firewall(), dialect_, past, {});  // which of them it could not load, the further packets tell
        rules_->renumber(rules::Ruleset::parse(running_json(network_.firewall()), {}, {}));
    }

    void make_ready() {
        std::vector<Neighbour> neighbours;
        for (const auto& host : scenario_.hosts) neighbours.push_back({{&network_.host(host.name), host.address}, scenario_.zone(host.zone)->gateway});
        get_acquainted(neighbours, network_.firewall());
        // Answers are none of the audit's business: without them it takes half the time.
        for (const auto& host : scenario_.hosts)
            load_rules(network_.host(host.name),
                       "table ip wmlab_quiet {\n chain before {\n  type filter hook prerouting priority raw\n"
                       "  ip protocol { tcp, udp, icmp } drop\n }\n}\n");
    }

    // Hosts that take part in a flow, and who is anyone of each zone, to hosts that do.
    void choose_pairs() {
        std::set<std::string> used;
        for (const auto& instance : scenario::instances(asked_)) {
            used.insert(instance.from), used.insert(instance.to);
            if (instance.flow->proxy) used.insert(instance.flow->proxy->host);
        }
        std::map<std::string, std::vector<scenario::Host>> sources, targets;  // by zone
        for (const auto& host : given_.hosts)
            if (used.contains(host.name)) sources[host.zone].push_back(host), targets[host.zone].push_back(host);
        for (auto host : scenario_.hosts) {  // strangers
            if (given_.host(host.name) != nullptr) continue;
            host.zone = host.name.substr(anyone.size() + 1);
            sources[host.zone].push_back(host);
        }
        for (const auto& from_zone : given_.zones)
            for (const auto& to_zone : given_.zones) {
                // Of several firewalls zones may be behind the same side. Who has another gateway may use this one all the same.
                if (from_zone.name == to_zone.name || from_zone.interface == to_zone.interface) continue;
                report_.directions.push_back({from_zone.name, to_zone.name, 0});
                for (const auto& from : sources[from_zone.name])
                    for (const auto& to : targets[to_zone.name])
                        for (const auto protocol : {Protocol::tcp, Protocol::udp}) add_pair(from, to, protocol);
            }
    }

    // Pairs of hosts that no rule can tell apart share a sweep. Those of one direction follow each other.
    void add_pair(const scenario::Host& from, const scenario::Host& to, Protocol protocol) {
        auto same = std::ranges::find_if(jobs_, [&](const Job& job) {
            return !options_.every_host && job.protocol == protocol && job.from.zone == from.zone && job.to.zone == to.zone &&
                   literals_.same_address(job.from.address, from.address) && literals_.same_address(job.to.address, to.address);
        });
        if (same == jobs_.end()) same = jobs_.insert(same, {from, to, protocol, {}, {}, 0, report_.directions.size() - 1});
        pairs_.push_back({from, to, protocol, static_cast<std::size_t>(same - jobs_.begin())});
    }

    void name_rules(std::size_t left_out) {
        if (left_out > 0) {
            report_.notes.push_back(
                fmt::format("{} of {} rules, which no probe can match by its addresses and interfaces, were left out while all "
                            "ports were probed; with all rules every end of a stretch of open or closed ports was probed again",
                            left_out, rules_->rules().size()));
            load_rules(network_.firewall(), "flush ruleset");
            load_ruleset(network_.firewall(), file_);
            rules_ = read_ruleset(network_.firewall(), file_);
            settle();
        }
        switch_trace_on(network_.firewall(), *rules_, 1'000'000);
        for (auto& job : jobs_) {
            if (!find_rules(network_, job, *rules_, literals_, left_out > 0)) {
                sweep_all(network_, scenario_, std::span{&job, 1}, options_);
                find_rules(network_, job, *rules_, literals_, false);
            }
            report_.directions[job.direction].seconds += job.seconds - job.sweep.seconds;
        }
    }

    Explored explore_further() {
        if (file_.empty()) return {};
        if (options_.progress) options_.progress("further packets");
        ExploreOptions further;
        further.dimensions = options_.dimensions;
        std::set<std::pair<std::string, std::string>> swept;
        for (const auto& pair : pairs_) {
            const bool stranger_from = pair.from.name.starts_with(std::string{anyone} + "-");
            swept.insert({stranger_from ? std::string{anyone} : pair.from.name, pair.to.name});
        }
        further.swept = [&](const std::string& from, const std::string& to) { return swept.contains({from, to}); };
        auto explored = explore_ruleset(asked_, file_, further);
        if (scenario::several_boxes(asked_))
            for (auto& opened : explored.opened) opened.box = asked_.firewall.name;
        report_.opened = std::move(explored.opened), report_.conditional = std::move(explored.conditional);
        report_.tried = std::move(explored.tried), report_.not_tried = std::move(explored.not_tried);
        report_.notes.insert(report_.notes.end(), explored.notes.begin(), explored.notes.end());
        report_.explored_seconds = explored.seconds;
        return explored;
    }

    PairAudit told(const Pair& of, const rules::Needs& of_all, const Explored& explored) const {
        const auto& [from, to, protocol, number] = of;
        const auto& job = jobs_[number];
        auto needed = of_all;
        for (auto* list : {&needed.needs, &needed.alternatives})
            for (auto& need : *list) {  // whoever it is may be anyone
                if (need.source_net && need.source_zone == from.zone) need.source = from.name;
                if (need.destination_net && need.destination_zone == to.zone) need.destination = to.name;
            }
        const auto reached = [&explored, &one = of](unsigned port) {
            return explored.reaches && explored.reaches(one.from.name, one.to.name, one.protocol, port);
        };
        auto pair = find_openings(from.name, to.name, protocol, job.sweep.ports, needed.needs, job.rules, needed.alternatives, reached);
        pair.from_zone = from.zone, pair.to_zone = to.zone;
        pair.seconds = job.seconds, pair.rounds = job.sweep.rounds;
        if (!job.sweep.lost.empty()) pair.doubts.push_back(job.sweep.lost);
        if (job.from.name != from.name || job.to.name != to.name) pair.probed_as = job.from.name + " -> " + job.to.name, pair.seconds = 0, pair.rounds = 0;
        return pair;
    }

    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    const Scenario& asked_;
    const AuditOptions& options_;
    const Scenario given_, scenario_;  // the latter with one stranger in each zone; of several firewalls only this one
    const std::filesystem::path file_;
    Network network_;
    rules::Dialect dialect_ = rules::Dialect::nft;
    std::optional<rules::Ruleset> rules_;
    rules::Literals literals_;
    std::vector<Job> jobs_;
    std::vector<Pair> pairs_;
    AuditReport report_;
};

}  // namespace

AuditReport audit(const Scenario& asked, const AuditOptions& options) { return PortAudit{asked, options}.run(); }

}  // namespace wmlab::lab
