#include "common/scenario/waves.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "common/scenario/catalogue.hpp"
#include "common/scenario/values.hpp"

namespace wmlab::scenario {
namespace {

unsigned size(const PortList& ports) {
    unsigned sum = 0;
    for (const auto& range : ports) sum += range.size();
    return sum;
}

unsigned overlap(const PortList& left, const PortList& right) {
    unsigned sum = 0;
    for (const auto& a : left) {
        for (const auto& b : right) {
            const auto first = std::max(a.first, b.first), last = std::min(a.last, b.last);
            if (first <= last) sum += PortRange{first, last}.size();
        }
    }
    return sum;
}

// What is bound on one host with one protocol in one wave; equal bindings of many flows are one entry.
struct Held {
    PortList ports;
    unsigned needed = 0;  // of all flows together
    bool pool = false;
    std::string owner;
};
using Place = std::pair<std::string, Protocol>;
using Wave = std::map<Place, std::vector<Held>>;

// Who chooses among so many leaves those alone that others need (ports_to_spare).
bool wide(const PortList& ports) {
    constexpr unsigned many = 256;
    return size(ports) >= many;
}

// Does this one still fit beside everything else that is held in the place, whichever free ports pools' owners choose?
bool fits(const std::vector<Held>& all, std::size_t index) {
    const auto& mine = all[index];
    unsigned taken = 0;
    bool touched = false;
    for (std::size_t j = 0; j < all.size(); ++j) {
        if (index == j) continue;
        const auto& other = all[j];
        const auto shared = overlap(mine.ports, other.ports);
        if (shared == 0 || (mine.owner == other.owner && !mine.pool && !other.pool)) continue;
        if (!mine.pool && !other.pool) return false;
        const bool leaves_us_alone = other.pool && wide(other.ports) && !(mine.pool && wide(mine.ports));
        if (leaves_us_alone) continue;
        touched = true;
        const bool left_alone = mine.pool && wide(mine.ports) && !(other.pool && wide(other.ports));
        taken += other.pool && !left_alone ? std::min(other.needed, shared) : shared;
    }
    return !mine.pool || !touched || taken + mine.needed <= size(mine.ports);
}

// What taking a binding in has changed, to be undone where the flow does not fit after all.
struct Change {
    std::vector<Held>* place;
    std::size_t index;
    bool added;
    unsigned before;  // `needed`
};

Change hold(std::vector<Held>& all, const Binding& binding) {
    const auto same = std::ranges::find_if(all, [&](const Held& held) {
        return held.pool == (binding.needed > 0) && held.owner == binding.owner && held.ports == binding.ports;
    });
    if (same == all.end()) {
        all.push_back({binding.ports, binding.needed, binding.needed > 0, binding.owner});
        return {&all, all.size() - 1, true, 0};
    }
    const auto before = same->needed;
    same->needed += binding.needed;
    return {&all, static_cast<std::size_t>(same - all.begin()), false, before};
}

// After this change. Everything did before: only what it touches is looked at.
bool fits(const Change& change) {
    const auto& all = *change.place;
    const auto& held = all[change.index];
    if (!change.added && held.needed == change.before) return true;
    // A pool that one flow alone wears out on purpose (eleven processes on ten ports) may be in a wave, but no second
    // flow may draw from it.
    if (held.pool && !change.added && held.needed > size(held.ports)) return false;
    if (!fits(all, change.index)) return false;
    for (std::size_t other = 0; other < all.size(); ++other)
        if (other != change.index && all[other].pool && overlap(all[other].ports, held.ports) > 0 && !fits(all, other))
            return false;
    return true;
}

// `anyhow`: although it does not fit.
bool take_in(Wave& wave, const std::vector<Binding>& wanted, bool anyhow = false) {
    std::vector<Change> changes;
    for (const auto& binding : wanted) changes.push_back(hold(wave[{binding.host, binding.protocol}], binding));
    if (anyhow || std::ranges::all_of(changes, [](const Change& change) { return fits(change); })) return true;
    for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
        if (change->added)
            change->place->pop_back();
        else
            (*change->place)[change->index].needed = change->before;
    }
    return false;
}

// What the two ends of a flow bind, service by service.
class Binder {
public:
    explicit Binder(const FlowInstance& instance) : instance_{instance}, flow_{*instance.flow} {}

    std::vector<Binding> all() {
        switch (flow_.type) {
            case FlowType::mms_udp:
                serve_mms(), play_udp();
                break;
            case FlowType::mms_tcp:
                serve_mms();
                break;
            case FlowType::http:
            case FlowType::http_distribution:
                serve_http();
                break;
            case FlowType::mms_auto:
                serve_mms(), play_udp(), serve_http();
                break;
            case FlowType::msbd:
                serve_msbd(instance_.to, End::to);
                break;
            case FlowType::multicast:
                serve_multicast();
                break;
            case FlowType::dcom:
                serve_dcom(flow_.processes);
                break;
            case FlowType::encoder_alias:
                // the media service's port, and the alias object's
                serve_dcom(2), serve_msbd(instance_.from, End::from);
                break;
            case FlowType::probe:
                listen(instance_.to, flow_.protocol, flow_.ports, "probe " + instance_.id);
                break;
            case FlowType::command:
                break;
        }
        return std::move(all_);
    }

private:
    std::string owner(End end, std::string_view service) const { return std::string{text(program_at(flow_, end))} + ' ' + std::string{service}; }
    void listen(const std::string& host, Protocol protocol, const PortList& ports, std::string who) {
        all_.push_back({host, protocol, ports, 0, std::move(who)});
    }
    void draw(const std::string& host, Protocol protocol, const PortList& pool, unsigned needed, std::string who) {
        all_.push_back({host, protocol, pool, needed, std::move(who)});
    }

    void serve_mms() {
        for (const auto protocol : {Protocol::tcp, Protocol::udp}) listen(instance_.to, protocol, one(mms_port), owner(End::to, "mms"));
    }
    void play_udp() { draw(instance_.from, Protocol::udp, {flow_.client_ports}, 1, "client_sim media"); }
    void serve_http() {
        listen(instance_.to, Protocol::tcp, one(flow_.port), owner(End::to, "http"));
        if (flow_.proxy) listen(flow_.proxy->host, Protocol::tcp, one(flow_.proxy->port), "run");
    }
    void serve_msbd(const std::string& host, End end) {
        // With `fallback` 7007 is taken as well: that is what makes the source fall back.
        listen(host, Protocol::tcp, one(flow_.msbd_port.fallback ? msbd_port : flow_.msbd_port.port), owner(end, "msbd"));
        if (flow_.msbd_port.fallback) draw(host, Protocol::tcp, {player_ports}, 1, owner(end, "msbd fallback"));
    }
    void serve_multicast() {
        listen(instance_.to, Protocol::udp, one(flow_.port), "multicast");
        // The version of IGMP is the whole host's.
        listen(instance_.to, Protocol::igmp, one(1), "IGMPv" + std::to_string(flow_.igmp_version));
        // Two senders on one group and port would mix: the group itself can be held once.
        listen(flow_.group.text(), Protocol::udp, one(flow_.port), flow_.id + ' ' + instance_.from);
    }
    void serve_dcom(unsigned processes) {
        // The reserved range belongs to the whole host: the mapper's owner names it, so flows with another range
        // never meet in a wave.
        const auto range = flow_.registry.empty() ? text(flow_.reserved_ports) : flow_.registry.string();
        for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
            listen(instance_.to, protocol, one(mapper_port), owner(End::to, "rpc " + range));
            auto pool = flow_.reserved_ports;
            std::erase(pool, PortRange{mapper_port, mapper_port});
            if (!pool.empty()) draw(instance_.to, protocol, pool, processes, owner(End::to, "rpc " + range));
        }
    }

    const FlowInstance& instance_;
    const Flow& flow_;
    std::vector<Binding> all_;
};

}  // namespace

std::vector<Binding> bindings(const Scenario& scenario, const FlowInstance& instance) {
    auto all = Binder{instance}.all();
    std::erase_if(all, [&](const Binding& binding) {
        const auto* host = scenario.host(binding.host);
        return host != nullptr && !host->run.empty() && binding.owner != "run";
    });
    return all;
}

std::set<std::uint16_t> ports_to_spare(const Scenario& scenario, const std::vector<FlowInstance>& flows,
                                       std::string_view host, Protocol protocol) {
    std::set<std::uint16_t> ports;
    for (const auto& flow : flows)
        for (const auto& binding : bindings(scenario, flow)) {
            if (binding.host != host || binding.protocol != protocol) continue;
            if (binding.needed > 0 && wide(binding.ports)) continue;
            for (const auto& range : binding.ports)
                for (unsigned port = range.first; port <= range.last; ++port)
                    ports.insert(static_cast<std::uint16_t>(port));
        }
    return ports;
}

std::vector<std::vector<FlowInstance>> waves(const Scenario& scenario, const std::vector<FlowInstance>& instances) {
    // A flow that plays what another one brings runs beside that one.
    std::map<std::string_view, std::size_t> places;
    for (std::size_t i = 0; i < instances.size(); ++i) places.emplace(instances[i].id, i);
    std::map<std::size_t, std::vector<std::size_t>> groups;  // by its first member
    std::vector<std::size_t> group_of(instances.size());
    std::map<std::string, std::size_t, std::less<>> loads;  // the players of a load are there together; where the first is
    for (std::size_t i = 0; i < instances.size(); ++i) {
        auto at = instances[i].flow->load ? loads.emplace(instances[i].load(), i).first->second : i;
        for (auto source = feeder(scenario, instances[i]); source; source = feeder(scenario, *source)) {
            const auto place = places.find(source->id);
            if (place == places.end() || place->second == i) break;
            at = place->second;
        }
        group_of[i] = at;
        groups[at].push_back(i);
    }
    // A flow with a pause has the firewall's time-outs changed for it: others with the same pause may run beside it.
    const bool paused = std::ranges::any_of(instances, [](const FlowInstance& one) { return one.flow->idle.count() > 0; });
    const auto pause_of = [&](const std::vector<std::size_t>& group) {
        milliseconds longest{0};
        for (const auto member : group) longest = std::max(longest, instances[member].flow->idle);
        return Binding{"time-outs of the firewall", Protocol::igmp, one(1), 0, text(longest)};
    };
    std::vector<Wave> held;
    std::vector<std::vector<std::size_t>> chosen;
    for (std::size_t i = 0; i < instances.size(); ++i) {
        const auto group = groups.find(group_of[i]);
        if (group == groups.end()) continue;  // already taken in, with one before it
        std::vector<Binding> wanted;
        for (const auto member : group->second)
            for (auto& binding : bindings(scenario, instances[member])) wanted.push_back(std::move(binding));
        if (paused) wanted.push_back(pause_of(group->second));
        std::size_t at = 0;
        while (at < held.size() && !take_in(held[at], wanted)) ++at;
        if (at == held.size()) {
            held.emplace_back();
            chosen.emplace_back();
            // One that cannot be met at all (11 on 10): a wave of its own, and it will show.
            if (!take_in(held[at], wanted)) take_in(held[at], wanted, true);
        }
        chosen[at].insert(chosen[at].end(), group->second.begin(), group->second.end());
        groups.erase(group);
    }
    std::vector<std::vector<FlowInstance>> result;
    for (auto& wave : chosen) {
        std::ranges::sort(wave);
        auto& flows = result.emplace_back();
        for (const auto i : wave) flows.push_back(instances[i]);
    }
    return result;
}

}  // namespace wmlab::scenario
