#include "common/process/probe.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace wmlab::process {
namespace {

constexpr std::string_view probe_word = "wmlab-probe ", proof_word = "wmlab-proof ";
constexpr std::size_t nonce_size = 16;
static_assert(probe_word.size() + nonce_size + 1 == probe_size && probe_word.size() == proof_word.size());

std::array<std::byte, probe_size> message_of(std::string_view word, std::string_view nonce) {
    std::array<std::byte, probe_size> message{};
    const auto text = fmt::format("{}{}\n", word, nonce);
    std::ranges::transform(text.substr(0, probe_size), message.begin(),
                           [](char c) { return static_cast<std::byte>(c); });
    return message;
}

std::optional<std::string> nonce_after(std::string_view word, std::span<const std::byte> message) {
    if (message.size() < probe_size) return std::nullopt;
    std::string text(probe_size, '\0');
    std::ranges::transform(message.first(probe_size), text.begin(), [](std::byte b) { return static_cast<char>(b); });
    const auto nonce = text.substr(word.size(), nonce_size);
    if (!text.starts_with(word) || text.back() != '\n' ||
        nonce.find_first_not_of("0123456789abcdef") != std::string::npos)
        return std::nullopt;
    return nonce;
}

}  // namespace

std::string new_nonce() {
    static std::random_device seed;
    static std::mt19937_64 random{std::uint64_t{seed()} << 32 | seed()};
    return fmt::format("{:016x}", random());
}

std::array<std::byte, probe_size> probe_message(std::string_view nonce) { return message_of(probe_word, nonce); }
std::array<std::byte, probe_size> proof_message(std::string_view nonce) { return message_of(proof_word, nonce); }
std::optional<std::string> nonce_in(std::span<const std::byte> message) { return nonce_after(probe_word, message); }
std::optional<std::string> proven_nonce_in(std::span<const std::byte> message) {
    return nonce_after(proof_word, message);
}

std::size_t count(const scenario::PortList& ports) {
    return std::accumulate(ports.begin(), ports.end(), std::size_t{0},
                           [](std::size_t sum, const auto& range) { return sum + range.size(); });
}

std::string ports_text(const std::vector<std::uint16_t>& sorted) {
    scenario::PortList ranges;
    for (const auto port : sorted) {
        if (!ranges.empty() && ranges.back().last + 1 == port)
            ranges.back().last = port;
        else
            ranges.push_back({port, port});
    }
    return scenario::text(ranges);
}

}  // namespace wmlab::process
