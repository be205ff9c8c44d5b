// The log of a firewall that is a device: lines in, what it did with which packets out. Parsers are sans IO, one a
// format in a file of its own; what is no message about a packet is nothing, and hostile text is text.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"

namespace wmlab::lab::logs {

inline constexpr std::size_t line_size_max = 8192, lines_max = 2'000'000;

struct End {
    std::string address;  // "10.20.0.10"
    std::uint16_t port = 0;
    bool operator==(const End&) const = default;
};

struct Entry {
    enum class Action { deny, permit, build, teardown, translate, unknown } action = Action::unknown;
    std::string protocol;                          // "tcp", "udp", "icmp", "igmp"; empty: the message does not say
    End source, destination;                       // of the packet, as the device saw it come
    std::optional<End> source_as, destination_as;  // after translation
    std::string rule;    // what the device calls what decided, verbatim: `access-group "OUTSIDE_IN"`
    bool stray = false;  // about a packet that belongs to no connection: no sign of what stopped one
    // On the device's own clock and in its own zone, as if it were UTC; nothing: the message has no time.
    std::optional<std::chrono::sys_time<std::chrono::nanoseconds>> time;
    std::size_t line = 0;  // of the log, from 1
    std::string text;      // the message, without control characters
};

struct Reader {
    std::string_view format;
    std::optional<Entry> (*read)(std::string_view line);  // null: `regex`, which has a pattern
};
const Reader* reader(std::string_view format);

// `year`: for messages without one.
std::optional<std::chrono::sys_time<std::chrono::nanoseconds>> time_of(std::string_view line, int year);

struct Log {
    std::vector<Entry> entries;
    std::size_t lines = 0, understood = 0;
    bool cut = false;     // longer than is read
    std::string problem;  // the pattern is none
};
// `now`: gives messages without a year the one that makes them nearest to it.
Log read_log(const scenario::DeviceLog& device, std::string_view text,
             std::chrono::sys_time<std::chrono::nanoseconds> now);

// A pattern's named groups say what is what: rule, source, source_port, destination, destination_port, protocol,
// action.
class Pattern {
public:
    explicit Pattern(const std::string& pattern);  // std::invalid_argument
    ~Pattern();
    std::optional<Entry> read(std::string_view line) const;

private:
    struct Parts;
    std::unique_ptr<const Parts> parts_;
};

std::optional<Entry> read_asa(std::string_view line);
std::optional<Entry> read_pan_os(std::string_view line);
std::optional<Entry> read_fortios(std::string_view line);
std::optional<Entry> read_junos(std::string_view line);
std::optional<Entry> read_pf(std::string_view line);
std::optional<Entry> read_filterlog(std::string_view line);
std::optional<Entry> read_kernel_log(std::string_view line);
std::optional<Entry> read_windows(std::string_view line);
std::optional<Entry> read_cisco_ios(std::string_view line);

}  // namespace wmlab::lab::logs
