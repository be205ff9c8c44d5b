// HTTP messages as fields of `sent` and `received`, the same for both ends.
#pragma once
#include <boost/json/object.hpp>

#include "common/wmsp/player_session.hpp"
#include "common/wmsp/session.hpp"

namespace wmlab::process {

// message, bytes and the telling fields, by their spec names; status and numbers as numbers.
boost::json::object message_fields(const wmsp::Received& message);
boost::json::object message_fields(const wmsp::Send& message);
boost::json::object stale_fields(const wmsp::MediaStale& stale);  // of `media-stale`

}  // namespace wmlab::process
