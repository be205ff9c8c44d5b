#include "common/scenario/template.hpp"

#include <filesystem>
#include <fstream>

#include "common/scenario/csv.hpp"
#include "common/scenario/loader.hpp"
#include "common/scenario/yaml_text.hpp"
#include "tests/catch.hpp"

using namespace wmlab::scenario;

namespace {

class Folder {
public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "wmlab-template-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder() { std::filesystem::remove_all(path); }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream{path / name, std::ios::binary} << text;
    }
    Loaded load(const std::string& text) const { return wmlab::scenario::load(text, "sites.yaml", path); }
    std::filesystem::path path;
};

const std::string head = R"(version: 1
zones:
  inside:  { subnet: 10.10.0.0/24 }
  outside: { subnet: 10.20.0.0/16 }
content: { lecture: { synthetic: audio } }
)";
const std::string hosts = "hosts:\n  media: { zone: inside, address: 10.10.0.10 }\n";

const std::string loop = R"(for_each:
  in: sites.csv
  hosts:
    "player-${site.name}": { zone: outside, address: "${site.address}" }
  flows:
    - { id: "udp-${site.name}", type: mms-udp, from: "player-${site.name}", to: media }
    - { id: "web-${site.name}", type: http, from: "player-${site.name}", to: media, port: "${site.port}" }
)";

std::string table(unsigned sites) {
    std::string text = "name,address,port\n";
    for (unsigned i = 1; i <= sites; ++i)
        text += "s" + std::to_string(i) + ",10.20." + std::to_string(i) + ".10," + std::to_string(8000 + i) + "\n";
    return text;
}

}  // namespace

TEST_CASE("fifty sites from one loop and a table", "[template]") {
    const Folder folder;
    folder.write("sites.csv", table(50));
    const auto loaded = folder.load(head + hosts + loop);
    CHECK(explain(loaded.problems) == "");
    CHECK(loaded.scenario.hosts.size() == 51);
    REQUIRE(loaded.scenario.flows.size() == 100);
    const auto& last = loaded.scenario.flows.back();
    CHECK(last.id == "web-s50");
    CHECK(last.port == 8050);
    CHECK(last.tag("site") == "s50");
    CHECK(last.tag("stream") == "web");
    // Simulators get one text and read the same.
    const auto again = load(loaded.expanded, "-", "/", Files::not_checked);
    CHECK(explain(again.problems) == "");
    CHECK(again.scenario.flows.size() == 100);
    CHECK(again.scenario.flows.back().id == last.id);
    CHECK(again.scenario.flows.back().tags == last.tags);
}

TEST_CASE("rows in place, plain texts, variables, a name of the loop's own, a shell's own dollar", "[template]") {
    const Folder folder;
    const auto loaded = folder.load("variables: { net: 10.20, third: \"${net}.3\" }\n" + head + hosts + R"(for_each:
  - in: [{ n: one, a: 1 }, { n: two, a: 2 }]
    as: branch
    hosts: { "pc-${branch.n}": { zone: outside, address: "${third}.${branch.a}" } }
  - in: [pc-one, pc-two]
    flows:
      - { id: "${site}-tcp", type: mms-tcp, from: "${site}", to: media, tags: nightly }
      - { id: "sh-${site}", type: command, from: "${site}", to: media, run: [sh, -c, "echo $${HOME}"] }
)");
    CHECK(explain(loaded.problems) == "");
    REQUIRE(loaded.scenario.flows.size() == 4);
    CHECK(loaded.scenario.host("pc-two")->address.text() == "10.20.3.2");
    CHECK(loaded.scenario.flows[0].tags == std::vector<std::string>{"nightly", "site=pc-one", "stream=tcp"});
    CHECK(loaded.scenario.flows[1].run.back() == "echo ${HOME}");
    CHECK(load(loaded.expanded, "-", "/", Files::not_checked).scenario.flows[1].run.back() == "echo ${HOME}");
}

TEST_CASE("a scenario without these keys is left alone, dollars and all", "[template]") {
    const Folder folder;
    const auto loaded =
        folder.load(head + hosts + "  player: { zone: outside, address: 10.20.0.10 }\nflows:\n" +
                    "  - { id: sh, type: command, from: player, to: media, run: [sh, -c, \"echo ${HOME}\"] }\n");
    CHECK(explain(loaded.problems) == "");
    CHECK(loaded.expanded.empty());
    CHECK(loaded.scenario.flows.front().run.back() == "echo ${HOME}");
}

TEST_CASE("included sections are added, what the file says itself wins", "[template]") {
    const Folder folder;
    folder.write(
        "base.yaml",
        head +
            "hosts:\n  media: { zone: inside, address: 10.10.0.99 }\n  spare: { zone: inside, address: 10.10.0.98 }\n" +
            "flows:\n  - { id: base, type: mms-tcp, from: player, to: media }\n");
    const auto loaded =
        folder.load("include: base.yaml\n" + hosts + "  player: { zone: outside, address: 10.20.0.10 }\n" +
                    "flows:\n  - { id: own, type: mms-tcp, from: player, to: media }\n");
    CHECK(explain(loaded.problems) == "");
    CHECK(loaded.scenario.host("media")->address.text() == "10.10.0.10");
    CHECK(loaded.scenario.hosts.size() == 3);
    CHECK(loaded.scenario.flows.size() == 2);
}

TEST_CASE("hosts of an Ansible inventory: the groups are zones", "[template]") {
    const Folder folder;
    folder.write("inventory.yaml", R"(all:
  children:
    inside: { hosts: { media: { ansible_host: 10.10.0.10 } } }
    outside:
      hosts:
        player: { ansible_host: 192.0.2.1, wmlab_address: 10.20.0.10 }
        edge: { ansible_host: 10.20.0.11 }
    printers: { hosts: { laser: { ansible_host: 10.30.0.1 } } }
)");
    const auto loaded =
        folder.load(head + "launch: [ssh, \"lab@{address}\", \"{host}\", \"{zone}\"]\nhosts_from: inventory.yaml\n" +
                    "hosts:\n  edge: { zone: outside, address: 10.20.0.99, launch: mine }\n" +
                    "flows:\n  - { id: own, type: mms-tcp, from: [player, edge], to: media }\n");
    CHECK(explain(loaded.problems) == "");
    REQUIRE(loaded.scenario.hosts.size() == 3);
    CHECK(loaded.scenario.host("player")->address.text() == "10.20.0.10");
    CHECK(loaded.scenario.host("player")->launch ==
          std::vector<std::string>{"ssh", "lab@10.20.0.10", "player", "outside"});
    CHECK(loaded.scenario.host("edge")->launch == std::vector<std::string>{"mine"});
    CHECK(loaded.scenario.host("edge")->address.text() == "10.20.0.99");
}

TEST_CASE("what is wrong in a template is said with its line and the row", "[template]") {
    struct Row {
        std::string name, text, table, says;
    };
    const auto row = GENERATE(values<Row>({
        {"an address of a row", head + hosts + loop, "name,address,port\na,10.20.0.1x,80\n", "sites.yaml:11:"},
        {"the row is named", head + hosts + loop, "name,address,port\nb,10.20.0.10,80\na,10.20.0.1x,80\n",
         "sites.csv:3)"},
        {"a column that is not there", head + hosts + loop, "name,addr,port\na,10.20.0.10,80\n",
         "(row sites.csv:2) `site.address`"},
        {"a suggestion for it", head + hosts + loop, "name,adress,port\na,10.20.0.10,80\n",
         "did you mean `site.adress`?"},
        {"too few fields", head + hosts + loop, "name,address,port\na,10.20.0.10\n",
         "sites.csv:2: 2 fields where the head has 3"},
        {"no rows", head + hosts + loop, "name,address,port\n", "a table without rows"},
        {"a quotation mark that is open", head + hosts + loop, "name,address,port\n\"a,10.20.0.10,80\n", "not closed"},
        {"two columns of one name", head + hosts + loop, "name,name,port\n", "two columns with the name"},
        {"no such table", head + hosts + loop, "", "no such table"},
        {"an unknown key", head + hosts + "for_each: { in: [a], hots: {} }\n", "", "did you mean `hosts`?"},
        {"a loop without rows", head + hosts + "for_each: { flows: [] }\n", "", "`for_each` has no `in`"},
        {"a file that includes itself", "include: self.yaml\n", "", "includes itself"},
        {"a file to include that is not there", "include: nowhere.yaml\n", "", "no such file to include"},
        {"a fault in an included file", "include: broken.yaml\n" + head + hosts, "", "broken.yaml:2:"},
        {"an inventory without zones", head + "hosts_from: sites.csv.yaml\n", "", "no such inventory"},
        {"a device log format", head + hosts + "firewall: { log: { format: asaa, from: x.log } }\n", "",
         "did you mean `asa`?"},
        {"a listener without a port", head + hosts + "firewall: { log: { format: asa, from: \"udp://1.2.3.4\" } }\n",
         "", "not a syslog listener"},
        {"a pattern that is missing", head + hosts + "firewall: { log: { format: regex, from: [cat, x] } }\n", "",
         "has no `pattern`"},
        {"a default launch of something else", head + "launch: ssh {adress}\n" + hosts, "",
         "there are {address}, {host} and {zone}"},
        {"a tag with a blank",
         head + hosts + "flows:\n - { id: a, type: mms-tcp, from: media, to: media, tags: \"a b\" }\n", "",
         "not a tag: `a b`"},
    }));
    DYNAMIC_SECTION(row.name) {
        const Folder folder;
        if (!row.table.empty()) folder.write("sites.csv", row.table);
        folder.write("self.yaml", "include: self.yaml\n");
        folder.write("broken.yaml", "hosts:\n  other: { zone: nowhere, address: 10.10.0.77 }\n");
        const auto said = explain(folder.load(row.text).problems);
        INFO(said);
        CHECK(said.find(row.says) != std::string::npos);
    }
}

TEST_CASE("tables: separators, quotation marks, comments, line ends", "[template]") {
    const auto csv = read_csv("\xEF\xBB\xBFname;what\r\n# no row\r\n\r\n\"a;b\";\"say \"\"hi\"\"\"\r\nc ; d\r\n");
    CHECK(csv.problem == "");
    REQUIRE(csv.rows.size() == 2);
    CHECK(csv.rows[0].fields == std::vector<std::string>{"a;b", "say \"hi\""});
    CHECK(csv.rows[0].line == 4);
    CHECK(csv.rows[1].fields == std::vector<std::string>{"c", "d"});
    CHECK(read_csv("").problem == "no head line");
    const std::string good = "a,b\n\"x\ny\",2\n";
    for (std::size_t size = 0; size <= good.size(); ++size) read_csv(std::string_view{good}.substr(0, size));
}
