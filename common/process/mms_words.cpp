#include "common/process/mms_words.hpp"

#include "common/process/malformed.hpp"

namespace wmlab::process {

boost::json::object message_fields(const mms::Message& message, std::size_t size) {
    boost::json::object fields;
    fields["message"] = mms::name(message);
    fields["bytes"] = size;
    for (const auto& [name, value] : mms::telling_fields(message))
        std::visit([&fields, &name = name](const auto& known) { fields[name] = known; }, value);
    if (const auto hr = mms::result(message)) fields["hr"] = *hr;
    return fields;
}

boost::json::object malformed_fields(const mms::Malformed& malformed) {
    return malformed_fields(malformed.what, malformed.error, malformed.head);
}

}  // namespace wmlab::process
