#include "lab/audit/plan.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "common/scenario/boxes.hpp"

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

// Makes a plan, step by step.
class PlanMaker {
public:
    PlanMaker(const scenario::Scenario& scenario, const Asked& asked, const Dimensions& dimensions, const Bench& bench, Plan& plan)
        : scenario_{scenario}, asked_{asked}, dimensions_{dimensions}, bench_{bench}, plan_{plan} {}

    void make() {
        for (const auto& shaped : asked_.shapes) plan_.shapes.push_back(shaped.shape);
        read_addresses();
        zone_ends();
        if (on(Dimension::addresses)) ends_beyond();
        if (on(Dimension::own_addresses) || on(Dimension::own_hooks)) own_ends();
        if (on(Dimension::own_addresses)) published();
        v6_ends();
        choose_ports();
        transports();
        if (on(Dimension::shapes)) shaped();
        icmp();
        if (on(Dimension::protocols)) other_protocols();
        plan_.reduced = !packets(false);
        if (plan_.reduced) packets(true);
    }

private:
    bool on(Dimension dimension) const { return dimensions_.contains(dimension); }
    // Of several firewalls: this one has a side in the zone.
    bool has_side(std::size_t zone) const { return bench_.wire_of(zone) == zone; }
    bool same_wire(std::size_t zone, std::size_t other) const { return bench_.wire_of(zone) == bench_.wire_of(other); }
    std::optional<scenario::Ipv4> own_address(std::size_t zone) const { return scenario::own_address(scenario_, scenario_.zones[zone]); }

    std::set<Spans> asked_of(Field field) const {
        const auto found = asked_.values.find(field);
        return found == asked_.values.end() ? std::set<Spans>{} : found->second;
    }

    void add_end(PlanEnd end) { plan_.ends.push_back(std::move(end)); }

    void read_addresses() {
        // Rules may tell source and destination apart in different ways: both count.
        four_ = asked_of(Field::source), six_ = asked_of(Field::source_v6);
        four_.merge(asked_of(Field::destination)), six_.merge(asked_of(Field::destination_v6));
        if (!on(Dimension::addresses)) four_.clear(), six_.clear();
        if (asked_.opaque || !on(Dimension::addresses))
            for (const auto& host : scenario_.hosts) four_.insert({{host.address.value, host.address.value}});
        for (const auto& zone : scenario_.zones) {
            special_.push_back(zone_span(zone));
            taken_.insert({scenario::own_address(scenario_, zone).value_or(zone.gateway).value, zone.subnet.network.value, zone.subnet.broadcast().value});
        }
        for (const auto& host : scenario_.hosts) {
            taken_.insert(host.address.value);
            for (const auto& [_, address] : host.published) taken_.insert(address.value), special_.push_back({address.value, address.value});
        }
    }

    void zone_ends() {
        for (std::size_t z = 0; z < scenario_.zones.size(); ++z) {
            const auto& zone = scenario_.zones[z];
            Spans own{{zone_span(zone).first + 1, zone_span(zone).last - 1}};
            for (const auto& host : scenario_.hosts)
                for (const auto& [_, address] : host.published) own = without(own, {{address.value, address.value}});
            if (const auto address = own_address(z)) own = without(own, {{address->value, address->value}});
            const auto all = classes(four_, own);
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
                for (const auto& host : scenario_.hosts)
                    for (const auto& span : all[i].spans)
                        if (host.zone == zone.name && span.contains(host.address.value)) {
                            end.hosts.push_back(host.name);
                            rest = without(rest, {{host.address.value, host.address.value}});
                        }
                end.anyone = i == largest;
                if (!rest.empty()) end.others = end.anyone ? "anyone" : spans_text(rest, false);
                end.address = {rest.empty() ? all[i].sample() : sample_of(rest, taken_), false};
                add_end(std::move(end));
            }
        }
    }

    // Beyond the zones: what rules name, and one that none names.
    void ends_beyond() {
        const Spans outside = without({{0x01000000, 0x7EFFFFFF}, {0x80000000, 0xDFFFFFFF}}, special_);
        const auto all = classes(four_, outside);
        for (const auto& found : all) {
            const bool ordinary = std::ranges::any_of(found.spans, [](const Span& s) { return s.last - s.first > 0x10000000; });
            for (std::size_t z = 0; z < scenario_.zones.size(); ++z) {
                if (!has_side(z)) continue;
                PlanEnd end;
                end.zone = z, end.kind = PlanEnd::Kind::outside;
                end.others = ordinary ? "any address beyond the zones" : spans_text(found.spans, false);
                end.address = {sample_of(found.spans, taken_), false};
                add_end(std::move(end));
            }
        }
    }

    void own_ends() {
        for (std::size_t z = 0; z < scenario_.zones.size(); ++z) {
            const auto address = own_address(z);
            if (!address) continue;
            PlanEnd end;
            end.zone = z, end.kind = PlanEnd::Kind::gateway;
            end.address = Address::of(*address);
            end.others = "the firewall's address " + end.address.text();
            add_end(std::move(end));
        }
    }

    void published() {
        for (const auto& [host_name, zone_name, published] : published_ends(scenario_)) {
            PlanEnd end;
            end.kind = PlanEnd::Kind::published;
            for (std::size_t z = 0; z < scenario_.zones.size(); ++z)
                if (scenario_.zones[z].name == zone_name) end.zone = z;
            end.address = Address::of(published);
            end.hosts = {host_name};
            const bool known = std::ranges::any_of(plan_.ends, [&](const PlanEnd& other) { return other.address == end.address; });
            if (known) {  // the firewall's own address, or several hosts': one end, more names
                for (auto& other : plan_.ends)
                    if (other.address == end.address) other.hosts.push_back(host_name), other.kind = PlanEnd::Kind::published;
            } else {
                add_end(std::move(end));
            }
        }
    }

    void v6_ends() {
        v6_ = on(Dimension::ipv6) && bench_.has_v6() && asked_.filters_v6;
        if (!v6_) return;
        Spans twins;
        const Wide everything = ~Wide{0};
        for (std::size_t z = 0; z < scenario_.zones.size(); ++z) {
            const auto gateway = bench_.twin(own_address(z).value_or(scenario_.zones[z].gateway), z);
            const Wide network = gateway.value >> 64 << 64;
            twins.push_back({network, network | ((Wide{1} << 64) - 1)});
            const auto all = classes(six_, {twins.back()});
            for (const auto& found : all) {
                PlanEnd end;
                end.zone = z, end.others = found.spans.size() == 1 && all.size() == 1 ? "anyone" : spans_text(found.spans, true);
                end.anyone = all.size() == 1;
                end.address = {(network | 0x77), true};
                if (!found.spans.front().contains(end.address.value)) end.address.value = found.sample() + 2;
                add_end(std::move(end));
            }
            if (on(Dimension::own_hooks) && has_side(z)) {
                PlanEnd end;
                end.zone = z, end.kind = PlanEnd::Kind::gateway, end.address = gateway;
                end.others = "the firewall";
                add_end(std::move(end));
            }
        }
        // Unicast, without loopback, mapped addresses and link-local ones.
        const Spans outside = without({{Wide{1} << 121, (Wide{0xFE80} << 112) - 1}, {Wide{0xFEC0} << 112, (Wide{0xFF} << 120) - 1}}, twins);
        for (const auto& found : classes(six_, outside)) {
            const bool ordinary = std::ranges::any_of(found.spans, [&](const Span& s) { return s.last - s.first > everything >> 4; });
            for (std::size_t z = 0; z < scenario_.zones.size(); ++z) {
                if (!has_side(z)) continue;
                PlanEnd end;
                end.zone = z, end.kind = PlanEnd::Kind::outside;
                end.others = ordinary ? "any address beyond the zones" : spans_text(found.spans, true);
                end.address = {found.spans.front().contains((Wide{0x20010DB8} << 96) + 0x7777) ? (Wide{0x20010DB8} << 96) + 0x7777 : sample_of(found.spans, {}),
                               true};
                add_end(std::move(end));
            }
        }
    }

    void choose_ports() {
        plan_.ports = classes(asked_of(Field::destination_port), {{1, 65535}});
        const auto source_classes = classes(asked_of(Field::source_port), {{1, 65535}});
        Wide widest = 0;
        std::size_t usual_class = 0;
        for (std::size_t i = 0; i < source_classes.size(); ++i)
            for (const auto& span : source_classes[i].spans) {
                const Wide first = std::max<Wide>(span.first, 1024);
                if (span.last >= first && span.last - first + 1 > widest) widest = span.last - first + 1, usual_ = {first, span.last}, usual_class = i;
            }
        for (const Wide known : {20, 53, 80, 1755}) sources_.push_back({known, known});
        for (std::size_t i = 0; i < source_classes.size() && i < 40; ++i)
            if (i != usual_class) {
                const auto& span = source_classes[i].spans.front();
                std::erase_if(sources_, [&](const Span& s) { return s.first == span.first && s.last == span.first; });
                sources_.push_back(span);
            }
    }

    Variant plain(std::uint8_t protocol) const {
        Variant variant;
        variant.protocol = protocol, variant.flags = protocol == tcp_number ? syn : std::uint8_t{0};
        variant.source_ports = usual_;
        return variant;
    }

    void transports() {
        if (on(Dimension::protocols))
            for (const auto protocol : further_transports)
                if (asked_.protocols.contains(protocol)) transports_.push_back(protocol);
        for (const auto protocol : transports_) {
            plan_.variants.push_back(plain(protocol));
            if (on(Dimension::source_ports))
                for (const auto& span : sources_) {
                    auto variant = plain(protocol);
                    variant.source_ports = span, variant.words = port_words(span), variant.dimension = Dimension::source_ports;
                    plan_.variants.push_back(variant);
                }
        }
        if (on(Dimension::tcp_flags)) segments();
    }

    void segments() {
        std::set<std::uint8_t> flags{16, 4, 17, 18, 1, 0, 41, 3};
        flags.insert(asked_.flags.begin(), asked_.flags.end());
        flags.erase(syn);
        const bool names_sources = !asked_of(Field::source_port).empty();
        for (const auto set : flags) {
            auto variant = plain(tcp_number);
            variant.flags = set, variant.dimension = Dimension::tcp_flags;
            variant.words = "segments with " + flag_words(set);
            plan_.variants.push_back(variant);
            if (!names_sources || !on(Dimension::source_ports)) continue;
            for (std::size_t i = 4; i < sources_.size() && i < 12; ++i) {
                auto both = variant;
                both.source_ports = sources_[i], both.words += " " + port_words(sources_[i]);
                plan_.variants.push_back(both);
            }
        }
    }

    void shaped() {
        for (std::size_t i = 1; i < asked_.shapes.size(); ++i)
            for (const auto protocol : transports_) {
                const auto& wanted = asked_.shapes[i].protocols;
                if (!wanted.empty() && !wanted.contains(protocol)) continue;
                auto variant = plain(protocol);
                variant.shape = static_cast<std::uint16_t>(i), variant.words = "packets " + asked_.shapes[i].shape.words();
                variant.dimension = Dimension::shapes;
                plan_.variants.push_back(variant);
            }
    }

    void icmp() {
        for (const auto protocol : {icmp_v4, icmp_v6}) {
            if (!on(Dimension::icmp_types) || (protocol == icmp_v6 && !v6_)) continue;
            std::set<std::pair<std::uint8_t, std::uint8_t>> types;
            for (unsigned type = 0; type < 256; ++type) types.insert({static_cast<std::uint8_t>(type), std::uint8_t{0}});
            types.insert(asked_.types.begin(), asked_.types.end());
            for (const auto& [type, code] : types) {
                Variant variant;
                variant.protocol = protocol, variant.type = type, variant.code = code, variant.ports = false;
                variant.dimension = Dimension::icmp_types;
                variant.words = code == 0 ? fmt::format("type {}", type) : fmt::format("type {} code {}", type, code);
                variant.everywhere = type <= 18 || (protocol == icmp_v6 && type >= 128 && type <= 143) || asked_.types.contains({type, code});
                plan_.variants.push_back(variant);
            }
            if (on(Dimension::shapes))
                for (std::size_t i = 1; i < asked_.shapes.size(); ++i) {
                    if (!asked_.shapes[i].protocols.empty() && !asked_.shapes[i].protocols.contains(protocol)) continue;
                    Variant variant;
                    variant.protocol = protocol, variant.type = protocol == icmp_v4 ? 8 : 128, variant.ports = false;
                    variant.shape = static_cast<std::uint16_t>(i), variant.dimension = Dimension::shapes;
                    variant.words = "echo request " + asked_.shapes[i].shape.words();
                    plan_.variants.push_back(variant);
                }
        }
    }

    void other_protocols() {
        for (unsigned number = 0; number < 256; ++number) {
            const auto protocol = static_cast<std::uint8_t>(number);
            if (protocol == icmp_v4 || protocol == icmp_v6 || std::ranges::find(transports_, protocol) != transports_.end()) continue;
            Variant variant;
            variant.protocol = protocol, variant.ports = false, variant.dimension = Dimension::protocols;
            variant.everywhere = asked_.protocols.contains(protocol);
            plan_.variants.push_back(variant);
        }
    }

    // Packets of one phase have each their own pair of ends and ports: none is taken for another's connection.
    void add(Plan::Phase& phase, std::size_t from_zone, const Origin& origin) {
        const auto& variant = plan_.variants[origin.variant];
        Crafted packet;
        packet.zone = from_zone == scenario_.zones.size() ? firewall_itself : static_cast<std::uint8_t>(from_zone);
        packet.source = plan_.ends[origin.from].address, packet.destination = plan_.ends[origin.to].address;
        packet.protocol = variant.protocol, packet.flags = variant.flags, packet.type = variant.type, packet.code = variant.code;
        packet.shape = variant.shape;
        if (variant.source_ports) {
            const auto& span = *variant.source_ports;
            const bool fixed = span != usual_;
            packet.source_port = static_cast<std::uint16_t>(span.first + (fixed ? 0 : (++counter_ * 7 + 3000) % (span.last - span.first + 1)));
        }
        if (variant.ports) packet.destination_port = static_cast<std::uint16_t>(plan_.ports[origin.ports].sample());
        phase.packets.push_back(packet);
        phase.origins.push_back(origin);
    }

    static bool fits(const Variant& variant, const PlanEnd& from, const PlanEnd& to) {
        if (!variant.everywhere && !from.anyone) return false;
        // IPv6: what follows the numbers of extension headers is another protocol.
        const bool extension = variant.protocol == 0 || variant.protocol == 43 || variant.protocol == 44 || variant.protocol == 60;
        return to.address.v6 ? variant.protocol != icmp_v4 && !extension : variant.protocol != icmp_v6;
    }

    // The first zone on another wire.
    std::size_t first_beyond(std::size_t from) const {
        std::size_t zone = 0;
        while (zone < scenario_.zones.size() && same_wire(zone, from)) ++zone;
        return zone;
    }

    // Whether packets from this zone (or, one number further, from the firewall itself) go from one to the other, while strangers are behind another.
    bool are_a_pair(std::size_t from, std::size_t behind, const PlanEnd& source, const PlanEnd& target) const {
        using Kind = PlanEnd::Kind;
        if (source.address.v6 != target.address.v6) return false;
        if (from == scenario_.zones.size())
            return source.kind == Kind::gateway && target.zone == behind && source.zone == bench_.wire_of(behind) &&
                   (target.kind == Kind::zone || target.kind == Kind::outside);
        if (source.zone != from || source.kind == Kind::gateway || source.kind == Kind::published) return false;
        const bool own = target.kind == Kind::gateway || target.kind == Kind::published;
        if (own ? behind != first_beyond(from) : target.zone != behind) return false;
        return target.kind != Kind::outside || target.zone != from;
    }

    using Put = std::function<void(std::uint32_t s, std::uint32_t t, std::size_t v, std::size_t p)>;

    // All that differ in anything a rule can tell. False: too many.
    bool every_combination(std::size_t from, std::size_t behind, const Put& put) {
        const bool own = from == scenario_.zones.size();
        for (std::uint32_t s = 0; s < plan_.ends.size(); ++s)
            for (std::uint32_t t = 0; t < plan_.ends.size(); ++t) {
                if (!are_a_pair(from, behind, plan_.ends[s], plan_.ends[t])) continue;
                for (std::size_t v = 0; v < plan_.variants.size(); ++v) {
                    const auto& variant = plan_.variants[v];
                    if (!fits(variant, plan_.ends[s], plan_.ends[t]) || (own && !variant.words.empty() && variant.ports)) continue;
                    for (std::size_t p = 0; p < (variant.ports ? plan_.ports.size() : 1); ++p) put(s, t, v, p);
                    if (size_ > packets_max) return false;
                }
            }
        return true;
    }

    // Up to six ends that a rule asks for.
    std::vector<std::uint32_t> ends_of(const Asked::ByRule& rule, Field v4, Field v6) const {
        std::vector<std::uint32_t> found;
        for (std::uint32_t e = 0; e < plan_.ends.size() && found.size() < 6; ++e) {
            const auto& end = plan_.ends[e];
            const auto spans = rule.values.find(end.address.v6 ? v6 : v4);
            if (spans == rule.values.end() ? end.kind != PlanEnd::Kind::outside
                                           : std::ranges::any_of(spans->second, [&](const Span& span) { return span.contains(end.address.value); }))
                found.push_back(e);
        }
        return found;
    }
    std::vector<std::size_t> ports_of(const Asked::ByRule& rule) const {
        std::vector<std::size_t> found;
        const auto wanted = rule.values.find(Field::destination_port);
        for (std::size_t p = 0; p < plan_.ports.size() && found.size() < 3; ++p)
            if (wanted == rule.values.end() || std::ranges::any_of(wanted->second, [&](const Span& span) { return span.contains(plan_.ports[p].sample()); }))
                found.push_back(p);
        return found;
    }

    // What each rule asks for by itself.
    void each_rule(std::size_t from, std::size_t behind, const Put& put) {
        for (const auto& rule : asked_.rules) {
            const auto at = ports_of(rule);
            const auto targets = ends_of(rule, Field::destination, Field::destination_v6);
            for (const auto s : ends_of(rule, Field::source, Field::source_v6))
                for (const auto t : targets) {
                    if (!are_a_pair(from, behind, plan_.ends[s], plan_.ends[t])) continue;
                    for (std::size_t v = 0; v < plan_.variants.size() && size_ < packets_max * 2; ++v) {
                        const auto& variant = plan_.variants[v];
                        if (!fits(variant, plan_.ends[s], plan_.ends[t]) || !variant.ports) continue;
                        if (!variant.words.empty() && (rule.values.empty() && rule.flags.empty())) continue;
                        if (variant.dimension == Dimension::tcp_flags && !rule.flags.contains(variant.flags)) continue;
                        if (!rule.protocols.empty() && !rule.protocols.contains(variant.protocol)) continue;
                        for (const auto p : at) put(s, t, v, p);
                    }
                }
        }
    }

    // False: every combination is too much.
    bool packets(bool by_rule) {
        plan_.phases.clear();
        size_ = 0;
        const auto zones = scenario_.zones.size();
        for (std::size_t from = 0; from <= zones; ++from) {
            if (from == zones && !on(Dimension::own_hooks)) continue;
            for (std::size_t behind = 0; behind < zones; ++behind) {
                if (from < zones && same_wire(behind, from)) continue;
                std::map<std::pair<unsigned, unsigned>, Plan::Phase> by_kind;  // by flags, and by the shape
                const auto put = [&](std::uint32_t s, std::uint32_t t, std::size_t v, std::size_t p) {
                    const auto& variant = plan_.variants[v];
                    auto& phase = by_kind[{variant.protocol == tcp_number ? variant.flags : 256u, variant.shape}];
                    phase.behind = behind;
                    add(phase, from, {s, t, static_cast<std::uint16_t>(v), static_cast<std::uint16_t>(p)});
                    ++size_;
                };
                if (by_rule) {
                    each_rule(from, behind, put);
                } else if (!every_combination(from, behind, put)) {
                    return false;
                }
                for (auto& [kind, phase] : by_kind)
                    if (!phase.packets.empty()) plan_.phases.push_back(std::move(phase));
            }
        }
        return true;
    }

    const scenario::Scenario& scenario_;
    const Asked& asked_;
    const Dimensions& dimensions_;
    const Bench& bench_;
    Plan& plan_;
    std::set<Spans> four_, six_;  // addresses that rules name
    std::set<Wide> taken_;        // addresses that stand for something else
    Spans special_;               // the zones' and those that are published
    bool v6_ = false;
    Span usual_{1024, 65535};  // source ports: the largest stretch that no rule cuts, above the services
    std::vector<Span> sources_;
    std::vector<std::uint8_t> transports_{tcp_number, udp_number};
    std::uint32_t counter_ = 0;
    std::size_t size_ = 0;  // of the plan
};

}  // namespace

Plan::Plan(const scenario::Scenario& scenario, const Asked& asked, const Dimensions& dimensions, const Bench& bench) {
    PlanMaker{scenario, asked, dimensions, bench, *this}.make();
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

}  // namespace wmlab::lab
