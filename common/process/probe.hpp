// What a probe carries: one line of text with a nonce that nobody else has. Over TCP it comes back as it is.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"

namespace wmlab::process {

inline constexpr std::size_t probe_size = 29;  // "wmlab-probe " 16 hexadecimal digits, line feed

std::string new_nonce();  // 16 hexadecimal digits
std::array<std::byte, probe_size> probe_message(std::string_view nonce);
std::optional<std::string> nonce_in(std::span<const std::byte> message);  // nothing: not a probe

// What a probe over UDP is answered with. It is no probe, so that two who answer probes cannot be set upon each other
// by a forged sender.
std::array<std::byte, probe_size> proof_message(std::string_view nonce);
std::optional<std::string> proven_nonce_in(std::span<const std::byte> message);

// Up to here each port of a probe flow has all of its events; beyond, only those that settle a port.
inline constexpr std::size_t told_in_full_max = 64;
std::size_t count(const scenario::PortList& ports);
std::string ports_text(const std::vector<std::uint16_t>& sorted);  // "1-1023 1755"

}  // namespace wmlab::process
