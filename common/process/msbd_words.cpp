#include "common/process/msbd_words.hpp"

#include "common/bytes/hex.hpp"

namespace wmlab::process {

boost::json::object message_fields(const msbd::Message& message, std::size_t size) {
    boost::json::object fields;
    fields["message"] = msbd::name(message);
    fields["bytes"] = size;
    for (const auto& [name, value] : msbd::telling_fields(message))
        std::visit([&fields, &name = name](const auto& known) { fields[name] = known; }, value);
    if (const auto hr = msbd::result(message); hr != 0) fields["hr"] = hr;
    return fields;
}

boost::json::object malformed_fields(const msbd::Malformed& malformed) {
    boost::json::object fields;
    fields["message"] = "MSBD message";
    fields["field"] = malformed.error.field;
    fields["offset"] = malformed.error.offset;
    fields["problem"] = malformed.error.problem;
    fields["head"] = bytes::hex(malformed.head);
    return fields;
}

}  // namespace wmlab::process
