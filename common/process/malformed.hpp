// The fields of `malformed`: a peer's message that could not be read, whatever its protocol.
#pragma once
#include <boost/json/object.hpp>
#include <cstddef>
#include <span>
#include <string_view>

#include "common/bytes/reader.hpp"

namespace wmlab::process {

// `head`: the message's first bytes; no more than 64 are told.
boost::json::object malformed_fields(std::string_view message, const bytes::ParseError& error, std::span<const std::byte> head);

}  // namespace wmlab::process
