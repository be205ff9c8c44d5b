#include "common/process/malformed.hpp"

#include <algorithm>

#include "common/bytes/hex.hpp"
#include "common/evidence/fields.hpp"

namespace wmlab::process {

boost::json::object malformed_fields(std::string_view message, const bytes::ParseError& error, std::span<const std::byte> head) {
    constexpr std::size_t told = 64;
    return {{field::message, message},
            {field::unreadable, error.field},
            {field::offset, error.offset},
            {field::problem, error.problem},
            {field::head, bytes::hex(head.first(std::min(told, head.size())))}};
}

}  // namespace wmlab::process
