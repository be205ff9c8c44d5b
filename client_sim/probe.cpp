#include "client_sim/probe.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <list>
#include <map>
#include <utility>

#include "common/net/bind.hpp"
#include "common/net/connect.hpp"
#include "common/net/datagram.hpp"
#include "common/net/hopeless.hpp"
#include "common/net/tasks.hpp"
#include "common/net/within.hpp"
#include "common/process/privileges.hpp"
#include "common/process/probe.hpp"

namespace wmlab::client_sim {
namespace {

using evidence::What;
using Clock = std::chrono::steady_clock;

constexpr std::size_t descriptors_kept = 512, in_flight_max = 16384, young_max = 512;
constexpr milliseconds silent_after{100};
constexpr unsigned datagrams_each = 3;  // a single datagram may get lost without anybody blocking it
constexpr std::size_t burst = 64;       // datagrams between two looks at what came back
constexpr int buffer_size = 8 << 20;

class Probe {
public:
    Probe(Client& client, scenario::FlowInstance flow)
        : client_{client}, flow_{std::move(flow)}, executor_{client.context.io.get_executor()}, tasks_{executor_} {
        for (const auto& range : flow_.flow->ports)
            for (unsigned port = range.first; port <= range.last; ++port)
                ports_.push_back(static_cast<std::uint16_t>(port));
        in_full_ = ports_.size() <= process::told_in_full_max;
    }

    asio::awaitable<Outcome> run() {
        boost::json::object started;
        started[field::type] = "probe";
        const auto end = client_.context.other_end(flow_, flow_.to, ports_.front());
        started[field::target] = end.host + ":" + scenario::text(flow_.flow->ports);
        started[field::attempt] = 1;
        write(What::flow_started, "", std::move(started), "", "");
        Outcome outcome;
        const auto address = co_await client_.context.resolve(end.host);
        if (!address) {
            outcome.reason = address.error();
            co_return outcome;
        }
        to_ = *address;
        if (client_.context.endpoints.contains(flow_.id)) moved_ = end.port;
        if (flow_.flow->protocol == scenario::Protocol::tcp)
            co_await all_by_tcp();
        else
            co_await all_by_udp(outcome);
        if (!outcome.reason.empty()) co_return outcome;
        outcome.worked = answered_ == ports_.size();
        outcome.reason = std::to_string(answered_) + " of " + std::to_string(ports_.size()) + " ports answered";
        co_return outcome;
    }

private:
    // --- TCP: a connection for each port, as many at a time as there are descriptors

    // Few at a time where answers come, so that none waits unread behind thousands of others; connections that have met
    // silence for a while do not hold up the rest.
    asio::awaitable<void> all_by_tcp() {
        const auto limit = process::descriptor_limit();
        const auto room = limit > 2 * descriptors_kept ? limit - descriptors_kept : limit / 2;
        asio::steady_timer pause{executor_};
        while (next_ < ports_.size()) {
            const auto now = Clock::now();
            std::erase_if(young_, [&](const auto& one) {
                // Connected but not answered is a slow host at the other end: it gets no more to do meanwhile.
                const auto patience = one->connected ? flow_.flow->deadline / 2 : silent_after;
                if (!one->out && one->started + patience > now) return false;
                if (!std::exchange(one->out, true)) --young_count_;
                return true;
            });
            while (next_ < ports_.size() && young_count_ < young_max &&
                   tasks_.running() < std::min(room, in_flight_max)) {
                young_.push_back(std::make_shared<Young>(Young{Clock::now()}));
                ++young_count_;
                tasks_.spawn(by_tcp(ports_[next_++], young_.back()));
            }
            pause.expires_after(milliseconds{2});
            co_await pause.async_wait(asio::use_awaitable);  // throws when the flow is cancelled
        }
        co_await tasks_.ended();
    }

    struct Young {  // a connection of which it is not known yet whether it meets silence
        Clock::time_point started;
        bool connected = false;
        bool out = false;  // settled, or no longer young
    };

    asio::awaitable<void> by_tcp(std::uint16_t port, std::shared_ptr<Young> young) {
        bool answered_or_failed = co_await by_tcp(port, *young, false);
        if (!answered_or_failed) co_await by_tcp(port, *young, true);
        if (!std::exchange(young->out, true)) --young_count_;
    }

    // False: the connection stood, but silence followed; worth another try, for a host that was too busy.
    asio::awaitable<bool> by_tcp(std::uint16_t port, Young& young, bool again) {
        if (again) {
            auto retry = fields(port);
            retry[field::reason] = "connected, but the echo did not come";
            write(What::retry, "probe", std::move(retry), "", "");
        }
        const net::tcp::endpoint to{to_, target(port)};
        const auto remote = net::text(to);
        std::optional<net::tcp::endpoint> from;
        if (!client_.context.own_address().is_unspecified())
            from = net::tcp::endpoint{client_.context.own_address(), 0};
        if (in_full_) write(What::connecting, "probe", fields(port), "", remote);
        // Without a bind the kernel shares local ports between destinations: a sweep needs more than there are.
        auto connected = co_await net::connect(to, flow_.flow->deadline, in_full_ ? from : std::nullopt);
        if (!connected) {
            auto failed = fields(port);
            failed[field::failure] = net::to_json(connected.error());
            write(What::connect_failed, "probe", std::move(failed), connected.error().local, remote);
            co_return true;
        }
        young.connected = true;
        auto& socket = connected->socket;
        boost::system::error_code gone;
        const auto local = net::text(socket.local_endpoint(gone));
        if (in_full_) {
            auto told = fields(port);
            told[field::milliseconds] = std::chrono::duration<double, std::milli>(connected->round_trip).count();
            write(What::connected, "probe", std::move(told), local, remote);
        }
        const auto nonce = process::new_nonce();
        write_nonce(What::probe_sent, port, nonce, local, remote);
        const auto start = Clock::now();
        // The kernel answers a SYN at once; how busy the program behind it is, earlier echoes tell.
        const auto limit = std::max(net::patient(flow_.flow->deadline, connected->round_trip), 3 * slowest_echo_);
        std::string why = "the echo is not what was sent";
        net::Failure failure{net::Failure::Kind::other, "", milliseconds{0}, std::nullopt};
        bool answered = false;
        try {
            const auto message = process::probe_message(nonce);
            auto echo = message;
            echo.fill(std::byte{0});
            co_await asio::async_write(socket, asio::buffer(message), asio::use_awaitable);
            co_await net::within(limit, asio::async_read(socket, asio::buffer(echo), asio::use_awaitable));
            answered = echo == message;
            slowest_echo_ = std::max(slowest_echo_, std::chrono::duration_cast<milliseconds>(Clock::now() - start));
        } catch (const net::StepTimedOut&) {
            // What has come but was not read yet, on a loaded machine, is no silence.
            auto echo = process::probe_message(process::new_nonce());
            const auto size = ::recv(socket.native_handle(), echo.data(), echo.size(), MSG_DONTWAIT);
            answered = size == static_cast<ssize_t>(echo.size()) && echo == process::probe_message(nonce);
            failure = net::Failure::timed_out(limit);
        } catch (const boost::system::system_error& error) {
            if (error.code() == asio::error::operation_aborted) throw;
            failure = net::Failure::of(error.code(), std::chrono::duration_cast<milliseconds>(Clock::now() - start));
        }
        if (answered) {
            ++answered_;
            write_nonce(What::probe_answered, port, nonce, local, remote);
        } else {
            auto closed = fields(port);
            closed[field::by] = failure.kind == net::Failure::Kind::timeout ? "self" : "error";
            closed[field::reason] = failure.kind == net::Failure::Kind::other && failure.error.empty() ? why : "no echo: " + failure.text();
            closed[field::failure] = net::to_json(failure);
            write(What::closed, "probe", std::move(closed), local, remote);
        }
        // With a RST, so that neither end nor the firewall keeps the connection for minutes.
        socket.set_option(asio::socket_base::linger{true, 0}, gone);
        socket.close(gone);
        co_return answered || failure.kind != net::Failure::Kind::timeout;
    }

    // --- UDP: one socket for all ports

    asio::awaitable<void> all_by_udp(Outcome& outcome) {
        auto bound = net::bind_udp(executor_, {client_.context.own_address(), 0}, buffer_size);
        if (!bound) {
            outcome.reason = bound.error().text();
            co_return;
        }
        net::DatagramSocket socket{std::move(*bound)};
        socket.on_icmp = [&](const net::QueuedError& error) { icmp(socket, error); };
        std::map<std::string, std::uint16_t> sent;  // nonces
        const auto start = Clock::now();
        const auto round = flow_.flow->deadline / datagrams_each;
        for (const auto port : ports_) open_[port] = true;
        std::list<net::Waiting> waiting;
        for (const auto port : ports_) {
            if (!in_full_) break;
            waiting.emplace_back(
                "udp", net::text(net::udp::endpoint{to_, target(port)}), [&] { return local_text(socket); },
                [this, &socket, start, port] {
                    socket.drain_errors();  // a reject that has come says more than silence
                    if (!std::exchange(open_[port], false)) return;
                    ++settled_;
                    silent(port, socket, std::chrono::duration_cast<milliseconds>(Clock::now() - start));
                    woken_ = true;
                    socket.socket().cancel();
                });
        }
        for (unsigned attempt = 0; attempt < datagrams_each && open_count() > 0; ++attempt) {
            std::size_t in_burst = 0;
            for (const auto port : ports_) {
                if (!open_[port]) continue;
                const auto nonce = process::new_nonce();
                sent[nonce] = port;
                const net::udp::endpoint to{to_, target(port)};
                write_nonce(What::probe_sent, port, nonce, local_text(socket), net::text(to));
                socket.send_to(to, process::probe_message(nonce));
                if (++in_burst % burst == 0) {
                    take(socket, sent);
                    co_await asio::post(executor_, asio::use_awaitable);
                }
            }
            const auto until = Clock::now() + round;
            while (open_count() > 0 && Clock::now() < until) {
                take(socket, sent);
                if (open_count() == 0) break;
                co_await readable(socket, until);
            }
        }
        take(socket, sent);
        const auto waited = std::chrono::duration_cast<milliseconds>(Clock::now() - start);
        for (const auto port : ports_)
            if (open_[port]) silent(port, socket, waited);
    }

    void silent(std::uint16_t port, const net::DatagramSocket& socket, milliseconds waited) {
        auto failed = fields(port);
        failed[field::failure] = net::to_json(net::Failure::timed_out(waited));
        write(What::connect_failed, "probe", std::move(failed), local_text(socket),
              net::text(net::udp::endpoint{to_, target(port)}));
    }

    // Waits until something can be read or the time has come.
    asio::awaitable<void> readable(net::DatagramSocket& socket, Clock::time_point until) {
        const auto left = std::max(milliseconds{1}, std::chrono::ceil<milliseconds>(until - Clock::now()));
        try {
            auto wait = socket.socket().async_wait(net::udp::socket::wait_read, asio::use_awaitable);
            co_await net::within(left, std::move(wait));
        } catch (const net::StepTimedOut&) {
        } catch (const boost::system::system_error&) {
            if (!std::exchange(woken_, false)) throw;
        }
    }

    void take(net::DatagramSocket& socket, const std::map<std::string, std::uint16_t>& sent) {
        while (const auto datagram = socket.try_receive()) {
            const auto nonce = process::proven_nonce_in(datagram->bytes);
            const auto known = nonce ? sent.find(*nonce) : sent.end();
            if (known == sent.end() || !open_[known->second]) continue;
            open_[known->second] = false;
            ++answered_, ++settled_;
            write_nonce(What::probe_answered, known->second, *nonce, local_text(socket), net::text(datagram->from));
        }
        socket.drain_errors();
    }

    void icmp(net::DatagramSocket& socket, const net::QueuedError& error) {
        const auto port = moved_ == 0 ? error.about.port() : ports_.front();
        const auto known = open_.find(port);
        if (known == open_.end() || !known->second || error.about.address() != to_) return;
        known->second = false;
        ++settled_;
        net::Failure failure = net::Failure::of({error.error, boost::system::system_category()}, milliseconds{0});
        failure.icmp = error.icmp;
        auto failed = fields(port);
        failed[field::failure] = net::to_json(failure);
        write(What::connect_failed, "probe", std::move(failed), local_text(socket), net::text(error.about));
    }

    std::size_t open_count() const { return ports_.size() - settled_; }

    // --- the journal

    boost::json::object fields(std::uint16_t port) const {
        boost::json::object out;
        out[field::protocol] = scenario::text(flow_.flow->protocol);
        out[field::port] = port;
        return out;
    }

    void write_nonce(What what, std::uint16_t port, const std::string& nonce, std::string local, std::string remote) {
        auto told = fields(port);
        told[field::nonce] = nonce;
        write(what, "probe", std::move(told), std::move(local), std::move(remote));
    }

    void write(What what, std::string leg, boost::json::object told, std::string local, std::string remote) {
        client_.context.write(what, flow_.id, std::move(leg), std::move(told), std::move(local), std::move(remote));
    }

    static std::string local_text(const net::DatagramSocket& socket) { return net::text(socket.local()); }
    std::uint16_t target(std::uint16_t port) const { return moved_ != 0 ? moved_ : port; }

    Client& client_;
    scenario::FlowInstance flow_;
    asio::any_io_executor executor_;
    net::Tasks tasks_;
    std::vector<std::uint16_t> ports_;
    bool in_full_ = true;
    asio::ip::address_v4 to_;
    std::uint16_t moved_ = 0;  // an endpoint given from outside replaces the port
    std::deque<std::shared_ptr<Young>> young_;
    std::size_t young_count_ = 0;
    milliseconds slowest_echo_{0};
    std::size_t next_ = 0, answered_ = 0, settled_ = 0;
    std::map<std::uint16_t, bool> open_;  // UDP: not settled yet
    bool woken_ = false;                  // the wait for the socket was ended because something is lost
};

}  // namespace

asio::awaitable<Outcome> probe_flow(Client& client, scenario::FlowInstance flow) {
    const auto probe = std::make_shared<Probe>(client, std::move(flow));
    co_return co_await probe->run();
}

}  // namespace wmlab::client_sim
