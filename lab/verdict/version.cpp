#include "lab/verdict/version.hpp"

namespace wmlab::lab {

std::string_view version() { return WMLAB_VERSION; }
std::string_view commit() { return WMLAB_COMMIT; }

}  // namespace wmlab::lab
