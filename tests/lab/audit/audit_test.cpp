// The audit against rulesets whose openings are known: every hole found, none invented.
#include "lab/audit/audit.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "tests/catch.hpp"
#include "tests/lab/in_lab.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace wmlab::lab::tests;

namespace {

struct RulesetFile {
    std::filesystem::path path;
    explicit RulesetFile(const std::string& text) {
        char name[] = "/tmp/wmlab-audit-XXXXXX";
        const int fd = ::mkstemp(name);
        REQUIRE(fd >= 0);
        path = name;
        std::ofstream{path} << text;
        ::close(fd);
        std::filesystem::permissions(path, std::filesystem::perms{0644});
    }
    ~RulesetFile() { std::filesystem::remove(path); }
};

std::string ranges(const PairAudit& pair) {
    std::string text;
    for (const auto& opening : pair.openings)
        text += opening.ports.text() + (opening.flows.empty() ? "" : "*") +
                (opening.rule ? "@" + std::to_string(opening.rule->line) : "") + " ";
    return text;
}

std::string of(const AuditReport& report, const std::string& from, const std::string& to) {
    std::string text;
    for (const auto& pair : report.pairs)
        if (pair.from == from && pair.to == to) text += std::string{scenario::text(pair.protocol)} + " " + ranges(pair);
    return text;
}

}  // namespace

TEST_CASE("audit: openings, what needs them and the rule that lets them through", "[audit]") {
    const RulesetFile file{R"(table inet filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport { 80, 443 } accept
    iifname "fw-out" ip daddr 10.10.0.10 udp dport 1024-1030 accept
    iifname "fw-in" tcp dport 7007 accept
    tcp dport 22 reject
  }
}
)"};
    const auto who = GENERATE(As::root, As::user);
    CAPTURE(name(who));
    const auto outcome = in_lab(who, [&](const Inside&) {
        const auto report = audit(two_zones(), {file.path, {}});
        return of(report, "player", "media") + "| " + of(report, "anyone-outside", "media") + "| " +
               of(report, "media", "player") + "| " + std::to_string(report.unneeded()) + " " +
               std::to_string(report.not_tested()) + " " + std::to_string(exit_code(report));
    });
    CHECK(outcome.text == "tcp 80*@4 443@4 udp 1024-1030@5 | tcp udp 1024-1030@5 | tcp 7007@6 udp | 9 0 1");
}

TEST_CASE("audit: rules that no probe can match are left out of the sweep, and nothing is lost by it", "[audit]") {
    std::string text =
        "table inet filter {\n chain forward {\n  type filter hook forward priority filter; policy drop;\n";
    for (int i = 0; i < 600; ++i)
        text += "  ip saddr 192.0.2." + std::to_string(i % 250) + " tcp dport 1-65535 accept\n";
    text +=
        "  iifname \"fw-out\" tcp dport { 80, 8000-8010 } accept\n"
        "  ip saddr 192.0.2.9 drop\n"
        "  iifname \"fw-in\" udp dport 1024-5000 meta mark set 7\n"
        "  meta mark 7 accept\n"
        " }\n chain nat {\n  type nat hook postrouting priority srcnat\n  oifname \"fw-out\" masquerade\n }\n}\n";
    const RulesetFile file{text};
    const auto who = GENERATE(As::root, As::user);
    CAPTURE(name(who));
    const auto outcome = in_lab(who, [&](const Inside&) {
        const auto report = audit(two_zones(), {file.path, {}});
        return of(report, "player", "media") + "| " + of(report, "anyone-outside", "media") + "| " +
               of(report, "media", "player") + "| " + std::to_string(std::ranges::count_if(report.notes, [](const std::string& note) { return note.starts_with("601 of 605 rules"); }));
    });
    CHECK(outcome.text ==
          "tcp 80*@604 8000-8010@604 udp | tcp 80@604 8000-8010@604 udp | tcp udp 1024-5000@607 | 1");
}

TEST_CASE("audit: without a ruleset everything is open", "[audit]") {
    const auto outcome = in_lab(As::root, [&](const Inside&) { return of(audit(two_zones(), {}), "player", "media"); });
    CHECK(outcome.text == "tcp 1-79 80* 81-65535 udp 1-65535 ");
}

TEST_CASE("audit: 200 random holes, every one found and none invented", "[audit]") {
    std::mt19937 random{20261124};
    std::set<unsigned> tcp, udp;
    while (tcp.size() < 100) tcp.insert(static_cast<unsigned>(1 + random() % 65535));
    while (udp.size() < 100) udp.insert(static_cast<unsigned>(1 + random() % 65535));
    const auto list = [](const std::set<unsigned>& ports) {
        std::string text;
        for (const auto port : ports) text += (text.empty() ? "" : ", ") + std::to_string(port);
        return text;
    };
    const RulesetFile file{"table inet filter {\n chain forward {\n type filter hook forward priority filter; policy drop;\n tcp dport { " + list(tcp) +
                           " } accept\n udp dport { " + list(udp) + " } accept\n }\n}\n"};
    const auto outcome = in_lab(As::user, [&](const Inside&) {
        std::string text;
        for (const auto& pair : audit(two_zones(), {file.path, {}}).pairs) {
            std::set<unsigned> found;
            for (const auto& opening : pair.openings)
                for (unsigned port = opening.ports.first; port <= opening.ports.last; ++port) found.insert(port);
            text += found == (pair.protocol == scenario::Protocol::tcp ? tcp : udp) && pair.not_tested.empty()
                        ? "exact "
                        : "wrong ";
        }
        return text;
    });
    CHECK(outcome.text.find("exact") != std::string::npos);
    CHECK(outcome.text.find("wrong") == std::string::npos);
}

TEST_CASE("audit: a limit does not let one probe decide about the next", "[audit]") {
    const RulesetFile file{R"(table inet filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    tcp dport 1000-1009 limit rate 1/hour burst 1 packets accept
    tcp dport 2000 accept
    udp dport 3000 limit rate 5/minute log prefix "x" drop
    limit rate 10/second reject
  }
}
)"};
    const auto outcome = in_lab(As::user, [&](const Inside&) {
        const auto report = audit(two_zones(), {file.path, {}});
        std::string text = of(report, "player", "media") + "| ";
        for (const auto& pair : report.pairs) {
            if (pair.from != "player") continue;
            unsigned untested = 0;
            for (const auto& range : pair.not_tested) untested += range.size();
            text += std::to_string(untested) + " ";
        }
        return text;
    });
    INFO(outcome.text);
    CHECK(outcome.text.find("2000@5") != std::string::npos);
    CHECK(outcome.text.find("1000-1009@4") != std::string::npos);
    CHECK(outcome.text.find("| 0 0 ") != std::string::npos);
}

TEST_CASE("audit: hosts that no rule can tell apart share a sweep", "[audit]") {
    const RulesetFile file{
        "table inet filter {\n chain forward {\n type filter hook forward priority filter; policy drop;\n ip saddr 10.20.0.0/24 tcp dport 80 accept\n }\n}\n"};
    const auto outcome = in_lab(As::user, [&](const Inside&) {
        AuditOptions options{file.path, {}};
        std::string text;
        for (const bool every : {false, true}) {
            options.every_host = every;
            unsigned shared = 0, open = 0;
            for (const auto& pair : audit(two_zones(), options).pairs)
                shared += pair.probed_as.empty() ? 0 : 1, open += static_cast<unsigned>(pair.openings.size());
            text += std::to_string(shared) + " shared, " + std::to_string(open) + " open; ";
        }
        return text;
    });
    CHECK(outcome.text == "4 shared, 2 open; 0 shared, 2 open; ");
}
