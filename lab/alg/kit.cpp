#include "lab/alg/kit.hpp"

#include <poll.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "lab/alg/packets.hpp"
#include "lab/host/error.hpp"
#include "lab/verdict/exit_code.hpp"

namespace wmlab::lab {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Wish = Announcement::Wish;

constexpr milliseconds connect_patience{1500}, before_patience{120}, after_patience{250}, poll_patience{25}, help_patience{1500}, marker_patience{2000},
    inspector_patience{10'000};

constexpr std::uint16_t call_port = 4999;  // of the client's calls over UDP

struct Hosts {
    AlgHost client, other, server, stranger;
    AlgParties parties() const { return {client.address, other.address, server.address, stranger.address}; }
};

// The pair of hosts that speaks the protocol; else the first flow's that crosses the firewall.
std::pair<std::string, std::string> speakers(const scenario::Scenario& scenario, Announces kind) {
    using enum scenario::FlowType;
    std::optional<std::pair<std::string, std::string>> any;
    for (const auto& flow : scenario::instances(scenario)) {
        const auto *from = scenario.host(flow.from), *to = scenario.host(flow.to);
        if (from == nullptr || to == nullptr || from->zone == to->zone) continue;
        const auto type = flow.flow->type;
        const bool fits = kind == Announces::mms    ? type == mms_udp || type == mms_auto || type == mms_tcp
                          : kind == Announces::msbd ? type == msbd
                                                    : type == dcom || type == encoder_alias;
        if (fits) return {flow.from, flow.to};
        if (!any && type != multicast) any = {flow.from, flow.to};
    }
    if (!any)
        throw SetupFailed{"find a client and a server", "no flow of the scenario has its hosts in two zones",
                          "give the scenario an mms-udp flow from a player to its server"};
    return *any;
}

// The two of them and one more host in each zone: the scenario's, where it has one, else one that is made, where hosts
// can be: not on other machines.
struct Stage {
    scenario::Scenario scenario;
    std::array<scenario::Host, 4> hosts;  // client, other, server, stranger
    std::vector<std::string> missing;     // sentences
};

Stage stage(const scenario::Scenario& whole, Announces kind, const Setting& setting) {
    Stage staged;
    staged.scenario = whole;
    auto& hosts = staged.scenario.hosts;
    staged.scenario.flows.clear(), staged.scenario.contents.clear(), staged.scenario.events.clear(), hosts.clear();
    const auto [from, to] = speakers(whole, kind);
    const auto add = [&](std::size_t index, const scenario::Host& host) { staged.hosts.at(index) = hosts.emplace_back(host); };
    const auto neighbour = [&](std::size_t index, const std::string& of, const std::string& called) {
        const auto& zone = *whole.zone(whole.host(of)->zone);
        for (const auto& host : whole.hosts)
            if (host.zone == zone.name && host.name != of) return add(index, host);
        scenario::Host made;
        made.name = called;
        made.zone = zone.name;
        for (auto value = zone.subnet.broadcast().value - 1; value > zone.subnet.network.value; --value) {
            made.address = {value};
            if (made.address != zone.gateway && whole.host_at(made.address) == nullptr) break;
        }
        if (setting.built_in() || setting.attached.contains(zone.name)) return add(index, made);
        staged.hosts.at(index) = made;
        staged.missing.push_back(fmt::format(
            "zone {} has no host beside {}, and none can be made on another machine: what opens for others there is not seen. Give the scenario one more host in that zone, with its `launch`",
            zone.name, of));
    };
    add(0, *whole.host(from)), neighbour(1, from, "other"), add(2, *whole.host(to)), neighbour(3, to, "stranger");
    for (auto& host : hosts) host.run.clear(), host.published.clear();
    return staged;
}

class Kit {
public:
    Kit(Lab& lab, const Stage& staged, const AlgOptions& options, AlgReport& report)
        : lab_{lab}, hands_{lab, staged.scenario}, options_{options}, report_{report} {
        const auto host = [&](std::size_t index) {
            const auto& one = staged.hosts.at(index);
            return AlgHost{one.name, one.address, hands_.of(one.name)};
        };
        hosts_ = {host(0), host(1), host(2), host(3)};
    }

    void run(Announces kind) {
        for (const auto& announcement : announcements(hosts_.parties(), kind)) {
            if (lab_.interruptions > 0) return;
            if (options_.only && !options_.only(announcement)) continue;
            if (options_.progress) options_.progress(announcement.id);
            AlgFinding finding;
            try {
                finding = examine(announcement);
            } catch (const SetupFailed& failure) {
                finding = {};
                finding.announcement = announcement, finding.why = failure.what();
            }
            if (lab_.interruptions > 0) return;  // it was cut short
            report_.findings.push_back(std::move(finding));
            if (options_.setting.built_in()) lab_.network.forget_connections();
        }
    }

private:
    void wait(milliseconds time) {
        lab_.wait([] { return false; }, steady_clock::now() + time);
    }

    // What the stream needs.
    Probe announced(const Announcement& one) const {
        if (one.kind == Announces::mms) return {&hosts_.server, &hosts_.client, 1755, one.port, scenario::Protocol::udp};
        // Over UDP from one port always: what a firewall has let through once it knows by its ports.
        return {&hosts_.client, &hosts_.server, one.kind == Announces::mapper_udp ? call_port : std::uint16_t{0}, one.port, protocol_of(one.kind)};
    }
    // What it does not.
    std::vector<Probe> others(const Announcement& one) const {
        const auto& [client, other, server, stranger] = hosts_;
        const auto next = static_cast<std::uint16_t>(one.port + 1), port = one.port;
        using enum scenario::Protocol;
        if (one.kind == Announces::mms)
            return {{&stranger, &client, 1755, port, udp}, {&server, &client, 1755, next, udp}, {&server, &other, 1755, port, udp}, {&client, &server, 0, port, udp}};
        const auto by = protocol_of(one.kind);
        return {{&other, &server, 0, port, by}, {&client, &server, 0, next, by}, {&client, &stranger, 0, port, by}, {&server, &client, 0, port, by}};
    }

    // Nothing where its first words do not come through.
    std::unique_ptr<AlgConnection> make(const Announcement& one) {
        const auto by = one.kind == Announces::mapper_udp ? scenario::Protocol::udp : scenario::Protocol::tcp;
        auto connection = AlgConnection::open(hands_, hosts_.client, hosts_.server, by, one.control_port, connect_patience);
        for (const auto& segment : one.segments) {
            if (!connection) break;
            const bool heard = connection->say(segment);
            const bool first = &segment == &one.segments.front() && segment.by_client;
            if (first && !heard) return nullptr;
        }
        return connection;
    }

    // The way of its announcement is open, and what is to be said has been said.
    bool made(const Announcement& one, std::unique_ptr<AlgConnection>& connection) {
        if (one.refused) return AlgConnection::refused(hands_, hosts_.client, hosts_.server, one.control_port, connect_patience);
        connection = make(one);
        return connection != nullptr;
    }

    bool opens_within(const Announcement& one, milliseconds patience) {
        const auto limit = steady_clock::now() + patience + 4 * std::max(hosts_.client.hand->latency(), hosts_.server.hand->latency());
        do {
            if (arrive(hands_, {announced(one)}, one.id, poll_patience).probes.front()) return true;
        } while (steady_clock::now() < limit && lab_.interruptions == 0);
        return false;
    }

    // Returns when the firewall has read what was said before, as far as a plain announcement can show it. Its connection
    // stays until it has been looked what is open: its end may close more than its own port.
    std::unique_ptr<AlgConnection> let_it_read(Announces kind) {
        if (kind == Announces::msbd) {  // there is none
            wait(after_patience);
            return nullptr;
        }
        const auto plain = marker(hosts_.parties(), kind, markers_++);
        auto connection = make(plain);
        if (!connection || !opens_within(plain, unhelpful_.contains(kind) ? milliseconds{400} : marker_patience)) unhelpful_.insert(kind);
        return connection;
    }

    // Packets of the stream, often enough that nobody takes it for idle. How far they were apart.
    milliseconds keep(const Announcement& one) {
        const auto limit = steady_clock::now() + 2 * options_.lifetime;
        auto longest = 0ms;
        for (unsigned n = 0; steady_clock::now() < limit && lab_.interruptions == 0; ++n) {
            const auto sent = steady_clock::now();
            arrive(hands_, {announced(one)}, fmt::format("{} kept {}", one.id, n), poll_patience), wait(poll_patience);
            longest = std::max(longest, std::chrono::duration_cast<milliseconds>(steady_clock::now() - sent));
        }
        return longest;
    }

    static bool acts(const AlgHost& host) { return host.hand != nullptr && host.hand->broken().empty(); }

    static std::string out_of_reach(const AlgHost& host) {
        return host.hand == nullptr ? fmt::format("there is no host in the place of {}", host.name) : host.hand->broken();
    }

    // Whose address a wrong announcement names, and what opens for it.
    const AlgHost& named(const Announcement& one) const { return one.kind == Announces::mms ? hosts_.other : hosts_.stranger; }

    // All that may open, the stream's own first; those that cannot be sent or received are left out.
    std::vector<Probe> probes_of(const Announcement& one, AlgFinding& finding) const {
        std::vector<Probe> probes{announced(one)};
        for (const auto& probe : others(one)) {
            const auto* missing = !acts(*probe.from) ? probe.from : !acts(*probe.to) ? probe.to : nullptr;
            if (missing == nullptr) {
                probes.push_back(probe);
            } else {
                finding.left_out.push_back(fmt::format("{} ({})", probe.words(), out_of_reach(*missing)));
            }
        }
        return probes;
    }

    AlgFinding examine(const Announcement& one) {
        AlgFinding finding;
        finding.announcement = one;
        if (one.names_foreign && !acts(named(one))) {
            finding.why = fmt::format("{}, whose address it names: whether that opens cannot be seen", out_of_reach(named(one)));
            return finding;
        }
        const auto probes = probes_of(one, finding);
        const auto before = arrive(hands_, probes, one.id + " before", before_patience);
        const auto& open_before = before.probes;
        if (open_before.front()) {
            finding.why = fmt::format("{} gets through before anything is announced", probes.front().words());
            return finding;
        }
        if (!probes.front().from->hand->here() && !before.kept.front().empty()) {
            finding.why = fmt::format("{} does not leave its own machine: {}", probes.front().words(), before.kept.front());
            return finding;
        }
        std::unique_ptr<AlgConnection> connection;
        if (!made(one, connection)) {
            finding.why = fmt::format("no {} from {} to {}:{}",
                                      one.refused                         ? "refusal"
                                      : one.kind == Announces::mapper_udp ? "way"
                                                                          : "connection",
                                      hosts_.client.name, hosts_.server.name, one.control_port);
            return finding;
        }
        if (connection && !connection->not_repeated().empty()) {
            finding.why = connection->not_repeated();
            return finding;
        }
        const auto said = steady_clock::now();
        if (one.then == Announcement::Then::close) connection->close();
        if (one.then == Announcement::Then::idle || one.then == Announcement::Then::close) wait(options_.lifetime);
        if (one.then == Announcement::Then::kept)
            if (const auto apart = keep(one); 2 * apart > options_.lifetime)
                finding.notes.push_back(fmt::format("packets of the stream were up to {} ms apart: that is how long the machines took", apart.count()));
        if (one.wish == Wish::opens && one.then == Announcement::Then::nothing && opens_within(one, unhelpful_.contains(one.kind) ? after_patience : help_patience))
            finding.opened_after = std::chrono::duration<double, std::milli>{steady_clock::now() - said}.count();
        const auto plain = let_it_read(one.kind);
        const auto after = arrive(hands_, probes, one.id, after_patience);
        const auto& open = after.probes;
        finding.opened = open.front() || finding.opened_after > 0;
        for (std::size_t i = 0; i < probes.size(); ++i) {
            const bool needed = i == 0 && (one.wish != Wish::stays || one.names_foreign);
            if (!open[i] && !probes[i].from->hand->here() && !after.kept[i].empty())
                finding.left_out.push_back(fmt::format("{} (it does not leave its own machine: {})", probes[i].words(), after.kept[i]));
            if (!open[i] || needed) continue;
            (open_before[i] ? finding.notes : finding.through).push_back(probes[i].words() + (open_before[i] ? " gets through without it too" : ""));
        }
        if (one.names_foreign && finding.opened) finding.notes.emplace_back("it opens for who announced it, whatever the address says");
        if (one.wish == Wish::may_open) finding.notes.emplace_back(finding.opened ? "it opens" : "it does not open");
        finding.conduct = !finding.through.empty()                     ? Conduct::opens_too_much
                          : one.wish == Wish::opens && !finding.opened ? Conduct::does_not_help
                          : !finding.left_out.empty()                  ? Conduct::partly_tried
                                                                       : Conduct::conforming;
        return finding;
    }

    Lab& lab_;
    Hands hands_;
    const AlgOptions& options_;
    AlgReport& report_;
    Hosts hosts_;
    unsigned markers_ = 0;
    std::set<Announces> unhelpful_;  // not even a plain announcement opens anything
};

// The program under test, where the firewall is ours.
std::shared_ptr<Process> start_inspector(Lab& lab, const AlgOptions& options, const std::filesystem::path& directory) {
    if (options.inspector.empty()) return nullptr;
    lab.launcher.place("firewall", lab.network.firewall());
    Start start;
    start.host = "firewall";
    start.argv = options.inspector;
    if (const auto program = find_program(start.argv.front()); !program.empty()) start.argv.front() = program.string();
    start.directory = directory;
    auto ready = std::make_shared<bool>(false);
    auto noise = std::make_shared<std::string>();
    start.line = [ready](std::string_view line) { *ready = *ready || line == "ready"; };
    start.noise = [noise](std::string_view part) { *noise += part; };
    auto process = lab.launcher.start(std::move(start));
    lab.wait([&] { return *ready || process->ending(); }, steady_clock::now() + inspector_patience);
    if (!*ready)
        throw SetupFailed{fmt::format("start the inspector `{}`", fmt::join(options.inspector, " ")),
                          process->ending() ? process->ending()->text() + (noise->empty() ? "" : ": " + *noise) : "it has not said `ready`",
                          "it has to write the line `ready` on its standard output when it reads packets"};
    return process;
}

}  // namespace

std::string_view text(Conduct conduct) {
    constexpr std::string_view names[] = {"conforming", "does not help", "opens too much", "partly tried", "not tried"};
    return names[static_cast<std::size_t>(conduct)];
}

std::size_t AlgReport::count(Conduct wanted) const {
    return static_cast<std::size_t>(std::ranges::count(findings, wanted, &AlgFinding::conduct));
}

Conduct AlgReport::conduct() const {
    for (const auto worst : {Conduct::opens_too_much, Conduct::does_not_help, Conduct::not_tried, Conduct::partly_tried})
        if (count(worst) > 0) return worst;
    return findings.empty() ? Conduct::not_tried : Conduct::conforming;
}

std::vector<Announces> kinds_of(const scenario::Scenario& scenario) {
    std::vector<Announces> kinds{Announces::mms, Announces::mapper};
    const auto any = [&](auto holds) { return std::ranges::any_of(scenario.flows, holds); };
    using enum scenario::FlowType;
    if (any([](const auto& flow) { return flow.type == dcom && flow.transport == scenario::Protocol::udp; })) kinds.push_back(Announces::mapper_udp);
    if (any([](const auto& flow) { return flow.type == msbd; })) kinds.push_back(Announces::msbd);
    return kinds;
}

AlgReport try_announcements(const ScenarioText& text, const Inside& inside, const AlgOptions& options) {
    const auto start = steady_clock::now();
    AlgReport report;
    report.scenario = text.scenario.name;
    report.file = text.scenario.file.string();
    report.ruleset = options.ruleset.string();
    report.inspector = fmt::format("{}", fmt::join(options.inspector, " "));
    report.captures = options.captures.string();
    std::map<std::string, std::vector<Announces>> stages;  // by the pair of hosts
    std::set<std::string> here, elsewhere;                 // hosts, and those on other machines
    for (const auto kind : options.kinds.empty() ? kinds_of(text.scenario) : options.kinds) {
        const auto [from, to] = speakers(text.scenario, kind);
        stages[from + " " + to].push_back(kind);
    }
    for (const auto& [_, kinds] : stages) {
        if (report.interrupted) break;
        const auto staged = stage(text.scenario, kinds.front(), options.setting);
        for (const auto& missing : staged.missing)
            if (std::ranges::find(report.notes, missing) == report.notes.end()) report.notes.push_back(missing);
        Recorder recorder{{}, {}};
        const auto captures = options.captures.empty() || stages.size() == 1 ? options.captures : options.captures / staged.hosts.front().name;
        Lab lab{staged.scenario, inside, options.ruleset, recorder, options.setting, captures};
        const auto inspector = start_inspector(lab, options, text.directory);
        Kit kit{lab, staged, options, report};
        for (const auto kind : kinds) kit.run(kind);
        report.interrupted = lab.interruptions > 0;
        if (inspector && inspector->ending()) report.notes.push_back("the inspector ended meanwhile: " + inspector->ending()->text());
        if (inspector) {
            inspector->signal(SIGTERM);
            lab.wait_regardless([&] { return inspector->ending().has_value(); }, steady_clock::now() + kill_limit);
        }
        report.notes.insert(report.notes.end(), lab.notes.begin(), lab.notes.end());
        for (const auto& host : staged.scenario.hosts) (options.setting.has(host) ? here : elsewhere).insert(host.name);
        lab.wire.stop();
        if (lab.captures)
            for (auto& problem : lab.captures->close()) report.notes.push_back(std::move(problem));
    }
    if (!elsewhere.empty() && report.count(Conduct::does_not_help) > 0)
        report.notes.push_back(
            fmt::format("what stays shut may also be stopped by a packet filter of their own on the machines of {}", fmt::join(elsewhere, ", ")));
    if (!elsewhere.empty() && !options.captures.empty())
        report.notes.push_back(fmt::format("there are no captures of {}, on other machines", fmt::join(elsewhere, ", ")));
    if (here.empty()) report.captures.clear();
    if (report.interrupted) report.notes.emplace_back("interrupted: the announcements that are missing were not tried");
    report.seconds = std::chrono::duration<double>{steady_clock::now() - start}.count();
    return report;
}

int exit_code(const AlgReport& report) {
    if (report.interrupted) return ends::interrupted;
    const auto worst = report.conduct();
    if (worst == Conduct::conforming) return ends::as_expected;
    return worst == Conduct::not_tried || worst == Conduct::partly_tried ? ends::undecided : ends::not_as_expected;
}

}  // namespace wmlab::lab
