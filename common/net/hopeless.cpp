#include "common/net/hopeless.hpp"

#include <utility>

namespace wmlab::net {
namespace {

std::multimap<std::string, Waiting*>& everyone() {  // by protocol and remote address
    static std::multimap<std::string, Waiting*> all;
    return all;
}

}  // namespace

Waiting::Waiting(std::string protocol, std::string remote, std::function<std::string()> local,
                 std::function<void()> give_up)
    : place_{everyone().emplace(std::move(protocol) + ' ' + std::move(remote), this)},
      local_{std::move(local)},
      give_up_{std::move(give_up)} {}

Waiting::~Waiting() { everyone().erase(place_); }

void tell(const Lost& lost) {
    const auto end_waits = [&](const std::string& remote, const std::string& local) {
        const auto [first, last] = everyone().equal_range(lost.protocol + ' ' + remote);
        for (auto entry = first; entry != last; ++entry) {
            auto& waiting = *entry->second;
            if (waiting.known_.empty()) waiting.known_ = waiting.local_();
            if (waiting.known_ != local) continue;
            waiting.give_up_();  // sets a timer: nobody leaves the list meanwhile
            return;
        }
    };
    end_waits(lost.remote, lost.local);
    end_waits(lost.local, lost.remote);
}

}  // namespace wmlab::net
