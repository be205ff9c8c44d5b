// Serving MSBD (MS-MSBD 3.2): TCP 7007, the configured port, or, where 7007 is taken, a random free port in 1024-5000.
#pragma once
#include "common/serving/server.hpp"

namespace wmlab::serving {

std::unique_ptr<Service> make_msbd(Server& server);  // null: no flow of the scenario needs it, or nobody asked for it

}  // namespace wmlab::serving
