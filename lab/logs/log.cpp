#include "lab/logs/log.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

#include "lab/logs/fields.hpp"

namespace wmlab::lab::logs {
namespace {

using Time = std::chrono::sys_time<std::chrono::nanoseconds>;

constexpr std::array readers{Reader{"asa", read_asa},
                             Reader{"pan-os", read_pan_os},
                             Reader{"fortios", read_fortios},
                             Reader{"junos", read_junos},
                             Reader{"pf", read_pf},
                             Reader{"opnsense", read_filterlog},
                             Reader{"iptables", read_kernel_log},
                             Reader{"nft", read_kernel_log},
                             Reader{"windows", read_windows},
                             Reader{"cisco-ios", read_cisco_ios},
                             Reader{"regex", nullptr}};

constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// Reads along a line, as far as it goes.
class Cursor {
public:
    explicit Cursor(std::string_view text) : text_{text} {}
    std::optional<int> number(std::size_t digits_min, std::size_t digits_max) {
        std::size_t size = 0;
        while (size < digits_max && size < text_.size() && text_[size] >= '0' && text_[size] <= '9') ++size;
        if (size < digits_min) return std::nullopt;
        int value = 0;
        std::from_chars(text_.data(), text_.data() + size, value);
        text_.remove_prefix(size);
        return value;
    }
    bool sign(std::string_view any) {
        if (text_.empty() || any.find(text_.front()) == std::string_view::npos) return false;
        text_.remove_prefix(1);
        return true;
    }
    bool blanks() {
        bool any = false;
        while (sign(" ")) any = true;
        return any;
    }
    std::optional<std::chrono::nanoseconds> clock() {  // 08:00:00.123
        const auto hours = number(2, 2);
        if (!hours || !sign(":")) return std::nullopt;
        const auto minutes = number(2, 2);
        if (!minutes || !sign(":")) return std::nullopt;
        const auto seconds = number(2, 2);
        if (!seconds || *hours > 23 || *minutes > 59 || *seconds > 60) return std::nullopt;
        std::chrono::nanoseconds time =
            std::chrono::hours{*hours} + std::chrono::minutes{*minutes} + std::chrono::seconds{*seconds};
        if (text_.size() > 1 && (text_.front() == '.' || text_.front() == ',') && text_[1] >= '0' && text_[1] <= '9') {
            text_.remove_prefix(1);
            std::int64_t unit = 100'000'000;
            while (!text_.empty() && text_.front() >= '0' && text_.front() <= '9') {
                time += std::chrono::nanoseconds{(text_.front() - '0') * unit};
                unit /= 10;
                text_.remove_prefix(1);
            }
        }
        return time;
    }
    std::string_view rest() const { return text_; }

private:
    std::string_view text_;
};

std::optional<Time> at(int year, int month, int day, std::chrono::nanoseconds clock) {
    const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                           std::chrono::day{static_cast<unsigned>(day)}};
    if (!date.ok() || year < 1970 || year > 2200) return std::nullopt;
    return Time{std::chrono::sys_days{date}} + clock;
}

// 2026-11-30 08:00:00, 2026-11-30T08:00:00+02:00, 2026/11/30 08:00:00; date=2026-11-30 time=08:00:00
std::optional<Time> numbers(std::string_view text) {
    Cursor in{text};
    const auto year = in.number(4, 4);
    if (!year || !in.sign("-/")) return std::nullopt;
    const auto month = in.number(2, 2);
    if (!month || !in.sign("-/")) return std::nullopt;
    const auto day = in.number(2, 2);
    if (!day) return std::nullopt;
    if (!in.sign("T")) {
        in.blanks();
        if (in.rest().starts_with("time=")) in = Cursor{in.rest().substr(in.rest().find('=') + 1)};
    }
    if (const auto clock = in.clock()) return at(*year, *month, *day, *clock);
    return std::nullopt;
}

// Nov 30 08:00:00, Nov 30 2026 08:00:00
std::optional<Time> words(std::string_view text, int year) {
    const auto month = std::ranges::find(months, text.substr(0, 3));
    if (month == months.end()) return std::nullopt;
    Cursor in{text.substr(3)};
    if (!in.blanks()) return std::nullopt;
    const auto day = in.number(1, 2);
    if (!day || !in.blanks()) return std::nullopt;
    auto before_year = in;
    if (const auto given = in.number(4, 4); given && (in.sign(":") || true) && in.blanks())
        year = *given;
    else
        in = before_year;
    const auto clock = in.clock();
    if (!clock) return std::nullopt;
    return at(year, static_cast<int>(month - months.begin()) + 1, *day, *clock);
}

std::string shown(std::string_view line) {
    constexpr std::size_t shown_max = 400;
    std::string text;
    for (const char c : line.substr(0, shown_max))
        text += static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F ? '?' : c;
    return text + (line.size() > shown_max ? "..." : "");
}

}  // namespace

const Reader* reader(std::string_view format) {
    const auto found = std::ranges::find(readers, format, &Reader::format);
    return found == readers.end() ? nullptr : &*found;
}

std::optional<Time> time_of(std::string_view line, int year) {
    constexpr std::size_t looked_at = 200;
    const auto head = line.substr(0, looked_at);
    for (std::size_t i = 0; i + 14 < head.size(); ++i) {
        const bool begins = i == 0 || (head[i - 1] < '0' || head[i - 1] > '9');
        if (head[i] >= '1' && head[i] <= '2' && begins) {
            if (const auto time = numbers(line.substr(i))) return time;
        } else if (head[i] >= 'A' && head[i] <= 'S') {
            if (const auto time = words(line.substr(i), year)) return time;
        }
    }
    return std::nullopt;
}

Log read_log(const scenario::DeviceLog& device, std::string_view text, Time now) {
    Log log;
    const auto* form = reader(device.format);
    std::optional<Pattern> pattern;
    if (form == nullptr || form->read == nullptr) {
        try {
            pattern.emplace(device.pattern);
        } catch (const std::invalid_argument& wrong) {
            log.problem = wrong.what();
            return log;
        }
    }
    const std::chrono::year_month_day today{std::chrono::floor<std::chrono::days>(now)};
    const auto year = static_cast<int>(today.year());
    while (!text.empty()) {
        const auto end = text.find('\n');
        auto line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (++log.lines > lines_max) {
            log.cut = true;
            break;
        }
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || line.size() > line_size_max) continue;
        auto message = line;  // rsyslog: "message repeated 3 times: [ ... ]"
        if (const auto repeated = line.find("message repeated "); repeated != std::string_view::npos)
            if (const auto open = line.find(": [", repeated); open != std::string_view::npos) {
                message = line.substr(open + 3);
                if (message.ends_with(']')) message.remove_suffix(1);
            }
        auto entry = pattern ? pattern->read(message) : form->read(message);
        if (!entry) continue;
        ++log.understood;
        entry->line = log.lines;
        entry->text = shown(line);
        entry->rule = shown(entry->rule);
        entry->time = time_of(line, year);
        // In January a line of December is last year's.
        if (entry->time && *entry->time - now > std::chrono::hours{24 * 183}) entry->time = time_of(line, year - 1);
        log.entries.push_back(std::move(*entry));
    }
    return log;
}

}  // namespace wmlab::lab::logs
