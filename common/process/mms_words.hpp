// MMS messages as fields of `sent`, `received` and `malformed`, the same for both ends.
#pragma once
#include <boost/json/object.hpp>

#include "common/mms/message.hpp"
#include "common/mms/session.hpp"

namespace wmlab::process {

// message, bytes, hr and the telling fields, by their spec names.
boost::json::object message_fields(const mms::Message& message, std::size_t size);

}  // namespace wmlab::process
