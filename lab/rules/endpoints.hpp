// "10.20.0.10:1755" and "10.20.0.10" as reports and traces write them.
#pragma once
#include <string_view>

namespace wmlab::lab::rules {

inline std::string_view address_of(std::string_view endpoint) { return endpoint.substr(0, endpoint.find(':')); }

// "10.20.0.10" fits every port of that address, nothing fits all.
inline bool fits(std::string_view wanted, std::string_view seen) {
    if (wanted.empty()) return true;
    if (wanted.find(':') == std::string_view::npos) return wanted == address_of(seen);
    return wanted == seen || (seen.find(':') == std::string_view::npos && address_of(wanted) == seen);
}

}  // namespace wmlab::lab::rules
