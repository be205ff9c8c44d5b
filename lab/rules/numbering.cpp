#include "lab/rules/numbering.hpp"

#include <algorithm>
#include <list>
#include <numeric>
#include <utility>

namespace wmlab::lab::rules {

std::vector<std::size_t> renumbered(const std::vector<Inserted>& all) {
    std::vector<std::size_t> order(all.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(
        order, [&](std::size_t a, std::size_t b) { return all[a].round != all[b].round ? all[a].round < all[b].round : all[a].behind > all[b].behind; });

    struct Slot {
        std::size_t had, has;
    };
    std::list<Slot> chain;  // from its beginning as far as anything was inserted; behind that are the user's own rules
    std::vector<std::size_t> numbers(all.size());
    for (const auto which : order) {
        const auto& inserted = all[which];
        std::size_t before = 0, now = 0;
        auto slot = chain.begin();
        for (; before < inserted.behind; ++slot) {
            if (slot == chain.end()) slot = chain.insert(slot, Slot{1, 1});
            now += before + slot->had > inserted.behind ? std::min(inserted.behind - before, slot->has) : slot->has;
            before += slot->had;
        }
        numbers[which] = now;
        chain.insert(slot, Slot{inserted.had, inserted.has});
    }
    return numbers;
}

}  // namespace wmlab::lab::rules
