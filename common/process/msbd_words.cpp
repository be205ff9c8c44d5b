#include "common/process/msbd_words.hpp"

#include "common/process/malformed.hpp"

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
    return malformed_fields("MSBD message", malformed.error, malformed.head);
}

}  // namespace wmlab::process
