#include "common/process/http_words.hpp"

#include "common/process/malformed.hpp"
#include "common/wmsp/http.hpp"

namespace wmlab::process {
namespace {

boost::json::object fields_of(const std::string& message, std::size_t size, const wmsp::MessageFields& telling) {
    boost::json::object fields;
    fields["message"] = message;
    fields["bytes"] = size;
    for (const auto& [name, value] : telling) {
        if (const auto number = wmsp::decimal(value, UINT32_MAX))
            fields[name] = *number;
        else
            fields[name] = value;
    }
    return fields;
}

}  // namespace

boost::json::object message_fields(const wmsp::Received& message) {
    return fields_of(message.message, message.size, message.fields);
}

boost::json::object message_fields(const wmsp::Send& message) {
    return fields_of(message.message, message.bytes.size(), message.fields);
}

boost::json::object malformed_fields(const wmsp::Malformed& malformed) {
    return malformed_fields(malformed.what, malformed.error, malformed.head);
}

}  // namespace wmlab::process
