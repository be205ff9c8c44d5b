#include "common/process/msbd_words.hpp"

#include "common/evidence/fields.hpp"

namespace wmlab::process {

boost::json::object message_fields(const msbd::Message& message, std::size_t size) {
    boost::json::object fields;
    fields[field::message] = msbd::name(message);
    fields[field::bytes] = size;
    for (const auto& [name, value] : msbd::telling_fields(message))
        std::visit([&fields, &name = name](const auto& known) { fields[name] = known; }, value);
    if (const auto hr = msbd::result(message); hr != 0) fields[field::hr] = hr;
    return fields;
}

}  // namespace wmlab::process
