// .reg files and what HKLM\SOFTWARE\Microsoft\Rpc\Internet means for the ports RPC hands out.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/bytes/utf16.hpp"
#include "common/rpc/port_registry.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::rpc;

namespace {

std::string file_text(const std::string& name) {
    std::ifstream in{std::string{WMLAB_SOURCE_DIR} + "/tests/vectors/dcom/reg/" + name, std::ios::binary};
    REQUIRE(in.good());
    return {std::istreambuf_iterator<char>{in}, {}};
}

InternetKey key(std::vector<std::string> ports, std::string available, std::string use) {
    InternetKey made;
    made.present = true;
    made.Ports = std::move(ports);
    made.PortsInternetAvailable = std::move(available);
    made.UseInternetPorts = std::move(use);
    return made;
}

}  // namespace

TEST_CASE("reg: files of regedit, Wine and Samba", "[rpc][reg]") {
    struct Row {
        std::string name;
        unsigned version;
        std::string ports;  // what a default process gets
        std::size_t count;  // strings in Ports
    };
    const auto row = GENERATE(values<Row>({
        {"regedit4_ports_3001-3010_135.reg", 4, "3001-3010", 2},
        {"samba_net_regedit4.reg", 4, "3001-3010", 2},
        {"samba_net_v5_ascii_hklm.reg", 5, "3001-3010", 2},
        {"wine_regedit5_ports_3001-3010_135.reg", 5, "3001-3010", 2},
        {"wine_regedit5_long_list_N_N.reg", 5, "1984 5000-5100 6000-6010 60000-60100", 6},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto octets = file_text(row.name);
        const auto read = read_reg(octets);
        for (const auto& problem : read.problems) UNSCOPED_INFO(problem.text());
        CHECK(read.ok());
        CHECK(read.file.version == row.version);
        const auto found = InternetKey::from(read.file);
        CHECK(found.present);
        REQUIRE(found.Ports.has_value());
        CHECK(found.Ports->size() == row.count);
        const auto ports = dynamic_ports(found);
        CHECK(ports.invalid == "");
        CHECK(text(ports.ranges) == row.ports);
        // Regedit's and Wine's own files come out as they went in.
        if (row.name.starts_with("wine") || row.name.starts_with("regedit4")) CHECK(write_reg(read.file) == octets);
        for (const unsigned version : {4U, 5U})
            CHECK(InternetKey::from(read_reg(write_reg(found.reg_file(version))).file) == found);
    }
}

TEST_CASE("reg: nonsense is said with its line", "[rpc][reg]") {
    struct Row {
        std::string name, body, problem;
    };
    const auto row = GENERATE(values<Row>({
        {"no header", "",
         "line 1: the first line is neither \"REGEDIT4\" nor \"Windows Registry Editor Version 5.00\""},
        {"a key without its bracket", "REGEDIT4\n\n[HKLM\\SOFTWARE\n", "line 3: a key without its closing bracket"},
        {"text that belongs nowhere", "REGEDIT4\nhello\n", "line 2: is no key, value or comment: hello"},
        {"a value before a key", "REGEDIT4\n\"a\"=\"b\"\n", "line 2: a value before the first key"},
        {"a name without its quote", "REGEDIT4\n[k]\n\"a=b\n", "line 3: a value's name without its closing quote"},
        {"a text without its quote", "REGEDIT4\n[k]\n\"a\"=\"b\n", "line 3: a text without its closing quote"},
        {"a text without its quote before more", "REGEDIT4\n[k]\n\"a\"=\"b\n\"c\"=\"d\"\n",
         "line 3: a text without its closing quote"},
        {"a text without its quote before a key", "REGEDIT4\n[k]\n\"a\"=\"b\n[HKEY_CLASSES_ROOT\\x]\n\"c\"=\"d\"\n",
         "line 3: a text without its closing quote"},
        {"no equals sign", "REGEDIT4\n[k]\n\"a\" b\n", "line 3: a value without \"=\" after its name"},
        {"data of no form", "REGEDIT4\n[k]\n\"a\"=12\n", "line 3: data of no known form: 12"},
        {"a bad dword", "REGEDIT4\n[k]\n\"a\"=dword:xyz\n", "line 3: dword: is followed by xyz, not by a hex number"},
        {"a bad hex octet", "REGEDIT4\n[k]\n\"a\"=hex(7):33,1234\n", "line 3: \"1234\" is no hex octet"},
        {"a bad hex octet in a continuation", "REGEDIT4\n[k]\n\"a\"=hex(7):33,\\\n  34,\\\n  zz\n",
         "line 5: \"zz\" is no hex octet"},
        {"a file that ends in a continuation", "REGEDIT4\n[k]\n\"a\"=hex(7):33,\\\n",
         "line 3: the file ends in a continued line"},
        {"half a character", "Windows Registry Editor Version 5.00\n[k]\n\"a\"=hex(7):33,00,00\n",
         "line 3: hex(7) has 3 octets, which are no whole UTF-16 characters"},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto read = read_reg(row.body);
        REQUIRE(read.problems.size() >= 1);
        CHECK(read.problems.front().text() == row.problem);
    }
}

TEST_CASE("reg: tolerated forms", "[rpc][reg]") {
    const std::string head = "REGEDIT4\n[hklm\\software\\MICROSOFT\\rpc\\Internet] ; comment\n";
    const auto ports_of = [](const std::string& text) {
        const auto read = read_reg(text);
        CHECK(read.ok());
        return InternetKey::from(read.file);
    };
    CHECK(ports_of(head + "\"ports\"=hex(7):33,30,30,31").Ports == std::vector<std::string>{"3001"});  // no final NUL
    CHECK(ports_of(head + "\"Ports\" = hex(7):33,30,30,31,00,\\\r\n  00 ; end\r\n").Ports ==
          std::vector<std::string>{"3001"});
    CHECK(ports_of(head + "\"Ports\"=hex(7):33,00,00\n\"Ports\"=-\n").Ports == std::nullopt);
    // An export of a whole hive: texts with line ends in them, before and behind what is looked for.
    CHECK(ports_of("REGEDIT4\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Other]\r\n\"Licence\"=\"first line\r\n\r\nsaid \\\"so\\\"\r\n"
                   "[not a key]\r\nlast\"\r\n@=\"\r\n\"\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Rpc\\Internet]\r\n"
                   "\"Ports\"=hex(7):33,30,30,31,00,00\r\n\"Text\"=\"a\r\nb\"\r\n")
              .Ports == std::vector<std::string>{"3001"});
    CHECK(ports_of("REGEDIT4\r\r[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Rpc\\Internet]\r\"Ports\"=hex(7):33,30,30,31,00,00\r")
              .Ports == std::vector<std::string>{"3001"});
    CHECK_FALSE(
        ports_of(head + "\"Ports\"=hex(7):33,00,00\n[-HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Rpc]\n").present);
    CHECK_FALSE(ports_of(head + "[-HKLM\\SOFTWARE]\n").present);
    CHECK(ports_of(head + "[-HKLM\\SOFTWARE\\Other]\n").present);
    CHECK(dynamic_ports(ports_of(head + "\"Ports\"=\"3001\"\n")).invalid == "Ports is not a REG_MULTI_SZ");
    // UTF-16 without its mark
    std::string wide;
    for (const char16_t unit : bytes::to_utf16(head + "\"UseInternetPorts\"=\"y\"\n")) {
        wide.push_back(static_cast<char>(unit));
        wide.push_back('\0');
    }
    CHECK(ports_of(wide).UseInternetPorts == "y");
}

TEST_CASE("reg: texts of several lines hold whatever a file of this kind is made of", "[rpc][reg]") {
    const std::string key = "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Rpc\\Internet]";
    const std::vector<std::string> lines = {"",
                                            ";no comment",
                                            "[HKEY_LOCAL_MACHINE]",
                                            "[HKEY_CURRENT_USER\\\\Software\\\\X]",
                                            "[-HKEY_LOCAL_MACHINE\\\\SOFTWARE]",
                                            "\\\"Ports\\\"=hex(7):34,30,30,31,00,00",
                                            "@=\\\"x\\\"",
                                            "REGEDIT4",
                                            "dword:1",
                                            "a\\\\",
                                            "[HKEY_LOCAL_MACHINE\\\\SOFTWARE\\\\Microsoft\\\\Rpc\\\\Internet]"};
    for (const auto& first : lines)
        for (const auto& second : lines) {
            const std::string text = "=\"" + first + "\r\n" + second + "\r\n\"\r\n";
            const auto read = read_reg("REGEDIT4\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Other]\r\n\"A\"" + text + "@" + text + key + "\r\n\"B\"" + text +
                                       "\"Ports\"=hex(7):33,30,30,31,00,00\r\n\"C\"" + text);
            INFO(first << " | " << second);
            CHECK(read.ok());
            CHECK(InternetKey::from(read.file).Ports == std::vector<std::string>{"3001"});
            REQUIRE(read.file.keys.size() == 2);
            CHECK(read.file.keys[0].values.size() == 2);
            CHECK(read.file.keys[1].values.size() == 3);
        }
}

TEST_CASE("ports: every combination of the three values", "[rpc][reg]") {
    struct Row {
        std::string available, use;
        bool internet, intranet, standard;  // inside 1500-1509?
    };
    const auto row = GENERATE(values<Row>({{"Y", "Y", true, false, true},
                                           {"Y", "N", true, false, false},
                                           {"N", "Y", false, true, false},
                                           {"n", "n", false, true, true}}));
    DYNAMIC_SECTION("available " << row.available << ", use " << row.use) {
        const auto registry = key({"1500-1509"}, row.available, row.use);
        const std::string inside = "1500-1509", outside = "1024-1499 1510-5000";
        CHECK(text(dynamic_ports(registry, PortPolicy::internet).ranges) == (row.internet ? inside : outside));
        CHECK(text(dynamic_ports(registry, PortPolicy::intranet).ranges) == (row.intranet ? inside : outside));
        CHECK(text(dynamic_ports(registry, PortPolicy::standard).ranges) == (row.standard ? inside : outside));
    }
}

TEST_CASE("ports: whole or nothing", "[rpc][reg]") {
    struct Row {
        std::string name;
        InternetKey registry;
        std::string invalid;
    };
    auto without_ports = key({}, "Y", "Y");
    without_ports.Ports.reset();
    auto without_use = key({"3001"}, "Y", "Y");
    without_use.UseInternetPorts.reset();
    const auto row = GENERATE_COPY(values<Row>({
        {"no Ports", without_ports, "Ports is missing"},
        {"no UseInternetPorts", without_use, "UseInternetPorts is missing"},
        {"neither Y nor N", key({"3001"}, "yes", "Y"), "PortsInternetAvailable is \"yes\", not Y or N"},
        {"blanks, as DCOMCNFG wrote them", key({"3001", "4000 - 4010"}, "Y", "Y"),
         "Ports holds \"4000 - 4010\", which is no port and no range of ports"},
        {"above 65535", key({"65530-65536"}, "Y", "Y"),
         "Ports holds \"65530-65536\", which is no port and no range of ports"},
        {"reversed", key({"3010-3001"}, "Y", "Y"), "Ports holds \"3010-3001\", which is no port and no range of ports"},
        {"negative", key({"-5"}, "Y", "Y"), "Ports holds \"-5\", which is no port and no range of ports"},
        {"empty", key({""}, "Y", "Y"), "Ports holds \"\", which is no port and no range of ports"},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto ports = dynamic_ports(row.registry);
        CHECK(ports.invalid == row.invalid);
        CHECK(ports.ranges.empty());
    }
}

TEST_CASE("ports: overlapping ranges, 0 and the mapper's own port", "[rpc][reg]") {
    CHECK(text(dynamic_ports(key({"3005-3010", "3001-3006", "135", "3011"}, "Y", "Y")).ranges) == "3001-3011");
    CHECK(text(dynamic_ports(key({"0-200"}, "Y", "Y")).ranges) == "1-134 136-200");
    CHECK(text(dynamic_ports(key({"0-65535"}, "Y", "Y")).ranges) == "1-134 136-65535");
    CHECK(text(dynamic_ports({}).ranges) == "1024-5000");
    CHECK(size(dynamic_ports({}).ranges) == 3977);
    CHECK(dynamic_ports(key({"0"}, "Y", "Y")).ranges.empty());
}

TEST_CASE("ports: lists as scenarios write them", "[rpc][reg]") {
    std::string problem;
    CHECK(text(port_ranges_from("3001-3010 135", problem).value()) == "135 3001-3010");
    CHECK(text(port_ranges_from("135, 3001", problem).value()) == "135 3001");
    for (const std::string bad : {"", "0", "3010-3001", "65536", "a", "3001-", "-3001", "3001--3002"}) {
        INFO(bad);
        problem.clear();
        CHECK_FALSE(port_ranges_from(bad, problem).has_value());
        CHECK_FALSE(problem.empty());
    }
}
