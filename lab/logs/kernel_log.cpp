// Linux: the targets LOG of iptables and the statement log of nftables, by the kernel's log. A rule's prefix is its
// name.
#include "lab/logs/fields.hpp"

namespace wmlab::lab::logs {

std::optional<Entry> read_kernel_log(std::string_view line) {
    const auto mark = line.find("IN=");
    if (mark == std::string_view::npos || line.find(" SRC=", mark) == std::string_view::npos) return std::nullopt;
    const auto pairs = pairs_of(line.substr(mark));
    const auto value = [&](std::string_view key) -> std::string {
        const auto found = pairs.find(key);
        return found == pairs.end() ? std::string{} : found->second;
    };
    if (!is_ipv4(value("SRC")) || !is_ipv4(value("DST"))) return std::nullopt;
    Entry entry;
    entry.source = {value("SRC"), port_of(value("SPT")).value_or(0)};
    entry.destination = {value("DST"), port_of(value("DPT")).value_or(0)};
    entry.protocol = protocol_of(value("PROTO"));
    // Before it: "kernel: [12.345678] PREFIX" or "kernel: PREFIX".
    auto prefix = line.substr(0, mark);
    if (const auto kernel = prefix.find("kernel:"); kernel != std::string_view::npos) prefix.remove_prefix(kernel + 7);
    while (prefix.starts_with(' ')) prefix.remove_prefix(1);
    if (prefix.starts_with('[')) {
        const auto end = prefix.find(']');
        const auto inside = end == std::string_view::npos ? std::string_view{} : prefix.substr(1, end - 1);
        if (!inside.empty() && inside.find_first_not_of(" .0123456789") == std::string_view::npos)
            prefix.remove_prefix(end + 1);
    }
    while (prefix.starts_with(' ')) prefix.remove_prefix(1);
    while (prefix.ends_with(' ')) prefix.remove_suffix(1);
    entry.action = action_of(prefix);
    if (!prefix.empty()) entry.rule = "log prefix \"" + std::string{prefix} + "\"";
    return entry;
}

}  // namespace wmlab::lab::logs
