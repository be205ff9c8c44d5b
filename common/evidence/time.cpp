#include <charconv>
#include <cstdio>

#include "common/evidence/journal.hpp"

namespace wmlab::evidence {

using namespace std::chrono;

std::string text(sys_time<nanoseconds> time) {
    const auto day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss clock{time - day};
    char line[48];
    const int size = std::snprintf(
        line, sizeof line, "%04d-%02u-%02uT%02d:%02d:%02d.%09ldZ", int{date.year()}, unsigned{date.month()},
        unsigned{date.day()}, static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
        static_cast<int>(clock.seconds().count()), static_cast<long>(clock.subseconds().count()));
    return {line, static_cast<std::size_t>(size)};
}

std::optional<sys_time<nanoseconds>> time_from(std::string_view text) {
    // Fixed columns; the fraction may have 1 to 9 digits or be left out, as other tools write it.
    constexpr std::string_view shape = "0000-00-00T00:00:00";
    if (text.size() < shape.size() + 1 || text.size() > shape.size() + 11 || text.back() != 'Z') return std::nullopt;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        const bool digit = text[i] >= '0' && text[i] <= '9';
        if (shape[i] == '0' ? !digit : text[i] != shape[i]) return std::nullopt;
    }
    const auto number = [&](std::size_t at, std::size_t size) {
        int value = 0;
        std::from_chars(text.data() + at, text.data() + at + size, value);
        return value;
    };
    const year_month_day date{year{number(0, 4)}, month{static_cast<unsigned>(number(5, 2))},
                              day{static_cast<unsigned>(number(8, 2))}};
    const int hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
    // 1678 to 2261 is what nanoseconds of 64 bits can say; less, so that clocks can be set right by years.
    if (!date.ok() || int{date.year()} < 1800 || int{date.year()} > 2150 || hour > 23 || minute > 59 || second > 60)
        return std::nullopt;
    long fraction = 0;
    auto rest = text.substr(shape.size(), text.size() - shape.size() - 1);
    if (!rest.empty()) {
        if (rest.front() != '.' || rest.size() < 2) return std::nullopt;
        rest.remove_prefix(1);
        for (std::size_t i = 0; i < 9; ++i) {
            if (i < rest.size() && (rest[i] < '0' || rest[i] > '9')) return std::nullopt;
            fraction = fraction * 10 + (i < rest.size() ? rest[i] - '0' : 0);
        }
    }
    return sys_days{date} + hours{hour} + minutes{minute} + seconds{second} + nanoseconds{fraction};
}

}  // namespace wmlab::evidence
