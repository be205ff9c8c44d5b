#include "common/asf/content.hpp"

#include <stdexcept>

namespace wmlab::asf {

std::string ContentError::text() const {
    auto text = content + ": " + problem;
    if (offset) text += " (at byte " + std::to_string(*offset) + ")";
    if (!advice.empty()) text += "; " + advice;
    return text;
}

void throw_exception_from_error(const ContentError& error, const boost::source_location&) {
    throw std::runtime_error(error.text());
}

}  // namespace wmlab::asf
