// Palo Alto PAN-OS, traffic log (syslog field description): fields between commas, in a fixed order.
#include "lab/logs/fields.hpp"

namespace wmlab::lab::logs {

std::optional<Entry> read_pan_os(std::string_view line) {
    const auto mark = line.find(",TRAFFIC,");
    if (mark == std::string_view::npos) return std::nullopt;
    const auto fields = comma_fields(line.substr(mark + 1));
    // From `TRAFFIC`, the fourth field of the whole message.
    constexpr std::size_t subtype = 1, source = 4, destination = 5, nat_source = 6, nat_destination = 7, rule = 8,
                          source_port = 21, destination_port = 22, nat_source_port = 23, nat_destination_port = 24,
                          protocol = 26, action = 27;
    if (fields.size() <= action) return std::nullopt;
    const auto end = [&](std::size_t address, std::size_t port) -> std::optional<End> {
        const auto number = port_of(fields[port]);
        if (!is_ipv4(fields[address]) || !number) return std::nullopt;
        return End{fields[address], *number};
    };
    const auto from = end(source, source_port), to = end(destination, destination_port);
    if (!from || !to) return std::nullopt;
    Entry entry;
    entry.source = *from, entry.destination = *to;
    entry.protocol = protocol_of(fields[protocol]);
    entry.action = action_of(fields[action]);
    using enum Entry::Action;
    if (entry.action == permit && fields[subtype] == "end") entry.action = teardown;
    const auto translated = [](const std::optional<End>& as, const End& is) {
        return as && as->address != "0.0.0.0" && *as != is && as->port != 0;
    };
    if (const auto as = end(nat_source, nat_source_port); translated(as, *from)) entry.source_as = as;
    if (const auto as = end(nat_destination, nat_destination_port); translated(as, *to)) entry.destination_as = as;
    entry.rule = fields[rule];
    return entry;
}

}  // namespace wmlab::lab::logs
