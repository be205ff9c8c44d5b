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
constexpr double hasten_max = 1e6;

// Looks for the line `...` in a text that grows, at each piece of it once.
class DocumentEnd {
public:
    // Where the line begins, and the offset just behind it.
    std::optional<std::pair<std::size_t, std::size_t>> in(std::string_view text) {
        for (;;) {
            const auto end = text.find('\n', seen_);
            if (end == std::string_view::npos) break;
            auto content = text.substr(line_, end - line_);
            if (!content.empty() && content.back() == '\r') content.remove_suffix(1);
            if (content == "...") return std::pair{line_, end + 1};
            line_ = seen_ = end + 1;
        }
        seen_ = text.size();
        return std::nullopt;
    }

private:
    std::size_t line_ = 0, seen_ = 0;
};

}  // namespace

Command command_from(std::string_view line) {
    std::istringstream words{std::string{line}};
    std::string word, flow, at, more;
    words >> word;
    if (word == "start" && !(words >> more)) return Start{};
    if (word == "stop" && !(words >> more)) return Stop{};
    if (word == "ping" && words >> flow && !(words >> more)) return Ping{flow};
    if (double by = 0; word == "hasten" && words >> by && by >= 1 && by <= hasten_max && !(words >> more)) return Hasten{by};
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
    DocumentEnd document_end;
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
        if (const auto end = document_end.in(input.yaml)) {
            input.rest = input.yaml.substr(end->second);
            input.yaml.resize(end->first);
            return input;
        }
        if (input.yaml.size() > scenario_size_max) throw std::runtime_error{"the scenario is larger than 16 MiB"};
    }
}

}  // namespace wmlab::process
