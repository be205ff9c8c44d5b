#include "lab/host/error.hpp"

#include <cerrno>
#include <cstring>

namespace wmlab::lab {
namespace {

std::string sentence(const std::string& step, const std::string& cause, const std::string& remedy) {
    auto text = "cannot " + step + ": " + cause;
    if (!remedy.empty()) text += "\n  " + remedy;
    return text;
}

}  // namespace

SetupFailed::SetupFailed(std::string step, std::string cause, std::string remedy)
    : std::runtime_error{sentence(step, cause, remedy)},
      step_{std::move(step)},
      cause_{std::move(cause)},
      remedy_{std::move(remedy)} {}

SetupFailed setup_failed(std::string step, int error, std::string remedy) {
    return SetupFailed{std::move(step), std::strerror(error), std::move(remedy)};
}

}  // namespace wmlab::lab
