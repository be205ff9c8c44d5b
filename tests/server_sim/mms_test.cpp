// The MMS service against players made of mms::PlayerSession, and against peers that are none.
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "common/asf/synthesiser.hpp"
#include "common/bytes/hex.hpp"
#include "common/mms/player_session.hpp"
#include "common/net/bind.hpp"
#include "common/net/connect.hpp"
#include "common/net/datagram.hpp"
#include "server_sim/server.hpp"
#include "tests/catch.hpp"
#include "tests/coroutine.hpp"
#include "tests/sims.hpp"

using namespace wmlab;
using namespace wmlab::tests;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

Sim server(asio::io_context& io, std::vector<std::string> options, const std::string& address = "127.0.0.1") {
    options.insert(options.end(), {"--bind", address, "--mms-port", "0"});
    if (std::ranges::none_of(options, [](const auto& option) { return option.starts_with("--content"); }))
        options.insert(options.end(), {"--content", "live=synthetic:256k", "--content", "clip=synthetic:256k:400ms"});
    return Sim{io, "media", "server_sim", server_sim::options(), options, server_sim::make};
}

// A player without media checks: what it gets it keeps.
struct Player {
    asio::io_context& io;
    net::tcp::endpoint at;
    mms::PlayerOptions options;
    std::optional<mms::PlayerSession> session;
    std::optional<net::tcp::socket> socket;
    std::optional<net::DatagramSocket> datagrams;
    std::vector<std::uint32_t> numbers;  // LocationIds in order of arrival
    std::vector<mms::Message> received;
    std::optional<mms::Finished> finished;
    bool ready = false, closed = false, header = false;
    std::function<void(Player&)> on_media = [](Player&) {};

    Player(asio::io_context& on, std::uint16_t port, std::string file, mms::Transport transport = mms::Transport::tcp)
        : io{on}, at{asio::ip::make_address("127.0.0.1"), port} {
        options.host = "127.0.0.1";
        options.fileName = std::move(file);
        options.transport = transport;
        options.local_address = "127.0.0.1";
        options.local_port = 40000;
    }

    void start() { asio::co_spawn(io, run(), asio::detached); }

    asio::awaitable<void> run() {
        socket.emplace(io);
        co_await socket->async_connect(at, asio::use_awaitable);
        if (options.transport == mms::Transport::udp) {
            datagrams.emplace(net::bind_udp(io.get_executor(), {at.address(), 0}).value());
            options.local_port = datagrams->local().port();
            asio::co_spawn(io, media(), asio::detached);
        }
        session.emplace(options);
        perform(session->start(Clock::now()));
        asio::co_spawn(io, time(), asio::detached);
        std::vector<std::byte> buffer(65536);
        for (;;) {
            const auto [error, size] =
                co_await socket->async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
            if (error) break;
            perform(session->receive({buffer.data(), size}, Clock::now()));
        }
        closed = true;
        perform(session->disconnected(Clock::now()));
    }
    asio::awaitable<void> media() {
        for (;;) {
            const auto datagram = co_await datagrams->receive();
            perform(session->datagram(datagram.bytes, Clock::now()));
        }
    }
    asio::awaitable<void> time() {
        asio::steady_timer timer{io};
        while (!finished) {
            timer.expires_after(5ms);
            co_await timer.async_wait(asio::use_awaitable);
            if (session->next_deadline() && *session->next_deadline() <= Clock::now())
                perform(session->tick(Clock::now()));
        }
    }
    void perform(const mms::PlayerActions& actions) {
        for (const auto& action : actions) {
            if (const auto* send = std::get_if<mms::Send>(&action)) {
                boost::system::error_code gone;
                asio::write(*socket, asio::buffer(send->packet), gone);
            } else if (const auto* datagram = std::get_if<mms::SendDatagram>(&action)) {
                datagrams->send_to({at.address(), at.port()}, datagram->packet);
            } else if (const auto* message = std::get_if<mms::Received>(&action)) {
                received.push_back(message->message);
            } else if (std::holds_alternative<mms::Ready>(action)) {
                ready = true;
            } else if (std::holds_alternative<mms::HeaderComplete>(action)) {
                header = true;
            } else if (const auto* one = std::get_if<mms::MediaReceived>(&action)) {
                if (!one->duplicate) numbers.push_back(one->LocationId);
                on_media(*this);
            } else if (const auto* end = std::get_if<mms::Finished>(&action)) {
                finished = *end;
                boost::system::error_code gone;
                socket->shutdown(net::tcp::socket::shutdown_send, gone);
            }
        }
    }
};

bool consecutive(const std::vector<std::uint32_t>& numbers, std::uint32_t from) {
    for (const auto number : numbers)
        if (number != from++) return false;
    return true;
}

}  // namespace

TEST_CASE("stored content over TCP and UDP: every packet once, in order, then the end", "[server_sim]") {
    asio::io_context io{1};
    auto sim = server(io, {});
    sim.prepare(), sim.start();
    const auto transport = GENERATE(mms::Transport::tcp, mms::Transport::udp);
    Player player{io, sim.port("control"), "clip", transport};
    player.start();
    REQUIRE(run_until(io, [&] { return player.finished && !sim.events(What::closed).empty(); }));
    CHECK(player.finished->worked);
    const auto ended = sim.events(What::media_ended);
    REQUIRE(ended.size() == 1);
    CHECK(player.numbers.size() == static_cast<std::size_t>(number(ended[0], "packets")));
    CHECK(consecutive(player.numbers, 0));
    CHECK(ended[0].leg == (transport == mms::Transport::tcp ? "control" : "media"));
}

TEST_CASE("a file's extension, path and letter case do not matter, an unknown name is not found", "[server_sim]") {
    asio::io_context io{1};
    auto sim = server(io, {});
    sim.prepare(), sim.start();
    Player player{io, sim.port("control"), "no/such/clip"};
    player.start();
    REQUIRE(run_until(io, [&] { return player.finished.has_value(); }));
    CHECK_FALSE(player.finished->worked);
    CHECK(player.finished->hr == bytes::NS_E_FILE_NOT_FOUND);
    Player other{io, sim.port("control"), "CLIP"};
    other.start();
    REQUIRE(run_until(io, [&] { return other.finished.has_value(); }));
    CHECK(other.finished->worked);
}

TEST_CASE("seek: playing begins at the packet of the time asked for", "[server_sim]") {
    asio::io_context io{1};
    auto sim = server(io, {"--content", "clip=synthetic:256k:2s"});
    sim.prepare(), sim.start();
    Player player{io, sim.port("control"), "clip"};
    player.options.start.position = 1500ms;
    player.start();
    REQUIRE(run_until(io, [&] { return player.finished.has_value(); }));
    asf::SyntheticOptions options;
    options.bitrates = {256'000};
    options.live = false;
    options.duration = 2s;
    const auto same = asf::Synthesiser::make(options).value();
    REQUIRE_FALSE(player.numbers.empty());
    CHECK(player.numbers.front() == same->packet_at_time(1500ms));
    CHECK(player.numbers.back() + 1 == *same->packet_count());
    CHECK(consecutive(player.numbers, player.numbers.front()));
}

TEST_CASE("pause and resume: nothing is lost and nothing comes twice", "[server_sim]") {
    asio::io_context io{1};
    auto sim = server(io, {});
    sim.prepare(), sim.start();
    Player player{io, sim.port("control"), "clip", GENERATE(mms::Transport::tcp, mms::Transport::udp)};
    bool paused = false;
    player.on_media = [&](Player& self) {
        if (paused || self.numbers.size() < 3) return;
        paused = true;
        self.perform(self.session->pause(Clock::now()));
    };
    player.start();
    REQUIRE(run_until(io, [&] { return player.ready; }));
    const auto before = player.numbers.size();
    player.perform(player.session->resume(Clock::now()));
    REQUIRE(run_until(io, [&] { return player.finished.has_value(); }));
    CHECK(player.finished->worked);
    CHECK(player.numbers.size() > before);
    CHECK(consecutive(player.numbers, 0));
}

TEST_CASE("live: two players get the same packets", "[server_sim]") {
    asio::io_context io{1};
    auto sim = server(io, {});
    sim.prepare(), sim.start();
    Player one{io, sim.port("control"), "live"}, two{io, sim.port("control"), "live", mms::Transport::udp};
    one.start(), two.start();
    REQUIRE(run_until(io, [&] { return one.numbers.size() >= 5 && two.numbers.size() >= 5; }));
    one.perform(one.session->stop(Clock::now())), two.perform(two.session->stop(Clock::now()));
    REQUIRE(run_until(io, [&] { return sim.events(What::closed).size() == 2; }));
    const auto ended = sim.events(What::media_ended);
    REQUIRE(ended.size() == 2);
    const auto digests = [](const Event& event) {
        std::map<std::uint64_t, std::uint64_t> out;
        for (const auto& pair : event.fields.at("digests").as_array())
            out[pair.as_array()[0].to_number<std::uint64_t>()] = pair.as_array()[1].to_number<std::uint64_t>();
        return out;
    };
    const auto a = digests(ended[0]), b = digests(ended[1]);
    std::size_t common = 0;
    for (const auto& [location, crc] : a)
        if (const auto other = b.find(location); other != b.end()) {
            CHECK(other->second == crc);
            ++common;
        }
    CHECK(common >= 3);
}

TEST_CASE("close-after-end: the server closes, for players that wait for that", "[server_sim]") {
    asio::io_context io{1};
    auto sim = server(io, {"--close-after-end", "0"});
    sim.prepare(), sim.start();
    // MPlayer's way: StartPlaying, read to the end, never close.
    Player player{io, sim.port("control"), "clip"};
    player.options.logging = false;
    player.start();
    REQUIRE(run_until(io, [&] { return player.closed; }));
    CHECK(consecutive(player.numbers, 0));
}

TEST_CASE("limits: a player too many is told NS_E_TOO_MANY_SESS", "[server_sim]") {
    asio::io_context io{1};
    auto sim = server(io, {GENERATE(std::string{"--max-sessions"}, std::string{"--max-sessions-per-peer"}), "1"});
    sim.prepare(), sim.start();
    Player one{io, sim.port("control"), "live"}, two{io, sim.port("control"), "live"};
    one.start();
    REQUIRE(run_until(io, [&] { return !one.numbers.empty(); }));
    two.start();
    REQUIRE(run_until(io, [&] { return two.finished && two.closed; }));
    CHECK(two.finished->hr == bytes::NS_E_TOO_MANY_SESS);
    const auto seen = one.numbers.size();
    REQUIRE(run_until(io, [&] { return one.numbers.size() > seen + 2; }));
    one.perform(one.session->stop(Clock::now()));
    REQUIRE(run_until(io, [&] { return one.closed; }));
    Player three{io, sim.port("control"), "live"};  // the seat is free again
    three.start();
    REQUIRE(run_until(io, [&] { return !three.numbers.empty(); }));
}

TEST_CASE("a slow reader loses its session, with a reason, the others go on", "[server_sim]") {
    asio::io_context io{1};
    auto sim = server(io, {"--content", "live=synthetic:8M"});
    sim.prepare(), sim.start();
    Player good{io, sim.port("control"), "live"};
    Player slow{io, sim.port("control"), "live"};
    good.start(), slow.start();
    REQUIRE(run_until(io, [&] { return good.numbers.size() > 5 && slow.numbers.size() > 5; }));
    // From now on the slow one does not read: its socket is taken away from it.
    const int kept = ::dup(slow.socket->native_handle());
    slow.socket->cancel();
    slow.socket->release();
    REQUIRE(run_until(io, [&] { return !sim.events(What::closed).empty(); }));
    const auto closed = sim.events(What::closed);
    CHECK(text(closed[0], "by") == "self");
    CHECK_THAT(text(closed[0], "reason"), contains("does not read"));
    const auto seen = good.numbers.size();
    REQUIRE(run_until(io, [&] { return good.numbers.size() > seen + 20; }));
    // On a machine too busy for 8 Mbit/s some may be skipped, none comes twice or late.
    CHECK(std::ranges::adjacent_find(good.numbers, std::ranges::greater_equal{}) == good.numbers.end());
    ::close(kept);
}

TEST_CASE("malformed peers: that session ends and says why, a player beside it goes on", "[server_sim]") {
    struct Row {
        std::string name, bytes;
        std::string field;
    };
    const auto row = GENERATE(values<Row>({
        {"random bytes", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff0011223344556677", ""},
        {"an HTTP request", "474554202f20485454502f312e300d0a0d0a474554202f20485454502f312e300d0a0d0a00000000", ""},
        {"a length of 4 GiB", "01000000cefa0bb0f8ffffff4d4d5320ffffff1f0000000000000000000000000000000018000300", ""},
        {"OpenFile before Connect",
         "01000000cefa0bb0200000004d4d53200400000000000000000000000000000002000000180003000000000000000000", "order"},
    }));
    DYNAMIC_SECTION(row.name) {
        asio::io_context io{1};
        auto sim = server(io, {});
        sim.prepare(), sim.start();
        Player player{io, sim.port("control"), "live"};
        player.start();
        REQUIRE(run_until(io, [&] { return !player.numbers.empty(); }));
        net::tcp::socket peer{io};
        peer.connect({asio::ip::make_address("127.0.0.1"), sim.port("control")});
        asio::write(peer, asio::buffer(bytes::from_hex(row.bytes).value()));
        REQUIRE(run_until(io, [&] { return !sim.events(What::closed).empty(); }));
        if (row.field.empty()) CHECK(sim.events(What::malformed).size() == 1);
        CHECK_FALSE(text(sim.events(What::closed)[0], "reason").empty());
        const auto seen = player.numbers.size();
        REQUIRE(run_until(io, [&] { return player.numbers.size() > seen + 3; }));
    }
}

TEST_CASE("silent peers: a connection that says nothing, or half of something, is closed", "[server_sim]") {
    asio::io_context io{1};
    auto sim = server(io, {"--idle-timeout", "1"});
    sim.prepare(), sim.start();
    net::tcp::socket nothing{io}, half{io};
    const net::tcp::endpoint at{asio::ip::make_address("127.0.0.1"), sim.port("control")};
    nothing.connect(at), half.connect(at);
    asio::write(half, asio::buffer(bytes::from_hex("01000000cefa0bb0f8").value()));
    REQUIRE(run_until(io, [&] { return sim.events(What::closed).size() == 2; }));
}

TEST_CASE("resend requests: answered to the player alone, whoever else asks", "[server_sim]") {
    asio::io_context io{1};
    auto sim = server(io, {});
    sim.prepare(), sim.start();
    Player player{io, sim.port("control"), "live", mms::Transport::udp};
    player.start();
    REQUIRE(run_until(io, [&] { return player.numbers.size() >= 2; }));
    mms::RequestPacketListResend request;
    request.dwClientId = *player.session->client_id();
    request.wSourceId = 1;
    request.dwBeginPacketList = {0, 1};
    const net::udp::endpoint to{asio::ip::make_address("127.0.0.1"), sim.port("resend")};
    net::DatagramSocket stranger{net::bind_udp(io.get_executor(), {asio::ip::make_address("127.0.0.9"), 0}).value()};
    stranger.send_to(to, request.serialise());
    const std::array<std::byte, 3> rubbish{};
    stranger.send_to(to, rubbish);
    REQUIRE(run_until(io, [&] { return sim.has(What::malformed); }));
    CHECK_FALSE(sim.has(What::resend_answered));
    player.datagrams->send_to(to, request.serialise());
    REQUIRE(run_until(io, [&] { return sim.has(What::resend_answered); }));
    CHECK(sim.events(What::resend_answered)[0].fields.at("sequences").as_array().size() == 2);
    CHECK_FALSE(stranger.try_receive());
}

TEST_CASE("UDP media goes to the address of the control connection, whatever the funnel's name says", "[server_sim]") {
    asio::io_context io{1};
    auto sim = server(io, {});
    sim.prepare(), sim.start();
    Player player{io, sim.port("control"), "live", mms::Transport::udp};
    player.options.local_address = "192.0.2.1";
    player.start();
    REQUIRE(run_until(io, [&] { return !player.numbers.empty(); }));
    CHECK(sim.events(What::media_started)[0].remote == net::text(player.datagrams->local()));
}

TEST_CASE("a player whose port is closed: the ICMP message is evidence", "[server_sim]") {
    asio::io_context io{1};
    auto sim = server(io, {});
    sim.prepare(), sim.start();
    Player player{io, sim.port("control"), "live", mms::Transport::udp};
    player.start();
    REQUIRE(run_until(io, [&] { return !player.numbers.empty(); }));
    const auto port = net::text(player.datagrams->local());
    player.datagrams->close();
    REQUIRE(run_until(io, [&] { return sim.has(What::connect_failed); }));
    const auto failed = sim.events(What::connect_failed)[0];
    CHECK(failed.leg == "media");
    CHECK(failed.remote == port);
    const auto& failure = failed.fields.at("failure").as_object();
    CHECK(failure.at("kind").as_string() == "refused");
    CHECK(failure.at("icmp").as_object().at("from").as_string() == "127.0.0.1");
}

TEST_CASE("stop: every session ends and the journal is complete", "[server_sim]") {
    asio::io_context io{1};
    auto sim = server(io, {});
    sim.prepare(), sim.start();
    Player one{io, sim.port("control"), "live"}, two{io, sim.port("control"), "live", mms::Transport::udp};
    one.start(), two.start();
    REQUIRE(run_until(io, [&] { return !one.numbers.empty() && !two.numbers.empty(); }));
    sim.stop();
    REQUIRE(run_until(io, [&] { return sim.ended(); }));
    CHECK(sim.code() == 0);
    CHECK(sim.events(What::media_ended).size() == 2);
    const auto closed = sim.events(What::closed);
    REQUIRE(closed.size() == 2);
    CHECK(text(closed[0], "reason") == "the process is stopping");
}

TEST_CASE("a taken port: exit 3 names port and holder", "[server_sim]") {
    asio::io_context io{1};
    const auto held = net::listen_tcp(io.get_executor(), {asio::ip::make_address("127.0.0.1"), 0}).value();
    const auto port = std::to_string(held.local_endpoint().port());
    Sim sim{io,
            "media",
            "server_sim",
            server_sim::options(),
            {"--bind", "127.0.0.1", "--mms-port", port, "--content", "synthetic"},
            server_sim::make};
    CHECK_THROWS_WITH(sim.prepare(), contains("127.0.0.1:" + port) && contains("held by server_sim_test"));
    CHECK(sim.has(What::listen_failed));
}
