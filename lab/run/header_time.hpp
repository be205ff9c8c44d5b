// How long the ASF header of a flow's content takes, which a server sends no faster than the stream itself.
#pragma once
#include <chrono>

#include "common/scenario/model.hpp"

namespace wmlab::lab {

// 0: nothing is played from a file, or its header cannot be read (its server says so). At most ten minutes.
std::chrono::milliseconds header_time(const scenario::Scenario& scenario, const scenario::Flow& flow);

}  // namespace wmlab::lab
