// Fortinet FortiOS, traffic log: key=value.
#include "lab/logs/fields.hpp"

namespace wmlab::lab::logs {

std::optional<Entry> read_fortios(std::string_view line) {
    const auto pairs = pairs_of(line);
    const auto value = [&](std::string_view key) -> std::string {
        const auto found = pairs.find(key);
        return found == pairs.end() ? std::string{} : found->second;
    };
    if (!is_ipv4(value("srcip")) || !is_ipv4(value("dstip"))) return std::nullopt;
    Entry entry;
    entry.source = {value("srcip"), port_of(value("srcport")).value_or(0)};
    entry.destination = {value("dstip"), port_of(value("dstport")).value_or(0)};
    entry.protocol = protocol_of(value("proto"));
    const auto action = value("action");
    using enum Entry::Action;
    // A session that ends is logged by how it ended.
    entry.action = action == "close" || action == "timeout" || action == "client-rst" || action == "server-rst"
                       ? teardown
                   : action == "start"   ? build
                   : action == "ip-conn" ? unknown
                                         : action_of(action);
    if (is_ipv4(value("transip")) && value("transip") != "0.0.0.0")
        (value("trandisp") == "dnat" ? entry.destination_as : entry.source_as) =
            End{value("transip"), port_of(value("transport")).value_or(0)};
    if (is_ipv4(value("tranip")) && value("tranip") != "0.0.0.0")
        entry.destination_as = End{value("tranip"), port_of(value("tranport")).value_or(0)};
    const auto policy = value("policyid"), name = value("policyname");
    if (!policy.empty()) entry.rule = "policyid=" + policy + (name.empty() ? "" : " policyname=\"" + name + "\"");
    return entry;
}

}  // namespace wmlab::lab::logs
