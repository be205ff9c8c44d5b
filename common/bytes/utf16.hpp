// UTF-8 to UTF-16 and back. Broken sequences become U+FFFD: peers may send anything.
#pragma once
#include <string>
#include <string_view>

namespace wmlab::bytes {

std::u16string to_utf16(std::string_view utf8);
std::string to_utf8(std::u16string_view utf16);
std::string as_utf8(std::string_view octets);  // as they stand where they are UTF-8, else taken for Latin-1

}  // namespace wmlab::bytes
