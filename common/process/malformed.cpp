#include "common/process/malformed.hpp"

#include "common/bytes/hex.hpp"

namespace wmlab::process {

boost::json::object malformed_fields(std::string_view message, const bytes::ParseError& error, std::span<const std::byte> head) {
    boost::json::object fields;
    fields["message"] = message;
    fields["field"] = error.field;
    fields["offset"] = error.offset;
    fields["problem"] = error.problem;
    fields["head"] = bytes::hex(head);
    return fields;
}

}  // namespace wmlab::process
