// Stations on loopback: server_sim sends, client_sim receives a flow, GROUP:PORT, a station file or its URL.
#include <boost/asio/ip/multicast.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/asf/file.hpp"
#include "common/msb/nsc.hpp"
#include "common/msb/packet.hpp"
#include "tests/catch.hpp"
#include "tests/client_sim/lab.hpp"

using namespace wmlab;
using namespace wmlab::tests;

namespace {

// A group and port of its own for each test of each process.
struct Place {
    std::string group, port;
    std::string text() const { return group + ":" + port; }
};
Place new_place() {
    static unsigned next = 0;
    const auto pid = static_cast<unsigned>(::getpid());
    return {"239." + std::to_string(pid >> 8 & 255) + "." + std::to_string(pid & 255) + "." + std::to_string(++next),
            "20080"};
}

scenario::Flow station_flow(const Place& place) {
    auto out = flow("station", scenario::FlowType::multicast);
    out.from = {"media"};
    out.to = {"player"};
    out.group = *scenario::Ipv4::from(place.group);
    out.port = 20080;
    return out;
}

Sim station_server(asio::io_context& io, const std::string& station, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--bind", "127.0.0.1", "--mms-port", "0", "--http-port", "0", "--content",
                             "clip=synthetic:256k:300ms", "--station", station});
    return Sim{io, "media", "server_sim", server_sim::options(), more, server_sim::make};
}

Sim station_player(asio::io_context& io, const std::string& url, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--url", url, "--interface", "127.0.0.1"});
    return Sim{io, "here", "client_sim", client_sim::options(), more, client_sim::make};
}

void stop_it(asio::io_context& io, Sim& server) {
    server.stop();
    REQUIRE(run_until(io, [&] { return server.ended(); }));
}

struct Folder {
    std::filesystem::path path = "/tmp/wmlab-stations-" + std::to_string(::getpid());
    Folder() { std::filesystem::create_directory(path); }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string file(const std::string& name) const { return path / name; }
    std::string write(const std::string& name, const std::string& text) const {
        std::ofstream{path / name, std::ios::binary} << text;
        return path / name;
    }
    std::string read(const std::string& name) const {
        std::ifstream in{path / name, std::ios::binary};
        return {std::istreambuf_iterator<char>{in}, {}};
    }
};

// What arrived is what was sent, and nothing between is missing.
void check_received(const Sim& client, const Sim& server) {
    const auto received = client.events(What::media_ended), sent = server.events(What::media_ended);
    REQUIRE(received.size() == 1);
    REQUIRE(sent.size() == 1);
    CHECK(received[0].fields.at("lost").as_array().empty());
    std::map<std::uint64_t, std::uint64_t> theirs;
    for (const auto& pair : sent[0].fields.at("digests").as_array())
        theirs[pair.as_array()[0].to_number<std::uint64_t>()] = pair.as_array()[1].to_number<std::uint64_t>();
    const auto& mine = received[0].fields.at("digests").as_array();
    CHECK(!mine.empty());
    for (const auto& pair : mine)
        CHECK(theirs.at(pair.as_array()[0].to_number<std::uint64_t>()) ==
              pair.as_array()[1].to_number<std::uint64_t>());
}

// Sends what a test wants to the group, from a loopback address.
class GroupStranger {
public:
    GroupStranger(asio::io_context& io, const Place& place, const char* address)
        : socket_{net::bind_udp(io.get_executor(), {asio::ip::make_address_v4(address), 0}).value()},
          to_{asio::ip::make_address_v4(place.group), static_cast<std::uint16_t>(std::stoul(place.port))} {
        socket_.socket().set_option(asio::ip::multicast::outbound_interface{asio::ip::make_address_v4("127.0.0.1")});
    }
    void send(std::span<const std::byte> datagram) { REQUIRE(socket_.send_to(to_, datagram)); }
    void send(std::string_view text) { send(std::as_bytes(std::span{text})); }

private:
    net::DatagramSocket socket_;
    net::udp::endpoint to_;
};

}  // namespace

TEST_CASE("multicast: a flow's media arrives whole at the group, from a sender with its TTL", "[client_sim]") {
    const auto place = new_place();
    auto station = station_flow(place);
    station.ttl = 7;
    station.content = GENERATE("lecture", "clip");  // live; stored, which goes round
    station.play = 700ms;
    Lab lab{{station}};
    lab.client.prepare(), lab.server->prepare();
    lab.client.start(), lab.server->start();
    REQUIRE(run_until(lab.io, [&] { return lab.client.ended(); }));
    stop_it(lab.io, *lab.server);
    CHECK(lab.client.code() == 0);
    CHECK(text(lab.end_of("station"), "outcome") == "worked");
    check_received(lab.client, *lab.server);
    const auto joined = lab.client.events(What::announced, "station"),
               started = lab.server->events(What::media_started);
    REQUIRE(joined.size() == 1);
    CHECK(joined[0].leg == "join");
    CHECK(joined[0].local == place.text());
    REQUIRE(started.size() == 1);
    CHECK(started[0].leg == "media");
    CHECK(started[0].remote == place.text());
    CHECK(number(started[0], "ttl") == 7);
}

TEST_CASE("multicast: a machine that stood still: what stopped coming is not called enough", "[client_sim]") {
    const auto place = new_place();
    auto station = station_flow(place);
    station.play = 300ms;
    Lab lab{{station}};
    lab.client.prepare(), lab.server->prepare();
    lab.client.start(), lab.server->start();
    REQUIRE(run_until(lab.io, [&] { return !lab.client.events(What::media_started).empty(); }));
    std::this_thread::sleep_for(700ms);  // both ends run in this thread
    REQUIRE(run_until(lab.io, [&] { return lab.client.ended(); }));
    stop_it(lab.io, *lab.server);
    CHECK(text(lab.end_of("station"), "outcome") == "worked");
    check_received(lab.client, *lab.server);
    const auto received = lab.client.events(What::media_ended);
    CHECK(number(received[0], "longest_gap") >= 500);
    CHECK(number(received[0], "last_gap") < 500);
}

TEST_CASE("multicast: silence ends the flow after its deadline, and is told", "[client_sim]") {
    const auto place = new_place();
    auto station = station_flow(place);
    station.deadline = 100ms;
    Lab lab{{station}, false};
    REQUIRE(lab.play());
    CHECK(lab.client.code() == 1);
    CHECK(lab.client.events(What::media_silent).size() == 1);
    CHECK(lab.client.events(What::media_ended).empty());
    CHECK_THAT(text(lab.end_of("station"), "reason"), contains("nothing arrived at " + place.text()));
}

TEST_CASE("a station file, by name and over HTTP: played and saved packet for packet", "[client_sim]") {
    const Folder folder;
    asio::io_context io{1};
    const auto place = new_place();
    auto server = station_server(io, "clip=" + place.text() + ",ttl=0", {"--nsc-out", folder.file("clip.nsc")});
    const bool over_http = GENERATE(false, true);
    server.prepare();  // its port is needed; the stream waits for start()
    const auto url =
        over_http ? "http://127.0.0.1:" + std::to_string(server.port("http")) + "/clip.nsc" : folder.file("clip.nsc");
    auto client = station_player(io, url, {"--duration", "0.25", "--save", folder.file("got.asf")});
    client.prepare(), client.start();
    REQUIRE(run_until(io, [&] { return client.has(What::announced) || client.ended(); }));
    server.start();
    REQUIRE(run_until(io, [&] { return client.ended(); }));
    stop_it(io, server);
    CHECK(client.code() == 0);
    check_received(client, server);
    CHECK(text(client.events(What::media_ended)[0], "header_digest") ==
          text(server.events(What::media_ended)[0], "header_digest"));
    CHECK(number(client.events(What::media_ended)[0], "damaged") == 0);
    const auto saved = asf::File::open(folder.file("got.asf"));
    REQUIRE(saved.has_value());
    CHECK((*saved)->packet_count() ==
          static_cast<std::uint64_t>(number(client.events(What::media_ended)[0], "packets")));
}

TEST_CASE("the station file says what the server sends", "[client_sim]") {
    const Folder folder;
    asio::io_context io{1};
    auto server = station_server(io, "clip=239.192.1.2:65000,ttl=9,unicast=mms://elsewhere/clip",
                                 {"--nsc-out", folder.file("clip.nsc")});
    const auto reading = msb::read_nsc(folder.read("clip.nsc"));
    REQUIRE(reading.station.has_value());
    CHECK(reading.warnings.empty());
    CHECK(reading.station->ip_address == "239.192.1.2");
    CHECK(reading.station->ip_port == 65000);
    CHECK(reading.station->time_to_live == 9U);
    CHECK(reading.station->unicast_url == "mms://elsewhere/clip");
    CHECK(reading.station->formats.size() == 1);
}

TEST_CASE("a group that stays silent: rolled over to the station's unicast URL, or failed", "[client_sim]") {
    const Folder folder;
    asio::io_context io{1};
    const auto place = new_place();
    auto server = station_server(io, "clip=" + new_place().text() + ",ttl=0", {"--nsc-out", folder.file("clip.nsc")});
    server.prepare(), server.start();
    auto station = *msb::read_nsc(folder.read("clip.nsc")).station;
    station.ip_address = place.group;
    const bool has_unicast = GENERATE(true, false);
    station.unicast_url =
        has_unicast ? "mmst://127.0.0.1:" + std::to_string(server.port("control")) + "/clip" : std::string{};
    auto client = station_player(io, folder.write("silent.nsc", msb::write_nsc(station)), {"--deadline", "0.3"});
    client.prepare(), client.start();
    REQUIRE(run_until(io, [&] { return client.ended(); }));
    CHECK(client.code() == (has_unicast ? 0 : 1));
    CHECK(client.events(What::media_silent).size() == 1);
    CHECK(client.events(What::media_ended).size() == (has_unicast ? 1 : 0));
    stop_it(io, server);
}

TEST_CASE("foreign datagrams and a second station on the group are counted, not played", "[client_sim]") {
    asio::io_context io{1};
    const auto place = new_place();
    auto server = station_server(io, "clip=" + place.text() + ",ttl=0");
    auto client = station_player(io, place.text(), {"--duration", "0.5"});
    server.prepare();
    client.prepare(), client.start();
    REQUIRE(run_until(io, [&] { return client.has(What::announced); }));
    GroupStranger noise{io, place, "127.0.0.2"}, rival{io, place, "127.0.0.3"};
    server.start();
    REQUIRE(run_until(io, [&] { return client.has(What::media_started); }));
    noise.send("no MSB packet at all");
    noise.send("");
    noise.send(std::string(60'000, 'x'));
    const std::vector<std::byte> packet(200, std::byte{0x82});
    for (std::uint32_t id = 0; id < 20; ++id) rival.send(msb::Packet{id, 1, packet}.serialise());
    REQUIRE(run_until(io, [&] { return client.ended(); }));
    stop_it(io, server);
    CHECK(client.code() == 0);
    check_received(client, server);
    CHECK(number(client.events(What::media_ended)[0], "foreign") == 23);
}

TEST_CASE("a damaged station file is refused in a sentence", "[client_sim]") {
    const Folder folder;
    asio::io_context io{1};
    auto server = station_server(io, "clip=239.192.1.2:8080", {"--nsc-out", folder.file("good.nsc")});
    const auto good = folder.read("good.nsc");
    const auto format = good.find("Format1=") + 30;
    struct Row {
        std::string name, text;
    };
    auto bad_checksum = good;
    bad_checksum[format] = bad_checksum[format] == 'A' ? 'B' : 'A';
    const auto row = GENERATE_COPY(values<Row>({
        {"a Format with a bad checksum", bad_checksum},
        {"cut in the middle", good.substr(0, good.size() / 2)},
        {"empty", ""},
        {"no station file", "<html>404</html>"},
        {"huge", std::string(10U << 20, 'x')},
    }));
    DYNAMIC_SECTION(row.name) {
        auto client = station_player(io, folder.write("bad.nsc", row.text));
        client.prepare(), client.start();
        REQUIRE(run_until(io, [&] { return client.ended(); }));
        CHECK(client.code() == 1);
        CHECK_FALSE(client.has(What::announced));
        CHECK_THAT(text(client.events(What::flow_ended).at(0), "reason"), contains("bad.nsc"));
    }
}

TEST_CASE("a station file that nobody serves is told with its URL and the reason", "[client_sim]") {
    asio::io_context io{1};
    // A port that was free a moment ago and is not listened on.
    asio::ip::tcp::acceptor free{io, {asio::ip::make_address_v4("127.0.0.1"), 0}};
    const auto url = "http://127.0.0.1:" + std::to_string(free.local_endpoint().port()) + "/x.nsc";
    free.close();
    auto client = station_player(io, url);
    client.start();
    REQUIRE(run_until(io, [&] { return client.ended(); }));
    CHECK(client.code() == 1);
    CHECK(text(client.events(What::flow_ended).at(0), "reason") == url + " cannot be had: Connection refused");
}

TEST_CASE("groups, ports and options out of range are usage errors", "[client_sim]") {
    asio::io_context io{1};
    for (const auto* station : {"clip=224.0.0.0:8080", "clip=223.255.255.255:8080", "clip=240.0.0.1:8080",
                                "clip=239.1.1.1:0", "clip=239.1.1.1:65001", "clip=239.1.1.1", "clip", "=239.1.1.1:80",
                                "clip=239.1.1.1:80,ttl=256", "clip=239.1.1.1:80,ttl=-1",
                                "clip=239.1.1.1:80,interface=lo", "clip=239.1.1.1:80,speed=2", "other=239.1.1.1:80"}) {
        INFO(station);
        CHECK_THROWS_AS(station_server(io, station), process::UsageError);
    }
    CHECK_THROWS_AS(station_player(io, "223.1.1.1:8080"), process::UsageError);
    CHECK_THROWS_AS(station_player(io, "239.1.1.1:0"), process::UsageError);
    CHECK_THROWS_AS(station_player(io, "/nowhere/x.nsc", {"--duration", "x"}), std::exception);
}
