#include "lab/verdict/load_words.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>

#include "lab/verdict/words.hpp"

namespace wmlab::lab {
namespace {

std::string number_of(std::uint64_t count, std::string_view what) { return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s"); }

std::string milliseconds_words(const Percentiles& all) { return fmt::format("p50 {:.1f} ms, p95 {:.1f} ms, p99 {:.1f} ms", all.p50, all.p95, all.p99); }

std::string measures_words(const LoadResult& load) {
    auto words = load.setup ? "Set-up " + milliseconds_words(*load.setup) : std::string{"Nobody was set up"};
    if (load.packets + load.lost > 0)
        words += fmt::format("; loss {:.2f} % ({} of {})", load.loss * 100, load.lost, number_of(load.packets + load.lost, "packet"));
    if (load.jitter) words += "; jitter " + milliseconds_words(*load.jitter);
    return words + fmt::format("; {}, {:.2f} a second.", number_of(load.gaps, "gap"), load.gaps_per_second);
}

std::string worst_words(const LoadResult& load) {
    const auto worst = std::ranges::max_element(load.seconds, {}, [](const auto& second) { return std::pair{second.lost + second.gaps, second.jitter}; });
    if (worst == load.seconds.end() || worst->lost + worst->gaps == 0) return {};
    return fmt::format("The worst second began at {:.1f} s: {} playing, {} lost, {}, jitter {:.1f} ms.", worst->at, worst->playing,
                       number_of(worst->lost, "packet"), number_of(worst->gaps, "gap"), worst->jitter);
}

}  // namespace

std::string_view text(LoadResult::Limit limit) {
    return limit == LoadResult::Limit::firewall ? "firewall" : limit == LoadResult::Limit::machine ? "machine" : "";
}

std::string machine_words(const LoadResult& load) {
    std::vector<std::string> parts;
    if (load.busy) parts.push_back(fmt::format("the processors were up to {:.0f} % busy", *load.busy * 100));
    if (load.late) parts.push_back(fmt::format("an event loop was up to {:.0f} ms late", *load.late));
    if (load.skipped > 0) parts.push_back(number_of(load.skipped, "packet") + " of the stream could not be made in time");
    if (load.unsent > 0) parts.push_back(number_of(load.unsent, "datagram") + " not taken by the server's own kernel");
    if (load.unread > 0) parts.push_back(fmt::format("packets of {} came to their wire and not to their program", number_of(load.unread, "player")));
    return parts.empty() ? "how busy it was is not told" : fmt::format("{}", fmt::join(parts, ", "));
}

std::string limit_words(const LoadResult& load) {
    std::string rules;
    for (const auto& drop : load.dropped)
        rules += fmt::format("{}{} ({} of {})", rules.empty() ? ", by " : "; ", rule_words(drop.rule), number_of(drop.packets, "packet"),
                             number_of(drop.players, "player"));
    if (load.limit == LoadResult::Limit::none)
        return rules.empty() ? std::string{} : fmt::format("{} did not come through{}; nothing fell short of it.", number_of(load.withheld, "packet"), rules);
    if (load.limit == LoadResult::Limit::machine) return fmt::format("The machine, and not the firewall, was the limit: {}.", machine_words(load));
    auto words = fmt::format("The firewall was the limit: {} of {} worked, {} did not come through", load.worked, number_of(load.players, "player"),
                             number_of(load.withheld, "packet"));
    return words + (rules.empty() ? ", and which rule decided is not known (a full table of connections has none)" : rules) + ".";
}

std::vector<std::string> load_words(const LoadResult& load) {
    std::vector<std::string> words;
    words.push_back(fmt::format("{}: {} of {} from {} to {}, who come over {:g} s and then all play {:g} s: {} set up, {} worked.", load.load,
                                number_of(load.players, "player"), load.type, load.from, load.to, load.ramp, load.duration, load.set_up, load.worked));
    words.push_back(measures_words(load));
    for (auto sentence : {worst_words(load), limit_words(load)})
        if (!sentence.empty()) words.push_back(std::move(sentence));
    return words;
}

std::string load_paragraph(const LoadResult& load) { return fmt::format("{}", fmt::join(load_words(load), " ")); }

}  // namespace wmlab::lab
