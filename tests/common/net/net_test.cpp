#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/json/serialize.hpp>
#include <functional>
#include <memory>
#include <set>
#include <tuple>

#include "common/net/accept.hpp"
#include "common/net/bind.hpp"
#include "common/net/connect.hpp"
#include "common/net/datagram.hpp"
#include "common/net/hopeless.hpp"
#include "common/net/outbox.hpp"
#include "common/net/reprieve.hpp"
#include "common/net/tasks.hpp"
#include "common/net/within.hpp"
#include "tests/catch.hpp"
#include "tests/coroutine.hpp"

using Catch::Matchers::StartsWith;
using namespace wmlab::net;
using namespace std::chrono_literals;

namespace {

const auto loopback = asio::ip::make_address("127.0.0.1");

template <class T>
T run(asio::awaitable<T> step) {
    asio::io_context io{1};
    return wmlab::tests::run(io, std::move(step));
}

asio::awaitable<int> never() {
    asio::steady_timer timer{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
    co_await timer.async_wait(asio::use_awaitable);
    co_return 1;
}
asio::awaitable<int> at_once() { co_return 7; }
asio::awaitable<int> fails() {
    throw std::runtime_error{"no"};
    co_return 1;
}
asio::awaitable<void> nothing() { co_return; }

}  // namespace

TEST_CASE("a deadline counts unless something is unread or this process stood still", "[net]") {
    const Reprieve::Time due{10s};
    Reprieve on_time, unread, stood_still;
    CHECK_FALSE(on_time.until(due, due + 1ms, false));
    CHECK(unread.until(due, due, true) == due + 20ms);
    CHECK_FALSE(unread.until(due, due + 20ms, false));
    CHECK(stood_still.until(due, due + 2s, false) == due + 4s);
    CHECK(stood_still.until(due, due + 3s, false) == due + 4s);  // woken in between
    CHECK_FALSE(stood_still.until(due, due + 4s, false));
    auto now = due;  // not for ever
    int asked = 0;
    for (std::optional<Reprieve::Time> again; asked < 100 && (again = unread.until(due + 1s, now + 1s, true)); ++asked) now = *again;
    CHECK(asked > 2);
    CHECK(asked < 100);
    Reprieve flooded;  // always something to read, and always late with it
    now = due + 300ms;
    int times = 0;
    for (std::optional<Reprieve::Time> again; (again = flooded.until(due, now, true)); ++times) now = *again + 300ms;
    CHECK(times > 2);
    CHECK(now < due + 7s);
}

TEST_CASE("within: the step's result, its exception, or the end of our patience", "[net]") {
    CHECK(run(within(10s, at_once())) == 7);
    CHECK_THROWS_WITH(run(within(10s, fails())), "no");
    CHECK_THROWS_AS(run(within(5ms, never())), StepTimedOut);
    run(within(10s, nothing()));
}

TEST_CASE("within: cancelled from outside it is not a time-out", "[net]") {
    asio::io_context io{1};
    Tasks tasks{io.get_executor()};
    std::string seen;
    const auto task = [&seen]() -> asio::awaitable<void> {
        try {
            co_await within(1h, never());
        } catch (const StepTimedOut&) {
            seen = "timed out";
        } catch (const boost::system::system_error& error) {
            seen = error.code() == asio::error::operation_aborted ? "cancelled" : error.what();
        }
    };
    tasks.spawn(task());
    CHECK(tasks.running() == 1);
    asio::post(io, [&] { tasks.cancel(); });
    asio::co_spawn(io, tasks.ended(), asio::detached);
    io.run();
    CHECK(seen == "cancelled");
    CHECK(tasks.running() == 0);
}

TEST_CASE("connect: a listener is reached and its round trip measured", "[net]") {
    asio::io_context io{1};
    auto acceptor = listen_tcp(io.get_executor(), {loopback, 0}).value();
    auto result = wmlab::tests::run(io, connect(acceptor.local_endpoint(), 5s));
    auto& connected = result;
    REQUIRE(connected.has_value());
    CHECK(connected->round_trip > 0ns);
    CHECK(text(connected->socket.remote_endpoint()) == text(acceptor.local_endpoint()));
}

TEST_CASE("connect: a closed port is refused, never taken for silence", "[net]") {
    std::uint16_t port = 0;
    {
        asio::io_context io{1};
        port = listen_tcp(io.get_executor(), {loopback, 0}).value().local_endpoint().port();
    }
    const auto connected = run(connect(tcp::endpoint{loopback, port}, 5s));
    REQUIRE(connected.has_error());
    CHECK(connected.error().kind == Failure::Kind::refused);
    CHECK(connected.error().error == "ECONNREFUSED");
    CHECK(connected.error().waited < 2s);
    CHECK_FALSE(connected.error().icmp.has_value());
    CHECK_THAT(connected.error().local, StartsWith("127.0.0.1:"));
}

TEST_CASE("connect: a full backlog is silence, and says how long was waited", "[net]") {
    asio::io_context io{1};
    tcp::acceptor acceptor{io};
    acceptor.open(tcp::v4());
    acceptor.bind({loopback, 0});
    acceptor.listen(0);
    std::vector<tcp::socket> fillers;
    for (int i = 0; i < 3; ++i) {  // backlog 0 takes one connection; further SYNs are dropped
        fillers.emplace_back(io);
        fillers.back().open(tcp::v4());
        fillers.back().non_blocking(true);
        const auto to = acceptor.local_endpoint();
        std::ignore = ::connect(fillers.back().native_handle(), to.data(), static_cast<socklen_t>(to.size()));
    }
    const auto connected = run(connect(acceptor.local_endpoint(), 30ms));
    REQUIRE(connected.has_error());
    CHECK(connected.error().kind == Failure::Kind::timeout);
    CHECK(connected.error().waited >= 30ms);
    CHECK(connected.error().error.empty());
    CHECK_THAT(connected.error().local, StartsWith("127.0.0.1:"));
}

TEST_CASE("who waits gives up when the question or the answer is known to be lost, and nobody else does", "[net]") {
    struct Row {
        std::string name;
        Lost lost;
        bool ends;
    };
    const std::string here = "10.20.0.10:40112", there = "10.10.0.10:1755";
    for (const auto& [name, lost, ends] :
         {Row{"the question", {"tcp", here, there}, true}, Row{"the answer", {"tcp", there, here}, true},
          Row{"another protocol's", {"udp", here, there}, false}, Row{"from another port", {"tcp", "10.20.0.10:40113", there}, false},
          Row{"an answer to another port", {"tcp", there, "10.20.0.10:40113"}, false}, Row{"to another port", {"tcp", here, "10.10.0.10:1756"}, false}}) {
        INFO(name);
        int given_up = 0;
        {
            const Waiting waiting{"tcp", there, [&] { return here; }, [&] { ++given_up; }};
            tell(lost);
            CHECK(given_up == (ends ? 1 : 0));
        }
        tell(lost);
        CHECK(given_up == (ends ? 1 : 0));  // who no longer waits is not told
    }
}

TEST_CASE("accept: a connection whose taker throws is lost, and no other", "[net]") {
    asio::io_context io{1};
    auto door = listen_tcp(io.get_executor(), {loopback, 0});
    REQUIRE(door.has_value());
    const auto at = door->local_endpoint();
    int taken = 0;
    asio::co_spawn(io, accept_each(*door, [&](tcp::socket) {
        if (++taken % 2 == 1) throw std::runtime_error{"no memory"};
        if (taken == 4) io.stop();
    }), asio::detached);
    std::vector<tcp::socket> callers;
    for (int i = 0; i < 4; ++i) {
        callers.emplace_back(io);
        callers.back().connect(at);
    }
    io.run_for(5s);
    CHECK(taken == 4);
}

TEST_CASE("failure as the journal has it", "[net]") {
    Failure failure{Failure::Kind::unreachable, "EHOSTUNREACH", 3ms, Icmp{3, 13, "10.20.0.1"}};
    CHECK(boost::json::serialize(to_json(failure)) ==
          R"({"kind":"unreachable","error":"EHOSTUNREACH","waited":3,"icmp":{"type":3,"code":13,"from":"10.20.0.1"}})");
    CHECK(failure.text() == "unreachable (EHOSTUNREACH) after 3 ms, ICMP 3/13 from 10.20.0.1");
    CHECK(boost::json::serialize(to_json(Failure::timed_out(250ms))) == R"({"kind":"timeout","waited":250})");
    CHECK(Failure::of(asio::error::timed_out, 0ms).kind == Failure::Kind::other);  // the kernel's, not ours
    CHECK(Failure::of(asio::error::eof, 0ms).error == "EOF");
    CHECK(Failure::of(asio::error::connection_reset, 0ms).kind == Failure::Kind::reset);
}

TEST_CASE("a taken port names its holder", "[net]") {
    asio::io_context io{1};
    const auto held = listen_tcp(io.get_executor(), {loopback, 0}).value();
    const auto again = listen_tcp(io.get_executor(), held.local_endpoint());
    REQUIRE(again.has_error());
    CHECK(again.error().error == "EADDRINUSE");
    CHECK(again.error().holder == "net_tests (pid " + std::to_string(::getpid()) + ")");
    const auto datagrams = bind_udp(io.get_executor(), {loopback, 0}).value();
    const auto datagrams_again = bind_udp(io.get_executor(), datagrams.local_endpoint());
    REQUIRE(datagrams_again.has_error());
    CHECK(datagrams_again.error().text() == "cannot bind udp " + text(datagrams.local_endpoint()) +
                                                ": EADDRINUSE, held by net_tests (pid " + std::to_string(::getpid()) +
                                                ")");
}

TEST_CASE("a range of ports is used up to its last port, then named in the error", "[net]") {
    asio::io_context io{1};
    const auto address = asio::ip::make_address("127.0.0.77");
    std::vector<udp::socket> held;
    std::set<std::uint16_t> ports;
    for (int i = 0; i < 4; ++i) {
        auto bound = bind_udp_in(io.get_executor(), address, 40001, 40004);
        REQUIRE(bound.has_value());
        ports.insert(bound->local_endpoint().port());
        held.push_back(std::move(*bound));
    }
    CHECK(ports == std::set<std::uint16_t>{40001, 40002, 40003, 40004});
    const auto none = bind_udp_in(io.get_executor(), address, 40001, 40004);
    REQUIRE(none.has_error());
    CHECK(none.error().text() == "cannot bind udp 127.0.0.77:40001-40004: EADDRINUSE");
}

TEST_CASE("ports that others need are taken when no other is left", "[net]") {
    asio::io_context io{1};
    const auto address = asio::ip::make_address("127.0.0.78");
    const auto next = [&] { return listen_tcp_in(io.get_executor(), address, 40001, 40003, {40001, 40003}); };
    const auto first = next();
    REQUIRE(first.has_value());
    CHECK(first->local_endpoint().port() == 40002);
    const auto second = next(), third = next();
    REQUIRE((second.has_value() && third.has_value()));
    CHECK(next().has_error());

    const auto next_udp = [&] { return bind_udp_in(io.get_executor(), address, 40001, 40002, 0, {40001}); };
    const auto free = next_udp(), last = next_udp();
    REQUIRE((free.has_value() && last.has_value()));
    CHECK(free->local_endpoint().port() == 40002);
    CHECK(last->local_endpoint().port() == 40001);
}

TEST_CASE("datagrams: sent in two parts, received as one", "[net]") {
    asio::io_context io{1};
    DatagramSocket a{bind_udp(io.get_executor(), {loopback, 0}).value()};
    DatagramSocket b{bind_udp(io.get_executor(), {loopback, 0}).value()};
    const std::array<std::byte, 2> head{std::byte{1}, std::byte{2}};
    const std::array<std::byte, 1> tail{std::byte{3}};
    CHECK(a.send_to(b.local(), head, tail));
    auto result = wmlab::tests::run(io, b.receive());
    const auto& datagram = result;
    CHECK(datagram.bytes.size() == 3);
    CHECK(datagram.bytes[2] == std::byte{3});
    CHECK(datagram.from == a.local());
}

TEST_CASE("datagrams: a closed port answers with ICMP, which is told and ends nothing", "[net]") {
    asio::io_context io{1};
    DatagramSocket a{bind_udp(io.get_executor(), {loopback, 0}).value()};
    DatagramSocket b{bind_udp(io.get_executor(), {loopback, 0}).value()};
    const auto closed = [&] { return bind_udp(io.get_executor(), {loopback, 0}).value().local_endpoint(); }();
    std::vector<QueuedError> errors;
    a.on_icmp = [&](const QueuedError& error) { errors.push_back(error); };
    const std::array<std::byte, 1> byte{};
    CHECK(a.send_to(closed, byte));
    CHECK(a.send_to(b.local(), byte));  // the error of the first datagram does not eat the second
    CHECK(b.send_to(a.local(), byte));
    auto result = wmlab::tests::run(io, a.receive());
    CHECK(result.from == b.local());
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].about == closed);
    CHECK(errors[0].icmp == Icmp{3, 3, "127.0.0.1"});
    CHECK(b.try_receive().has_value());
}

TEST_CASE("datagrams: however fast they come, others of the thread have their turn", "[net]") {
    asio::io_context io{1};
    DatagramSocket one{bind_udp(io.get_executor(), {loopback, 0}, 1 << 20).value()};
    udp::socket flood{io, udp::v4()};
    int received = 0, turns = 0, received_at_turn = 0, longest = 0;
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            for (;;) {
                co_await one.receive();
                ++received;
                flood.send_to(asio::buffer("x", 1), one.local());  // there is always one more
            }
        },
        asio::detached);
    for (int i = 0; i < 10; ++i) flood.send_to(asio::buffer("x", 1), one.local());
    std::function<void()> beside = [&] {
        longest = std::max(longest, received - received_at_turn);
        received_at_turn = received;
        if (++turns < 100) asio::post(io, beside);
    };
    asio::post(io, beside);
    while (turns < 100 && received < 1'000'000) io.run_one();
    CHECK(turns == 100);
    CHECK(longest <= 64);
}

TEST_CASE("datagrams: one packet to many at once, each behind a head of its own, and the account of each", "[net]") {
    asio::io_context io{1};
    DatagramSocket from{bind_udp(io.get_executor(), {loopback, 0}).value()};
    int icmp = 0;
    from.on_icmp = [&](const QueuedError&) { ++icmp; };
    std::vector<std::unique_ptr<DatagramSocket>> receivers;
    const std::size_t count = 150;  // more than one call of the kernel takes
    for (std::size_t i = 0; i < count; ++i)
        receivers.push_back(std::make_unique<DatagramSocket>(bind_udp(io.get_executor(), {loopback, 0}).value()));
    const auto gone = receivers[3]->local();  // nobody listens there any more
    receivers[3]->close();
    const auto body = std::make_shared<const std::vector<std::byte>>(1000, std::byte{7});
    std::vector<DatagramSocket::Account> accounts(count);
    for (int round = 0; round < 3; ++round) {
        for (std::size_t i = 0; i < count; ++i) {
            const std::array<std::byte, 8> head{static_cast<std::byte>(i), static_cast<std::byte>(round)};
            from.send_with_others(i == 3 ? gone : receivers[i]->local(), head, body, accounts[i]);
        }
        DatagramSocket::flush_all();
        DatagramSocket::flush_all();  // nothing is left
    }
    for (std::size_t i = 0; i < count; ++i) {
        CHECK(accounts[i].sent == 3);
        CHECK(accounts[i].unsent == 0);
        if (i == 3) continue;
        for (int round = 0; round < 3; ++round) {
            const auto got = receivers[i]->try_receive();
            REQUIRE(got.has_value());
            CHECK(got->bytes.size() == 1008);
            CHECK(got->bytes[0] == static_cast<std::byte>(i));
            CHECK(got->bytes[1] == static_cast<std::byte>(round));
            CHECK(got->bytes[1007] == std::byte{7});
        }
        CHECK_FALSE(receivers[i]->try_receive().has_value());
    }
    while (from.drain_errors()) {}
    CHECK(icmp >= 2);
}

TEST_CASE("datagrams: they leave in the order in which they were sent, alone or with others", "[net]") {
    asio::io_context io{1};
    DatagramSocket from{bind_udp(io.get_executor(), {loopback, 0}).value()};
    DatagramSocket to{bind_udp(io.get_executor(), {loopback, 0}, 1 << 20).value()};
    const std::array bodies = {std::make_shared<const std::vector<std::byte>>(10, std::byte{1}),
                               std::make_shared<const std::vector<std::byte>>(10, std::byte{2})};
    DatagramSocket::Account account;
    for (unsigned ways = 0; ways < 256; ++ways) {  // each bit: how one of eight in a row is sent
        for (unsigned i = 0; i < 8; ++i) {
            const std::array<std::byte, 8> head{static_cast<std::byte>(ways), static_cast<std::byte>(i)};
            if ((ways >> i & 1) != 0)
                from.send_with_others(to.local(), head, bodies[i / 2 % 2], account);
            else
                REQUIRE(from.send_to(to.local(), head));
        }
        DatagramSocket::flush_all();
        for (unsigned i = 0; i < 8; ++i) {
            const auto got = to.try_receive();
            REQUIRE(got.has_value());
            REQUIRE(got->bytes[0] == static_cast<std::byte>(ways));
            REQUIRE(got->bytes[1] == static_cast<std::byte>(i));
        }
    }
    CHECK(account.sent == 4 * 256);
    CHECK(account.unsent == 0);
}

TEST_CASE("outbox: heads and bodies arrive in order however the kernel takes them, and a slow peer is bounded", "[net]") {
    asio::io_context io{1};
    auto acceptor = listen_tcp(io.get_executor(), {loopback, 0}).value();
    tcp::socket peer{io};
    peer.connect(acceptor.local_endpoint());
    tcp::socket ours{io};
    acceptor.accept(ours);
    ours.set_option(asio::socket_base::send_buffer_size{8192});
    peer.set_option(asio::socket_base::receive_buffer_size{8192});
    Outbox outbox{std::move(ours), 600'000};
    std::string expected, got;
    for (int i = 0; i < 300; ++i) {
        const std::array<std::byte, 8> head{static_cast<std::byte>(i), std::byte{1}, std::byte{2}};
        const auto body = std::make_shared<const std::vector<std::byte>>(static_cast<std::size_t>(i * 7), std::byte{9});
        REQUIRE(outbox.send(std::span{head}.first(static_cast<std::size_t>(i % 9)), body));
        expected.append(reinterpret_cast<const char*>(head.data()), static_cast<std::size_t>(i % 9));
        expected.append(body->size(), '\x09');
    }
    peer.non_blocking(true);
    std::array<char, 1500> buffer{};
    while (got.size() < expected.size()) {
        io.poll();
        boost::system::error_code error;
        const auto size = peer.read_some(asio::buffer(buffer), error);
        if (error == asio::error::would_block) continue;
        REQUIRE(!error);
        got.append(buffer.data(), size);
    }
    CHECK(got == expected);
    CHECK(outbox.queued() == 0);
    const auto large = std::make_shared<const std::vector<std::byte>>(100'000);
    int taken = 0;
    while (taken < 100 && outbox.send(std::span<const std::byte>{}, large)) ++taken;
    CHECK(taken < 20);
    CHECK(outbox.slow());
}

TEST_CASE("addresses as text", "[net]") {
    CHECK(host_port("media:1755") == HostPort{"media", 1755});
    CHECK_FALSE(host_port("media"));
    CHECK_FALSE(host_port(":1"));
    CHECK_FALSE(host_port("media:0"));
    CHECK_FALSE(host_port("media:65536"));
    CHECK_FALSE(host_port("media:17x"));
}
