#include "common/process/control.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <sstream>
#include <stdexcept>

namespace wmlab::process {
namespace {

constexpr std::size_t scenario_size_max = 16 << 20;

// The offset just behind the line `...` in text, looking from a line's start on.
std::optional<std::pair<std::size_t, std::size_t>> document_end(std::string_view text, std::size_t from) {
    for (auto line = from; line < text.size();) {
        const auto end = text.find('\n', line);
        if (end == std::string_view::npos) break;
        auto content = text.substr(line, end - line);
        if (!content.empty() && content.back() == '\r') content.remove_suffix(1);
        if (content == "...") return std::pair{line, end + 1};
        line = end + 1;
    }
    return std::nullopt;
}

}  // namespace

Command command_from(std::string_view line) {
    std::istringstream words{std::string{line}};
    std::string word, flow, at, more;
    words >> word;
    if (word == "start" && !(words >> more)) return Start{};
    if (word == "stop" && !(words >> more)) return Stop{};
    if (word == "ping" && words >> flow && !(words >> more)) return Ping{flow};
    if (std::string remote; word == "lost" && words >> flow >> at >> remote && !(words >> more))
        return LostPackets{{flow, at, remote}};
    if (word == "endpoint" && words >> flow >> at && !(words >> more))
        if (const auto endpoint = net::host_port(at)) return Endpoint{flow, *endpoint};
    return Unknown{std::string{line}};
}

std::optional<Endpoint> endpoint_option(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == 0 || equals == std::string_view::npos) return std::nullopt;
    const auto at = net::host_port(text.substr(equals + 1));
    if (!at) return std::nullopt;
    return Endpoint{std::string{text.substr(0, equals)}, *at};
}

ScenarioInput read_scenario(int descriptor) {
    ScenarioInput input;
    std::array<char, 65536> buffer{};
    std::size_t line = 0;
    for (;;) {
        const auto got = ::read(descriptor, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) {
            pollfd wait{descriptor, POLLIN, 0};
            ::poll(&wait, 1, -1);
            continue;
        }
        if (got <= 0) {
            input.ended = true;
            return input;
        }
        input.yaml.append(buffer.data(), static_cast<std::size_t>(got));
        if (const auto end = document_end(input.yaml, line)) {
            input.rest = input.yaml.substr(end->second);
            input.yaml.resize(end->first);
            return input;
        }
        if (input.yaml.size() > scenario_size_max) throw std::runtime_error{"the scenario is larger than 16 MiB"};
        const auto last = input.yaml.rfind('\n');
        line = last == std::string::npos ? 0 : last + 1;
    }
}

}  // namespace wmlab::process
