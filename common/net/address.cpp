#include "common/net/address.hpp"

#include <charconv>

namespace wmlab::net {

std::optional<std::uint16_t> port_from(std::string_view digits) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size() || value == 0 || value > 0xFFFF)
        return std::nullopt;
    return static_cast<std::uint16_t>(value);
}

std::optional<HostPort> host_port(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return std::nullopt;
    const auto port = port_from(text.substr(colon + 1));
    if (!port) return std::nullopt;
    return HostPort{std::string{text.substr(0, colon)}, *port};
}

}  // namespace wmlab::net
