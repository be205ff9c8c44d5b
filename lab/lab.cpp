#include "lab/lab.hpp"

#include <algorithm>
#include <csignal>

#include "lab/firewall.hpp"

namespace wmlab::lab {
namespace {

// The firewall's own wires are watched too, unless a host has taken its name.
std::vector<Tap> taps(const scenario::Scenario& scenario, const Network& network) {
    std::vector<Tap> taps;
    for (const auto& host : scenario.hosts) taps.push_back({host.name, &network.host(host.name), host_interface, {}});
    if (scenario.host("firewall") == nullptr)
        for (const auto& zone : scenario.zones)
            taps.push_back({"firewall", &network.firewall(), zone.interface, zone.name});
    return taps;
}

}  // namespace

Lab::Lab(const scenario::Scenario& scenario, const Inside& inside, const std::filesystem::path& ruleset,
         Recorder& recorder)
    : network{scenario},
      routes{multicast_routes(scenario)},
      multicast{network.firewall(), scenario, routes},
      wire{taps(scenario, network)},
      launcher{io},
      notes{inside.notes},
      scenario_{scenario},
      inside_{inside},
      signals_{io, SIGINT, SIGTERM, SIGHUP} {
    listen_for_signals();
    if (inside.mounts) mount_private_names(hosts_file(scenario), notes);
    notes.insert(notes.end(), network.notes().begin(), network.notes().end());
    for (const auto& host : scenario.hosts) launcher.place(host.name, network.host(host.name));

    boost::json::object loaded;
    loaded["dialect"] = "none";
    if (!ruleset.empty()) {
        const auto dialect = load_ruleset(network.firewall(), ruleset);
        loaded["dialect"] = dialect == rules::Dialect::iptables ? "iptables" : "nft";
        loaded["file"] = ruleset.string();
    }
    recorder.note(evidence::What::ruleset_loaded, {}, {}, std::move(loaded));
}

void Lab::listen_for_signals() {
    signals_.async_wait([this](boost::system::error_code failure, int number) {
        if (failure) return;
        ++interruptions;
        last_signal = number;
        listen_for_signals();
    });
}

bool Lab::wait(const std::function<bool()>& done, std::chrono::steady_clock::time_point limit) {
    return wait_regardless([&] { return done() || interruptions > 0; }, limit) && done();
}

bool Lab::wait_regardless(const std::function<bool()>& done, std::chrono::steady_clock::time_point limit) {
    while (!done()) {
        if (std::chrono::steady_clock::now() >= limit) return false;
        io.run_one_until(limit);
    }
    return true;
}

std::string Lab::how_to_enter() const {
    const auto pid = std::to_string(inside_.outer_pid);
    const auto command = "nsenter --target " + pid + (inside_.user_namespace ? " --user --preserve-credentials" : "") +
                         " --mount --net=/proc/" + pid + "/fd/";
    std::string text;
    std::size_t width = 8;
    for (const auto& host : scenario_.hosts) width = std::max(width, host.name.size());
    const auto line = [&](const std::string& name, const Namespace& place) {
        text += "  " + name + std::string(width - name.size() + 2, ' ') + command + std::to_string(place.fd()) + "\n";
    };
    for (const auto& host : scenario_.hosts) line(host.name, network.host(host.name));
    line("firewall", network.firewall());
    return text;
}

}  // namespace wmlab::lab
