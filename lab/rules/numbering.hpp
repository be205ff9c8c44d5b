// Rules that are inserted at a number (nft's `index 3`, iptables' `-I chain 4`) when some of those inserted before them stay away. Pure.
#pragma once
#include <cstddef>
#include <vector>

namespace wmlab::lab::rules {

// What is inserted into a chain at one place. Numbers of one round count the chain as all earlier rounds have left it: in a round what goes furthest behind
// goes first.
struct Inserted {
    int round = 0;
    std::size_t behind = 0;        // so many rules of the chain
    std::size_t had = 0, has = 0;  // rules: as they were counted for `behind` of later rounds, and as they will be
};

// `behind` of each, so that it comes to stand behind the same rules of the chain, and in the same order among those inserted.
std::vector<std::size_t> renumbered(const std::vector<Inserted>& all);

}  // namespace wmlab::lab::rules
