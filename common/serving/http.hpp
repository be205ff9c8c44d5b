// Windows Media HTTP (MS-WMSP) on TCP 80: the same publishing points as MMS, redirectors, and plain answers for
// browsers.
#pragma once
#include "common/serving/server.hpp"

namespace wmlab::serving {

std::unique_ptr<Service> make_http(Server& server);  // null: no flow of the scenario needs it

}  // namespace wmlab::serving
