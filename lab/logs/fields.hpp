// Words and fields of log messages. Internal to lab/logs.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/logs/log.hpp"

namespace wmlab::lab::logs {

bool is_ipv4(std::string_view text);
std::optional<std::uint16_t> port_of(std::string_view text);
std::vector<std::string_view> words_of(std::string_view text);
std::string lower(std::string_view text);

// "tcp", "TCP", "6": the protocol's name; empty: another one.
std::string protocol_of(std::string_view word);

// "10.20.0.10/1217", with another sign between them for others.
std::optional<End> end_of(std::string_view text, char between);

// key=value pairs, values in quotation marks or up to a blank; of a key that comes twice the first.
std::map<std::string, std::string, std::less<>> pairs_of(std::string_view text);

// Fields between commas; quotation marks hold together.
std::vector<std::string> comma_fields(std::string_view text);

// What an action is called: deny, drop, block, reject, reset ... ; allow, accept, permit, pass.
Entry::Action action_of(std::string_view word);

// What stands between, from the first `before`; empty: it is not there.
std::string_view between(std::string_view text, std::string_view before, std::string_view after);

}  // namespace wmlab::lab::logs
