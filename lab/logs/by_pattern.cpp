// Logs of any other device, by a pattern whose named groups say what is what. A line that the pattern takes too long
// for is none of its lines.
#include <boost/regex.hpp>
#include <stdexcept>

#include "lab/logs/fields.hpp"

namespace wmlab::lab::logs {

struct Pattern::Parts {
    boost::regex pattern;
    bool names_action = false;
};

Pattern::Pattern(const std::string& pattern) {
    for (const auto* needed : {"(?<source>", "(?<destination>", "(?<rule>"})
        if (pattern.find(needed) == std::string::npos)
            throw std::invalid_argument{std::string{"it has no group "} + needed + "...)"};
    auto parts = std::make_unique<Parts>();
    try {
        parts->pattern = boost::regex{pattern, boost::regex::perl};
    } catch (const std::exception& wrong) {
        throw std::invalid_argument{wrong.what()};
    }
    parts->names_action = pattern.find("(?<action>") != std::string::npos;
    parts_ = std::move(parts);
}

Pattern::~Pattern() = default;

std::optional<Entry> Pattern::read(std::string_view line) const {
    boost::cmatch found;
    try {
        if (!boost::regex_search(line.data(), line.data() + line.size(), found, parts_->pattern)) return std::nullopt;
    } catch (const std::exception&) {
        return std::nullopt;
    }
    const auto group = [&](const char* name) {
        const auto& part = found[name];
        return part.matched ? std::string{part.first, part.second} : std::string{};
    };
    if (!is_ipv4(group("source")) || !is_ipv4(group("destination"))) return std::nullopt;
    Entry entry;
    entry.source = {group("source"), port_of(group("source_port")).value_or(0)};
    entry.destination = {group("destination"), port_of(group("destination_port")).value_or(0)};
    entry.protocol = protocol_of(group("protocol"));
    // Without the group, the pattern is for denials only.
    entry.action = parts_->names_action ? action_of(group("action")) : Entry::Action::deny;
    entry.rule = group("rule");
    return entry;
}

}  // namespace wmlab::lab::logs
