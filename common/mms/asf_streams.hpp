// The one thing a player of MMS must know of ASF: which streams the header lists, for LinkViewerToMacStreamSwitch.
#pragma once
#include <cstdint>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::mms {

// Stream numbers of the Stream Properties Objects, in the header's order, also those inside Extended Stream Properties.
// A damaged header gives those read so far.
std::vector<std::uint16_t> asf_stream_numbers(bytes::Bytes header);

}  // namespace wmlab::mms
