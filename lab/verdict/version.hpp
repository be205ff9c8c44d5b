// Which wmlab this is.
#pragma once
#include <string_view>

namespace wmlab::lab {

std::string_view version();  // "0.1.0"
std::string_view commit();   // of the repository it was built from; empty: none

}  // namespace wmlab::lab
