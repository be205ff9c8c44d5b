#include "common/msb/nsc.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "common/asf/synthesiser.hpp"
#include "common/msb/encoded_block.hpp"
#include "tests/common/asf/tools.hpp"

using namespace wmlab;
using namespace wmlab::msb;

namespace {

std::string file_text(const std::string& name) {
    const auto bytes = tests::read_file(std::filesystem::path{WMLAB_SOURCE_DIR} / "tests/vectors/msb" / name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Station full_station() {
    Station station;
    station.name = "Zürich, lecture";
    station.multicast_adapter = "10.10.0.10";
    station.ip_address = "239.255.255.255";
    station.ip_port = 65000;
    station.time_to_live = 5;
    station.default_ecc = 10;
    station.log_url = "http://media/log";
    station.unicast_url = "mms://media/lecture";
    station.allow_splitting = true;
    station.allow_caching = false;
    station.cache_expiration_time = 86400;
    station.network_buffer_time = 500;
    const auto tone = asf::Synthesiser::make({}).value();
    asf::SyntheticOptions options;
    options.bitrates = {300000};
    const auto other = asf::Synthesiser::make(options).value();
    station.formats = {{1, tone->header(), "tone"}, {2047, other->header(), ""}};
    return station;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

// The value of a property in a station file.
std::string line_of(const std::string& text, const std::string& name) {
    const auto at = text.find(name + "=");
    REQUIRE(at != std::string::npos);
    return text.substr(at, text.find("\r\n", at) - at);
}

std::vector<std::string> texts(const std::vector<NscProblem>& problems) {
    std::vector<std::string> out;
    for (const auto& problem : problems) out.push_back(problem.text("x.nsc"));
    return out;
}

}  // namespace

TEST_CASE("the reference station file: every property, and written again to the same bytes", "[msb]") {
    const auto text = file_text("ref_station.nsc");
    const auto reading = read_nsc(text);
    CHECK(texts(reading.errors).empty());
    CHECK(texts(reading.warnings).empty());
    REQUIRE(reading.station);
    const auto& station = *reading.station;
    CHECK(station.name == "REFSERVER, station1");
    CHECK(station.ip_address == "239.192.48.179");
    CHECK(station.ip_port == 19009);
    CHECK(station.time_to_live == 5U);
    CHECK(station.default_ecc == 0U);
    CHECK(station.log_url.empty());
    CHECK(station.unicast_url.empty());
    CHECK(station.allow_splitting == true);
    CHECK(station.allow_caching == true);
    CHECK(station.cache_expiration_time == 86400U);
    CHECK(station.network_buffer_time == 1000U);
    REQUIRE(station.formats.size() == 1);
    CHECK(station.formats[0].id == 1);
    CHECK(station.formats[0].description == "reference tone");
    CHECK(station.formats[0].header.raw.size() == 430);
    CHECK(station.formats[0].header.packet_size == 828);
    CHECK(write_nsc(station) == text);
}

TEST_CASE("what is written is read back, all properties or only those needed", "[msb]") {
    auto station = full_station();
    SECTION("all") {}
    SECTION("only those needed") {
        Station least;
        least.ip_address = "224.0.0.1";
        least.ip_port = 1;
        least.formats = {station.formats[0]};
        least.formats[0].description.clear();
        station = least;
    }
    const auto reading = read_nsc(write_nsc(station));
    CHECK(texts(reading.errors).empty());
    CHECK(texts(reading.warnings).empty());
    CHECK(reading.station == station);
}

TEST_CASE("VLC reads every property that is written", "[msb]") {
    const tests::Folder folder;
    const auto text = write_nsc(full_station());
    tests::write_file(folder / "station.nsc", std::as_bytes(std::span{text}));
    REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
    // VLC refuses to run as root, and exits with 1 on Windows Media multicast, which it cannot play.
    const std::string as_nobody = ::geteuid() == 0 ? "runuser -u nobody -- " : "";
    const auto output = tests::output_of("{ " + as_nobody + "env HOME='" + folder.path().string() +
                                         "' timeout 60 cvlc -vv --no-dbus --play-and-exit '" +
                                         (folder / "station.nsc").string() + "' 2>&1; true; }");
    for (const std::string line :
         {"Name = Zürich, lecture", "NSC Format Version = 3.0", "Multicast Adapter = 10.10.0.10",
          "IP Address = 239.255.255.255", "IP Port = 65000", "Time To Live = 5", "Default Ecc = 10",
          "Log URL = http://media/log", "Unicast URL = mms://media/lecture", "Allow Splitting = 1", "Allow Caching = 0",
          "Cache Expiration Time = 86400", "Network Buffer Time = 500", "Format1 = asf header", "Description1 = tone",
          "Format2 = asf header"}) {
        INFO(line);
        CHECK(output.find("nsc demux debug: " + line + "\n") != std::string::npos);
    }
}

TEST_CASE("odd station files are read, and what was odd is said", "[msb]") {
    const auto good = file_text("ref_station.nsc");
    const auto station = read_nsc(good).station;
    struct Row {
        std::string name, text;
        std::vector<std::string> warnings;
    };
    const auto format = line_of(good, "Format1").substr(8);
    const std::vector<Row> rows = {
        {"bare line feeds",
         [&] {
             auto t = good;
             std::erase(t, '\r');
             return t;
         }(),
         {}},
        {"bare carriage returns",
         [&] {
             auto t = good;
             std::erase(t, '\n');
             return t;
         }(),
         {}},
        {"no last line end", good.substr(0, good.size() - 2), {}},
        {"a byte order mark", "\xEF\xBB\xBF" + good, {}},
        {"blanks and empty lines", replaced(good, "IP Port=", "\r\n\t\r\n  IP Port \t= "), {}},
        {"names in small letters", replaced(replaced(good, "[Address]", "[address]"), "IP Port", "ip port"), {}},
        {"texts not encoded", replaced(good, line_of(good, "IP Address"), "IP Address=239.192.48.179"), {}},
        {"properties of Windows 2000 Server", replaced(good, "Log URL", "Player URL=x\r\nNSC URL=y\r\nLog URL"), {}},
        {"an order of its own",
         replaced(replaced(good, "IP Port=0x00004A41\r\n", ""), "[Formats]", "IP Port=0x00004A41\r\n[Formats]"),
         {}},
        {"formats before the address",
         "[Formats]\r\n" + line_of(good, "Description1") + "\r\nFormat1=" + format + "\r\n" +
             good.substr(0, good.find("[Formats]")),
         {}},
        {"a port in decimal digits",
         replaced(good, "0x00004A41", "19009"),
         {"x.nsc:5: IP Port: `19009` is taken as a decimal number (0x and 8 hex digits are usual)"}},
        {"a text edited by hand: the checksum is another's",
         replaced(good, "Log URL=020W", "Log URL=024W"),
         {"x.nsc:8: Log URL: has the checksum of another text; the text is used"}},
        {"characters outside ASCII",
         replaced(good, line_of(good, "Log URL"), "Log URL=\xFF"),
         {"x.nsc:8: Log URL: has characters outside ASCII, taken as UTF-8"}},
        {"what nobody knows",
         replaced(good, "Log URL", "Moon Phase=full\r\nLog URL"),
         {"x.nsc:8: Moon Phase: is unknown and left out"}},
        {"an unknown section and a line that is none",
         good + "[Advertising]\r\nBuy=now\r\n[Formats]\r\nhello\r\n",
         {"x.nsc:17: the section [Advertising] is unknown and left out",
          "x.nsc:20: is neither a section nor a property and left out"}},
        {"a property twice",
         replaced(good, "Default Ecc", "IP Port=0x00000050\r\nDefault Ecc"),
         {"x.nsc:7: IP Port: is given again; the first one counts"}},
    };
    for (const auto& row : rows) {
        INFO(row.name);
        const auto reading = read_nsc(row.text);
        CHECK(texts(reading.errors).empty());
        CHECK(texts(reading.warnings) == row.warnings);
        auto found = reading.station;
        REQUIRE(found);
        if (found->log_url == "\xEF\xBF\xBD") found->log_url.clear();
        CHECK(found == station);
    }
    SECTION("a number that is none is left out where it is not needed") {
        const auto reading = read_nsc(replaced(good, "Time To Live=0x00000005", "Time To Live=five"));
        CHECK(texts(reading.warnings) ==
              std::vector<std::string>{
                  "x.nsc:6: Time To Live: `five` is no number (0x and 8 hex digits); it is left out"});
        CHECK_FALSE(reading.station.value().time_to_live.has_value());
    }
    SECTION("the number of a format where its Key says none") {
        const EncodedBlock block{0, station->formats[0].header.raw};
        const auto reading = read_nsc(replaced(good, format, block.encode()));
        CHECK(reading.station.value().formats.at(0).id == 1);
        CHECK(reading.warnings.size() == 1);
    }
}

TEST_CASE("a station file that cannot be used: every error, with its line", "[msb]") {
    const auto good = file_text("ref_station.nsc");
    const auto header = read_nsc(good).station.value().formats[0].header.raw;
    const auto format_line = line_of(good, "Format1");
    struct Row {
        std::string name, text;
        std::vector<std::string> errors;
    };
    const std::vector<Row> rows = {
        {"empty", "", {"x.nsc: there is no [Address] section: this is no station file"}},
        {"a web page", "<html>not found</html>\n", {"x.nsc: there is no [Address] section: this is no station file"}},
        {"nothing in it",
         "[Address]\r\n[Formats]\r\n",
         {"x.nsc: IP Address: is missing", "x.nsc: IP Port: is missing",
          "x.nsc: there is no Format1 in a section [Formats]"}},
        {"no multicast group",
         replaced(good, line_of(good, "IP Address"), "IP Address=10.0.0.1"),
         {"x.nsc:4: IP Address: 10.0.0.1 is no multicast group (use 224.0.0.1 to 239.255.255.255)"}},
        {"no address",
         replaced(good, line_of(good, "IP Address"), "IP Address=media.example"),
         {"x.nsc:4: IP Address: media.example is no IPv4 address"}},
        {"an address of five numbers",
         replaced(good, line_of(good, "IP Address"), "IP Address=239.1.2.3.4"),
         {"x.nsc:4: IP Address: 239.1.2.3.4 is no IPv4 address"}},
        {"an empty address",
         replaced(good, line_of(good, "IP Address"), "IP Address=020W0000000002000"),
         {"x.nsc:4: IP Address: is empty"}},
        {"an encoded address cut short",
         replaced(good, line_of(good, "IP Address"), "IP Address=020G000000000UCW0p03a0"),
         {"x.nsc:4: IP Address: Length at offset 5: is 30 bytes, the text holds 6"}},
        {"port 0 and a bad group",
         replaced(replaced(good, "0x00004A41", "0x00000000"), line_of(good, "IP Address"), "IP Address=1"),
         {"x.nsc:4: IP Address: 1 is no IPv4 address", "x.nsc:5: IP Port: 0 is no port (use 1 to 65535)"}},
        {"port 65536",
         replaced(good, "0x00004A41", "0x00010000"),
         {"x.nsc:5: IP Port: 65536 is no port (use 1 to 65535)"}},
        {"a port that is no number",
         replaced(good, "0x00004A41", "http"),
         {"x.nsc:5: IP Port: `http` is no number (0x and 8 hex digits)"}},
        {"a damaged format",
         replaced(good, "Format1=023W", "Format1=024W"),
         {"x.nsc:15: Format1: is damaged: its checksum is not that of its bytes"}},
        {"a format cut short",
         good.substr(0, good.find("Format1") + 300),
         {"x.nsc:15: Format1: Length at offset 5: is 430 bytes, the text holds 208"}},
        {"a format that is not encoded",
         replaced(good, format_line, "Format1=3026b275"),
         {"x.nsc:15: Format1: encoded-block at offset 0: does not start with 02"}},
        {"a format that is no ASF header",
         replaced(good, format_line, "Format1=" + EncodedBlock{1, std::vector<std::byte>(430)}.encode()),
         {"x.nsc:15: Format1: holds no ASF header: Object ID at offset 0: is not that of an ASF header"}},
        {"a Format ID of 12 bits",
         replaced(good, format_line, "Format9999=" + EncodedBlock{0x800, header}.encode()),
         {"x.nsc:15: Format9999: has the Format ID 2048 (use 1 to 2047)"}},
        {"two formats of one ID",
         good + "Format2=" + format_line.substr(8) + "\r\n",
         {"x.nsc:17: Format2: has the Format ID 1 of another format"}},
    };
    for (const auto& row : rows) {
        INFO(row.name);
        const auto reading = read_nsc(row.text);
        CHECK(texts(reading.errors) == row.errors);
        CHECK_FALSE(reading.station.has_value());
    }
    CHECK(read_nsc(std::string(station_file_size_max + 1, ' ')).errors.at(0).problem ==
          "the file has 8388609 bytes, more than 8 MiB");
    CHECK(read_nsc([] {
              std::string many = "[Formats]\n";
              for (int i = 0; i < 100000; ++i) many += "Format1=x\n";
              return many;
          }())
              .errors.size() == 100);
}

TEST_CASE("the example of the specification, texts plain", "[msb]") {
    const auto format = line_of(file_text("ref_station.nsc"), "Format1");
    const auto reading = read_nsc(
        "[Address]\r\nName=MY_COMPUTER, bpp\r\nNSC Format Version=3.0\r\nMulticast Adapter=157.55.149.102\r\n"
        "IP Address=239.192.48.179\r\nIP Port=0x00004A41\r\nTime To Live=0x00000020\r\nDefault Ecc=0x0000000A\r\nLog URL=\r\n"
        "Unicast URL=\r\nAllow Splitting=0x00000001\r\nAllow Caching=0x00000001\r\nCache Expiration Time=0x00015180\r\n"
        "Network Buffer Time=0x000001F4\r\n[Formats]\r\n" +
        format + "\r\nDescription1=Windows Media Audio Stream\r\n");
    CHECK(texts(reading.warnings).empty());
    REQUIRE(reading.station);
    CHECK(reading.station->name == "MY_COMPUTER, bpp");
    CHECK(reading.station->multicast_adapter == "157.55.149.102");
    CHECK(reading.station->default_ecc == 10U);
    CHECK(reading.station->formats[0].description == "Windows Media Audio Stream");
}

TEST_CASE("a long line is one property", "[msb]") {
    auto station = full_station();
    auto& raw = station.formats[0].header.raw;
    // A header with 300 KiB of Padding Object in its Header Extension is none we make: so pad the header with an
    // unknown object.
    std::vector<std::byte> object(300 << 10);
    object[16] = std::byte{0x00}, object[17] = std::byte{0xB0}, object[18] = std::byte{0x04};
    raw.insert(raw.begin() + 30, object.begin(), object.end());
    const auto size = raw.size() - 50;
    for (std::size_t i = 0; i < 4; ++i) raw[16 + i] = static_cast<std::byte>(size >> (8 * i) & 0xFF);
    station.formats[0].header = asf::Header::parse(raw).value();
    CHECK(read_nsc(write_nsc(station)).station == station);
}

TEST_CASE("every shorter station file and every byte changed does no harm", "[msb]") {
    const auto good = file_text("ref_station.nsc");
    std::size_t stations = 0;
    for (std::size_t size = 0; size < good.size(); ++size) stations += read_nsc(good.substr(0, size)).station ? 1U : 0U;
    CHECK(stations > 0);  // only the description is missing
    CHECK(stations < 80);
    for (std::size_t at = 0; at < good.size(); ++at) {
        auto damaged = good;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
        const auto reading = read_nsc(damaged);
        CHECK(reading.station.has_value() == reading.errors.empty());
    }
}

TEST_CASE("what keeps a station from being written", "[msb]") {
    auto station = full_station();
    CHECK(problems_of(station).empty());
    station.ip_address = "10.1.2.3";
    station.ip_port = 0;
    station.multicast_adapter = "eth0";
    station.formats[1].id = 1;
    CHECK(texts(problems_of(station)) ==
          std::vector<std::string>{
              "x.nsc: IP Address: 10.1.2.3 is no multicast group (use 224.0.0.1 to 239.255.255.255)",
              "x.nsc: IP Port: 0 is no port (use 1 to 65535)", "x.nsc: Multicast Adapter: eth0 is no IPv4 address",
              "x.nsc: Format2: has the Format ID 1 of another format"});
}
