#include "server_sim/probe.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <deque>

#include "common/net/datagram.hpp"
#include "common/net/tasks.hpp"
#include "common/net/within.hpp"
#include "common/process/confinement.hpp"
#include "common/process/privileges.hpp"
#include "common/process/probe.hpp"

namespace wmlab::server_sim {
namespace {

using evidence::What;

constexpr std::size_t descriptors_kept = 1024;  // for accepted connections and everything else
constexpr milliseconds patience{10'000};        // with a connection that does not send its probe

struct Task {  // one flow's ports on this host
    std::string flow;
    scenario::Protocol protocol = scenario::Protocol::tcp;
    asio::ip::address_v4 address;
    std::vector<std::uint16_t> ports;
    bool in_full = true;  // all events of each port
};

using Write = std::function<void(evidence::Event)>;

// Listens on some ports and answers what comes.
class Ears {
public:
    Ears(asio::io_context& io, Write write) : io_{io}, write_{std::move(write)}, tasks_{io.get_executor()} {}

    void listen(const Task& task) {
        std::map<std::string, std::vector<std::uint16_t>> failed;  // by error
        std::vector<std::uint16_t> bound;
        for (const auto port : task.ports) {
            auto error = task.protocol == scenario::Protocol::tcp ? listen_tcp(task, port) : listen_udp(task, port);
            if (error.empty())
                bound.push_back(port);
            else
                failed[error].push_back(port);
        }
        if (!bound.empty()) write_bound(task, What::listening, bound, {});
        for (const auto& [error, ports] : failed) write_bound(task, What::listen_failed, ports, error);
    }

    asio::awaitable<void> stop() {
        for (auto& ear : tcp_) {
            boost::system::error_code ignored;
            ear.acceptor.close(ignored);
        }
        for (auto& ear : udp_) ear.socket.close();
        tasks_.cancel();
        co_await tasks_.ended();
    }

private:
    struct TcpEar {
        const Task* task;
        net::tcp::acceptor acceptor;
    };
    struct UdpEar {
        const Task* task;
        net::udp::socket socket;
    };

    const Task* keep(const Task& task) {
        if (kept_.empty() || kept_.back().flow != task.flow || kept_.back().protocol != task.protocol)
            kept_.push_back({task.flow, task.protocol, task.address, {}, task.in_full});
        return &kept_.back();
    }

    std::string listen_tcp(const Task& task, std::uint16_t port) {
        auto acceptor = net::listen_tcp(io_.get_executor(), {task.address, port});
        if (!acceptor) return failure_words(acceptor.error(), task);
        acceptor->non_blocking(true);
        tcp_.push_back({keep(task), std::move(*acceptor)});
        accept(tcp_.back());
        return "";
    }

    std::string listen_udp(const Task& task, std::uint16_t port) {
        auto socket = net::bind_udp(io_.get_executor(), {task.address, port});
        if (!socket) return failure_words(socket.error(), task);
        udp_.push_back({keep(task), std::move(*socket)});
        receive(udp_.back());
        return "";
    }

    static std::string failure_words(const net::BindFailure& failure, const Task& task) {
        // In a sweep ports are told by error; a single port names its holder.
        return task.in_full && !failure.holder.empty() ? failure.error + "\n" + failure.holder : failure.error;
    }

    void write_bound(const Task& task, What what, const std::vector<std::uint16_t>& ports, const std::string& error) {
        boost::json::object fields;
        fields[field::protocol] = scenario::text(task.protocol);
        const auto split = error.find('\n');
        if (!error.empty()) fields[field::error] = error.substr(0, split);
        if (split != std::string::npos) fields[field::holder] = error.substr(split + 1);
        if (task.in_full) {
            for (const auto port : ports)
                write(task, what, fields, task.address.to_string() + ":" + std::to_string(port), "");
        } else {
            fields[field::ports] = process::ports_text(ports);
            write(task, what, std::move(fields), task.address.to_string() + ":0", "");
        }
    }

    // Waiting by callback: a coroutine for each of 64k ports would cost more memory than the ports do.
    void accept(TcpEar& ear) {
        ear.acceptor.async_wait(net::tcp::acceptor::wait_read, [this, &ear](boost::system::error_code error) {
            if (error) return;
            constexpr int a_turn = 32;
            for (int i = 0; i < a_turn; ++i) {
                net::tcp::socket socket{io_};
                net::tcp::endpoint from;  // a socket that was reset meanwhile no longer knows it
                ear.acceptor.accept(socket, from, error);
                if (error) break;
                tasks_.spawn(answer(*ear.task, std::move(socket), from));
            }
            if (!ear.acceptor.is_open()) return;
            if (!error || error == asio::error::would_block) return accept(ear);
            const auto pause = std::make_shared<asio::steady_timer>(io_, milliseconds{100});  // out of descriptors
            pause->async_wait([this, &ear, pause](boost::system::error_code) {
                if (ear.acceptor.is_open()) accept(ear);
            });
        });
    }

    asio::awaitable<void> answer(const Task& task, net::tcp::socket socket, net::tcp::endpoint from) {
        boost::system::error_code gone;
        const auto local = net::text(socket.local_endpoint(gone)), remote = net::text(from);
        const auto port = socket.local_endpoint(gone).port();
        const auto connection = ++connections_;
        const std::function leave = [&socket] {
            boost::system::error_code ignored;
            socket.cancel(ignored);
        };
        const Seats::Seat seat{seats_, from.address(), leave};
        if (task.in_full) {
            boost::json::object fields;
            fields[field::connection] = connection;
            write(task, What::accepted, std::move(fields), local, remote);
        }
        try {
            std::array<std::byte, process::probe_size> message{};
            co_await net::within(patience, asio::async_read(socket, asio::buffer(message), asio::use_awaitable));
            const auto nonce = process::nonce_in(message);
            if (!nonce) co_return;
            write_received(task, port, *nonce, local, remote, connection);
            co_await asio::async_write(socket, asio::buffer(message), asio::use_awaitable);
            // The prober closes first, so that its proof is not overtaken by our end.
            std::byte end{};
            auto last = asio::async_read(socket, asio::buffer(&end, 1), asio::use_awaitable);
            co_await net::within(patience, std::move(last));
        } catch (const std::exception&) {  // it has gone, or says nothing: its own end tells
        }
    }

    void receive(UdpEar& ear) {
        ear.socket.async_wait(net::udp::socket::wait_read, [this, &ear](boost::system::error_code error) {
            if (error && error.value() == ECANCELED) return;
            std::array<std::byte, 512> buffer{};
            for (int burst = 0; burst < 64; ++burst) {
                net::udp::endpoint from;
                const auto size = ear.socket.receive_from(asio::buffer(buffer), from, 0, error);
                if (error == asio::error::would_block || error == asio::error::bad_descriptor) break;
                if (error) {  // an ICMP message about an answer of ours
                    net::drain_error_queue(ear.socket.native_handle());
                    continue;
                }
                const auto nonce = process::nonce_in({buffer.data(), size});
                if (!nonce) continue;
                const auto local = ear.socket.local_endpoint(error);
                write_received(*ear.task, local.port(), *nonce, net::text(local), net::text(from), 0);
                ear.socket.send_to(asio::buffer(process::proof_message(*nonce)), from, 0, error);
            }
            if (ear.socket.is_open()) receive(ear);
        });
    }

    void write_received(const Task& task, std::uint16_t port, const std::string& nonce, std::string local,
                        std::string remote, std::uint64_t connection) {
        boost::json::object fields;
        fields[field::protocol] = scenario::text(task.protocol);
        fields[field::port] = port;
        fields[field::nonce] = nonce;
        if (connection != 0 && task.in_full) fields[field::connection] = connection;
        write(task, What::probe_received, std::move(fields), std::move(local), std::move(remote));
    }

    void write(const Task& task, What what, boost::json::object fields, std::string local, std::string remote) {
        evidence::Event event;
        event.event = what;
        event.flow = task.flow;
        event.leg = "probe";
        event.fields = std::move(fields);
        event.local = std::move(local);
        event.remote = std::move(remote);
        write_(std::move(event));
    }

    asio::io_context& io_;
    Write write_;
    std::deque<Task> kept_;  // addresses stay
    std::deque<TcpEar> tcp_;
    std::deque<UdpEar> udp_;
    std::uint64_t connections_ = std::uint64_t{1} << 32;  // apart from the other services' numbers
    // Who connects and says nothing makes room for the next.
    static constexpr std::size_t silent_max = 4096;
    const std::size_t room_ = std::max(process::descriptor_limit() / 8, std::min(silent_max, process::descriptor_limit() / 2));
    Seats seats_{{room_, room_}, Seats::all(room_)};
    net::Tasks tasks_;
};

// Ports beyond what one process may hold open are held by children. Each sends its events back over a pipe and ends
// when the other pipe does.
class Shard {
public:
    static std::unique_ptr<Shard> start(asio::io_context& io, const std::string& host, std::vector<Task> tasks) {
        std::array<int, 2> events{}, life{};
        if (::pipe2(events.data(), O_CLOEXEC) != 0 || ::pipe2(life.data(), O_CLOEXEC) != 0)
            throw process::EnvironmentError{"cannot make a pipe"};
        io.notify_fork(asio::execution_context::fork_prepare);
        const pid_t child = ::fork();
        if (child < 0) throw process::EnvironmentError{"cannot start a process for more ports"};
        if (child == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            // Only our two ends stay: what the parent has bound is not ours to keep alive.
            const int out = ::fcntl(events[1], F_DUPFD, 200), in = ::fcntl(life[0], F_DUPFD, 200);
            ::close_range(3, static_cast<unsigned>(std::min(out, in)) - 1, 0);
            ::close_range(static_cast<unsigned>(std::max(out, in)) + 1, ~0U, 0);
            live(host, std::move(tasks), out, in);
            ::_exit(0);
        }
        io.notify_fork(asio::execution_context::fork_parent);
        ::close(events[1]), ::close(life[0]);
        return std::make_unique<Shard>(io, child, events[0], life[1]);
    }

    Shard(asio::io_context& io, pid_t child, int events, int life)
        : child_{child}, events_{io, events}, life_{life}, ended_{io} {
        ended_.expires_at(asio::steady_timer::time_point::max());
    }
    ~Shard() {
        let_go();
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
    }

    // Waits until it has bound its ports: its first events are there.
    void wait_ready(const Write& write) {
        boost::system::error_code error;
        while (!ready_ && !error) {
            std::array<char, 65536> buffer{};
            const auto size = events_.read_some(asio::buffer(buffer), error);
            text_.append(buffer.data(), size);
            pass_on(write);
        }
    }

    asio::awaitable<void> forward(Write write) {
        std::array<char, 65536> buffer{};
        for (;;) {
            const auto [error, size] =
                co_await events_.async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
            text_.append(buffer.data(), size);
            pass_on(write);
            if (error) break;
        }
        over_ = true;
        ended_.cancel();
    }

    void let_go() {
        if (life_ >= 0) ::close(std::exchange(life_, -1));
    }
    asio::awaitable<void> ended() {
        if (!over_) co_await ended_.async_wait(asio::as_tuple(asio::use_awaitable));
    }

private:
    static void live(const std::string& host, std::vector<Task> tasks, int out, int in) {
        ::signal(SIGINT, SIG_IGN), ::signal(SIGTERM, SIG_IGN);  // the parent tells us by the pipe
        asio::io_context io{1};
        evidence::Journal journal{host, "server_sim", evidence::descriptor_sink(out)};
        Ears ears{io, [&](evidence::Event event) { journal.write(std::move(event)); }};
        for (const auto& task : tasks) ears.listen(task);
        evidence::Event ready;
        ready.event = What::ready;
        journal.write(std::move(ready));
        process::drop_root_for_good({}, {});
        process::confine({{}, {}, true});
        asio::posix::stream_descriptor life{io, in};
        char none = 0;
        life.async_read_some(asio::buffer(&none, 1), [&](boost::system::error_code, std::size_t) { io.stop(); });
        io.run();
    }

    void pass_on(const Write& write) {
        std::size_t begin = 0;
        for (auto end = text_.find('\n'); end != std::string::npos; end = text_.find('\n', begin)) {
            std::string problem;
            auto event = evidence::event_from_line(std::string_view{text_}.substr(begin, end - begin), problem);
            if (event && event->event == What::ready)
                ready_ = true;
            else if (event)
                write(std::move(*event));
            begin = end + 1;
        }
        text_.erase(0, begin);
    }

    pid_t child_;
    asio::posix::stream_descriptor events_;
    int life_;
    std::string text_;
    asio::steady_timer ended_;
    bool ready_ = false, over_ = false;
};

class ProbeService : public Service {
public:
    ProbeService(Server& server, std::vector<Task> tasks)
        : server_{server},
          write_{[&context = server.context](evidence::Event event) { context.journal.write(std::move(event)); }},
          todo_{std::move(tasks)},
          ears_{server.context.io, write_},
          forwards_{server.context.io.get_executor()} {}

    void prepare() override {
        const auto limit = process::descriptor_limit();
        const auto room = limit > 2 * descriptors_kept ? limit - descriptors_kept : limit / 2;
        auto free_here = room;
        std::vector<std::vector<Task>> shards;
        std::size_t free_there = 0;
        for (const auto& task : todo_) {
            std::size_t done = 0;
            const auto take = [&](std::size_t most) {
                Task part = task;
                const auto size = std::min(most, task.ports.size() - done);
                const auto from = task.ports.begin() + static_cast<std::ptrdiff_t>(done);
                part.ports.assign(from, from + static_cast<std::ptrdiff_t>(size));
                done += size;
                return part;
            };
            if (free_here > 0) {
                const auto part = take(free_here);
                free_here -= part.ports.size();
                ears_.listen(part);
            }
            while (done < task.ports.size()) {
                if (free_there == 0) shards.emplace_back(), free_there = room;
                auto part = take(free_there);
                free_there -= part.ports.size();
                shards.back().push_back(std::move(part));
            }
        }
        for (auto& tasks : shards)
            shards_.push_back(Shard::start(server_.context.io, server_.context.host, std::move(tasks)));
        for (const auto& shard : shards_) {
            shard->wait_ready(write_);
            forwards_.spawn(shard->forward(write_));
        }
    }

    asio::awaitable<void> stop() override {
        for (const auto& shard : shards_) shard->let_go();
        co_await ears_.stop();
        for (const auto& shard : shards_) co_await shard->ended();
    }

private:
    Server& server_;
    Write write_;
    std::vector<Task> todo_;
    Ears ears_;
    std::vector<std::unique_ptr<Shard>> shards_;
    net::Tasks forwards_;
};

}  // namespace

std::unique_ptr<Service> make_probe(Server& server) {
    std::vector<Task> tasks;
    for (const auto& flow : server.context.flows_at(scenario::Program::server_sim, scenario::End::to)) {
        if (flow.flow->type != scenario::FlowType::probe) continue;
        Task task{flow.id, flow.flow->protocol, server.context.own_address(), {}, true};
        for (const auto& range : flow.flow->ports)
            for (unsigned port = range.first; port <= range.last; ++port)
                task.ports.push_back(static_cast<std::uint16_t>(port));
        task.in_full = task.ports.size() <= process::told_in_full_max;
        tasks.push_back(std::move(task));
    }
    if (tasks.empty()) return nullptr;
    return std::make_unique<ProbeService>(server, std::move(tasks));
}

}  // namespace wmlab::server_sim
