#include "server_sim/mms.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <random>
#include <unordered_map>

#include "common/net/accept.hpp"
#include "common/net/tasks.hpp"
#include "common/process/malformed.hpp"
#include "common/url/url.hpp"
#include "server_sim/mms_session.hpp"

namespace wmlab::server_sim {
namespace {

using evidence::What;

class MmsService : public Service, private MmsTargets {
public:
    explicit MmsService(Server& server) : server_{server}, tasks_{server.context.io.get_executor()} {}

    void prepare() override {
        const auto port = server_.context.options["mms-port"].as<std::uint16_t>();
        for (const auto& address : server_.addresses) {
            auto acceptor = server_.listen(address, port, "control");
            // Resend requests go to the number of the TCP port; media comes from there, so that one rule covers both.
            auto socket = server_.bind(address, acceptor.local_endpoint().port(), "resend");
            auto door = std::make_unique<Door>(std::move(acceptor), std::move(socket));
            door->datagrams.on_icmp = [this](const net::QueuedError& error) { icmp(error); };
            tasks_.spawn(accept(*door));
            tasks_.spawn(receive(*door));
            doors_.push_back(std::move(door));
        }
    }

    asio::awaitable<void> stop() override {
        for (const auto& door : doors_) {
            for (int turns = 0; turns < 16 && door->datagrams.drain_errors(); ++turns) {}
            boost::system::error_code ignored;
            door->acceptor.close(ignored);
        }
        tasks_.cancel();
        co_await tasks_.ended();
    }

    std::vector<std::string> urls() const override {
        std::vector<std::string> out;
        for (const auto& door : doors_) {
            const auto at = door->datagrams.local();
            const auto port = at.port() == 1755 ? "" : ":" + std::to_string(at.port());
            for (const auto& point : server_.points.all())
                out.push_back("mms://" + at.address().to_string() + port + url::encoded_path(point->name()));
        }
        return out;
    }

private:
    struct Door {  // one address
        Door(net::tcp::acceptor tcp, net::udp::socket udp) : acceptor{std::move(tcp)}, datagrams{std::move(udp)} {}
        net::tcp::acceptor acceptor;
        net::DatagramSocket datagrams;
    };

    asio::awaitable<void> accept(Door& door) {
        return net::accept_each(door.acceptor, [this, &door](net::tcp::socket socket) {
            if (server_.limits.too_many_to_refuse(sessions_.size())) return;
            MmsTargets& targets = *this;
            tasks_.spawn(
                serve(std::make_shared<MmsSession>(server_, targets, door.datagrams, std::move(socket), new_client_id())));
        });
    }

    asio::awaitable<void> serve(std::shared_ptr<MmsSession> session) {
        sessions_.emplace(session->client_id(), session.get());
        try {
            co_await session->run();
        } catch (const std::exception& error) {  // a lost player ends this session and no other
            spdlog::warn("MMS session: {}", error.what());
        }
        sessions_.erase(session->client_id());
        session->left();
    }

    // Resend requests of all players: each names its session by the client id, which only its own address may use.
    asio::awaitable<void> receive(Door& door) {
        asio::steady_timer pause{server_.context.io};
        for (;;) {
            std::string fault;
            try {
                co_await receive_until_fault(door);
            } catch (const boost::system::system_error& error) {
                if (error.code() == asio::error::operation_aborted || error.code() == asio::error::bad_descriptor) co_return;
                fault = error.what();
            } catch (const std::exception& error) {
                fault = error.what();
            }
            spdlog::warn("resend requests: {}", fault);
            pause.expires_after(milliseconds{100});
            co_await pause.async_wait(asio::use_awaitable);
        }
    }

    asio::awaitable<void> receive_until_fault(Door& door) {
        for (;;) {
            const auto datagram = co_await door.datagrams.receive();
            const auto request = mms::RequestPacketListResend::parse(datagram.bytes);
            if (!request) {
                write_malformed(door, datagram, request.error());
                continue;
            }
            const auto known = sessions_.find(request->dwClientId);
            if (known == sessions_.end() || known->second->peer() != datagram.from.address()) continue;
            known->second->datagram(datagram.bytes, datagram.from);
        }
    }

    void write_malformed(const Door& door, const net::DatagramSocket::Datagram& datagram,
                         const bytes::ParseError& error) {
        constexpr std::size_t told_max = 1000;  // a flood does not fill the journal
        if (++malformed_ > told_max) return;
        server_.context.write(What::malformed, "", "resend", process::malformed_fields("RequestPacketListResend", error, datagram.bytes),
                              net::text(door.datagrams.local()), net::text(datagram.from));
    }

    void icmp(const net::QueuedError& error) {
        const auto known = by_target_.find(error.about);
        if (known != by_target_.end()) known->second->icmp(error);
    }

    // --- whose datagrams go where: an ICMP message costs the same however many play

    void sends_to(MmsSession& session, const net::udp::endpoint& target) override { by_target_[target] = &session; }
    void sends_no_longer_to(MmsSession& session, const net::udp::endpoint& target) override {
        const auto known = by_target_.find(target);
        if (known != by_target_.end() && known->second == &session) by_target_.erase(known);
    }

    struct EndpointHash {
        std::size_t operator()(const net::udp::endpoint& at) const {
            return std::hash<std::uint64_t>{}(std::uint64_t{at.address().to_v4().to_uint()} << 16 | at.port());
        }
    };

    std::uint32_t new_client_id() {
        for (;;) {
            const auto id = static_cast<std::uint32_t>(random_());
            if (id != 0 && !sessions_.contains(id)) return id;
        }
    }

    Server& server_;
    std::vector<std::unique_ptr<Door>> doors_;
    std::unordered_map<std::uint32_t, MmsSession*> sessions_;
    std::unordered_map<net::udp::endpoint, MmsSession*, EndpointHash> by_target_;
    std::random_device random_;
    std::size_t malformed_ = 0;
    net::Tasks tasks_;
};

bool needed(const process::Context& context) {
    if (!context.scenario) return true;
    using scenario::FlowType;
    const auto flows = context.flows_at(scenario::Program::server_sim, scenario::End::to);
    return std::ranges::any_of(flows, [](const auto& flow) {
        const auto type = flow.flow->type;
        return type == FlowType::mms_udp || type == FlowType::mms_tcp || type == FlowType::mms_auto;
    });
}

}  // namespace

std::unique_ptr<Service> make_mms(Server& server) {
    return needed(server.context) ? std::make_unique<MmsService>(server) : nullptr;
}

}  // namespace wmlab::server_sim
