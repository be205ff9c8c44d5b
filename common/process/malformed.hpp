// What a peer sent that could not be read, as fields of `malformed`, whatever the protocol.
#pragma once
#include <boost/json/object.hpp>
#include <span>
#include <string_view>

#include "common/bytes/reader.hpp"

namespace wmlab::process {

boost::json::object malformed_fields(std::string_view message, const bytes::ParseError& error, std::span<const std::byte> head);

}  // namespace wmlab::process
