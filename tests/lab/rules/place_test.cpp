// Where rules of files stand that are no list in the chain's order.
#include <boost/json.hpp>

#include "lab/rules/ruleset.hpp"
#include "lab/rules/source.hpp"
#include "tests/catch.hpp"

using namespace wmlab::lab::rules;

namespace {

Source source_of(const std::string& text) {
    return read_source("/etc/a", [&](const std::filesystem::path& path) -> std::optional<std::string> {
        return path == "/etc/a" ? std::optional{text} : std::nullopt;
    });
}

std::vector<unsigned> lines_of(const ChainSource& chain) {
    std::vector<unsigned> numbers;
    for (const auto& rule : chain.rules) numbers.push_back(rule.line);
    return numbers;
}

const ChainName iptables_forward{"ip", "filter", "FORWARD"};

}  // namespace

TEST_CASE("iptables-save: -I n, -D and -R keep each rule's own line", "[rules]") {
    struct Row {
        std::string name, lines;
        std::vector<unsigned> want;
        bool certain;
    };
    const auto row = GENERATE(values<Row>({
        {"inserted at a number", "-I FORWARD 2 -p tcp --dport 3 -j DROP\n", {3, 5, 4}, true},
        {"inserted without one", "-I FORWARD -p tcp --dport 3 -j DROP\n", {5, 3, 4}, true},
        {"deleted by number", "-D FORWARD 1\n", {4}, true},
        {"deleted by what it says", "-D FORWARD -p tcp -m tcp --dport 2 -j DROP\n", {3}, true},
        {"deleted by what no line says", "-D FORWARD -p tcp --dport 77 -j DROP\n", {3, 4}, false},
        {"replaced", "-R FORWARD 1 -p tcp --dport 9 -j DROP\n", {5, 4}, true},
        {"replaced where nothing is", "-R FORWARD 7 -p tcp --dport 9 -j DROP\n", {3, 4}, false},
        {"of the other family, in front", "-6 -A FORWARD -p tcp --dport 3 -j DROP\n", {3, 4}, true},
        {"of the other family, inside", "-A FORWARD -p tcp -6 --dport 3 -j DROP\n", {3, 4}, true},
        {"of this family, in front", "-4 -A FORWARD -p tcp --dport 3 -j DROP\n", {3, 4, 5}, true},
        {"written with an equals sign", "--append=FORWARD -p tcp --dport=3 -j DROP\n", {3, 4, 5}, true},
        {"written in one word", "-AFORWARD -p tcp --dport 3 -j DROP\n", {3, 4, 5}, true},
        {"a list of addresses", "-A FORWARD -s 1.1.1.1,2.2.2.2 -d 3.3.3.3,4.4.4.4 -j DROP\n", {3, 4, 5, 5, 5, 5}, true},
        {"a comma in a comment", "-A FORWARD -m comment --comment \"-s a,b\" -j DROP\n", {3, 4, 5}, true},
        {"an option in a comment", "-A FORWARD -m comment --comment \"was -6 once\" -j DROP\n", {3, 4, 5}, true},
        {"with counters", "[3:180] -A FORWARD -p tcp --dport 3 -j DROP\n", {3, 4, 5}, true},
        {"flushed", "-F FORWARD\n", {}, true},
        {"a second dump of the table", "COMMIT\n*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j DROP\n", {8}, true},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto source = source_of(
            "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp --dport 1 -j DROP\n-A FORWARD -p tcp --dport 2 -j DROP\n" +
            row.lines + "COMMIT\n");
        const auto& chain = source.chains.at(iptables_forward);
        CHECK(lines_of(chain) == row.want);
        CHECK(chain.certain == row.certain);
    }
}

TEST_CASE("nft: the kernel's handles tell which statement made which rule", "[rules]") {
    const auto source = source_of(
        "table inet filter {\n  chain forward { type filter hook forward priority 0; policy drop;\n    tcp dport 1 accept\n    tcp dport 2 accept\n  }\n}\n"
        "insert rule inet filter forward index 1 tcp dport 3 accept\nadd rule inet filter forward position 3 tcp dport 4 accept\n"
        "delete rule inet filter forward handle 4\nreplace rule inet filter forward handle 3 tcp dport 5 accept\n");
    // As the kernel holds them: 3 and 4 made first, then 5 and 6; 4 deleted, 3 replaced.
    const std::string chain =
        R"({"chain":{"family":"inet","table":"filter","name":"forward","type":"filter","hook":"forward","prio":0,"policy":"drop"}})";
    const auto rule = [](int handle) {
        return R"({"rule":{"family":"inet","table":"filter","chain":"forward","handle":)" + std::to_string(handle) +
               R"(,"expr":[{"accept":null}]}})";
    };
    const auto ruleset =
        Ruleset::parse("{\"nftables\":[" + chain + "," + rule(5) + "," + rule(3) + "," + rule(6) + "]}", "", source);
    REQUIRE(ruleset.rules().size() == 3);
    const std::vector<unsigned> want{7, 10, 8};
    for (std::size_t i = 0; i < want.size(); ++i) {
        REQUIRE(ruleset.rules()[i].place);
        CHECK(ruleset.rules()[i].place->line == want[i]);
    }
    CHECK(ruleset.chain({"inet", "filter", "forward"})->by_number);
}

TEST_CASE("what an include brings is told, and where from", "[rules]") {
    const std::map<std::string, std::string> files{
        {"/etc/a", "include \"b.nft\"\ninclude \"/srv/c.nft\"\ninclude \"/none/*.nft\"\n"},
        {"/etc/b.nft", ""},
        {"/srv/c.nft", ""},
        {"/gateway/srv/c.nft", ""}};
    const auto read = [&](const std::filesystem::path& path) -> std::optional<std::string> {
        const auto found = files.find(path.string());
        return found == files.end() ? std::nullopt : std::optional{found->second};
    };
    const auto plain = read_source("/etc/a", read);
    REQUIRE(plain.includes.size() == 3);
    CHECK_FALSE(plain.includes[0].elsewhere);
    CHECK(plain.includes[1].elsewhere);
    CHECK(plain.includes[2].files.empty());
    CHECK(plain.includes[2].place.line == 3);
    const auto brought = read_source("/etc/a", read, {"/gateway"});
    CHECK(brought.includes[1].files == std::vector<std::filesystem::path>{"/gateway/srv/c.nft"});
    CHECK_FALSE(brought.includes[1].elsewhere);
}
