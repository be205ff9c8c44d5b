// Rules inserted by number, when some of them stay away: a chain is built twice, and the second time has the order of the first.
#include "lab/rules/numbering.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/catch.hpp"

using namespace wmlab::lab::rules;

namespace {

using Rules = std::vector<std::string>;

// Round by round, in each what goes furthest behind first; of each insertion so many rules as `count` says.
template <class Count>
Rules built(Rules chain, const std::vector<Inserted>& all, const std::vector<std::size_t>& behind, Count count) {
    std::vector<std::size_t> order(all.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::stable_sort(
        order, [&](std::size_t a, std::size_t b) { return all[a].round != all[b].round ? all[a].round < all[b].round : all[a].behind > all[b].behind; });
    for (const auto i : order)
        for (std::size_t rule = count(all[i]); rule > 0; --rule)
            chain.insert(chain.begin() + static_cast<std::ptrdiff_t>(behind[i]), std::to_string(i) + "." + std::to_string(rule - 1));
    return chain;
}

}  // namespace

TEST_CASE("rules inserted by number keep their places when others stay away", "[rules]") {
    std::mt19937 random{2026};
    const auto upto = [&](std::size_t most) { return std::uniform_int_distribution<std::size_t>{0, most}(random); };
    for (int turn = 0; turn < 3000; ++turn) {
        Rules own;
        for (std::size_t i = upto(6); i > 0; --i) own.push_back("own" + std::to_string(i));
        std::vector<Inserted> all;
        std::vector<std::size_t> behind;
        Rules chain = own;
        const auto had = [](const Inserted& one) { return one.had; };
        for (int round = 0; round < 4; ++round) {
            std::vector<bool> taken(chain.size() + 1);
            for (std::size_t i = upto(3); i > 0; --i) {
                // Where a rule of the user's decides: never between two rules of one insertion.
                const auto at = upto(chain.size());
                if (taken[at] ||
                    (at < chain.size() && at > 0 && chain[at].substr(0, chain[at].find('.') + 1) == chain[at - 1].substr(0, chain[at - 1].find('.') + 1) &&
                     !chain[at].starts_with("own")))
                    continue;
                taken[at] = true;
                const auto rules = 1 + upto(2);
                all.push_back({round, at, rules, upto(rules)});
                behind.push_back(at);
            }
            chain = built(own, all, behind, had);
        }
        Rules expected;
        for (const auto& rule : chain) {
            const auto dot = rule.find('.');
            if (dot == std::string::npos || std::stoul(rule.substr(dot + 1)) < all[std::stoul(rule)].has) expected.push_back(rule);
        }
        INFO("turn " << turn);
        CHECK(built(own, all, renumbered(all), [](const Inserted& one) { return one.has; }) == expected);
    }
}
