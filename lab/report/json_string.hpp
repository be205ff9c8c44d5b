// Boost.JSON's strings of this Boost do not take std::string_view.
#pragma once
#include <boost/json.hpp>
#include <string_view>

namespace wmlab::lab {

inline boost::json::string_view view(std::string_view text) { return {text.data(), text.size()}; }
inline boost::json::string string(std::string_view text) { return boost::json::string(view(text)); }

}  // namespace wmlab::lab
