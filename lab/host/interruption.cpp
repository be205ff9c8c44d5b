#include "lab/host/interruption.hpp"

#include <array>

namespace wmlab::lab {
namespace {

constexpr std::array ends_it{SIGINT, SIGTERM, SIGHUP};
volatile std::sig_atomic_t asked = 0;

}  // namespace

Interruption::Interruption() {
    asked = 0;
    struct sigaction noted = {};
    noted.sa_handler = [](int) { asked = 1; };
    ::sigemptyset(&noted.sa_mask);
    noted.sa_flags = SA_RESTART;
    for (std::size_t i = 0; i < ends_it.size(); ++i) ::sigaction(ends_it[i], &noted, &before_[i]);
}

Interruption::~Interruption() {
    for (std::size_t i = 0; i < ends_it.size(); ++i) ::sigaction(ends_it[i], &before_[i], nullptr);
    asked = 0;
}

void Interruption::check() {
    if (asked != 0) throw Interrupted{};
}

}  // namespace wmlab::lab
