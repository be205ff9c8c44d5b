#include "lab/judge/words.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>

namespace wmlab::lab {

std::string Names::of(std::string_view address) const {
    const auto parsed = scenario::Ipv4::from(address);
    if (!parsed) return std::string{address};
    if (const auto* host = scenario_.host_at(*parsed)) return host->name;
    for (const auto& host : scenario_.hosts) {
        if (host.published_at(*parsed)) return fmt::format("{} ({})", host.name, address);
    }
    for (const auto& box : boxes_) {
        for (const auto& side : box.sides) {
            if (side.address == *parsed) return fmt::format("{} ({})", scenario::box_words(scenario_, box.name), side.zone);
        }
    }
    return std::string{address};
}

std::string Names::at(const Endpoint& endpoint) const {
    const auto name = of(endpoint.address);
    return endpoint.port == 0 ? name : fmt::format("{}:{}", name, endpoint.port);
}

bool Names::knows(std::string_view address) const {
    const auto parsed = scenario::Ipv4::from(address);
    return parsed && scenario_.host_at(*parsed) != nullptr;
}

std::string Names::address_of(std::string_view host) const {
    const auto* found = scenario_.host(host);
    return found == nullptr ? std::string{} : found->address.text();
}

std::string counted(std::uint64_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string times(std::uint64_t count) {
    return count == 1 ? "once" : count == 2 ? "twice" : fmt::format("{} times", count);
}

std::string capital(std::string_view protocol) {
    std::string upper{protocol};
    std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return upper;
}

std::string icmp_words(const Icmp& icmp) {
    const auto meaning = [&]() -> std::string_view {
        if (icmp.type == 11) return "time to live exceeded";
        if (icmp.type != 3) return "";
        switch (icmp.code) {
            case 0:
                return "network unreachable";
            case 1:
                return "host unreachable";
            case 2:
                return "protocol unreachable";
            case 3:
                return "port unreachable";
            case 4:
                return "fragmentation needed";
            case 9:
                return "network administratively prohibited";
            case 10:
                return "host administratively prohibited";
            case 13:
                return "communication administratively prohibited";
            default:
                return "destination unreachable";
        }
    }();
    return meaning.empty() ? fmt::format("ICMP {}/{}", icmp.type, icmp.code)
                           : fmt::format("ICMP {}/{} ({})", icmp.type, icmp.code, meaning);
}

std::string waited_words(std::optional<double> milliseconds) {
    return milliseconds ? fmt::format(" within {:.0f} ms", *milliseconds) : std::string{};
}

}  // namespace wmlab::lab
