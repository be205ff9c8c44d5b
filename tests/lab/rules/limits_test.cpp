#include "lab/rules/limits.hpp"

#include <boost/json/parse.hpp>

#include "tests/catch.hpp"

using namespace wmlab::lab::rules;

TEST_CASE("limits of a rule: rates by the second, what may come at once, connections at a time", "[rules]") {
    struct Row {
        std::string name, expr;  // as `nft -j list ruleset` has it
        std::vector<Limit> limits;
    };
    const auto row = GENERATE(values<Row>({
        {"none", R"([{"accept": null}])", {}},
        {"a second", R"([{"limit": {"rate": 10, "burst": 5, "per": "second"}}, {"accept": null}])", {{Limit::Sort::packets, 10, 5}}},
        {"a minute", R"([{"limit": {"rate": 30, "burst": 5, "per": "minute"}}])", {{Limit::Sort::packets, 0.5, 5}}},
        {"bytes",
         R"([{"limit": {"rate": 2, "rate_unit": "kbytes", "per": "second", "burst": 1, "burst_unit": "mbytes"}}])",
         {{Limit::Sort::bytes, 2048, 1048576}}},
        {"connections", R"([{"ct count": {"val": 20, "inv": true}}, {"drop": null}])", {{Limit::Sort::connections, 20, 0}}},
        {"of a set's elements",
         R"([{"set": {"op": "add", "elem": {"payload": {"protocol": "ip", "field": "saddr"}}, "set": "@seen", "stmt": [{"limit": {"rate": 1, "burst": 5, "per": "hour"}}]}}])",
         {{Limit::Sort::packets, 1.0 / 3600, 5}}},
        {"what iptables asks for is not told", R"([{"xt": {"type": "match", "name": "limit"}}])", {}},
    }));
    INFO(row.name);
    Rule rule;
    rule.expr = boost::json::parse(row.expr).as_array();
    CHECK(limits_of(rule) == row.limits);
}
