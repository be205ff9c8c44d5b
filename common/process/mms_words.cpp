#include "common/process/mms_words.hpp"

#include "common/evidence/fields.hpp"

namespace wmlab::process {

boost::json::object message_fields(const mms::Message& message, std::size_t size) {
    boost::json::object fields;
    fields[field::message] = mms::name(message);
    fields[field::bytes] = size;
    for (const auto& [name, value] : mms::telling_fields(message))
        std::visit([&fields, &name = name](const auto& known) { fields[name] = known; }, value);
    if (const auto hr = mms::result(message)) fields[field::hr] = *hr;
    return fields;
}

}  // namespace wmlab::process
