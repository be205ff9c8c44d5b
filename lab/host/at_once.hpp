// Work in several threads for as long as it lasts: the kernel lets many calls wait for the same moment (closing packet rings, say), one after the other they
// wait in turn.
#pragma once
#include <cstddef>
#include <functional>

namespace wmlab::lab {

// `work(0)` to `work(count - 1)`, `threads` of them at a time, this thread among them; returns when all have ended. Signals are left to the threads that were
// there before. Of what they throw the first is thrown here; what has not begun by then does not.
void at_once(std::size_t count, std::size_t threads, const std::function<void(std::size_t)>& work);

}  // namespace wmlab::lab
