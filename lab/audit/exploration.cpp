#include "lab/audit/exploration.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>

namespace wmlab::lab {
namespace {

constexpr std::size_t packets_max = 400'000;
constexpr std::uint8_t syn = 2;

Span zone_span(const scenario::Zone& zone) { return {zone.subnet.network.value, zone.subnet.broadcast().value}; }

std::string spans_text(const Spans& spans, bool v6) {
    std::string all;
    std::size_t told = 0;
    for (const auto& span : spans) {
        if (++told > 6) return fmt::format("{} and {} more", all, spans.size() - told + 1);
        const Address first{span.first, v6}, last{span.last, v6};
        all += (all.empty() ? "" : ", ") + first.text() + (span.first == span.last ? "" : "-" + last.text());
    }
    return all;
}

// Not an address that stands for something else.
Wide sample_of(const Spans& spans, const std::set<Wide>& taken) {
    for (const auto& span : spans)
        for (Wide value = span.first; value <= span.last && value < span.first + 64; ++value)
            if (!taken.contains(value) && ((value & 0xFF) != 0 || span.first == span.last) && ((value & 0xFF) != 0xFF || span.first == span.last)) return value;
    return spans.front().first;
}

std::string flag_words(std::uint8_t flags) {
    if (flags == 0) return "no flag";
    std::string all;
    static constexpr std::string_view names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
    for (unsigned bit = 0; bit < 8; ++bit)
        if (flags >> bit & 1) all += (all.empty() ? "" : "+") + std::string{names[bit]};
    return all;
}

std::string port_words(const Span& span) {
    const auto first = static_cast<unsigned>(span.first), last = static_cast<unsigned>(span.last);
    return first == last ? fmt::format("from port {}", first) : fmt::format("from ports {}-{}", first, last);
}

}  // namespace

std::string_view text(Dimension dimension) {
    switch (dimension) {
        case Dimension::source_ports:
            return "source-ports";
        case Dimension::tcp_flags:
            return "tcp-flags";
        case Dimension::addresses:
            return "addresses";
        case Dimension::own_addresses:
            return "own-addresses";
        case Dimension::own_hooks:
            return "firewall-itself";
        case Dimension::protocols:
            return "protocols";
        case Dimension::icmp_types:
            return "icmp-types";
        case Dimension::shapes:
            return "shapes";
        default:
            return "ipv6";
    }
}

std::string words(Dimension dimension) {
    switch (dimension) {
        case Dimension::source_ports:
            return "source ports 20, 53, 80, 1755 and all that rules name";
        case Dimension::tcp_flags:
            return "TCP segments without SYN and with odd flags";
        case Dimension::addresses:
            return "addresses of every range and set that rules name, and others beside them";
        case Dimension::own_addresses:
            return "published addresses and the firewall's own (port forwards)";
        case Dimension::own_hooks:
            return "what the firewall itself takes from and sends to each zone";
        case Dimension::protocols:
            return "IP protocols 0-255";
        case Dimension::icmp_types:
            return "ICMP types 0-255";
        case Dimension::shapes:
            return "lengths, times to live, DSCP and other contents that rules ask for";
        default:
            return "IPv6";
    }
}

namespace {

struct PublishedEnd {
    std::string host, zone;
    scenario::Ipv4 address;
};
// A host may be known to each zone by another address.
std::vector<PublishedEnd> published_ends(const scenario::Scenario& scenario) {
    std::vector<PublishedEnd> all;
    for (const auto& host : scenario.hosts)
        for (const auto& [_, address] : host.published) all.push_back({host.name, host.zone, address});
    return all;
}

}  // namespace

Plan::Plan(const scenario::Scenario& scenario, const Asked& asked, const Dimensions& dimensions, const Bench& bench) {
    const auto on = [&](Dimension dimension) { return dimensions.contains(dimension); };
    const auto asked_of = [&](Field field) {
        const auto found = asked.values.find(field);
        return found == asked.values.end() ? std::set<Spans>{} : found->second;
    };
    for (const auto& shaped : asked.shapes) shapes.push_back(shaped.shape);

    // Addresses. Rules may tell source and destination apart in different ways: both count.
    auto four = asked_of(Field::source), six = asked_of(Field::source_v6);
    four.merge(asked_of(Field::destination)), six.merge(asked_of(Field::destination_v6));
    if (!on(Dimension::addresses)) four.clear(), six.clear();
    if (asked.opaque || !on(Dimension::addresses))
        for (const auto& host : scenario.hosts) four.insert({{host.address.value, host.address.value}});
    std::set<Wide> taken;
    Spans special;
    for (const auto& zone : scenario.zones) {
        special.push_back(zone_span(zone));
        taken.insert({zone.gateway.value, zone.subnet.network.value, zone.subnet.broadcast().value});
    }
    for (const auto& host : scenario.hosts) {
        taken.insert(host.address.value);
        for (const auto& [_, address] : host.published) taken.insert(address.value), special.push_back({address.value, address.value});
    }
    for (std::size_t z = 0; z < scenario.zones.size(); ++z) {
        const auto& zone = scenario.zones[z];
        Spans own{{zone_span(zone).first + 1, zone_span(zone).last - 1}};
        for (const auto& host : scenario.hosts)
            for (const auto& [_, address] : host.published) own = without(own, {{address.value, address.value}});
        own = without(own, {{zone.gateway.value, zone.gateway.value}});
        const auto all = classes(four, own);
        std::size_t largest = 0;
        Wide most = 0;
        for (std::size_t i = 0; i < all.size(); ++i) {
            Wide size = 0;
            for (const auto& span : all[i].spans) size += span.last - span.first + 1;
            if (size > most) most = size, largest = i;
        }
        for (std::size_t i = 0; i < all.size(); ++i) {
            PlanEnd end;
            end.zone = z;
            auto rest = all[i].spans;
            for (const auto& host : scenario.hosts)
                for (const auto& span : all[i].spans)
                    if (host.zone == zone.name && span.contains(host.address.value)) {
                        end.hosts.push_back(host.name);
                        rest = without(rest, {{host.address.value, host.address.value}});
                    }
            end.anyone = i == largest;
            if (!rest.empty()) end.others = end.anyone ? "anyone" : spans_text(rest, false);
            end.address = {rest.empty() ? all[i].sample() : sample_of(rest, taken), false};
            add_end(std::move(end));
        }
    }
    if (on(Dimension::addresses)) {
        // Beyond the zones: what rules name, and one that none names.
        const Spans outside = without({{0x01000000, 0x7EFFFFFF}, {0x80000000, 0xDFFFFFFF}}, special);
        const auto all = classes(four, outside);
        for (const auto& found : all) {
            const bool ordinary = std::ranges::any_of(found.spans, [](const Span& s) { return s.last - s.first > 0x10000000; });
            for (std::size_t z = 0; z < scenario.zones.size(); ++z) {
                PlanEnd end;
                end.zone = z, end.kind = PlanEnd::Kind::outside;
                end.others = ordinary ? "any address beyond the zones" : spans_text(found.spans, false);
                end.address = {sample_of(found.spans, taken), false};
                add_end(std::move(end));
            }
        }
    }
    if (on(Dimension::own_addresses) || on(Dimension::own_hooks))
        for (std::size_t z = 0; z < scenario.zones.size(); ++z) {
            PlanEnd end;
            end.zone = z, end.kind = PlanEnd::Kind::gateway;
            end.address = Address::of(scenario.zones[z].gateway);
            end.others = "the firewall's address " + end.address.text();
            add_end(std::move(end));
        }
    if (on(Dimension::own_addresses))
        for (const auto& [host_name, zone_name, published] : published_ends(scenario)) {
            PlanEnd end;
            end.kind = PlanEnd::Kind::published;
            for (std::size_t z = 0; z < scenario.zones.size(); ++z)
                if (scenario.zones[z].name == zone_name) end.zone = z;
            end.address = Address::of(published);
            end.hosts = {host_name};
            const bool known = std::ranges::any_of(ends, [&](const PlanEnd& other) { return other.address == end.address; });
            if (known) {  // the firewall's own address, or several hosts': one end, more names
                for (auto& other : ends)
                    if (other.address == end.address) other.hosts.push_back(host_name), other.kind = PlanEnd::Kind::published;
            } else {
                add_end(std::move(end));
            }
        }
    const bool v6 = on(Dimension::ipv6) && bench.has_v6() && asked.filters_v6;
    if (v6) {
        Spans twins;
        const Wide everything = ~Wide{0};
        for (std::size_t z = 0; z < scenario.zones.size(); ++z) {
            const auto gateway = bench.twin(scenario.zones[z].gateway, z);
            const Wide network = gateway.value >> 64 << 64;
            twins.push_back({network, network | ((Wide{1} << 64) - 1)});
            std::vector<std::string> hosts;
            for (const auto& host : scenario.hosts)
                if (host.zone == scenario.zones[z].name) hosts.push_back(host.name);
            const auto all = classes(six, {twins.back()});
            for (const auto& found : all) {
                PlanEnd end;
                end.zone = z, end.others = found.spans.size() == 1 && all.size() == 1 ? "anyone" : spans_text(found.spans, true);
                end.anyone = all.size() == 1;
                end.address = {(network | 0x77), true};
                if (!found.spans.front().contains(end.address.value)) end.address.value = found.sample() + 2;
                add_end(std::move(end));
            }
            if (on(Dimension::own_hooks)) {
                PlanEnd end;
                end.zone = z, end.kind = PlanEnd::Kind::gateway, end.address = gateway;
                end.others = "the firewall";
                add_end(std::move(end));
            }
        }
        // Unicast, without loopback, mapped addresses and link-local ones.
        const Spans outside = without({{Wide{1} << 121, (Wide{0xFE80} << 112) - 1}, {Wide{0xFEC0} << 112, (Wide{0xFF} << 120) - 1}}, twins);
        for (const auto& found : classes(six, outside)) {
            const bool ordinary = std::ranges::any_of(found.spans, [&](const Span& s) { return s.last - s.first > everything >> 4; });
            for (std::size_t z = 0; z < scenario.zones.size(); ++z) {
                PlanEnd end;
                end.zone = z, end.kind = PlanEnd::Kind::outside;
                end.others = ordinary ? "any address beyond the zones" : spans_text(found.spans, true);
                end.address = {found.spans.front().contains((Wide{0x20010DB8} << 96) + 0x7777) ? (Wide{0x20010DB8} << 96) + 0x7777 : sample_of(found.spans, {}),
                               true};
                add_end(std::move(end));
            }
        }
    }

    // Packets.
    ports = classes(asked_of(Field::destination_port), {{1, 65535}});
    const auto source_classes = classes(asked_of(Field::source_port), {{1, 65535}});
    Span usual{1024, 65535};  // the largest stretch that no rule cuts, above the services
    Wide widest = 0;
    std::size_t usual_class = 0;
    for (std::size_t i = 0; i < source_classes.size(); ++i)
        for (const auto& span : source_classes[i].spans) {
            const Wide first = std::max<Wide>(span.first, 1024);
            if (span.last >= first && span.last - first + 1 > widest) widest = span.last - first + 1, usual = {first, span.last}, usual_class = i;
        }
    const auto plain = [&](std::uint8_t protocol) {
        Variant variant;
        variant.protocol = protocol, variant.flags = protocol == tcp_number ? syn : std::uint8_t{0};
        variant.source_ports = usual;
        return variant;
    };
    std::set<std::uint8_t> flags{16, 4, 17, 18, 1, 0, 41, 3};
    flags.insert(asked.flags.begin(), asked.flags.end());
    flags.erase(syn);
    const bool names_sources = !asked_of(Field::source_port).empty();
    std::vector<Span> sources;
    for (const Wide known : {20, 53, 80, 1755}) sources.push_back({known, known});
    for (std::size_t i = 0; i < source_classes.size() && i < 40; ++i)
        if (i != usual_class) {
            const auto& span = source_classes[i].spans.front();
            std::erase_if(sources, [&](const Span& s) { return s.first == span.first && s.last == span.first; });
            sources.push_back(span);
        }
    for (const auto protocol : {tcp_number, udp_number}) {
        variants.push_back(plain(protocol));
        if (on(Dimension::source_ports))
            for (const auto& span : sources) {
                auto variant = plain(protocol);
                variant.source_ports = span, variant.words = port_words(span), variant.dimension = Dimension::source_ports;
                variants.push_back(variant);
            }
        if (protocol == tcp_number && on(Dimension::tcp_flags))
            for (const auto set : flags) {
                auto variant = plain(protocol);
                variant.flags = set, variant.dimension = Dimension::tcp_flags;
                variant.words = "segments with " + flag_words(set);
                variants.push_back(variant);
                if (!names_sources || !on(Dimension::source_ports)) continue;
                for (std::size_t i = 4; i < sources.size() && i < 12; ++i) {
                    auto both = variant;
                    both.source_ports = sources[i], both.words += " " + port_words(sources[i]);
                    variants.push_back(both);
                }
            }
    }
    if (on(Dimension::shapes))
        for (std::size_t i = 1; i < asked.shapes.size(); ++i)
            for (const auto protocol : {tcp_number, udp_number}) {
                const auto& wanted = asked.shapes[i].protocols;
                if (!wanted.empty() && !wanted.contains(protocol)) continue;
                auto variant = plain(protocol);
                variant.shape = static_cast<std::uint16_t>(i), variant.words = "packets " + asked.shapes[i].shape.words();
                variant.dimension = Dimension::shapes;
                variants.push_back(variant);
            }
    for (const auto protocol : {icmp_v4, icmp_v6}) {
        if (!on(Dimension::icmp_types) || (protocol == icmp_v6 && !v6)) continue;
        std::set<std::pair<std::uint8_t, std::uint8_t>> types;
        for (unsigned type = 0; type < 256; ++type) types.insert({static_cast<std::uint8_t>(type), std::uint8_t{0}});
        types.insert(asked.types.begin(), asked.types.end());
        for (const auto& [type, code] : types) {
            Variant variant;
            variant.protocol = protocol, variant.type = type, variant.code = code, variant.ports = false;
            variant.dimension = Dimension::icmp_types;
            variant.words = code == 0 ? fmt::format("type {}", type) : fmt::format("type {} code {}", type, code);
            variant.everywhere = type <= 18 || (protocol == icmp_v6 && type >= 128 && type <= 143) || asked.types.contains({type, code});
            variants.push_back(variant);
        }
        if (on(Dimension::shapes))
            for (std::size_t i = 1; i < asked.shapes.size(); ++i) {
                if (!asked.shapes[i].protocols.empty() && !asked.shapes[i].protocols.contains(protocol)) continue;
                Variant variant;
                variant.protocol = protocol, variant.type = protocol == icmp_v4 ? 8 : 128, variant.ports = false;
                variant.shape = static_cast<std::uint16_t>(i), variant.dimension = Dimension::shapes;
                variant.words = "echo request " + asked.shapes[i].shape.words();
                variants.push_back(variant);
            }
    }
    if (on(Dimension::protocols))
        for (unsigned number = 0; number < 256; ++number) {
            const auto protocol = static_cast<std::uint8_t>(number);
            if (protocol == tcp_number || protocol == udp_number || protocol == icmp_v4 || protocol == icmp_v6) continue;
            Variant variant;
            variant.protocol = protocol, variant.ports = false, variant.dimension = Dimension::protocols;
            variant.everywhere = asked.protocols.contains(protocol);
            variants.push_back(variant);
        }

    // Packets of one phase have each their own pair of ends and ports: none is taken for another's connection.
    std::uint32_t counter = 0;
    const auto add = [&](Phase& phase, std::size_t from_zone, std::uint32_t s, std::uint32_t t, std::size_t v, std::size_t p) {
        const auto& variant = variants[v];
        Crafted packet;
        packet.zone = from_zone == scenario.zones.size() ? firewall_itself : static_cast<std::uint8_t>(from_zone);
        packet.source = ends[s].address, packet.destination = ends[t].address;
        packet.protocol = variant.protocol, packet.flags = variant.flags, packet.type = variant.type, packet.code = variant.code;
        packet.shape = variant.shape;
        if (variant.source_ports) {
            const auto& span = *variant.source_ports;
            const bool fixed = span != usual;
            packet.source_port = static_cast<std::uint16_t>(span.first + (fixed ? 0 : (++counter * 7 + 3000) % (span.last - span.first + 1)));
        }
        if (variant.ports) packet.destination_port = static_cast<std::uint16_t>(ports[p].sample());
        phase.packets.push_back(packet);
        phase.origins.push_back({s, t, static_cast<std::uint16_t>(v), static_cast<std::uint16_t>(p)});
    };
    const auto fits = [&](const Variant& variant, const PlanEnd& to) {
        // IPv6: what follows the numbers of extension headers is another protocol.
        const bool extension = variant.protocol == 0 || variant.protocol == 43 || variant.protocol == 44 || variant.protocol == 60;
        return to.address.v6 ? variant.protocol != icmp_v4 && !extension : variant.protocol != icmp_v6;
    };
    const auto zones = scenario.zones.size();
    const auto build = [&](bool each_rule) {
        phases.clear();
        std::size_t size = 0;
        for (std::size_t from = 0; from <= zones; ++from) {
            if (from == zones && !on(Dimension::own_hooks)) continue;
            for (std::size_t behind = 0; behind < zones; ++behind) {
                if (behind == from) continue;
                std::map<std::pair<unsigned, unsigned>, Phase> by_kind;  // by flags, and by the shape
                const auto pair = [&](std::uint32_t s, std::uint32_t t, const auto& each) {
                    const auto &source = ends[s], &target = ends[t];
                    if (source.address.v6 != target.address.v6) return;
                    if (from == zones) {  // the firewall's own packets
                        if (source.kind != PlanEnd::Kind::gateway || target.zone != behind || source.zone != behind) return;
                        if (target.kind != PlanEnd::Kind::zone && target.kind != PlanEnd::Kind::outside) return;
                    } else {
                        if (source.zone != from || source.kind == PlanEnd::Kind::gateway || source.kind == PlanEnd::Kind::published) return;
                        const bool beyond = target.kind == PlanEnd::Kind::outside;
                        const bool own = target.kind == PlanEnd::Kind::gateway || target.kind == PlanEnd::Kind::published;
                        if (own ? behind != (from == 0 ? 1 : 0) : target.zone != behind) return;
                        if (beyond && target.zone == from) return;
                    }
                    each(source, target);
                };
                const auto put = [&](std::uint32_t s, std::uint32_t t, std::size_t v, std::size_t p) {
                    const auto& variant = variants[v];
                    auto& phase = by_kind[{variant.protocol == tcp_number ? variant.flags : 256u, variant.shape}];
                    phase.behind = behind;
                    add(phase, from, s, t, v, p), ++size;
                };
                const auto count = static_cast<std::uint32_t>(ends.size());
                if (!each_rule) {
                    for (std::uint32_t s = 0; s < count; ++s)
                        for (std::uint32_t t = 0; t < count; ++t)
                            pair(s, t, [&](const PlanEnd& source, const PlanEnd& target) {
                                for (std::size_t v = 0; v < variants.size(); ++v) {
                                    const auto& variant = variants[v];
                                    if (!fits(variant, target) || (!variant.everywhere && !source.anyone)) continue;
                                    if (from == zones && !variant.words.empty() && variant.ports) continue;
                                    for (std::size_t p = 0; p < (variant.ports ? ports.size() : 1); ++p) put(s, t, v, p);
                                    if (size > packets_max) return;
                                }
                            });
                    if (size > packets_max) return false;
                } else {
                    // What each rule asks for by itself.
                    for (const auto& rule : asked.rules) {
                        const auto some = [&](Field v4, Field six_field) {
                            std::vector<std::uint32_t> found;
                            for (std::uint32_t e = 0; e < count && found.size() < 6; ++e) {
                                const auto spans = rule.values.find(ends[e].address.v6 ? six_field : v4);
                                if (spans == rule.values.end()
                                        ? ends[e].kind != PlanEnd::Kind::outside
                                        : std::ranges::any_of(spans->second, [&](const Span& span) { return span.contains(ends[e].address.value); }))
                                    found.push_back(e);
                            }
                            return found;
                        };
                        const auto from_ends = some(Field::source, Field::source_v6), to_ends = some(Field::destination, Field::destination_v6);
                        std::vector<std::size_t> at;
                        const auto wanted = rule.values.find(Field::destination_port);
                        for (std::size_t p = 0; p < ports.size() && at.size() < 3; ++p)
                            if (wanted == rule.values.end() ||
                                std::ranges::any_of(wanted->second, [&](const Span& span) { return span.contains(ports[p].sample()); }))
                                at.push_back(p);
                        for (const auto s : from_ends)
                            for (const auto t : to_ends)
                                pair(s, t, [&](const PlanEnd& source, const PlanEnd& target) {
                                    for (std::size_t v = 0; v < variants.size() && size < packets_max * 2; ++v) {
                                        const auto& variant = variants[v];
                                        if (!fits(variant, target) || (!variant.everywhere && !source.anyone) || !variant.ports) continue;
                                        if (!variant.words.empty() && (rule.values.empty() && rule.flags.empty())) continue;
                                        if (variant.dimension == Dimension::tcp_flags && !rule.flags.contains(variant.flags)) continue;
                                        if (!rule.protocols.empty() && !rule.protocols.contains(variant.protocol)) continue;
                                        for (const auto p : at) put(s, t, v, p);
                                    }
                                });
                    }
                }
                for (auto& [kind, phase] : by_kind)
                    if (!phase.packets.empty()) phases.push_back(std::move(phase));
            }
        }
        return true;
    };
    reduced = !build(false);
    if (reduced) build(true);
}

std::uint32_t Plan::add_end(PlanEnd end) {
    ends.push_back(std::move(end));
    return static_cast<std::uint32_t>(ends.size() - 1);
}

std::size_t Plan::size() const {
    std::size_t sum = 0;
    for (const auto& phase : phases) sum += phase.packets.size();
    return sum;
}

std::size_t Plan::plain_of(const Origin& origin) const {
    const auto& variant = variants[origin.variant];
    for (std::size_t v = 0; v < variants.size(); ++v)
        if (variants[v].protocol == variant.protocol && variants[v].words.empty() && variants[v].ports && variant.ports) return v;
    return origin.variant;
}

std::vector<std::vector<Outcome>> explore(Bench& bench, const Plan& plan) {
    std::vector<std::vector<Outcome>> all;
    std::optional<std::size_t> behind;
    for (const auto& phase : plan.phases) {
        if (behind != phase.behind) bench.strangers_behind(phase.behind);
        behind = phase.behind;
        bench.forget();
        bench.send(phase.packets, plan.shapes, all.emplace_back());
    }
    return all;
}

NeedIndex::NeedIndex(const scenario::Scenario& scenario) {
    auto found = rules::needs(scenario);
    needs_ = std::move(found.needs);
    memberships_ = std::move(found.memberships);
    needs_.insert(needs_.end(), found.alternatives.begin(), found.alternatives.end());
}

std::vector<std::string> NeedIndex::flows(const std::string& from, const Place& from_zone, const std::string& to, const Place& to_zone, std::uint8_t protocol,
                                          Span span) const {
    std::vector<std::string> found;
    const auto is = [](const std::string& name, const std::optional<scenario::Subnet>& net, const std::string& zone, const std::string& is_name,
                       const Place& is_at) { return net ? zone == is_at.zone && (!is_at.beyond || net->prefix == 0) : name == is_name; };
    for (const auto& need : needs_) {
        if (need.multicast || !is(need.source, need.source_net, need.source_zone, from, from_zone) ||
            !is(need.destination, need.destination_net, need.destination_zone, to, to_zone))
            continue;
        if (protocol != (need.protocol == scenario::Protocol::tcp ? tcp_number : udp_number)) continue;
        for (std::size_t i = 0; i < need.flows.size(); ++i) {
            const auto& ports = i < need.ports_of_flows.size() && !need.ports_of_flows[i].empty() ? need.ports_of_flows[i] : need.ports;
            if (std::ranges::any_of(ports, [&](const scenario::PortRange& range) { return range.first <= span.first && span.last <= range.last; }))
                found.push_back(need.flows[i]);
        }
    }
    return found;
}

std::vector<std::string> NeedIndex::memberships(const std::string& host) const {
    std::vector<std::string> found;
    for (const auto& one : memberships_)
        if (one.host == host) found.push_back(one.flow);
    return found;
}

}  // namespace wmlab::lab
