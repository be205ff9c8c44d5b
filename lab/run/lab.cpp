#include "lab/run/lab.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/evidence/fields.hpp"
#include "common/scenario/boxes.hpp"
#include "lab/firewall/loading.hpp"
#include "lab/firewall/missing.hpp"
#include "lab/host/interruption.hpp"
#include "lab/network/attachment.hpp"

namespace wmlab::lab {
namespace {

// The firewalls' own wires are watched too, unless a host has taken the name. Of several it is told packet by packet
// which one they got to.
std::vector<Tap> taps(const scenario::Scenario& scenario, const Setting& setting, const Network& network) {
    std::vector<Tap> taps;
    for (const auto& host : scenario.hosts)
        if (setting.has(host)) taps.push_back({host.name, &network.host(host.name), host_interface, {}});
    for (const auto& box : scenario::boxes(scenario)) {
        if (!setting.built_in() || scenario.host(box.name) != nullptr) continue;
        for (const auto& side : box.sides)
            taps.push_back({box.name, &network.firewall(box.name), side.interface, side.zone, scenario::several_boxes(scenario)});
    }
    return taps;
}

std::vector<std::string> of_all(const std::vector<BoxRules>& boxes, std::vector<std::string> scenario::Firewall::*names) {
    std::vector<std::string> all;
    for (const auto& box : boxes) {
        const auto& own = box.view.firewall.*names;
        all.insert(all.end(), own.begin(), own.end());
    }
    return all;
}

std::optional<Captures> captures_in(const std::filesystem::path& directory, const std::vector<Tap>& taps) {
    return directory.empty() ? std::optional<Captures>{} : std::optional<Captures>{std::in_place, directory, taps};
}

std::function<void(const CapturedFrame&)> each_frame_to(std::optional<Captures>& captures) {
    if (!captures) return {};
    return [&captures](const CapturedFrame& frame) { captures->write(frame); };
}

}  // namespace

Lab::Lab(const scenario::Scenario& scenario, const Inside& inside, const std::filesystem::path& ruleset, Recorder& recorder, const Setting& where,
         const std::filesystem::path& captures_directory)
    : setting{where},
      boxes{rules_of_boxes(scenario, ruleset, scenario::several_boxes(scenario) && (setting.plain || !setting.built_in()))},
      network{scenario, setting, !all_open(boxes)},
      routes{setting.built_in() ? multicast_routes(scenario) : std::vector<MulticastRoute>{}},
      multicast{io, setting.built_in() ? &network : nullptr, scenario, routes},
      captures{captures_in(captures_directory, taps(scenario, setting, network))},
      wire{taps(scenario, setting, network), each_frame_to(captures)},
      launcher{io},
      notes{inside.notes},
      scenario_{scenario},
      inside_{inside},
      interruption_{io} {
    listen_for_interruptions();
    for (const auto& [host, why] : setting.away) {
        unreachable.emplace(host, why);
        recorder.note(evidence::What::process_died, host, {}, {{field::unreachable, fmt::format("cannot {}: {}", why.step(), why.cause())}});
    }
    // A prefix may be `ssh NAME`: then the machine's own names are needed.
    if (inside.mounts && setting.launched.empty())
        mount_private_names(hosts_file(scenario), notes, of_all(boxes, &scenario::Firewall::users), of_all(boxes, &scenario::Firewall::groups));
    notes.insert(notes.end(), network.notes().begin(), network.notes().end());
    for (const auto& host : scenario.hosts) {
        if (const auto found = setting.launched.find(host.name); found != setting.launched.end()) {
            launcher.place(host.name, found->second, setting.machine.get());
        } else {
            launcher.place(host.name, network.host(host.name));
        }
    }
    prove_attachment(scenario, setting, network, notes);
    if (!setting.built_in()) return;  // the device has its own rules

    for (const auto& box : boxes) {
        boost::json::object loaded;
        loaded[field::dialect] = "none";
        if (!box.ruleset.empty()) {
            const auto dialect = load_for(
                box.view, network.firewall(box.name()), box.ruleset,
                [&](const std::string& name) { network.add_interface(box.name(), name); }, notes);
            loaded[field::dialect] = dialect == rules::Dialect::iptables ? "iptables" : "nft";
            loaded[field::file] = box.ruleset.string();
        }
        if (boxes.size() > 1) loaded[field::box] = box.name();
        recorder.note(evidence::What::ruleset_loaded, {}, {}, std::move(loaded));
    }
}

const Namespace* Lab::place_of(const std::string& host) const {
    return setting.launched.contains(host) ? nullptr : &network.host(host);
}

std::string Lab::names_at(const std::string& host) const {
    const auto* const found = scenario_.host(host);
    if (open() || !inside_.mounts || found == nullptr) return {};
    const bool differ = std::ranges::any_of(scenario_.hosts,
                                            [&](const auto& other) { return other.published_to(found->zone).has_value(); });
    return differ ? hosts_file(scenario_, found->zone) : std::string{};
}

void Lab::listen_for_interruptions() {
    if (!interruption_.is_open()) {
        Interruptions::note();
        interruption_.assign(::fcntl(Interruptions::descriptor(), F_DUPFD_CLOEXEC, 0));
    }
    Interruptions::forget_wake();
    interruptions = Interruptions::unanswered();
    interruption_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code failure) {
        if (!failure) listen_for_interruptions();
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
    for (const auto& host : scenario_.hosts)
        if (const auto* const place = place_of(host.name)) line(host.name, *place);
    if (setting.built_in())
        for (const auto& box : boxes) line(box.name(), network.firewall(box.name()));
    return text;
}

}  // namespace wmlab::lab
