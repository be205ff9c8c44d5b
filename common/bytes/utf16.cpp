#include "common/bytes/utf16.hpp"

#include <cstddef>

namespace wmlab::bytes {

std::u16string to_utf16(std::string_view utf8) {
    std::u16string out;
    for (std::size_t i = 0; i < utf8.size();) {
        const auto lead = static_cast<unsigned char>(utf8[i]);
        const std::size_t extra = lead < 0x80                   ? 0
                                  : lead >= 0xF0 && lead < 0xF5 ? 3
                                  : lead >= 0xE0                ? 2
                                  : lead >= 0xC2                ? 1
                                                                : 4;
        char32_t point = extra == 0 ? lead : extra == 1 ? lead & 0x1Fu : extra == 2 ? lead & 0x0Fu : lead & 0x07u;
        bool good = extra < 4 && lead < 0xF5 && i + extra < utf8.size();
        for (std::size_t k = 1; good && k <= extra; ++k) {
            const auto next = static_cast<unsigned char>(utf8[i + k]);
            good = (next & 0xC0) == 0x80;
            point = point << 6 | (next & 0x3Fu);
        }
        const bool overlong = (extra == 2 && point < 0x800) || (extra == 3 && point < 0x10000);
        if (!good || overlong || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) {
            out.push_back(u'\uFFFD');
            ++i;
            continue;
        }
        if (point >= 0x10000) {
            out.push_back(static_cast<char16_t>(0xD800 + ((point - 0x10000) >> 10)));
            out.push_back(static_cast<char16_t>(0xDC00 + ((point - 0x10000) & 0x3FF)));
        } else {
            out.push_back(static_cast<char16_t>(point));
        }
        i += extra + 1;
    }
    return out;
}

std::string to_utf8(std::u16string_view utf16) {
    std::string out;
    for (std::size_t i = 0; i < utf16.size(); ++i) {
        char32_t point = utf16[i];
        const bool high = point >= 0xD800 && point < 0xDC00;
        if (high && i + 1 < utf16.size() && utf16[i + 1] >= 0xDC00 && utf16[i + 1] < 0xE000) {
            point = 0x10000 + ((point - 0xD800) << 10) + (utf16[++i] - 0xDC00u);
        } else if (point >= 0xD800 && point < 0xE000) {
            point = 0xFFFD;
        }
        const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
        if (point < 0x80) {
            put(point);
        } else if (point < 0x800) {
            put(0xC0 | point >> 6), put(0x80 | (point & 0x3F));
        } else if (point < 0x10000) {
            put(0xE0 | point >> 12), put(0x80 | (point >> 6 & 0x3F)), put(0x80 | (point & 0x3F));
        } else {
            put(0xF0 | point >> 18), put(0x80 | (point >> 12 & 0x3F)), put(0x80 | (point >> 6 & 0x3F)),
                put(0x80 | (point & 0x3F));
        }
    }
    return out;
}

std::string as_utf8(std::string_view octets) {
    if (to_utf8(to_utf16(octets)) == octets) return std::string{octets};
    std::u16string latin;
    for (const char c : octets) latin.push_back(static_cast<unsigned char>(c));
    return to_utf8(latin);
}

}  // namespace wmlab::bytes
