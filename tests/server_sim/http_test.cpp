// server_sim's HTTP against plain sockets: browsers, curl, players, and clients that do not do as they should.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "common/asf/header.hpp"
#include "common/wmsp/frame.hpp"
#include "common/wmsp/response.hpp"
#include "server_sim/server.hpp"
#include "tests/catch.hpp"
#include "tests/sims.hpp"

using namespace wmlab;
using namespace wmlab::tests;

namespace {

struct Site {
    asio::io_context io{1};
    std::optional<Sim> server;

    explicit Site(std::vector<std::string> more = {}) {
        std::vector<std::string> options = {
            "--bind", "127.0.0.1", "--mms-port",          "0",         "--http-port",
            "0",      "--content", "live=synthetic:256k", "--content", "clip=synthetic:256k:400ms"};
        options.insert(options.end(), more.begin(), more.end());
        server.emplace(io, "media", "server_sim", server_sim::options(), options, server_sim::make);
        server->prepare(), server->start();
    }
    ~Site() {
        server->stop();
        run_until(io, [this] { return server->ended(); });
    }

    net::tcp::socket connect() {
        net::tcp::socket socket{io};
        socket.connect({asio::ip::make_address("127.0.0.1"), server->port("http")});
        return socket;
    }
    // Sends, and reads until the server closes or so many bytes have come.
    std::string ask(net::tcp::socket& socket, std::string request, std::size_t enough = 1 << 24) {
        std::string answer;
        bool done = false;
        asio::co_spawn(
            io,
            [](net::tcp::socket& at, std::string text, std::string& all, std::size_t most) -> asio::awaitable<void> {
                co_await asio::async_write(at, asio::buffer(text), asio::as_tuple(asio::use_awaitable));
                std::array<char, 4096> buffer{};
                while (all.size() < most) {
                    const auto [error, size] =
                        co_await at.async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
                    all.append(buffer.data(), size);
                    if (error) break;
                }
            }(socket, std::move(request), answer, enough),
            [&](std::exception_ptr) { done = true; });
        REQUIRE(run_until(io, [&] { return done; }));
        return answer;
    }
    std::string ask(std::string request, std::size_t enough = 1 << 24) {
        auto socket = connect();
        return ask(socket, std::move(request), enough);
    }
};

struct Read {
    wmsp::ResponseHead head;
    std::string body;
    std::vector<wmsp::Frame> frames() const {
        wmsp::FrameReader reader;
        reader.put(std::as_bytes(std::span{body.data(), body.size()}));
        std::vector<wmsp::Frame> all;
        while (auto frame = reader.next()) all.push_back(std::move(*frame));
        CHECK_FALSE(reader.problem());
        return all;
    }
};

Read read(const std::string& answer) {
    wmsp::ResponseReader reader;
    Read out;
    reader.put(std::as_bytes(std::span{answer.data(), answer.size()}),
               [&](bytes::Bytes piece) { out.body.append(reinterpret_cast<const char*>(piece.data()), piece.size()); });
    reader.end();
    INFO(answer.substr(0, 300));
    REQUIRE(reader.has_head());
    out.head = reader.head();
    return out;
}

std::string get(std::string_view path, std::string_view agent, std::string_view lines = {}) {
    return "GET " + std::string{path} + " HTTP/1.0\r\nHost: media\r\nUser-Agent: " + std::string{agent} + "\r\n" +
           std::string{lines} + "\r\n";
}
constexpr std::string_view player = "NSPlayer/4.1.0.3857";

}  // namespace

TEST_CASE("stored content is played to its end", "[server_sim]") {
    Site site;
    const auto describe = read(site.ask(get("/clip", player)));
    CHECK(describe.head.status == 200);
    CHECK(describe.frames().size() == 1);
    const auto play = read(site.ask(get("/clip", player, "Pragma: xPlayStrm=1,stream-switch-entry=ffff:1:0\r\n")));
    const auto frames = play.frames();
    REQUIRE(frames.size() > 3);
    CHECK(frames.front().packet_id == wmsp::PacketID::Header);
    CHECK(frames.front().payload == describe.frames().front().payload);
    for (std::uint32_t i = 1; i + 1 < frames.size(); ++i) {
        CHECK(frames[i].packet_id == wmsp::PacketID::Data);
        CHECK(frames[i].LocationId == i - 1);
    }
    CHECK(frames.back().packet_id == wmsp::PacketID::EndOfStream);
    CHECK(frames.back().Reason == 0U);
}

TEST_CASE("a player may start later, and stop before the end", "[server_sim]") {
    Site site;
    const auto from = [&](std::string_view tokens) {
        return read(site.ask(get("/clip", player, "Pragma: xPlayStrm=1,stream-switch-entry=ffff:1:0," + std::string{tokens} + "\r\n"))).frames();
    };
    const auto whole = from("stream-time=0");
    const auto later = from("stream-time=200");
    CHECK(later.at(1).LocationId > 0);
    CHECK(later.at(later.size() - 2).LocationId == whole.at(whole.size() - 2).LocationId);
    CHECK(from("packet-num=2").at(1).LocationId == 2);
    CHECK(from("max-duration=200").size() < whole.size());
    CHECK(from("packet-num=9999").size() == 2);  // $H and $E
}

TEST_CASE("what others than players get", "[server_sim]") {
    Site site;
    const auto file = read(site.ask(get("/clip", "curl/7.88")));
    const auto header = asf::Header::parse(std::as_bytes(std::span{file.body.data(), file.body.size()}));
    REQUIRE(header.has_value());
    CHECK(file.body.size() == header->raw.size() + header->packets_count * header->packet_size);
    CHECK(file.head.fields.get("Content-Length") == std::to_string(file.body.size()));

    const auto live = site.ask(get("/live", "curl/7.88"), 20000);
    CHECK(live.find("\r\n\r\n\x30\x26\xB2\x75") != std::string::npos);

    CHECK(read(site.ask(get("/publishing-points", "Mozilla/5.0"))).body.find("<a href=\"/clip.asx\">clip</a>") != std::string::npos);
    CHECK(read(site.ask(get("/clip", "Mozilla/5.0"))).body.starts_with("[Reference]\r\nRef1=http://media/clip"));
    CHECK(read(site.ask(get("/clip.asx", "Mozilla/5.0"))).body.find("<Ref href=\"mms://media/clip\"/>") !=
          std::string::npos);
    CHECK(read(site.ask(get("/none.asx", "Mozilla/5.0"))).head.status == 404);
    CHECK(read(site.ask(get("/none", player))).head.status == 404);
}

TEST_CASE("requests that are refused disturb nobody else", "[server_sim]") {
    struct Row {
        std::string name, text;
        unsigned status;
    };
    const auto row = GENERATE(values<Row>({
        {"two lengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400},
        {"a length and chunks", "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"64 KiB of head", "GET / HTTP/1.0\r\nX: " + std::string(70000, 'x') + "\r\n\r\n", 431},
        {"a large body that comes all the same",
         "POST / HTTP/1.1\r\nContent-Length: 300000\r\n\r\n" + std::string(300000, 'x'), 413},
        {"another method", "BREW / HTTP/1.0\r\n\r\n", 501},
        {"no HTTP", "hello\r\n\r\n", 400},
    }));
    DYNAMIC_SECTION(row.name) {
        Site site;
        auto watching = site.connect();
        CHECK(site.ask(watching, get("/live", player, "Pragma: xPlayStrm=1,stream-switch-entry=ffff:1:0\r\n"), 3000).size() >= 3000);
        CHECK(read(site.ask(row.text)).head.status == row.status);
        CHECK(site.ask(watching, "", 3000).size() >= 3000);
    }
}

TEST_CASE("players beyond the limit are told so", "[server_sim]") {
    Site site{{"--max-sessions", "1"}};
    auto first = site.connect();
    site.ask(first, get("/live", player, "Pragma: xPlayStrm=1,stream-switch-entry=ffff:1:0\r\n"), 2000);
    CHECK(read(site.ask(get("/live", player))).head.status == 503);
}

TEST_CASE("one connection for Describe and Play", "[server_sim]") {
    Site site;
    auto socket = site.connect();
    const auto both = site.ask(
        socket, get("/clip", player, "Connection: Keep-Alive\r\n") + get("/clip", player, "Pragma: xPlayStrm=1,stream-switch-entry=ffff:1:0\r\n"));
    const auto second = both.find("HTTP/1.0 200", 1);
    REQUIRE(second != std::string::npos);
    CHECK(read(both.substr(0, second)).frames().size() == 1);
    CHECK(read(both.substr(second)).frames().back().packet_id == wmsp::PacketID::EndOfStream);
}

TEST_CASE("a session is its own player's", "[server_sim]") {
    Site site;
    auto first = site.connect();
    const auto begun = site.ask(first, get("/live", player, "Pragma: xPlayStrm=1,stream-switch-entry=ffff:1:0\r\n"), 2000);
    const auto at = begun.find("client-id=") + 10;
    const auto id = begun.substr(at, begun.find(',', at) - at);
    SECTION("another may not play it") {
        CHECK(read(site.ask(get("/live", player, "Pragma: xPlayStrm=1,stream-switch-entry=ffff:1:0,client-id=" + id + "\r\n"))).head.status == 403);
    }
    SECTION("its streams can be switched off on another connection") {
        const auto answer = read(site.ask("POST /live HTTP/1.0\r\nUser-Agent: NSPlayer/4.1.0.3857\r\nContent-Length: 0\r\nPragma: client-id=" + id +
                                          ",stream-switch-entry=ffff:1:2\r\n\r\n"));
        CHECK(answer.head.status == 200);
        std::vector<char> drained(first.available());
        if (!drained.empty()) asio::read(first, asio::buffer(drained));
        CHECK(site.ask(get("/live", player, "Pragma: xPlayStrm=1,stream-switch-entry=ffff:1:0\r\n"), 5000).size() >= 5000);
        CHECK(first.available() == 0);
    }
}

TEST_CASE("MS-WMSP 3.2.5.6: Play goes on with the session that an answer named", "[server_sim]") {
    Site site;
    const auto id_of = [](const std::string& answer) {
        const auto at = answer.find("client-id=") + 10;
        return answer.substr(at, answer.find(',', at) - at);
    };
    const auto id = id_of(site.ask(get("/clip", player)));
    const auto play = [&](const std::string& tokens) {
        return site.ask(get("/clip", player, "Pragma: xPlayStrm=1,stream-switch-entry=ffff:1:0" + tokens + "\r\n"));
    };
    SECTION("of Describe, on another connection, and after its end again") {
        for (int i = 0; i < 2; ++i) {
            const auto answer = play(",client-id=" + id);
            CHECK(id_of(answer) == id);
            CHECK(answer.find("xResetStrm") == std::string::npos);
        }
    }
    SECTION("one that is not known is a new session, and says so") {
        const auto answer = play(",client-id=4711,request-context=2");
        CHECK(id_of(answer) != "4711");
        CHECK(answer.find("xResetStrm=1") != std::string::npos);
        // To a player before 7.0 whose first Play this is: the end of an entry, and the header of the next.
        const auto frames = read(answer).frames();
        REQUIRE(frames.size() > 4);
        CHECK(frames[0].packet_id == wmsp::PacketID::Header);
        CHECK(frames[1].packet_id == wmsp::PacketID::EndOfStream);
        CHECK(frames[1].Reason == 1u);
        CHECK(frames[2].packet_id == wmsp::PacketID::StreamChange);
        CHECK(frames[3].packet_id == wmsp::PacketID::Header);
        CHECK(frames[4].packet_id == wmsp::PacketID::Data);
    }
    SECTION("without one it is a new session") {
        const auto answer = play("");
        CHECK(id_of(answer) != id);
        CHECK(answer.find("xResetStrm") == std::string::npos);
    }
}

TEST_CASE("MS-WMSP 3.2.5.6: who chooses no streams gets none, but for servers of that time", "[server_sim]") {
    Site site;
    const auto packets = [&](std::string_view agent) {
        std::size_t count = 0;
        for (const auto& frame : read(site.ask(get("/clip", agent, "Pragma: xPlayStrm=1\r\n"))).frames())
            count += frame.packet_id == wmsp::PacketID::Data ? 1 : 0;
        return count;
    };
    CHECK(packets("NSPlayer/4.1.0.3857") == 0);
    CHECK(packets("NSPlayer/9.0.0.2980") == 0);
    CHECK(packets("NSServer/9.0.0.3372") == 0);
    CHECK(packets("NSServer/4.1.0.3923") > 3);
}

TEST_CASE("GET / is answered as a 4.1 server does, so that nmap names it", "[server_sim]") {
    Site site;
    CHECK(site.ask("GET / HTTP/1.0\r\n\r\n") ==
          "HTTP/1.0 500 Internal Server Error\r\nServer: Cougar 4.1.0.3923\r\n\r\n");
}

TEST_CASE("the journal tells each exchange", "[server_sim]") {
    Site site;
    site.ask(get("/clip", player, "Pragma: xPlayStrm=1,stream-switch-entry=ffff:1:0\r\n"));
    REQUIRE(run_until(site.io, [&] { return site.server->has(What::closed); }));
    const auto received = site.server->events(What::received);
    REQUIRE(received.size() == 1);
    CHECK(text(received[0], "message") == "Play");
    CHECK(received[0].leg == "http");
    const auto sent = site.server->events(What::sent);
    REQUIRE(sent.size() == 3);
    CHECK(text(sent[0], "message") == "PlayResponse");
    CHECK(number(sent[0], "status") == 200);
    CHECK(text(sent[1], "message") == "$H");
    CHECK(text(sent[2], "message") == "$E");
    const auto ended = site.server->events(What::media_ended);
    REQUIRE(ended.size() == 1);
    CHECK(number(ended[0], "packets") > 3);
    CHECK(text(site.server->events(What::closed).at(0), "reason") == "the last packet was sent");
}
