// MSBD messages as fields of `sent` and `received`, the same for both ends.
#pragma once
#include <boost/json/object.hpp>

#include "common/msbd/session.hpp"

namespace wmlab::process {

// message, bytes, hr and the telling fields, by their spec names.
boost::json::object message_fields(const msbd::Message& message, std::size_t size);

}  // namespace wmlab::process
