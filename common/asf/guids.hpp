// GUIDs of ASF objects and types (ASF specification 01.20.03, section 10).
#pragma once
#include <cstddef>

#include "common/bytes/guid.hpp"

namespace wmlab::asf::guids {

// Only for the constants below: the text is known to be well formed.
consteval bytes::Guid guid(const char (&text)[37]) {
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'A' + 10; };
    bytes::Guid value;
    std::size_t octet = 0;
    for (std::size_t i = 0; i < 36; i += 2) {
        if (text[i] == '-') ++i;
        value.octets[octet++] = static_cast<std::byte>(digit(text[i]) * 16 + digit(text[i + 1]));
    }
    return value;
}

inline constexpr auto Header_Object = guid("75B22630-668E-11CF-A6D9-00AA0062CE6C");
inline constexpr auto Data_Object = guid("75B22636-668E-11CF-A6D9-00AA0062CE6C");
inline constexpr auto File_Properties_Object = guid("8CABDCA1-A947-11CF-8EE4-00C00C205365");
inline constexpr auto Stream_Properties_Object = guid("B7DC0791-A9B7-11CF-8EE6-00C00C205365");
inline constexpr auto Header_Extension_Object = guid("5FBF03B5-A92E-11CF-8EE3-00C00C205365");
inline constexpr auto Header_Extension_Reserved1 = guid("ABD3D211-A9BA-11CF-8EE6-00C00C205365");
inline constexpr auto Content_Description_Object = guid("75B22633-668E-11CF-A6D9-00AA0062CE6C");
inline constexpr auto Stream_Bitrate_Properties_Object = guid("7BF875CE-468D-11D1-8D82-006097C9A2B2");
inline constexpr auto Extended_Stream_Properties_Object = guid("14E6A5CB-C672-4332-8399-A96952065B5A");
inline constexpr auto Content_Encryption_Object = guid("2211B3FB-BD23-11D2-B4B7-00A0C955FC6E");
inline constexpr auto Index_Object = guid("D6E229D3-35DA-11D1-9034-00A0C90349BE");
inline constexpr auto Simple_Index_Object = guid("33000890-E5B1-11CF-89F4-00A0C90349CB");

inline constexpr auto Audio_Media = guid("F8699E40-5B4D-11CF-A8FD-00805F5C442B");
inline constexpr auto Video_Media = guid("BC19EFC0-5B4D-11CF-A8FD-00805F5C442B");
inline constexpr auto Command_Media = guid("59DACFC0-59E6-11D0-A3AC-00A0C90348F6");
inline constexpr auto Binary_Media = guid("3AFB65E2-47EF-40F2-AC2C-70A90D71D343");
inline constexpr auto No_Error_Correction = guid("20FB5700-5B55-11CF-A8FD-00805F5C442B");

}  // namespace wmlab::asf::guids
