// Boost.JSON's strings of this Boost do not take std::string_view.
#pragma once
#include <boost/json.hpp>
#include <string_view>

#include "lab/report/clean.hpp"

namespace wmlab::lab {

inline boost::json::string_view view(std::string_view text) { return {text.data(), text.size()}; }
// What is no UTF-8 cannot stand in JSON.
inline boost::json::string string(std::string_view text) { return boost::json::string(view(valid_utf8(text))); }

}  // namespace wmlab::lab
