#include "common/serving/msbd.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>
#include <set>

#include "common/bytes/utf16.hpp"
#include "common/msbd/message.hpp"
#include "common/net/accept.hpp"
#include "common/net/tasks.hpp"
#include "common/net/within.hpp"
#include "common/serving/msbd_session.hpp"
#include "common/url/url.hpp"

namespace wmlab::serving {
namespace {

using evidence::What;

constexpr milliseconds farewell{500};  // for the pullers to close, after they were told of the end

struct Wish {  // a listener that somebody needs
    std::uint16_t port = scenario::msbd_port;
    bool fallback = false;       // a port of its own in 1024-5000, because 7007 is taken
    bool may_fall_back = false;  // likewise, should 7007 be taken
    std::string flow;            // the only one it is for
    std::shared_ptr<PublishingPoint> usual;
};

std::string what_never_fits(const PublishingPoint& point) {
    if (!point.ready()) return {};
    const auto& header = point.header();
    msbd::StreamInfo info;
    info.cbPacketSize = static_cast<std::uint16_t>(std::min<std::uint32_t>(header.packet_size, UINT16_MAX));
    info.title = bytes::to_utf8(header.title);
    info.header = header.raw;
    return msbd::problem(info).value_or("");
}

class MsbdService : public Service {
public:
    MsbdService(Server& server, std::vector<Wish> wishes) : server_{server}, wishes_{std::move(wishes)}, tasks_{server.context.io.get_executor()} {}

    void prepare() override {
        for (const auto& address : server_.addresses) {
            for (const auto& wish : wishes_)
                if (!wish.fallback) open(address, wish);
            const auto needs_more = std::ranges::find(wishes_, true, &Wish::fallback);
            if (needs_more == wishes_.end()) continue;
            hold_usual_port(address, *needs_more);
            for (const auto& wish : wishes_)
                if (wish.fallback) fall_back(address, wish);
        }
        for (const auto& door : doors_) tasks_.spawn(accept(*door));
        for (const auto& point : server_.points.all())
            if (const auto problem = what_never_fits(*point); !problem.empty())
                spdlog::warn(
                    "{} cannot be sent by MSBD: {}; let ffmpeg write smaller packets and no picture of the title: ffmpeg -i FILE -map 0:V? -map 0:a? -c copy -packet_size 1400 NEW.wmv",
                    point->name(), problem);
    }

    asio::awaitable<void> stop() override {
        boost::system::error_code ignored;
        for (const auto& door : doors_) door->acceptor.close(ignored);
        const auto sessions = sessions_;  // a session may end while it is told
        for (const auto& session : sessions)
            if (const auto alive = session.lock()) alive->end();
        const auto until = std::chrono::steady_clock::now() + farewell;
        asio::steady_timer timer{server_.context.io};
        while (!sessions_.empty() && std::chrono::steady_clock::now() < until) {
            timer.expires_after(milliseconds{5});
            co_await timer.async_wait(asio::use_awaitable);
        }
        tasks_.cancel();
        co_await tasks_.ended();
    }

    std::vector<std::string> urls() const override {
        std::vector<std::string> out;
        for (const auto& door : doors_) {
            boost::system::error_code gone;
            const auto at = door->acceptor.local_endpoint(gone);
            const auto host = at.port() == scenario::msbd_port ? at.address().to_string() : net::text(at);
            out.push_back("msbd://" + host + url::encoded_path(door->usual->name()));
        }
        return out;
    }

    std::string status() const override {
        std::string text;
        for (const auto& one : sessions_)
            if (const auto session = one.lock())
                text += fmt::format("; {}: {} packets, {} bytes{}", session->peer_text(), session->packets(), session->bytes(),
                                    session->behind() > 0 ? fmt::format(", {} behind", session->behind()) : "");
        return fmt::format("sending to {} by MSBD{}", sessions_.size(), text);
    }

private:
    struct Door {
        net::tcp::acceptor acceptor;
        std::string flow;
        std::shared_ptr<PublishingPoint> usual;
    };

    void open(const asio::ip::address& address, const Wish& wish) {
        if (!wish.may_fall_back) {
            auto acceptor = server_.listen(address, wish.port, "msbd");
            doors_.push_back(std::make_unique<Door>(std::move(acceptor), wish.flow, wish.usual));
            return;
        }
        auto bound = net::listen_tcp(server_.context.io.get_executor(), {address, wish.port});
        if (!bound) {
            taken_ = bound.error();
            return fall_back(address, wish);
        }
        add(std::move(*bound), wish, {});
    }

    // What makes the others fall back: the port is held by a foreign program, or by us.
    void hold_usual_port(const asio::ip::address& address, const Wish& any) {
        auto bound = net::listen_tcp(server_.context.io.get_executor(), {address, scenario::msbd_port});
        if (bound) {
            Wish usual;
            usual.usual = any.usual;
            add(std::move(*bound), usual, {});
            bound = net::listen_tcp(server_.context.io.get_executor(), {address, scenario::msbd_port});
        }
        if (!bound) taken_ = bound.error();
    }

    void fall_back(const asio::ip::address& address, const Wish& wish) {
        constexpr auto range = scenario::player_ports;
        auto bound =
            net::listen_tcp_in(server_.context.io.get_executor(), address, range.first, range.last, server_.context.ports_to_spare(scenario::Protocol::tcp));
        boost::json::object fields;
        if (taken_) {
            fields[field::instead_of] = taken_->local;
            fields[field::taken] = taken_->error;
            if (!taken_->holder.empty()) fields[field::taken_by] = taken_->holder;
        }
        if (bound) return add(std::move(*bound), wish, std::move(fields));
        fields[field::protocol] = "tcp";
        fields[field::error] = bound.error().error;
        if (!bound.error().holder.empty()) fields[field::holder] = bound.error().holder;
        server_.context.write(What::listen_failed, wish.flow, "msbd", std::move(fields), bound.error().local);
        throw process::EnvironmentError{fmt::format("TCP {} is taken{}, and no port in {} is free on {}: end a program that holds one, or choose a port",
                                                    scenario::msbd_port, taken_ && !taken_->holder.empty() ? " by " + taken_->holder : "", range.text(),
                                                    address.to_string())};
    }

    void add(net::tcp::acceptor acceptor, const Wish& wish, boost::json::object fields) {
        fields[field::protocol] = "tcp";
        const auto local = net::text(acceptor.local_endpoint());
        if (fields.contains(field::instead_of) && !server_.scenario_mode())
            spdlog::warn("TCP {} is taken{}: MSBD is served on {}", scenario::msbd_port, taken_->holder.empty() ? "" : " by " + taken_->holder, local);
        server_.msbd_ports[wish.flow] = acceptor.local_endpoint().port();
        server_.context.write(What::listening, wish.fallback ? wish.flow : "", "msbd", std::move(fields), local);
        doors_.push_back(std::make_unique<Door>(std::move(acceptor), wish.flow, wish.usual));
    }

    asio::awaitable<void> accept(Door& door) {
        return net::accept_each(door.acceptor, [this, &door](net::tcp::socket socket) {
            if (server_.limits.too_many_to_refuse(sessions_.size())) return;
            tasks_.spawn(serve(std::make_shared<MsbdSession>(server_, door.usual, std::move(socket), door.flow)));
        });
    }

    asio::awaitable<void> serve(std::shared_ptr<MsbdSession> session) {
        const auto place = sessions_.insert(sessions_.end(), session);
        try {
            co_await session->run();
        } catch (const std::exception& error) {  // a lost puller ends this session and no other
            spdlog::warn("MSBD session: {}", error.what());
        }
        sessions_.erase(place);
    }

    Server& server_;
    std::vector<Wish> wishes_;
    std::vector<std::unique_ptr<Door>> doors_;
    std::list<std::weak_ptr<MsbdSession>> sessions_;
    std::optional<net::BindFailure> taken_;  // why 7007 was not to be had
    net::Tasks tasks_;
};

// The flows whose MSBD connections this host is to accept.
std::vector<scenario::FlowInstance> flows_served(const Server& server) {
    auto flows = server.context.flows_at(server.program, scenario::End::to);
    std::erase_if(flows, [](const auto& flow) { return flow.flow->type != scenario::FlowType::msbd; });
    for (auto& flow : server.context.flows_at(server.program, scenario::End::from))
        if (flow.flow->type == scenario::FlowType::encoder_alias) flows.push_back(std::move(flow));
    return flows;
}

}  // namespace

std::unique_ptr<Service> make_msbd(Server& server) {
    std::vector<Wish> wishes;
    const auto& options = server.context.options;
    if (!server.scenario_mode()) {
        if (!options.contains("msbd-port") || server.points.all().empty()) return nullptr;
        Wish wish;
        wish.port = options["msbd-port"].as<std::uint16_t>();
        wish.may_fall_back = wish.port == scenario::msbd_port;
        wish.usual = server.points.all().front();
        wishes.push_back(std::move(wish));
    }
    for (const auto& flow : flows_served(server)) {
        const auto& port = flow.flow->msbd_port;
        Wish wish{port.port, port.fallback, false, flow.id, server.points.find(flow.flow->content)};
        const auto same = std::ranges::find_if(wishes, [&](const Wish& other) { return !wish.fallback && !other.fallback && other.port == wish.port; });
        if (same == wishes.end())
            wishes.push_back(std::move(wish));
        else
            same->flow.clear();  // whose a connection is only the other end knows
    }
    if (wishes.empty()) return nullptr;
    return std::make_unique<MsbdService>(server, std::move(wishes));
}

}  // namespace wmlab::serving
