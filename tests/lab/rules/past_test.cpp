#include "lab/rules/past.hpp"

#include <boost/json.hpp>

#include "tests/catch.hpp"

using namespace wmlab::lab::rules;
namespace json = boost::json;

namespace {

// A listing with one rule of these expressions, and objects beside it.
std::string listing(const std::string& expr, const std::string& beside = "") {
    return R"({"nftables":[)" + beside +
           R"({"rule":{"family":"inet","table":"filter","chain":"forward","handle":7,"expr":[{"accept":null}]}},)"
           R"({"rule":{"family":"inet","table":"filter","chain":"forward","handle":9,"expr":)" +
           expr + "}}]}";
}

// The expressions of the rule that is loaded in its place.
std::string settled(const PastRules& rules, Past past) {
    const auto commands = json::parse(rules.with(std::vector<Past>(rules.rules().size(), past)));
    const auto& list = commands.at("nftables").as_array();
    const auto& rule = list.at(list.size() - 2).at("insert").at("rule").as_object();  // before the one that goes
    const auto& gone = list.back().at("delete").at("rule").as_object();
    CHECK(gone.at("handle") == rule.at("handle"));
    CHECK(rule.at("handle") == 9);
    std::string words;
    for (const auto& part : rule.at("expr").as_array()) {
        const auto& what = *part.as_object().begin();
        const bool never = what.key() == "match" && what.value().at("left") == json::parse(R"({"meta":{"key":"length"}})");
        words += (words.empty() ? "" : " ") + (never ? std::string{"never"} : std::string{what.key()});
    }
    return words;
}

}  // namespace

TEST_CASE("rules of nft that ask of the past: as if nothing had come, as if limits were used up, as if sets were filled", "[rules]") {
    struct Row {
        std::string name, expr, beside;
        std::vector<Limit> limits;
        std::string nothing, used_up, filled;
    };
    using Sort = Limit::Sort;
    const auto row = GENERATE(values<Row>({
        {"a rate",
         R"([{"limit": {"rate": 30, "burst": 5, "per": "minute"}}, {"accept": null}])",
         "",
         {{Sort::packets, 0.5, 5, ""}},
         "accept",
         "never accept",
         "accept"},
        {"over a rate",
         R"([{"limit": {"rate": 10, "burst": 5, "per": "second", "inv": true}}, {"drop": null}])",
         "",
         {{Sort::packets, 10, 5, ""}},
         "never drop",
         "drop",
         "never drop"},
        {"bytes",
         R"([{"limit": {"rate": 2, "rate_unit": "kbytes", "per": "second", "burst": 1, "burst_unit": "mbytes"}}, {"accept": null}])",
         "",
         {{Sort::bytes, 2048, 1048576, ""}},
         "accept",
         "never accept",
         "accept"},
        {"a limit with a name",
         R"([{"limit": "slow"}, {"drop": null}])",
         R"({"limit":{"family":"inet","table":"filter","name":"slow","rate":10,"per":"second","inv":true,"burst":3}},)",
         {{Sort::packets, 10, 3, ""}},
         "never drop",
         "drop",
         "never drop"},
        {"a quota",
         R"([{"quota": {"val": 25, "val_unit": "mbytes"}}, {"accept": null}])",
         "",
         {{Sort::quota, 25.0 * 1048576, 0, ""}},
         "accept",
         "never accept",
         "accept"},
        {"a quota with a name",
         R"([{"quota": "some"}, {"drop": null}])",
         R"({"quota":{"family":"inet","table":"filter","name":"some","bytes":1000,"used":0,"inv":true}},)",
         {{Sort::quota, 1000, 0, ""}},
         "never drop",
         "drop",
         "never drop"},
        {"connections",
         R"([{"ct count": {"val": 20, "inv": true}}, {"drop": null}])",
         "",
         {{Sort::connections, 20, 0, ""}},
         "never drop",
         "drop",
         "never drop"},
        {"more connections than none",
         R"([{"ct count": {"val": 0, "inv": true}}, {"drop": null}])",
         "",
         {{Sort::connections, 0, 0, ""}},
         "drop",
         "drop",
         "drop"},
        {"chance against",
         R"([{"match": {"op": "==", "left": {"numgen": {"mode": "random", "mod": 4, "offset": 0}}, "right": 0}}, {"drop": null}])",
         "",
         {{Sort::chance, 0, 0, R"({"op":"==","left":{"numgen":{"mode":"random","mod":4,"offset":0}},"right":0})"}},
         "never drop",
         "drop",
         "never drop"},
        {"a set that is filled",
         R"([{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@seen"}}, {"accept": null}])",
         R"({"rule":{"family":"inet","table":"filter","chain":"input","handle":3,"expr":[{"set":{"op":"add","elem":{"payload":{"protocol":"ip","field":"saddr"}},"set":"@seen"}}]}},)",
         {{Sort::set, 0, 0, ""}},
         "match accept",
         "match accept",
         "accept"},
    }));
    INFO(row.name);
    auto rules = PastRules::of_nft(listing(row.expr, row.beside));
    auto all = rules.rules();
    const bool fills = all.size() > 1;  // the rule that fills the set comes first
    REQUIRE(all.size() == (fills ? 2u : 1u));
    const auto& rule = all.back();
    CHECK(rule.chain.text() == "inet filter forward");
    CHECK(rule.position == 1);
    CHECK(rule.decides);
    CHECK(rule.limits == row.limits);
    if (fills) CHECK_FALSE(all.front().decides);
    CHECK(settled(rules, Past::nothing) == row.nothing);
    CHECK(settled(rules, Past::limits_used_up) == row.used_up);
    CHECK(settled(rules, Past::sets_filled) == row.filled);
}

TEST_CASE("a rule with a chain inside, as libnftables 1.0.6 writes it, is not settled", "[rules]") {
    const auto rules = PastRules::of_nft(listing(R"([{"limit": {"rate": 1, "burst": 5, "per": "hour"}}, "jump {\n accept\n}"])"));
    REQUIRE(rules.rules().size() == 1);
    CHECK_FALSE(rules.rules()[0].settles);
    CHECK(rules.rules()[0].decides);
    CHECK(rules.with({Past::nothing}).empty());
}

TEST_CASE("what is no listing of nft is said", "[rules]") { CHECK_THROWS_AS(PastRules::of_nft(R"({"other":[]})"), std::runtime_error); }

TEST_CASE("rules of iptables that ask of the past", "[rules]") {
    struct Row {
        std::string rule, nothing, used_up, filled;
        Limit limit;
    };
    using Sort = Limit::Sort;
    const std::string never = "-A FORWARD -m length --length 0";
    const auto row = GENERATE_COPY(values<Row>({
        {"-A FORWARD -p tcp -m limit --limit 30/min -m comment --comment \"a -m quota \\\"b\\\"\" -j ACCEPT",
         "-A FORWARD -p tcp -m comment --comment \"a -m quota \\\"b\\\"\" -j ACCEPT",
         never,
         "-A FORWARD -p tcp -m comment --comment \"a -m quota \\\"b\\\"\" -j ACCEPT",
         {Sort::packets, 0.5, 5, ""}},
        {"-A FORWARD -m hashlimit --hashlimit-above 5/hour --hashlimit-burst 3 --hashlimit-mode srcip --hashlimit-name x -j DROP",
         never,
         "-A FORWARD -j DROP",
         never,
         {Sort::packets, 5.0 / 3600, 3, "srcip"}},
        {"-A FORWARD -m connlimit --connlimit-upto 4 --connlimit-mask 32 --connlimit-saddr -j ACCEPT",
         "-A FORWARD -j ACCEPT",
         never,
         "-A FORWARD -j ACCEPT",
         {Sort::connections, 4, 0, "32"}},
        {"-A FORWARD -m quota ! --quota 1000 -j DROP", never, "-A FORWARD -j DROP", never, {Sort::quota, 1000, 0, ""}},
        {"-A FORWARD -m recent ! --rcheck --seconds 4 --name DEFAULT -j DROP",
         "-A FORWARD -j DROP",
         "-A FORWARD -j DROP",
         never,
         {Sort::set, 0, 0, "! --rcheck --seconds 4 --name DEFAULT"}},
        {"-A FORWARD -m statistic --mode nth --every 4 --packet 0 -j DROP",
         never,
         "-A FORWARD -j DROP",
         never,
         {Sort::chance, 0, 0, "--mode nth --every 4 --packet 0"}},
    }));
    INFO(row.rule);
    const auto file = [](const std::string& rule) { return "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -i lo -j ACCEPT\n" + rule + "\nCOMMIT\n"; };
    const auto rules = PastRules::of_iptables(file(row.rule));
    REQUIRE(rules.rules().size() == 1);
    CHECK(rules.rules()[0].chain.text() == "ip filter FORWARD");
    CHECK(rules.rules()[0].position == 1);
    CHECK(rules.rules()[0].limits == std::vector{row.limit});
    CHECK(rules.with({Past::nothing}) == file(row.nothing));
    CHECK(rules.with({Past::limits_used_up}) == file(row.used_up));
    CHECK(rules.with({Past::sets_filled}) == file(row.filled));
}

TEST_CASE("limits are higher, lower or of another kind", "[rules]") {
    using Sort = Limit::Sort;
    const Limit slow{Sort::packets, 1, 5, ""}, fast{Sort::packets, 10, 5, ""}, wide{Sort::packets, 1, 50, ""}, bytes{Sort::bytes, 1, 5, ""},
        fast_narrow{Sort::packets, 10, 1, ""};
    CHECK(compare_limits({slow}, {slow}) == LimitChange::none);
    CHECK(compare_limits({slow}, {fast}) == LimitChange::higher);
    CHECK(compare_limits({slow}, {wide}) == LimitChange::higher);
    CHECK(compare_limits({fast}, {slow}) == LimitChange::lower);
    CHECK(compare_limits({slow}, {fast_narrow}) == LimitChange::other);
    CHECK(compare_limits({slow}, {bytes}) == LimitChange::other);
    CHECK(compare_limits({slow}, {slow, fast}) == LimitChange::other);
}
