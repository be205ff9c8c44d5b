// GUIDs: text form XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX, and the wire form with the first three fields little-endian.
#pragma once
#include <array>
#include <compare>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace wmlab::bytes {

struct Guid {
    std::array<std::byte, 16> octets{};  // in the order the text form shows them

    static Guid from_wire(std::span<const std::byte, 16> wire);
    std::array<std::byte, 16> to_wire() const;
    static std::optional<Guid> from_text(std::string_view text);  // braces and letter case do not matter
    std::string text() const;                                     // upper case, no braces
    static Guid named(std::string_view name);  // the same name always gives the same GUID (RFC 4122 layout, version 8)
    auto operator<=>(const Guid&) const = default;
};

}  // namespace wmlab::bytes
