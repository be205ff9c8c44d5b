// wmlab doctor: what this machine allows, found out by doing each step of a lab once.
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include "lab/capture/wire.hpp"
#include "lab/commands/options.hpp"
#include "lab/commands/trial.hpp"
#include "lab/firewall/loading.hpp"
#include "lab/host/error.hpp"
#include "lab/host/remedy.hpp"
#include "lab/network/netlink.hpp"
#include "lab/network/network.hpp"
#include "lab/programs/launcher.hpp"

namespace wmlab::lab::commands {
namespace {

namespace po = boost::program_options;

enum class Need { must, nice };

// Says each step with its outcome as it is tried.
class Findings {
public:
    void ok(const std::string& what, const std::string& detail = {}) { line("ok", what, detail); }
    void fails(Need need, const std::string& what, const std::string& why, const std::string& what_to_do) {
        line(need == Need::must ? "no" : "--", what, why);
        if (!what_to_do.empty()) std::cout << "      " << what_to_do << '\n';
        if (need == Need::must) all_good_ = false;
    }
    // `step` throws SetupFailed or returns a detail worth saying.
    template <class Step>
    bool attempt(Need need, const std::string& what, Step step) {
        try {
            ok(what, step());
            return true;
        } catch (const SetupFailed& failure) {
            fails(need, what, failure.step() + ": " + failure.cause(), failure.remedy());
        } catch (const std::exception& failure) {
            fails(need, what, failure.what(), "");
        }
        return false;
    }
    bool all_good() const { return all_good_; }

private:
    static void line(const char* mark, const std::string& what, const std::string& detail) {
        std::cout << fmt::format("{:<4}{}{}{}\n", mark, what, detail.empty() ? "" : ": ", detail) << std::flush;
    }
    bool all_good_ = true;
};

// A file with this text for as long as the object lives.
class SmallFile {
public:
    explicit SmallFile(const std::string& text) {
        std::string pattern = (std::filesystem::temp_directory_path() / "wmlab-XXXXXX").string();
        const Descriptor file{::mkstemp(pattern.data())};
        path_ = pattern;
        if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
            throw setup_failed("write a scratch file", errno);
    }
    ~SmallFile() { ::unlink(path_.c_str()); }
    SmallFile(const SmallFile&) = delete;
    SmallFile& operator=(const SmallFile&) = delete;
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

constexpr const char* small_scenario = R"(version: 1
name: doctor
zones:
  inside:  { subnet: 10.10.0.0/24, interface: inside }
  outside: { subnet: 10.20.0.0/24, interface: outside }
hosts:
  media:  { zone: inside,  address: 10.10.0.10 }
  player: { zone: outside, address: 10.20.0.10 }
  deaf:   { zone: outside, address: 10.20.0.11 }
content: { tone: { synthetic: audio } }
defaults: { deadline: 1s, play: 300ms, content: tone }
flows:
  - { id: tcp-open, type: probe, from: player, to: media, protocol: tcp, ports: 80 }
  - { id: tcp-dropped, type: probe, from: player, to: media, protocol: tcp, ports: 81, expect: { verdict: blocked, cause: dropped } }
  - { id: tcp-rejected, type: probe, from: player, to: media, protocol: tcp, ports: 82, expect: { verdict: blocked, cause: rejected } }
  - { id: tcp-reset, type: probe, from: player, to: media, protocol: tcp, ports: 83, expect: { verdict: blocked, cause: reset } }
  - { id: udp-open, type: probe, from: player, to: media, protocol: udp, ports: 80 }
  - { id: udp-dropped, type: probe, from: player, to: media, protocol: udp, ports: 81, expect: { verdict: blocked, cause: dropped } }
  - { id: udp-rejected, type: probe, from: player, to: media, protocol: udp, ports: 82, expect: { verdict: blocked, cause: rejected } }
  - { id: group-open, type: multicast, from: media, to: player, group: 239.1.1.1, port: 8080 }
  - { id: group-dropped, type: multicast, from: media, to: player, group: 239.1.1.2, port: 8080, expect: { verdict: blocked, leg: media, cause: dropped } }
  - { id: join-dropped, type: multicast, from: media, to: deaf, group: 239.1.1.3, port: 8080, expect: { verdict: blocked, leg: join, cause: dropped } }
)";

// What the rule that is named for each of them must say.
constexpr std::array<std::pair<std::string_view, std::string_view>, 10> deciding{{{"tcp-open", "dport 80 accept"},
                                                                                  {"tcp-dropped", "policy drop"},
                                                                                  {"tcp-rejected", "dport 82 reject"},
                                                                                  {"tcp-reset", "dport 83 reject"},
                                                                                  {"udp-open", "dport 80 accept"},
                                                                                  {"udp-dropped", "policy drop"},
                                                                                  {"udp-rejected", "dport 82 reject"},
                                                                                  {"group-open", "239.1.1.1 udp"},
                                                                                  {"group-dropped", "policy drop"},
                                                                                  {"join-dropped", "igmp drop"}}};

constexpr const char* small_ruleset = R"(flush ruleset
table inet filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    meta l4proto { tcp, udp } th dport 80 accept
    meta l4proto { tcp, udp } th dport 82 reject with icmp type admin-prohibited
    tcp dport 83 reject with tcp reset
    ip daddr 239.1.1.1 udp dport 8080 accept
  }
  chain input {
    type filter hook input priority 0; policy accept;
    ip saddr 10.20.0.11 ip protocol igmp drop
  }
}
)";

constexpr const char* small_iptables_ruleset =
    "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -p tcp --dport 80 -j ACCEPT\nCOMMIT\n";

ScenarioText example() {
    ScenarioText text;
    text.yaml = small_scenario;
    text.directory = std::filesystem::temp_directory_path();
    auto loaded = scenario::load(text.yaml, "doctor", text.directory);
    if (!loaded.ok()) throw std::logic_error{scenario::explain(loaded.problems)};
    text.scenario = std::move(loaded.scenario);
    return text;
}

std::string low_port(const Namespace& host) {
    const Entered entered{host};
    const Descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(80);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const auto error = errno;
        throw setup_failed("bind port 80", error, remedy(Privilege::low_port, error));
    }
    return {};
}

std::string trace(const Namespace& firewall) {
    constexpr unsigned group = 9;  // NFNLGRP_NFTRACE
    const Entered entered{firewall};
    const Descriptor socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)};
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::setsockopt(socket.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
        const auto error = errno;
        throw setup_failed("listen to the kernel's trace", error, remedy(Privilege::trace, error));
    }
    return {};
}

std::string kernel_number(const char* name) {
    std::ifstream in{std::string{"/proc/sys/net/core/"} + name};
    std::string value;
    in >> value;
    return value;
}

void look_for_programs(Findings& findings) {
    for (const auto* simulator : {"server_sim", "client_sim", "encoder_sim"}) {
        const auto file = find_simulator(simulator);
        if (file.empty()) {
            findings.fails(Need::must, simulator, "neither beside wmlab nor in PATH",
                           "build or install all four programs");
        } else {
            findings.ok(simulator, file.string());
        }
    }
    struct Tool {
        const char *name, *what_for, *package;
    };
    for (const auto& [name, what_for, package] :
         {Tool{"iptables-nft-restore", "iptables-save files as rulesets", "iptables"},
          Tool{"nsenter", "shells on hosts of a lab that is kept (--keep)", "util-linux"}}) {
        const auto file = find_program(name);
        if (file.empty()) {
            findings.fails(Need::nice, name, std::string{"not installed; needed for "} + what_for,
                           std::string{"Debian: apt install "} + package);
        } else {
            findings.ok(name, file.string());
        }
    }
}

// Each step of a lab, inside the walls.
void try_steps(Findings& findings, const Inside& inside) {
    findings.ok(inside.user_namespace ? "user namespace, with the user as its root" : "namespaces as root");
    findings.ok("process and network namespaces");
    const auto example_text = example();
    findings.attempt(Need::nice, "host names for every program", [&]() -> std::string {
        auto notes = inside.notes;
        if (inside.mounts) mount_private_names(hosts_file(example_text.scenario), notes);
        if (notes.empty()) return {};
        throw SetupFailed{"mount private files", notes.front(), remedy(Privilege::mount, EPERM)};
    });
    std::optional<Network> network;
    if (!findings.attempt(Need::must, "hosts, switches, links, addresses, routes", [&]() -> std::string {
            const auto start = std::chrono::steady_clock::now();
            network.emplace(example_text.scenario);
            const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
            return fmt::format("{:.1f} ms", took.count());
        }))
        return;
    findings.attempt(Need::nice, "kernel settings of a namespace", [&]() -> std::string {
        if (network->notes().empty()) return {};
        throw SetupFailed{"write /proc/sys/net", network->notes().front(), remedy(Privilege::setting, EACCES)};
    });
    findings.attempt(Need::must, "an nftables ruleset", [&]() -> std::string {
        const SmallFile file{small_ruleset};
        load_ruleset(network->firewall(), file.path());
        if (!inside.user_namespace) return {};
        return "an ordinary user's may have " + kernel_number("wmem_max") +
               " bytes as the kernel counts them (net.core.wmem_max)";
    });
    if (!find_program("iptables-nft-restore").empty())
        findings.attempt(Need::nice, "an iptables-save ruleset", [&]() -> std::string {
            const SmallFile file{small_iptables_ruleset};
            const Namespace other = Namespace::create("an iptables ruleset");
            load_ruleset(other, file.path());
            return {};
        });
    findings.attempt(Need::must, "connection tracking", [&]() -> std::string {
        network->forget_connections();
        return {};
    });
    findings.attempt(Need::must, "the witness on a host's wire", [&]() -> std::string {
        Wire wire{{{"player", &network->host("player"), host_interface, {}}}};
        wire.take();
        return {};
    });
    findings.attempt(Need::must, "ports below 1024", [&] { return low_port(network->host("media")); });
    findings.attempt(Need::nice, "the kernel's trace, which names rules", [&] { return trace(network->firewall()); });
}

// In a lab of its own: ports that are open and ports that are blocked in each way, and whether the verdicts say so.
bool prove(const Inside& inside) {
    std::cout << "\na lab with open and blocked ports, and what is found\n" << std::flush;
    const SmallFile ruleset{small_ruleset};
    const auto text = example();
    TrialOptions options;
    options.ruleset = ruleset.path();
    options.say = [](const std::string& sentence) { std::cerr << "wmlab: " << sentence << std::endl; };
    const auto trial = try_scenario(text, inside, options);
    bool all = !trial.report.flows.empty() && !trial.interrupted;
    for (const auto& flow : trial.report.flows) {
        const auto* rule = flow.rule                                     ? &*flow.rule
                           : !flow.legs.empty() && flow.legs.back().rule ? &*flow.legs.back().rule
                                                                         : nullptr;
        const auto* must = std::ranges::find(deciding, flow.id, &std::pair<std::string_view, std::string_view>::first);
        const bool right = !rule || rule->text.find(must->second) != std::string::npos;
        const bool good = flow.as_expected && right;
        all = all && good;
        std::cout << fmt::format("{:<4}{:<14}{}{}{}{}\n", good ? (rule ? "ok" : "--") : "no", flow.id,
                                 scenario::text(flow.verdict), flow.cause ? " " : "",
                                 flow.cause ? scenario::text(*flow.cause) : std::string_view{},
                                 rule ? fmt::format(", rule at line {}: {}", rule->line, rule->text)
                                      : ", no rule is named: the trace does not work here");
        if (!flow.as_expected) std::cout << "      " << flow.explanation << '\n';
        if (!right) std::cout << "      this is not the rule that decided\n";
    }
    return all;
}

}  // namespace

int doctor_command(Arguments arguments) {
    Usage usage{"doctor",
                "[--prove]",
                "Tries each thing a lab needs on this machine and says what works, what does not, why, and what to do. Exit code 0: labs work; 3: they do not.",
                {},
                "\nMarks: `ok` it works; `no` it does not, and a lab needs it; `--` it does not, and labs work without what the line names.\n"};
    usage.options.add_options()("prove", "also build a small lab, block and open ports in it, and show that the verdicts change accordingly");
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    if (!words(*values).empty()) throw UsageError{"doctor: takes no arguments"};

    Findings findings;
    int code = 0;
    try {
        code = in_sandbox([&](const Inside& inside) {
            Findings within;
            try_steps(within, inside);
            return within.all_good() ? 0 : 3;
        });
    } catch (const SetupFailed& failure) {
        findings.fails(Need::must, failure.step(), failure.cause(), failure.remedy());
        code = 3;
    }
    look_for_programs(findings);
    if (!findings.all_good()) code = 3;
    if (code == 0 && values->contains("prove"))
        code = inside_sandbox([](const Inside& inside) { return prove(inside) ? 0 : 1; });
    std::cout << (code == 0   ? "\nLabs work on this machine.\n"
                  : code == 1 ? "\nThe verdicts do not follow the ruleset: do not trust this machine's labs.\n"
                              : "\nLabs do not work on this machine yet.\n");
    return code;
}

}  // namespace wmlab::lab::commands
