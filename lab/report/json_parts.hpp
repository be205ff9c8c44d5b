// Parts of the JSON report that stand in other files of ours, too: bundles keep them as evidence.
#pragma once
#include <boost/json/object.hpp>

#include "lab/verdict/report.hpp"

namespace wmlab::lab {

boost::json::object rule_json(const RuleRef& rule);
boost::json::object opening_json(const Opened& opened);
boost::json::object identity_json(const Identity& identity);

}  // namespace wmlab::lab
