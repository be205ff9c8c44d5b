#include <boost/asio/read_until.hpp>
#include <fstream>

#include "common/asf/file.hpp"
#include "common/wmsp/frame.hpp"
#include "tests/catch.hpp"
#include "tests/client_sim/lab.hpp"

using namespace wmlab;
using namespace wmlab::tests;
using scenario::FlowType;

namespace {

constexpr std::uint16_t http_port = 8080;

scenario::Flow http_flow(std::string id, FlowType type = FlowType::http) {
    auto out = flow(std::move(id), type);
    out.port = http_port;
    return out;
}

std::string address(std::uint32_t host) { return asio::ip::address_v4{host}.to_string(); }

// A player as a plain tool.
Sim player(asio::io_context& io, std::vector<std::string> options) {
    options.insert(options.end(), {"--deadline", "3", "--http-port", std::to_string(http_port)});
    return Sim{io, "player", "client_sim", client_sim::options(), options, client_sim::make};
}

// Answers every connection with a text of the test's, as a server or a proxy; an empty one is silence.
class Stranger {
public:
    std::vector<std::string> requests;

    Stranger(asio::io_context& io, std::uint32_t host, std::vector<std::string> answers)
        : io_{io},
          acceptor_{net::listen_tcp(io.get_executor(), {asio::ip::address_v4{host}, http_port}).value()},
          answers_{std::move(answers)} {
        asio::co_spawn(io_, accept(), asio::detached);
    }

private:
    asio::awaitable<void> accept() {
        for (std::size_t i = 0;; ++i) {
            auto socket = co_await acceptor_.async_accept(asio::use_awaitable);
            asio::co_spawn(io_, serve(std::move(socket), answers_[std::min(i, answers_.size() - 1)]), asio::detached);
        }
    }
    asio::awaitable<void> serve(net::tcp::socket socket, std::string answer) {
        std::string request;
        co_await asio::async_read_until(socket, asio::dynamic_buffer(request), "\r\n\r\n", asio::use_awaitable);
        requests.push_back(request);
        if (answer.empty()) {
            std::array<char, 1> one{};
            co_await socket.async_read_some(asio::buffer(one), asio::as_tuple(asio::use_awaitable));
            co_return;
        }
        co_await asio::async_write(socket, asio::buffer(answer), asio::as_tuple(asio::use_awaitable));
    }

    asio::io_context& io_;
    net::tcp::acceptor acceptor_;
    std::vector<std::string> answers_;
};

}  // namespace

TEST_CASE("http beside MMS, live and stored, from the same publishing points", "[client_sim]") {
    auto stored = http_flow("s");
    stored.content = "clip";
    stored.play = 5s;
    Lab lab{{http_flow("h"), stored, flow("t", FlowType::mms_tcp), http_flow("a", FlowType::mms_auto)}};
    REQUIRE(lab.play());
    CHECK(lab.client.code() == 0);
    for (const auto* id : {"h", "s", "t", "a"}) {
        CHECK(text(lab.end_of(id), "outcome") == "worked");
        check_media(lab, id);
    }
    CHECK(text(lab.end_of("h"), "transport") == "http");
    CHECK(text(lab.end_of("a"), "transport") == "udp");
    CHECK(text(lab.end_of("s"), "reason") == "the stream ended");
    std::vector<std::string> legs;
    for (const auto& event : lab.client.events(What::connected, "h")) legs.push_back(event.leg);
    CHECK(legs == std::vector<std::string>{"http", "http"});  // Describe and Play
    for (const auto& event : lab.server->events(What::received, "h")) CHECK(event.leg == "http");
}

TEST_CASE("rollover: MMS refused, HTTP plays, and every attempt is told", "[client_sim]") {
    asio::io_context io{1};
    const auto base = own_net();
    Sim server{io,
               "media",
               "server_sim",
               server_sim::options(),
               {"--bind", address(base + 1), "--mms-port", "0", "--http-port", std::to_string(http_port), "--content",
                "lecture=synthetic:256k"},
               server_sim::make};
    server.prepare(), server.start();
    auto client = player(io, {"--url", "mms://" + address(base + 1) + "/lecture", "--duration", "0.2"});
    client.prepare(), client.start();
    REQUIRE(run_until(io, [&] { return client.ended(); }));
    CHECK(client.code() == 0);
    std::vector<std::string> transports;
    for (const auto& event : client.events(What::flow_started)) transports.push_back(text(event, "transport"));
    CHECK(transports == std::vector<std::string>{"udp", "tcp", "http"});
    const auto ended = client.events(What::flow_ended);
    REQUIRE(ended.size() == 1);
    CHECK(text(ended[0], "transport") == "http");
    CHECK(text(ended[0], "reason").starts_with("played as long as was asked (before that, udp: cannot connect to"));
    server.stop();
    REQUIRE(run_until(io, [&] { return server.ended(); }));
}

TEST_CASE("a redirector file leads the player on, to the first place that works", "[client_sim]") {
    asio::io_context io{1};
    const auto base = own_net();
    const auto host = address(base + 1);
    Sim server{io,
               "media",
               "server_sim",
               server_sim::options(),
               {"--bind", host, "--mms-port", "0", "--http-port", std::to_string(http_port), "--content",
                "lecture=synthetic:256k"},
               server_sim::make};
    server.prepare(), server.start();
    std::string url = "http://" + host + ":8080/lecture.asx";
    const auto file = std::filesystem::temp_directory_path() / ("wmlab-" + std::to_string(::getpid()) + ".asx");
    SECTION("asked of the server") {}
    SECTION("on disk") {
        std::ofstream{file} << "<ASX><Entry><Ref href=\"mmst://" << host << "/lecture\"/><Ref href=\"http://" << host
                            << ":8080/lecture\"/></Entry></ASX>";
        url = file.string();
    }
    auto client = player(io, {"--url", url, "--duration", "0.2"});
    client.prepare(), client.start();
    REQUIRE(run_until(io, [&] { return client.ended(); }));
    CHECK(client.code() == 0);
    CHECK(text(client.events(What::flow_ended).at(0), "transport") == "http");
    std::filesystem::remove(file);
    server.stop();
    REQUIRE(run_until(io, [&] { return server.ended(); }));
}

TEST_CASE("what is saved over HTTP is what was sent", "[client_sim]") {
    asio::io_context io{1};
    const auto base = own_net();
    Sim server{io,
               "media",
               "server_sim",
               server_sim::options(),
               {"--bind", address(base + 1), "--mms-port", "0", "--http-port", std::to_string(http_port), "--content",
                std::string{WMLAB_SOURCE_DIR} + "/tests/vectors/asf/ref_mulaw_2s.asf"},
               server_sim::make};
    server.prepare(), server.start();
    const auto file = std::filesystem::temp_directory_path() / ("wmlab-" + std::to_string(::getpid()) + ".asf");
    auto client =
        player(io, {"--url", "http://" + address(base + 1) + ":8080/ref_mulaw_2s.asf", "--save", file.string()});
    client.prepare(), client.start();
    REQUIRE(run_until(io, [&] { return client.ended(); }));
    CHECK(client.code() == 0);
    const auto read = [](const std::filesystem::path& path) {
        std::ifstream in{path, std::ios::binary};
        return std::string{std::istreambuf_iterator<char>{in}, {}};
    };
    CHECK(read(file) == read(std::string{WMLAB_SOURCE_DIR} + "/tests/vectors/asf/ref_mulaw_2s.asf"));
    std::filesystem::remove(file);
    server.stop();
    REQUIRE(run_until(io, [&] { return server.ended(); }));
}

TEST_CASE("servers and proxies that do not do as they should: the reason is told", "[client_sim]") {
    struct Row {
        std::string name;
        std::vector<std::string> answers;
        bool proxied;
        std::string reason, leg;
        int status;
    };
    const auto row = GENERATE(values<Row>({
        {"unknown content", {"HTTP/1.0 404 Not Found\r\nServer: Cougar 4.1.0.3923\r\n\r\n"}, false, "the server answered 404 Not Found", "http", 404},
        {"the proxy refuses",
         {"HTTP/1.1 403 Forbidden\r\nServer: squid/5.7\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nContent-Type: text/html\r\n\r\n<title>ERROR</title><p>Access Denied."},
         true,
         "the proxy answered 403 Forbidden (ERR_ACCESS_DENIED): ERROR: Access Denied.",
         "proxy",
         403},
        {"a loop", {"HTTP/1.0 302 Found\r\nLocation: /lecture\r\n\r\n"}, false, "redirected in a circle, by 302 Found to", "http", 302},
        {"HTML", {"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Sign in</html>"}, false, "HTML came in place of media: Sign in", "http", 200},
        {"closed without a word", {"\n"}, false, "closed without an answer", "http", -1},
        {"closed in the middle", {"HTTP/1.0 200 OK\r\n\r\n$H"}, false, "the answer ended in the middle of a frame", "http", 200},
        {"no HTTP", {"220 mail.example ESMTP\r\n"}, false, "response: response at offset 0: the answer does not begin with an HTTP status line", "http", -1},
        {"silence", {""}, true, "no answer to Describe in time", "proxy", -1},
    }));
    DYNAMIC_SECTION(row.name) {
        asio::io_context io{1};
        const auto base = own_net();
        Stranger stranger{io, base + 1, row.answers};
        std::vector<std::string> options = {"--url", "http://" + address(row.proxied ? base + 2 : base + 1) +
                                                         (row.proxied ? "/lecture" : ":8080/lecture")};
        if (row.proxied) options.insert(options.end(), {"--proxy", address(base + 1) + ":8080"});
        options.insert(options.end(), {"--deadline", "0.5"});
        Sim client{io, "player", "client_sim", client_sim::options(), options, client_sim::make};
        client.prepare(), client.start();
        REQUIRE(run_until(io, [&] { return client.ended(); }));
        CHECK(client.code() == 1);
        const auto ended = client.events(What::flow_ended).at(0);
        INFO(text(ended, "reason"));
        CHECK(text(ended, "reason").starts_with(row.reason));
        CHECK(text(ended, "transport") == (row.proxied ? "http-proxy" : "http"));
        CHECK(client.events(What::connected).at(0).leg == row.leg);
        if (row.proxied)
            CHECK(stranger.requests.at(0).starts_with("GET http://" + address(base + 2) + "/lecture HTTP/1.0\r\n"));
        const auto received = client.events(What::received);
        REQUIRE(received.empty() == (row.status < 0));
        if (row.status >= 0) CHECK(number(received.front(), "status") == row.status);
    }
}

TEST_CASE("nobody listens: the leg and the failure are told", "[client_sim]") {
    asio::io_context io{1};
    const auto base = own_net();
    std::vector<std::string> options = {"--url", "http://" + address(base + 1) + ":8080/lecture"};
    std::string leg = "http";
    SECTION("the server") {}
    SECTION("the proxy") {
        options.insert(options.end(), {"--proxy", address(base + 1) + ":8081"});
        leg = "proxy";
    }
    auto client = player(io, options);
    client.prepare(), client.start();
    REQUIRE(run_until(io, [&] { return client.ended(); }));
    const auto failed = client.events(What::connect_failed);
    REQUIRE(failed.size() == 1);
    CHECK(failed[0].leg == leg);
    CHECK(failed[0].fields.at("failure").at("kind").as_string() == "refused");
}

TEST_CASE("a cache's answer is played and told", "[client_sim]") {
    asio::io_context io{1};
    const auto base = own_net();
    asf::SyntheticOptions of;
    of.bitrates = {256'000};
    const auto content = asf::Synthesiser::make(of).value();
    std::string answer = "HTTP/1.1 200 OK\r\nServer: Cougar 4.1.0.3923\r\nAge: 77\r\nX-Cache: HIT from proxy\r\n\r\n";
    const auto add = [&](const std::vector<std::byte>& bytes) {
        answer.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    add(wmsp::header_frames(content->header().raw).front().serialise());
    for (std::uint32_t i = 0; i < 5; ++i) add(wmsp::data_frame(i, content->packet(i)));
    Stranger proxy{io, base + 1, {answer}};
    auto client =
        player(io, {"--url", "http://" + address(base + 2) + "/lecture", "--proxy", address(base + 1) + ":8080"});
    client.prepare(), client.start();
    REQUIRE(run_until(io, [&] { return client.ended(); }));
    CHECK(client.code() == 0);
    const auto stale = client.events(What::media_stale);
    REQUIRE(stale.size() == 1);
    CHECK(text(stale[0], "kind") == "cached");
    CHECK(text(stale[0], "why") == "X-Cache: HIT from proxy");
    CHECK(text(client.events(What::flow_ended).at(0), "reason")
              .ends_with("(not fresh, a cache answered: X-Cache: HIT from proxy)"));
}
