#include "common/serving/http.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <random>
#include <set>

#include "common/net/accept.hpp"
#include "common/net/tasks.hpp"
#include "common/serving/http_session.hpp"
#include "common/url/url.hpp"

namespace wmlab::serving {
namespace {

constexpr std::uint16_t http_port = 80;

class HttpService : public Service, private HttpHall {
public:
    HttpService(Server& server, std::set<std::uint16_t> ports, bool wanted)
        : server_{server}, ports_{std::move(ports)}, wanted_{wanted}, tasks_{server.context.io.get_executor()} {}

    void prepare() override {
        for (const auto& address : server_.addresses)
            for (const auto port : ports_) {
                try {
                    doors_.push_back(std::make_unique<net::tcp::acceptor>(server_.listen(address, port, "http")));
                } catch (const process::EnvironmentError& error) {
                    if (wanted_) throw;
                    spdlog::warn("no HTTP there: {} (--http-port N chooses another port)", error.what());
                }
            }
        for (const auto& door : doors_) tasks_.spawn(accept(*door));
    }

    asio::awaitable<void> stop() override {
        boost::system::error_code ignored;
        for (const auto& door : doors_) door->close(ignored);
        tasks_.cancel();
        co_await tasks_.ended();
    }

    std::vector<std::string> urls() const override {
        std::vector<std::string> out;
        for (const auto& door : doors_) {
            boost::system::error_code gone;
            const auto at = door->local_endpoint(gone);
            const auto host = at.port() == http_port ? at.address().to_string() : net::text(at);
            for (const auto& point : server_.points.all()) {
                const auto path = url::encoded_path(point->name());
                out.push_back("http://" + host + path);
                out.push_back("http://" + host + path + ".asx");
            }
        }
        return out;
    }

private:
    asio::awaitable<void> accept(net::tcp::acceptor& door) {
        return net::accept_each(door, [this](net::tcp::socket socket) {
            if (server_.limits.too_many_to_refuse(sessions_.size())) return;
            HttpHall& hall = *this;
            tasks_.spawn(serve(std::make_shared<HttpSession>(server_, hall, std::move(socket))));
        });
    }

    asio::awaitable<void> serve(std::shared_ptr<HttpSession> session) {
        const auto place = sessions_.insert(sessions_.end(), session.get());
        try {
            co_await session->run();
        } catch (const std::exception& error) {  // a lost client ends this session and no other
            spdlog::warn("HTTP session: {}", error.what());
        }
        sessions_.erase(place);
    }

    std::shared_ptr<const std::vector<std::byte>> frame_of(const Packet& packet) override {
        if (framed_ != packet.bytes || framed_number_ != packet.number) {
            framed_ = packet.bytes;
            framed_number_ = packet.number;
            frame_ = std::make_shared<const std::vector<std::byte>>(wmsp::data_frame(static_cast<std::uint32_t>(packet.number), *packet.bytes));
        }
        return frame_;
    }

    std::uint32_t new_client_id() override {
        // Not compared with those of thousands of others: that two are the same is as unlikely as a lucky guess.
        for (;;) {
            const auto id = static_cast<std::uint32_t>(random_());
            if (id != 0 && !remembers(id)) return id;
        }
    }

    HttpSession* session(std::uint32_t client_id) override {
        HttpSession* found = nullptr;  // of several connections of one session, the one that streams
        for (auto* const one : sessions_)
            if (one->client_id() == client_id && (!found || one->streaming())) found = one;
        return found;
    }

    void remember(std::uint32_t client_id) override {
        constexpr std::size_t remembered_max = 4096;
        if (!remembered_.insert(client_id).second) return;
        in_order_.push_back(client_id);
        if (in_order_.size() <= remembered_max) return;
        remembered_.erase(in_order_.front());
        in_order_.pop_front();
    }
    bool remembers(std::uint32_t client_id) const override { return remembered_.contains(client_id); }

    void spawn(asio::awaitable<void> task) override { tasks_.spawn(std::move(task)); }

    Server& server_;
    std::set<std::uint16_t> ports_;
    bool wanted_;  // a port that cannot be had ends the process
    std::vector<std::unique_ptr<net::tcp::acceptor>> doors_;
    std::list<HttpSession*> sessions_;
    std::set<std::uint32_t> remembered_;  // client ids of sessions, also of those whose connections are closed
    std::deque<std::uint32_t> in_order_;
    std::shared_ptr<const std::vector<std::byte>> framed_, frame_;
    std::uint64_t framed_number_ = 0;
    std::random_device random_;
    net::Tasks tasks_;
};

}  // namespace

std::unique_ptr<Service> make_http(Server& server) {
    using scenario::FlowType;
    const auto& options = server.context.options;
    const auto& option = options["http-port"];
    std::set<std::uint16_t> ports;
    if (!server.scenario_mode()) {
        const auto port = option.as<std::uint16_t>();
        if (options.contains("no-http")) return nullptr;
        // Ordinary users often may not have port 80; nobody who did not ask for HTTP shall miss MMS for it.
        return std::make_unique<HttpService>(server, std::set{port}, !option.defaulted());
    }
    for (const auto& flow : server.context.flows_at(server.program, scenario::End::to)) {
        const auto type = flow.flow->type;
        if (type == FlowType::http || type == FlowType::mms_auto || type == FlowType::http_distribution)
            ports.insert(option.defaulted() ? flow.flow->port : option.as<std::uint16_t>());
    }
    if (ports.empty()) return nullptr;
    return std::make_unique<HttpService>(server, std::move(ports), true);
}

}  // namespace wmlab::serving
