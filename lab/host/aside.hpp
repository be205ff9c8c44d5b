// Something that is tried beside this process, in one of its own: what it does to namespaces stays there, and several go on at a time.
#pragma once
#include <sys/types.h>

#include <functional>
#include <optional>
#include <utility>

namespace wmlab::lab {

class Aside {
public:
    // `trial` says whether it went well. SetupFailed.
    explicit Aside(const std::function<bool()>& trial);
    Aside(Aside&& other) noexcept : process_{std::exchange(other.process_, -1)} {}
    ~Aside() { result(); }
    Aside& operator=(Aside&&) = delete;

    // Waits for it; who wants an end ends it, too. Nothing: it came to no end.
    std::optional<bool> result();

private:
    pid_t process_;
};

}  // namespace wmlab::lab
