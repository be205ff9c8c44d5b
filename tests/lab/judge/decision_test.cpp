// The decision table, row by row; and the account of packets that it is asked about.
#include "lab/judge/decision.hpp"

#include <algorithm>

#include "lab/judge/flow.hpp"
#include "tests/catch.hpp"
#include "tests/lab/judge/journal_builder.hpp"

namespace wmlab::lab {
namespace {

using Loss = Account::Loss;
using Direction = Decision::Direction;

Account account_of(Loss loss, bool all = false, bool udp = false, Alteration change = Alteration::none) {
    Account account;
    account.complete = true;
    account.loss = loss;
    account.all = all;
    account.udp = udp;
    account.change = change;
    return account;
}

struct Asked {
    std::string_view name;
    Account account;
    Outcome outcome;
    std::optional<Verdict> verdict;
    std::optional<Cause> cause;
    Direction direction;
};

}  // namespace

TEST_CASE("the decision table: each row") {
    auto overrun = account_of(Loss::none), answered = account_of(Loss::none), blind = account_of(Loss::none);
    overrun.complete = false;
    overrun.lost = true;
    answered.answered = true;
    blind.complete = false;
    auto changed_there = account_of(Loss::none, false, false, Alteration::payload), changed_back = changed_there;
    changed_back.change_there = false;
    const auto elsewhere = account_of(Loss::none, false, false, Alteration::destination);
    auto again_there = account_of(Loss::none), again_back = account_of(Loss::none);
    auto header_there = account_of(Loss::none, false, false, Alteration::header), header_back = header_there;
    header_back.change_there = false;
    again_there.only = Loss::there, again_back.only = Loss::back;
    const Asked rows[] = {
        {"it worked, whatever was lost", account_of(Loss::back), Outcome::worked, Verdict::pass, {}, Direction::none},
        {"the witness lost packets", overrun, Outcome::failed, Verdict::inconclusive, {}, Direction::none},
        {"nothing there", account_of(Loss::there, true), Outcome::failed, Verdict::blocked, Cause::dropped, Direction::there},
        {"nothing back", account_of(Loss::back, true), Outcome::unclear, Verdict::blocked, Cause::dropped, Direction::back},
        {"elsewhere", elsewhere, Outcome::failed, Verdict::blocked, Cause::translated, Direction::there},
        {"some datagrams there", account_of(Loss::there, false, true), Outcome::failed, Verdict::blocked, Cause::dropped, Direction::there},
        {"some datagrams back", account_of(Loss::back, false, true), Outcome::unclear, Verdict::blocked, Cause::dropped, Direction::back},
        {"the stream there", account_of(Loss::there), Outcome::failed, Verdict::blocked, Cause::starved, Direction::there},
        {"the stream back", account_of(Loss::back), Outcome::failed, Verdict::blocked, Cause::starved, Direction::back},
        {"changed there", changed_there, Outcome::failed, Verdict::blocked, Cause::modified, Direction::there},
        {"changed back", changed_back, Outcome::failed, Verdict::blocked, Cause::modified, Direction::back},
        {"another header there", header_there, Outcome::failed, Verdict::blocked, Cause::modified, Direction::there},
        {"another header back", header_back, Outcome::unclear, Verdict::blocked, Cause::modified, Direction::back},
        {"another header, and it worked", header_there, Outcome::worked, Verdict::pass, {}, Direction::none},
        {"sent again there, and nobody says how it ended", again_there, Outcome::unclear, Verdict::blocked, Cause::starved, Direction::there},
        {"sent again back, and nobody says how it ended", again_back, Outcome::unclear, Verdict::blocked, Cause::starved, Direction::back},
        {"sent again there, and an end says that it failed", again_there, Outcome::failed, Verdict::failed, {}, Direction::none},
        {"another's answer", answered, Outcome::failed, Verdict::blocked, Cause::reset, Direction::there},
        {"all arrived", account_of(Loss::none), Outcome::failed, Verdict::failed, {}, Direction::none},
        {"all arrived, and nobody says how it ended", account_of(Loss::none), Outcome::unclear, {}, {}, Direction::none},
        {"no wire was watched", blind, Outcome::failed, Verdict::failed, {}, Direction::none},
    };
    for (const auto& row : rows) {
        INFO(row.name);
        const auto decision = decide(row.account, row.outcome);
        REQUIRE(decision.has_value() == row.verdict.has_value());
        if (!decision) continue;
        CHECK(decision->verdict == *row.verdict);
        CHECK(decision->cause == row.cause);
        CHECK(decision->direction == row.direction);
    }
}

namespace {

// A TCP leg of mms-tcp whose packets the wires list. `sent` and `came`: "ID:SEQUENCE:BYTES:HASH@MICROSECONDS ..."
struct Lists {
    std::string there_sent, there_came, back_sent, back_came;
};

unsigned packets_in(const std::string& list) {
    return list.empty() ? 0 : static_cast<unsigned>(std::count(list.begin(), list.end(), ' ') + 1);
}

ConnectionLedger account_of_story(const Lists& lists, const std::string& far_source = {}, const std::string& far_destination = {},
                                  const std::string& far_host = "media", Account* sum = nullptr) {
    Story story{mms_flow("t", "mms-tcp")};
    mms_processes(story, {"t"});
    const auto near_source = story.address("player", 40000), near_destination = story.address("media", 1755);
    const auto source = far_source.empty() ? near_source : far_source, destination = far_destination.empty() ? near_destination : far_destination;
    const auto put = [&](const std::string& host, const std::string& way, const std::string& from, const std::string& to, const std::string& list) {
        if (!list.empty()) story.wire(host, way, "tcp", "data", from, to, packets_in(list), {{"each", list}, {"first", 1000}});
    };
    put("player", "out", near_source, near_destination, lists.there_sent);
    put(far_host, "in", source, destination, lists.there_came);
    put(far_host, "out", destination, source, lists.back_sent);
    put("player", "in", near_destination, near_source, lists.back_came);
    const auto events = story.events();
    const Evidence evidence{story.scenario(), events};
    const Names names{story.scenario()};
    const auto instance = scenario::instances(story.scenario()).front();
    const auto& view = evidence.flow("t");
    const auto leg = leg_context(story.scenario(), evidence, view, names, instance, scenario::legs(story.scenario(), instance).front());
    auto ledger = account(leg, "tcp", {Endpoint::from(near_source), Endpoint::from(near_destination)});
    if (sum != nullptr) *sum = sum_up(leg, ledger);
    return ledger;
}

}  // namespace

TEST_CASE("the ledger: packets are known by identity") {
    SECTION("all arrive") {
        const auto ledger = account_of_story({"1:64:64:a@0 2:c8:64:b@10", "1:64:64:a@5 2:c8:64:b@15", "7:1:64:c@20", "7:1:64:c@25"});
        CHECK(ledger.known());
        CHECK(ledger.there.left == 2);
        CHECK(ledger.there.arrived == 2);
        CHECK(ledger.back.arrived == 1);
        CHECK(ledger.there.bytes_missing == 0);
    }
    SECTION("one is lost, and its copy arrives: the stream is whole") {
        const auto ledger = account_of_story({"1:64:64:a@0 2:64:64:a@200", "2:64:64:a@205", "", ""});
        CHECK(ledger.there.lost.size() == 1);
        CHECK(ledger.there.bytes_missing == 0);
        CHECK(ledger.there.repeated == 1);
    }
    SECTION("one is lost for good") {
        const auto ledger = account_of_story({"1:0:64:a@0 2:64:c8:b@10 3:64:c8:b@400", "1:0:64:a@5", "", ""});
        CHECK(ledger.there.bytes_missing == 0xc8);
        CHECK(ledger.there.lost.size() == 2);
    }
    SECTION("another content under the same number: changed") {
        const auto ledger = account_of_story({"1:64:64:a@0", "1:64:64:f@5", "", ""});
        CHECK(ledger.there.changed == 1);
        CHECK(ledger.there.lost.empty());
    }
    SECTION("translated: found by what the packets are, not by their addresses") {
        const auto ledger = account_of_story({"1:64:64:a@0", "1:64:64:a@5", "9:1:10:c@9", "9:1:10:c@11"}, "10.10.0.1:61000");
        CHECK(ledger.far.source.text() == "10.10.0.1:61000");
        CHECK(ledger.there.arrived == 1);
        CHECK(ledger.back.arrived == 1);
    }
    SECTION("led to another host") {
        const auto ledger = account_of_story({"1:64:64:a@0", "1:64:64:a@5", "", ""}, {}, "10.20.0.12:1755", "edge");
        CHECK(ledger.elsewhere);
        CHECK(ledger.host == "edge");
    }
    SECTION("the sequence is counted anew on the way") {
        const auto ledger = account_of_story({"1:64:64:a@0 2:c8:64:b@10", "1:1064:64:a@5 2:10c8:64:b@15", "", ""});
        CHECK(ledger.there.arrived == 2);
        CHECK(ledger.there.lost.empty());
    }
    SECTION("a card cuts what was sent as one") {
        const auto ledger = account_of_story({"1:0:b68:a@0", "1:0:5b4:b@5 2:5b4:5b4:c@6", "", ""});
        CHECK(ledger.there.lost.empty());
        CHECK(ledger.there.bytes_missing == 0);
    }
    SECTION("a list that does not read so leaves the account open") {
        const auto ledger = account_of_story({"1:64:64:a", "1:64:64:a@5", "", ""});
        CHECK_FALSE(ledger.known());
    }
}

TEST_CASE("the ledger: which way the packets that were needed were lost") {
    using Loss = Account::Loss;
    struct Row {
        std::string name;
        Lists lists;
        Loss loss;
        Loss only;  // the one way that lost any packet
    };
    const std::vector<Row> rows{
        {"nothing is lost", {"1:64:64:a@0", "1:64:64:a@5", "7:1:64:c@20", "7:1:64:c@25"}, Loss::none, Loss::none},
        {"some of the stream there", {"1:0:64:a@0 2:64:c8:b@10 3:64:c8:b@400", "1:0:64:a@5", "7:1:0:0@20", "7:1:0:0@25"}, Loss::there, Loss::there},
        {"a copy made up for what was lost there", {"1:64:64:a@0 2:64:64:a@200", "2:64:64:a@205", "7:1:64:c@220", "7:1:64:c@225"}, Loss::none, Loss::there},
        {"some of the stream back, sent again in vain",
         {"1:64:64:a@0", "1:64:64:a@5", "6:1:0:0@7 7:1:64:c@20 8:1:64:c@220", "6:1:0:0@9"},
         Loss::back,
         Loss::back},
        {"some of the stream back, sent once", {"1:64:64:a@0", "1:64:64:a@5", "6:1:0:0@7 7:1:64:c@20", "6:1:0:0@9"}, Loss::back, Loss::back},
        {"copies made up for what was lost there, so late that the answer was sent when nobody looked any more",
         {"1:64:64:a@0 2:64:64:a@900", "2:64:64:a@905", "6:1:0:0@907 7:1:64:c@920", "6:1:0:0@909"},
         Loss::there,
         Loss::none},
        {"both ways lose, the way back first", {"1:64:64:a@500 2:64:64:a@900", "", "6:1:0:0@7 7:1:64:c@20 8:1:64:c@220", "6:1:0:0@9"}, Loss::back, Loss::none},
    };
    for (const auto& row : rows) {
        INFO(row.name);
        Account sum;
        account_of_story(row.lists, {}, {}, "media", &sum);
        REQUIRE(sum.complete);
        CHECK(static_cast<int>(sum.loss) == static_cast<int>(row.loss));
        CHECK(static_cast<int>(sum.only) == static_cast<int>(row.only));
    }
}

TEST_CASE("the ledger: what came to both wires as it was is not stopped on the way, whatever the ends missed") {
    struct Row {
        std::string name;
        Lists lists;
        Verdict verdict;
        std::string direction;
        std::string header = {};  // the end whose packets the trace says to have got another
    };
    const std::vector<Row> rows{
        {"all came, with another window", {"1:64:64:a@0", "1:64:64:a@5", "7:1:64:c@20", "7:1:64:c@25"}, Verdict::blocked, "from->to", "player"},
        {"all came, and the answers acknowledge something else",
         {"1:64:64:a@0", "1:64:64:a@5", "7:1:64:c@20", "7:1:64:c@25"},
         Verdict::blocked,
         "to->from",
         "media"},
        {"all came", {"1:64:64:a@0", "1:64:64:a@5", "7:1:64:c@20", "7:1:64:c@25"}, Verdict::inconclusive, ""},
        {"some of what was missed was lost",
         {"1:64:64:a@0", "1:64:64:a@5", "7:1:64:c@20 8:65:64:d@30 9:65:64:d@230", "7:1:64:c@25"},
         Verdict::blocked,
         "to->from"},
        {"of what brought it some was lost, and sent again",
         {"1:64:64:a@0 2:64:64:a@900", "2:64:64:a@905", "7:1:64:c@920", "7:1:64:c@925"},
         Verdict::blocked,
         "from->to"},
        {"it came changed", {"1:64:64:a@0", "1:64:64:a@5", "7:1:64:c@20", "7:1:64:e@25"}, Verdict::blocked, "to->from"},
    };
    for (const auto& row : rows) {
        INFO(row.name);
        Story story{mms_flow("t", "mms-tcp")};
        mms_processes(story, {"t"});
        const auto near = story.address("player", 40000), far = story.address("media", 1755);
        story.on("player", "t", "control", What::connecting, {{"protocol", "tcp"}}).remote = far;
        auto& connected = story.on("player", "t", "control", What::connected, {{"milliseconds", 0.4}});
        connected.local = near, connected.remote = far;
        const auto put = [&](const std::string& host, const std::string& way, const std::string& from, const std::string& to, const std::string& list) {
            story.wire(host, way, "tcp", "data", from, to, packets_in(list), {{"each", list}, {"first", 1000}});
        };
        put("player", "out", near, far, row.lists.there_sent);
        put("media", "in", near, far, row.lists.there_came);
        put("media", "out", far, near, row.lists.back_sent);
        put("player", "in", far, near, row.lists.back_came);
        if (!row.header.empty()) {
            const boost::json::object rule{{"file", "r.nft"}, {"line", 4}, {"text", "tcp window set 0"}, {"chain", "inet t c"}, {"what", "header"}};
            const bool player = row.header == "player";
            story.add("lab", What::trace,
                      {{"fate", "forwarded"},
                       {"protocol", "tcp"},
                       {"source", player ? near : far},
                       {"destination", player ? far : near},
                       {"packets", 1},
                       {"changes", boost::json::array{rule}}});
        }
        const auto events = story.events();
        const Evidence evidence{story.scenario(), events};
        const Names names{story.scenario()};
        const auto instance = scenario::instances(story.scenario()).front();
        const auto context = leg_context(story.scenario(), evidence, evidence.flow("t"), names, instance, scenario::legs(story.scenario(), instance).front());
        FlowResult flow;
        flow.verdict = Verdict::blocked, flow.cause = Cause::starved, flow.leg = "control", flow.direction = context.back,
        flow.explanation = "1 message sent, 0 received";
        flow.legs.emplace_back();
        flow.legs[0].name = "control", flow.legs[0].protocol = "tcp", flow.legs[0].verdict = Verdict::blocked;
        settle_by_ledger({context}, flow);
        CHECK(flow.verdict == row.verdict);
        if (row.verdict == Verdict::blocked) CHECK(flow.direction == row.direction);
        CHECK(flow.reason == (row.verdict == Verdict::blocked ? std::optional<Reason>{} : Reason::overloaded));
    }
}

}  // namespace wmlab::lab
