// What an audit found, as data: open ports merged to ranges, each needed by flows or by none.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/audit/sweep.hpp"
#include "lab/rules/generate.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

struct Opening {  // neighbouring ports of one pair of hosts with the same answer
    scenario::PortRange ports;
    std::vector<std::string> flows;  // that need it; empty: nothing does
    std::optional<RuleRef> rule;     // that lets it through
    std::string accepted{};          // why it is accepted; empty: it is not
};

struct PairAudit {
    std::string from, to, from_zone, to_zone;  // hosts; from "anyone": an address of the zone that is none of the hosts
    scenario::Protocol protocol = scenario::Protocol::tcp;
    std::vector<Opening> openings;
    std::vector<scenario::PortRange> not_tested;
    std::vector<std::string> shut;    // what flows need and what is closed: "7007 (feed msbd)"
    std::vector<std::string> doubts;  // why ports are not tested
    std::string probed_as;  // "player -> media": the hosts whose result this is, which no rule can tell from these
    unsigned rounds = 0;    // of probes; more than one where packets were lost
    double seconds = 0;
};

struct Direction {  // from one zone to another, TCP and UDP, all hosts
    std::string from, to;
    double seconds = 0;
};

struct AuditReport {
    std::string scenario, ruleset;
    std::vector<PairAudit> pairs;
    std::vector<Direction> directions;
    std::vector<Opened> opened;            // by other packets than the plain ones between hosts
    std::vector<Conditional> conditional;  // rules that ask for what is not swept
    std::vector<std::string> tried, not_tried;
    std::vector<std::string> notes;
    double seconds = 0, explored_seconds = 0;
    unsigned unneeded() const;    // open ranges no flow needs, unless they are accepted
    unsigned not_tested() const;  // ports
    bool doubtful() const;        // something was not tried that a rule could let through
};

// `rule_of(port)`: the rule that let the port's probe through, where known.
PairAudit find_openings(std::string from, std::string to, scenario::Protocol protocol,
                        const std::vector<PortState>& ports, const std::vector<rules::Need>& needs,
                        const std::vector<std::optional<RuleRef>>& rule_of,
                        const std::vector<rules::Need>& perhaps = {},  // open: for those; shut: no matter
                        const std::function<bool(unsigned port)>& reached = {});  // another way: not shut then

std::string audit_text(const AuditReport& report, bool colour = false, bool quiet = false);  // quiet: what counts
std::string audit_json(const AuditReport& report);  // schema wmlab.audit/1

// 0 nothing open that no flow needs, 1 something is, 4 some ports could not be tested.
int exit_code(const AuditReport& report);

}  // namespace wmlab::lab
