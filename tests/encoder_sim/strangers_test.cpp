// Ports held by others, sources and pullers that are none or misbehave: each gets what it deserves, nobody else
// notices.
#include <sys/resource.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/serialize.hpp>

#include "common/asf/synthesiser.hpp"
#include "common/msbd/message.hpp"
#include "common/net/bind.hpp"
#include "tests/encoder_sim/tools.hpp"

using namespace wmlab;
using namespace wmlab::tests;
using net::tcp;

namespace {

tcp::endpoint at(const Site& site, std::uint16_t port) { return {asio::ip::make_address(site.address), port}; }

std::vector<std::byte> joined(std::initializer_list<std::vector<std::byte>> parts) {
    std::vector<std::byte> out;
    for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
    return out;
}

const asf::Content& tone() {
    static const auto content = asf::Synthesiser::make({}).value();
    return *content;
}

std::vector<std::byte> accepted() { return msbd::serialise(msbd::MSB_MSG_RES_CONNECT{}); }
std::vector<std::byte> stream(std::uint16_t id = 1) {
    msbd::MSB_MSG_IND_STREAMINFO info;
    info.stream.wStreamId = id;
    info.stream.cbPacketSize = static_cast<std::uint16_t>(tone().header().packet_size);
    info.stream.header = tone().header().raw;
    return msbd::serialise(info);
}
std::vector<std::byte> packet(std::uint32_t number, std::uint16_t id = 1) {
    return msbd::packet_message(number, id, tone().packet(number));
}
std::vector<std::byte> with(std::vector<std::byte> message, std::size_t offset, unsigned value) {
    message[offset] = static_cast<std::byte>(value);
    return message;
}
std::vector<std::byte> first_half(std::vector<std::byte> message) {
    message.resize(message.size() / 2);
    return message;
}

// Listens, and says the same to everybody who connects and asks.
class FakeSource {
public:
    FakeSource(Site& site, std::vector<std::byte> says, bool hangs_up)
        : acceptor_{net::listen_tcp(site.io.get_executor(), at(site, 7007)).value()},
          says_{std::move(says)},
          hangs_up_{hangs_up} {
        asio::co_spawn(site.io, serve(), asio::detached);
    }
    ~FakeSource() {
        boost::system::error_code ignored;
        acceptor_.close(ignored);
    }

private:
    asio::awaitable<void> serve() {
        std::vector<tcp::socket> kept;
        for (;;) {
            auto [error, socket] = co_await acceptor_.async_accept(asio::as_tuple(asio::use_awaitable));
            if (error) co_return;
            std::array<char, 34> request{};
            co_await asio::async_read(socket, asio::buffer(request), asio::as_tuple(asio::use_awaitable));
            co_await asio::async_write(socket, asio::buffer(says_), asio::as_tuple(asio::use_awaitable));
            if (!hangs_up_) kept.push_back(std::move(socket));
        }
    }

    tcp::acceptor acceptor_;
    std::vector<std::byte> says_;
    bool hangs_up_;
};

bool says(const std::vector<Event>& events, std::string_view field, std::string_view part) {
    return std::ranges::any_of(events,
                               [&](const Event& event) { return text(event, field).find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("a source that is none: the pull says what is wrong, and tries again", "[encoder_sim]") {
    struct Row {
        std::string name;
        std::vector<std::byte> bytes;
        bool hangs_up;
        What event;         // of the server that pulls
        std::string field;  // and what it says there
        std::string part;
    };
    const auto http = std::string{"HTTP/1.0 400 Bad Request\r\n\r\n"};
    const std::vector<std::byte> web{reinterpret_cast<const std::byte*>(http.data()),
                                     reinterpret_cast<const std::byte*>(http.data()) + http.size()};
    const auto row = GENERATE_COPY(values<Row>({
        {"says nothing", {}, false, What::retry, "reason", "MSB_MSG_RES_CONNECT"},
        {"accepts and sends no stream", accepted(), false, What::retry, "reason", "MSB_MSG_IND_STREAMINFO"},
        {"announces a stream and sends no packet", joined({accepted(), stream()}), false, What::media_silent, "", ""},
        {"goes silent after some packets", joined({accepted(), stream(), packet(0), packet(1)}), false,
         What::media_silent, "", ""},
        {"another protocol", web, false, What::malformed, "field", "dwSignature"},
        {"another major version", with(accepted(), 5, 2), false, What::malformed, "field", "wVersion"},
        {"a length below the header's", with(accepted(), 8, 3), false, What::malformed, "field", "cbMessage"},
        {"lengths of the stream's parts that lie", joined({accepted(), with(stream(), 44, 0xFF)}), false,
         What::malformed, "", ""},
        {"a packet size that lies", joined({accepted(), stream(), with(packet(0), 22, 9)}), false, What::malformed,
         "field", "wPacketSize"},
        {"stops in the middle of a packet", joined({accepted(), stream(), first_half(packet(0))}), true, What::closed,
         "by", "peer"},
        {"a header that is none", joined({accepted(), with(stream(), 48, 0)}), false, What::retry, "reason", "header"},
        {"hangs up at once", {}, true, What::retry, "reason", "clos"},
    }));
    DYNAMIC_SECTION(row.name) {
        Site site;
        const FakeSource source{site, row.bytes, row.hangs_up};
        const auto server = site.server({"--pull", "live=msbd://" + site.address, "--pull-timeout", "1"});
        REQUIRE(run_until(site.io, [&] {
            return !server->events(row.event).empty() && (row.event == What::closed || server->has(What::retry));
        }));
        INFO(boost::json::serialize(server->events(row.event)[0].fields));
        CHECK((row.field.empty() || says(server->events(row.event), row.field, row.part)));
        site.stop(*server);
    }
}

TEST_CASE("a stream header after data is another stream: what follows belongs to it", "[encoder_sim]") {
    Site site;
    const FakeSource source{site, joined({accepted(), stream(1), packet(0), stream(2), packet(1, 2), packet(2, 1)}),
                            false};
    const auto server = site.server({"--pull", "live=msbd://" + site.address, "--pull-timeout", "1"});
    REQUIRE(run_until(site.io, [&] { return server->has(What::media_ended); }));
    CHECK(number(server->events(What::media_ended)[0], "packets") == 2);  // the last is of a stream that is over
    site.stop(*server);
}

TEST_CASE("7007 held by a foreign program: the encoder falls back and names it, a chosen port is a clear error",
          "[encoder_sim]") {
    Site site;
    const auto foreign = net::listen_tcp(site.io.get_executor(), at(site, 7007)).value();
    const auto encoder = site.encoder();
    const auto listening = encoder->events(What::listening);
    REQUIRE(listening.size() == 1);
    CHECK(text(listening[0], "taken_by").find("encoder_sim_tes") == 0);
    site.stop(*encoder);

    const auto chosen = net::listen_tcp(site.io.get_executor(), at(site, 8007)).value();
    REQUIRE_THROWS_WITH(site.encoder({"--msbd-port", "8007"}), contains(site.address + ":8007"));
}

TEST_CASE("three servers on one machine whose 7007 is taken: each has a port of its own, each is pulled from",
          "[encoder_sim]") {
    Site site;
    const auto foreign = net::listen_tcp(site.io.get_executor(), at(site, 7007)).value();
    Site::Sims origins, edges, players;
    std::set<std::uint16_t> ports;
    for (int i = 0; i < 3; ++i) {
        origins.push_back(site.server({"--content", "live=synthetic:256k", "--msbd-port", "7007"}));
        const auto port = origins.back()->port("msbd");
        CHECK((port >= 1024 && port <= 5000));
        ports.insert(port);
        edges.push_back(site.server({"--pull", "live=" + site.url(*origins.back())}));
        players.push_back(site.player(edges.back()->port("control"), "live", {"--duration", "0.1"}));
    }
    CHECK(ports.size() == 3);
    REQUIRE(run_until(site.io, [&] { return std::ranges::all_of(players, &Sim::ended); }));
    for (const auto& player : players) CHECK(player->code() == 0);
    site.stop(edges);
    site.stop(origins);
}

TEST_CASE("7007 and the whole fallback range are in use: the error names the range", "[encoder_sim]") {
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < 4500) return;  // not so many sockets here
    const auto before = limit;
    limit.rlim_cur = std::max<rlim_t>(limit.rlim_cur, 4500);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    {
        Site site;
        std::vector<tcp::acceptor> held;
        held.push_back(net::listen_tcp(site.io.get_executor(), at(site, 7007)).value());
        for (std::uint16_t port = 1024; port <= 5000; ++port) {
            tcp::acceptor acceptor{site.io};
            acceptor.open(tcp::v4());
            boost::system::error_code held_already;
            acceptor.bind(at(site, port), held_already);
            if (held_already) continue;
            acceptor.listen();
            held.push_back(std::move(acceptor));
        }
        REQUIRE_THROWS_WITH(site.encoder(), contains("1024-5000"));
    }
    ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST_CASE("a puller that never reads is dropped, the others get every packet", "[encoder_sim]") {
    Site site;
    const auto encoder = site.encoder({"--content", "live=synthetic:20M", "--queue", "64"});
    const auto server = site.server({"--pull", "live=" + site.url(*encoder)});
    tcp::socket lazy{site.io};
    lazy.open(tcp::v4());
    lazy.set_option(tcp::socket::receive_buffer_size{4096});
    lazy.connect(at(site, 7007));
    asio::write(lazy, asio::buffer(msbd::serialise(msbd::MSB_MSG_REQ_CONNECT{})));
    REQUIRE(run_until(site.io, [&] { return encoder->has(What::closed); }));
    CHECK(says(encoder->events(What::closed), "reason", "does not read"));
    site.stop(*server);
    const auto ends = server->events(What::media_ended);
    REQUIRE(ends.size() == 1);
    CHECK(ends[0].fields.at("lost").as_array().empty());
    CHECK(number(ends[0], "damaged") == 0);
    site.stop(*encoder);
}

TEST_CASE("a puller that is none: its session ends, the others go on", "[encoder_sim]") {
    struct Row {
        std::string name;
        std::vector<std::byte> bytes;
        std::string reason;
    };
    const auto row = GENERATE(values<Row>({
        {"another signature", with(msbd::serialise(msbd::MSB_MSG_REQ_CONNECT{}), 0, 'X'), "dwSignature"},
        {"a second MSB_MSG_REQ_CONNECT",
         joined({msbd::serialise(msbd::MSB_MSG_REQ_CONNECT{}), msbd::serialise(msbd::MSB_MSG_REQ_CONNECT{})}),
         "a second time"},
        {"a packet, as if it were the source", packet(0), "before MSB_MSG_REQ_CONNECT"},
    }));
    DYNAMIC_SECTION(row.name) {
        Site site;
        const auto encoder = site.encoder();
        const auto server = site.server({"--pull", "live=" + site.url(*encoder)});
        REQUIRE(run_until(site.io, [&] { return server->has(What::media_started); }));
        tcp::socket stranger{site.io};
        stranger.connect(at(site, 7007));
        asio::write(stranger, asio::buffer(row.bytes));
        REQUIRE(run_until(site.io, [&] { return encoder->has(What::closed); }));
        CHECK(says(encoder->events(What::closed), "reason", row.reason));
        CHECK_FALSE(server->has(What::retry));
        site.stop(*server);
        site.stop(*encoder);
    }
}

TEST_CASE("more pullers than allowed: the next one is told so, and comes again", "[encoder_sim]") {
    Site site;
    const auto encoder = site.encoder({"--max-sessions", "1"});
    const auto first = site.server({"--pull", "live=" + site.url(*encoder)});
    REQUIRE(run_until(site.io, [&] { return first->has(What::media_started); }));
    const auto second = site.server({"--pull", "live=" + site.url(*encoder)});
    REQUIRE(run_until(site.io, [&] { return second->has(What::retry); }));
    CHECK(says(second->events(What::retry), "reason", "NS_E_TOO_MANY_SESS"));
    site.stop(*first);
    REQUIRE(run_until(site.io, [&] { return second->has(What::media_started); }));
    site.stop(*second);
    site.stop(*encoder);
}

TEST_CASE("an encoder with two contents: the URL's name chooses, without one it is the first", "[encoder_sim]") {
    Site site;
    const auto encoder = site.encoder({"--content", "low=synthetic:64k", "--content", "high=synthetic:512k"});
    const auto url = "msbd://" + site.address;
    const auto server = site.server({"--pull", "one=" + url, "--pull", "two=" + url + "/high"});
    REQUIRE(run_until(site.io, [&] { return server->events(What::media_started).size() == 2; }));
    std::vector<double> rates;
    for (const auto& event : server->events(What::received))
        if (text(event, "message") == "MSB_MSG_IND_STREAMINFO") rates.push_back(number(event, "dwBitRate"));
    std::ranges::sort(rates);
    REQUIRE(rates.size() == 2);
    CHECK(rates[0] < 100'000);
    CHECK(rates[1] > 500'000);
    site.stop(*server);
    site.stop(*encoder);
}
