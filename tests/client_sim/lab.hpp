// A scenario on loopback addresses, played by server_sim and client_sim in this process; and a server whose behaviour a
// test spoils.
#pragma once
#include <unistd.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "client_sim/client.hpp"
#include "common/asf/synthesiser.hpp"
#include "common/mms/server_session.hpp"
#include "common/net/bind.hpp"
#include "common/net/datagram.hpp"
#include "server_sim/server.hpp"
#include "tests/catch.hpp"
#include "tests/sims.hpp"

namespace wmlab::tests {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// Addresses of its own for each test, so that the fixed port 1755 is free on them.
inline std::uint32_t own_net() {
    static std::atomic<std::uint32_t> next{0};
    return 0x7F000000U + ((static_cast<std::uint32_t>(::getpid()) % 60000 + 256) << 8) + (next++ % 60) * 4;
}

inline scenario::Scenario scenario_of(std::vector<scenario::Flow> flows) {
    const auto base = own_net();
    scenario::Scenario out;
    out.name = "loopback";
    out.zones = {{"inside", {}, "inside", {}}, {"outside", {}, "outside", {}}};
    out.hosts = {{"media", "inside", {base + 1}, false, {}, {}}, {"player", "outside", {base + 2}, false, {}, {}}};
    scenario::Content live, clip;
    live.name = "lecture";
    live.bitrate = 256'000;
    clip.name = "clip";
    clip.bitrate = 256'000;
    clip.duration = 400ms;
    out.contents = {live, clip};
    for (auto& flow : flows) {
        if (flow.from.empty()) flow.from = {"player"};
        if (flow.to.empty()) flow.to = {"media"};
        if (flow.content.empty()) flow.content = "lecture";
        out.flows.push_back(std::move(flow));
    }
    return out;
}

inline scenario::Flow flow(std::string id, scenario::FlowType type) {
    scenario::Flow out;
    out.id = std::move(id);
    out.type = type;
    out.play = 200ms;
    out.deadline = 5s;
    return out;
}

struct Lab {
    asio::io_context io{1};
    scenario::Scenario scenario;
    std::optional<Sim> server;
    Sim client;

    explicit Lab(std::vector<scenario::Flow> flows, bool with_server = true)
        : scenario{scenario_of(std::move(flows))}, client{io, "player",         "client_sim", client_sim::options(),
                                                          {}, client_sim::make, &scenario} {
        if (with_server)
            server.emplace(io, "media", "server_sim", server_sim::options(), std::vector<std::string>{},
                           server_sim::make, &scenario);
    }
    std::uint32_t base() const { return scenario.hosts[0].address.value - 1; }
    asio::ip::address_v4 media() const { return asio::ip::address_v4{scenario.hosts[0].address.value}; }
    asio::ip::address_v4 player() const { return asio::ip::address_v4{scenario.hosts[1].address.value}; }

    // Runs all flows to their end; then the server is stopped.
    bool play() {
        if (server) server->prepare(), server->start();
        client.prepare(), client.start();
        if (!run_until(io, [this] { return client.ended(); })) return false;
        if (!server) return true;
        server->stop();
        return run_until(io, [this] { return server->ended(); });
    }
    Event end_of(std::string_view id) const {
        const auto ends = client.events(What::flow_ended, id);
        return ends.size() == 1 ? ends[0] : Event{};
    }
};

inline std::map<std::uint64_t, std::uint64_t> digests(const Event& event) {
    std::map<std::uint64_t, std::uint64_t> out;
    for (const auto& pair : event.fields.at("digests").as_array())
        out[pair.as_array()[0].to_number<std::uint64_t>()] = pair.as_array()[1].to_number<std::uint64_t>();
    return out;
}

// What arrived is what was sent, by the digests of both ends.
inline void check_media(const Lab& lab, const std::string& id) {
    const auto received = lab.client.events(What::media_ended, id), sent = lab.server->events(What::media_ended, id);
    REQUIRE(received.size() == 1);
    REQUIRE(sent.size() == 1);  // the server recognised the player by its GUID
    CHECK(number(received[0], "packets") > 0);
    CHECK(number(received[0], "damaged") == 0);
    CHECK(received[0].fields.at("lost").as_array().empty());
    CHECK(text(received[0], "header_digest") == text(sent[0], "header_digest"));
    const auto theirs = digests(sent[0]);
    for (const auto& [location, crc] : digests(received[0])) {
        REQUIRE(theirs.contains(location));
        CHECK(theirs.at(location) == crc);
    }
}

// A server on 1755 that plays as it should but for what `lets` refuses to do.
class SpoiltServer {
public:
    std::function<bool(const mms::ServerAction&)> lets = [](const mms::ServerAction&) { return true; };
    std::size_t media_packets = 50;
    std::size_t connections = 0;

    SpoiltServer(asio::io_context& io, const asio::ip::address& address)
        : io_{io},
          acceptor_{net::listen_tcp(io.get_executor(), {address, 1755}).value()},
          datagrams_{net::bind_udp(io.get_executor(), {address, 1755}).value()} {
        asf::SyntheticOptions options;
        options.bitrates = {256'000};
        content_ = asf::Synthesiser::make(options).value();
        asio::co_spawn(io_, accept(), asio::detached);
    }

private:
    asio::awaitable<void> accept() {
        for (;;) {
            auto socket = co_await acceptor_.async_accept(asio::use_awaitable);
            ++connections;
            asio::co_spawn(io_, serve(std::move(socket)), asio::detached);
        }
    }
    asio::awaitable<void> serve(net::tcp::socket socket) {
        mms::ServerSession session{{}, std::chrono::steady_clock::now()};
        std::vector<std::byte> buffer(65536);
        for (;;) {
            const auto [error, size] =
                co_await socket.async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
            if (error) co_return;
            perform(socket, session, session.receive({buffer.data(), size}, std::chrono::steady_clock::now()));
            while (session.next_deadline() && *session.next_deadline() <= std::chrono::steady_clock::now() + 1s &&
                   !session.finished())  // the pace of the header's parts
                perform(socket, session, session.tick(*session.next_deadline()));
        }
    }
    void perform(net::tcp::socket& socket, mms::ServerSession& session, const mms::ServerActions& actions) {
        const auto now = std::chrono::steady_clock::now();
        for (const auto& action : actions) {
            if (!lets(action)) continue;
            boost::system::error_code gone;
            if (const auto* send = std::get_if<mms::Send>(&action)) {
                asio::write(socket, asio::buffer(send->packet), gone);
            } else if (const auto* data = std::get_if<mms::SendData>(&action)) {
                if (data->transport == mms::Transport::tcp)
                    asio::write(socket, asio::buffer(*data->packet), gone);
                else
                    datagrams_.send_to({socket.remote_endpoint(gone).address(), *session.udp_port()}, *data->packet);
            } else if (std::holds_alternative<mms::OpenRequest>(action)) {
                mms::Content content;
                content.header = content_->header().raw;
                content.packet_size = content_->header().packet_size;
                content.bit_rate = content_->header().maximum_bit_rate;
                content.live = true;
                perform(socket, session, session.opened(content, now));
            } else if (std::holds_alternative<mms::StartMedia>(action)) {
                for (std::uint32_t i = 0; i < media_packets; ++i)
                    perform(socket, session, session.media(i, content_->packet(i), now));
            } else if (std::holds_alternative<mms::Close>(action)) {
                socket.shutdown(net::tcp::socket::shutdown_both, gone);
            }
        }
    }

    asio::io_context& io_;
    net::tcp::acceptor acceptor_;
    net::DatagramSocket datagrams_;
    std::shared_ptr<const asf::Content> content_;
};

}  // namespace wmlab::tests
