// Runs a part of a test inside the lab's walls, as root or as an ordinary user, and brings its findings back.
#pragma once
#include <grp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

#include "common/scenario/loader.hpp"
#include "lab/network/sandbox.hpp"

namespace wmlab::lab::tests {

enum class As { root, user };  // user: of no privilege at all; where the tests run without root, both are the caller

inline const char* name(As who) { return who == As::root ? "as root" : "as an ordinary user"; }

struct Outcome {
    int code = 0;
    std::string text;  // what `body` returned, or the exception's words
};

// The text goes through memory shared with the inner process.
// `before` runs in the outer process, as `who`.
inline Outcome in_lab(As who, const std::function<std::string(const Inside&)>& body,
                      const std::function<void()>& before = {}) {
    constexpr std::size_t size = 1 << 16;
    auto* const shared =
        static_cast<char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const auto tell = [&](std::string_view text) { shared[text.substr(0, size - 1).copy(shared, size - 1)] = '\0'; };
    std::fflush(nullptr);
    const auto child = ::fork();
    if (child == 0) {
        int code = 0;
        try {
            if (who == As::user && ::geteuid() == 0) {
                constexpr uid_t nobody = 65534;
                if (::setgroups(0, nullptr) != 0 || ::setresgid(nobody, nobody, nobody) != 0 ||
                    ::setresuid(nobody, nobody, nobody) != 0)
                    ::_exit(99);
                ::prctl(PR_SET_DUMPABLE, 1);  // as after an exec: /proc/self is the user's own again
            }
            if (before) before();
            code = in_sandbox([&](const Inside& inside) {
                try {
                    tell(body(inside));
                    return 0;
                } catch (const std::exception& failure) {
                    tell(failure.what());
                    return 1;
                }
            });
        } catch (const std::exception& failure) {
            tell(failure.what());
            code = 3;
        }
        ::_exit(code);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    Outcome outcome{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), shared};
    ::munmap(shared, size);
    return outcome;
}

// inside: media 10.10.0.10, second 10.10.0.11; outside: player 10.20.0.10. The firewall's interfaces: fw-in, fw-out.
inline scenario::Scenario two_zones() {
    const auto loaded = scenario::load(R"(
version: 1
name: two zones
zones:
  inside:  { subnet: 10.10.0.0/24, interface: fw-in }
  outside: { subnet: 10.20.0.0/24, interface: fw-out }
hosts:
  media:  { zone: inside,  address: 10.10.0.10 }
  second: { zone: inside,  address: 10.10.0.11 }
  player: { zone: outside, address: 10.20.0.10 }
flows:
  - { id: reach, type: probe, from: player, to: media, protocol: tcp, ports: 80 }
)",
                                       "two_zones.yaml", "/", wmlab::scenario::Files::not_checked);
    if (!loaded.ok()) throw std::runtime_error{scenario::explain(loaded.problems.front())};
    return loaded.scenario;
}

}  // namespace wmlab::lab::tests
