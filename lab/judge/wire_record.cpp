#include "lab/judge/wire_record.hpp"

#include <algorithm>
#include <charconv>

#include "common/evidence/fields.hpp"
#include "lab/judge/evidence.hpp"

namespace wmlab::lab {

Endpoint Endpoint::from(std::string_view text) {
    Endpoint endpoint;
    const auto colon = text.rfind(':');
    endpoint.address = std::string{text.substr(0, colon)};
    if (colon == std::string_view::npos) return endpoint;
    const auto digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    if (std::from_chars(digits.data(), digits.data() + digits.size(), port).ec == std::errc{}) endpoint.port = port;
    return endpoint;
}

std::string Endpoint::text() const { return port == 0 ? address : address + ":" + std::to_string(port); }

bool Between::matches(const WireLine& line) const {
    const auto fits = [](const Endpoint& wanted, const Endpoint& seen) {
        return (wanted.address.empty() || wanted.address == seen.address) &&
               (wanted.port == 0 || wanted.port == seen.port);
    };
    return fits(source, line.source) && fits(destination, line.destination);
}

namespace {

// "4711:9af03c21:5b4:811c9dc5@12 ..."; what does not read so tells nothing.
std::vector<Sighting> listed_packets(std::string_view text, std::int64_t first) {
    std::vector<Sighting> all;
    while (!text.empty()) {
        const auto word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(text.size(), word.size() + 1));
        const auto* at = word.data();
        const auto* const end = at + word.size();
        bool reads = true;
        const auto number = [&](auto& value, char after, int base = 16) {
            const auto [stop, error] = std::from_chars(at, end, value, base);
            reads = reads && error == std::errc{} && (after == '\0' ? stop == end : stop != end && *stop == after);
            at = reads && after != '\0' ? stop + 1 : stop;
        };
        Sighting one;
        number(one.id, ':');
        if (reads) number(one.sequence, ':');
        if (reads) number(one.bytes, ':');
        if (reads) number(one.hash, '@');
        std::int64_t microseconds = 0;
        if (reads) number(microseconds, '\0', 10);
        if (!reads || microseconds < 0 || microseconds > 1'000'000'000'000) return {};
        one.at = first + microseconds * 1000;
        all.push_back(one);
    }
    return all;
}

}  // namespace

void WireRecord::add(const evidence::Event& event) {
    const auto whole = [&](evidence::Number name) { return whole_field(event, name).value_or(0); };
    WireLine line;
    line.kind = text_field(event, field::kind);
    line.packets = whole(field::packets);
    if (line.kind == "total") {
        ++totals_;
        total_ += line.packets;
        dropped_ += whole(field::dropped);
        return;
    }
    if (line.kind == "lost") {
        dropped_ += std::max<std::uint64_t>(line.packets, 1);
        return;
    }
    line.way = text_field(event, field::direction) == "out" ? Way::out : Way::in;
    line.protocol = text_field(event, field::protocol);
    line.source = Endpoint::from(text_field(event, field::source));
    line.destination = Endpoint::from(text_field(event, field::destination));
    line.bytes = whole(field::bytes);
    line.zone = text_field(event, field::zone);
    if (const auto ttl = whole_field(event, field::ttl); ttl && *ttl <= 255) line.ttl = static_cast<unsigned>(*ttl);
    if (line.kind == "icmp") {
        Icmp icmp;
        icmp.type = static_cast<unsigned>(std::min<std::uint64_t>(whole(field::icmp_type), 255));
        icmp.code = static_cast<unsigned>(std::min<std::uint64_t>(whole(field::icmp_code), 255));
        icmp.from = text_field(event, field::sender);
        line.icmp = icmp;
    }
    if (const auto* joins = list_field(event, field::joins))
        for (const auto& group : *joins)
            if (group.is_string()) line.joins.emplace_back(group.get_string());
    line.each = listed_packets(text_field(event, field::each), static_cast<std::int64_t>(whole(field::first)));
    if (line.protocol == "tcp" || line.protocol == "udp") listed_ = listed_ && (line.listed() || line.kind == "icmp");
    packets_ += line.packets;
    if (line.kind != "icmp") by_addresses_.emplace(Key{line.way, line.protocol, line.source, line.destination}, lines_.size());
    by_source_port_[line.source.port].push_back(lines_.size());
    by_destination_port_[line.destination.port].push_back(lines_.size());
    if (line.way == Way::in)
        for (const auto& packet : line.each) by_packet_.emplace(packet.key(), lines_.size());
    lines_.push_back(std::move(line));
}

std::vector<const WireLine*> WireRecord::find(Way way, std::initializer_list<std::string_view> kinds,
                                              const Between& between) const {
    std::vector<const WireLine*> found;
    const auto look = [&](const WireLine& line) {
        if (line.way == way && between.matches(line) && std::ranges::find(kinds, line.kind) != kinds.end()) found.push_back(&line);
    };
    const std::vector<std::size_t>* fewest = nullptr;
    bool none = false;
    const auto narrow = [&](const auto& by_port, std::uint16_t port) {
        if (port == 0 || none) return;
        const auto at = by_port.find(port);
        none = at == by_port.end();
        if (!none && (fewest == nullptr || at->second.size() < fewest->size())) fewest = &at->second;
    };
    narrow(by_source_port_, between.source.port);
    narrow(by_destination_port_, between.destination.port);
    if (none) return found;
    if (fewest == nullptr)
        std::ranges::for_each(lines_, look);
    else
        for (const auto index : *fewest) look(lines_[index]);
    return found;
}

std::vector<const WireLine*> WireRecord::between(Way way, std::string_view protocol, const Between& between) const {
    std::vector<const WireLine*> found;
    const auto [begin, end] =
        by_addresses_.equal_range(Key{way, std::string{protocol}, between.source, between.destination});
    for (auto at = begin; at != end; ++at) found.push_back(&lines_[at->second]);
    return found;
}

std::vector<const WireLine*> WireRecord::with(const Sighting& packet) const {
    std::vector<const WireLine*> found;
    const auto [begin, end] = by_packet_.equal_range(packet.key());
    for (auto at = begin; at != end; ++at) found.push_back(&lines_[at->second]);
    return found;
}

std::uint64_t WireRecord::count(Way way, std::initializer_list<std::string_view> kinds, const Between& between) const {
    std::uint64_t packets = 0;
    for (const auto* line : find(way, kinds, between)) packets += line->packets;
    return packets;
}

}  // namespace wmlab::lab
