// Pragma tokens (MS-WMSP 2.2.1.4): comma separated, over any number of Pragma lines, blanks after the comma as they
// come.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/wmsp/http.hpp"

namespace wmlab::wmsp {

struct PragmaToken {
    std::string name, value;  // quotes around a value are taken off
    bool operator==(const PragmaToken&) const = default;
};

struct Pragmas : std::vector<PragmaToken> {
    static Pragmas of(const Fields& fields);
    std::optional<std::string_view> find(std::string_view name) const;  // the last one; letter case does not matter
    std::optional<std::uint32_t> number(std::string_view name) const;   // absent where it is no decimal number
};

// MS-WMSP 2.2.1.4.27: which streams are wanted. The field is hexadecimal, yet some players print decimal numbers:
// both readings are kept, resolve() picks the one that names streams of the content.
struct StreamSwitchEntry {
    std::uint16_t source = 0xFFFF;  // 0xFFFF: none
    std::uint16_t destination = 0;
    std::uint16_t thinning = 0;                    // 0 all, 1 key frames only, 2 nothing
    std::optional<std::uint16_t> decimal_reading;  // of the destination, where it has digits only
    bool operator==(const StreamSwitchEntry&) const = default;
};
inline constexpr std::size_t stream_switch_entries_max = 128;
std::vector<StreamSwitchEntry> stream_switch_entries(const Pragmas& pragmas);

struct StreamChoice {
    std::uint16_t stream = 0;  // 0xFFFF: none, `source` ends
    std::uint16_t thinning = 0;
    std::uint16_t source = 0xFFFF;  // that it takes the place of; 0xFFFF: none
    bool operator==(const StreamChoice&) const = default;
};
std::vector<StreamChoice> resolve(const std::vector<StreamSwitchEntry>& entries,
                                  const std::vector<std::uint16_t>& streams);

}  // namespace wmlab::wmsp
