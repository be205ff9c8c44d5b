#include "server_sim/dcom.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <list>

#include "common/bytes/read_file.hpp"
#include "common/net/accept.hpp"
#include "common/net/tasks.hpp"
#include "common/net/within.hpp"
#include "common/process/dcom_visit.hpp"
#include "common/rpc/datagram_server.hpp"
#include "common/rpc/server_connection.hpp"
#include "common/url/url.hpp"
#include "server_sim/pull.hpp"

namespace wmlab::server_sim {
namespace {

using evidence::What;
using Clock = std::chrono::steady_clock;

constexpr milliseconds write_patience{30'000};
constexpr std::size_t registry_size_max = std::size_t{4} << 20;
constexpr std::size_t peers_max = 4096;  // over UDP: whose connection number and flow are remembered
constexpr std::size_t pulls_max = 64;    // of a plain tool, at the same time

rpc::InternetKey key_of(const std::filesystem::path& file) {
    const auto octets = bytes::read_file(file, registry_size_max);
    if (!octets) throw process::EnvironmentError{"the registry export " + octets.error().text()};
    const auto read = rpc::read_reg(*octets);
    if (!read.ok()) throw process::EnvironmentError{file.string() + ": " + read.problems.front().text()};
    return rpc::InternetKey::from(read.file);
}

std::optional<rpc::InternetKey> key_from_options(const process::Context& context) {
    const bool listed = context.options.contains("reserved-ports"), file = context.options.contains("registry");
    if (listed && file) throw process::UsageError{"--reserved-ports and --registry both name the ports: give one"};
    if (file) return key_of(context.options["registry"].as<std::string>());
    if (!listed) return std::nullopt;
    std::string problem;
    const auto ports = rpc::port_ranges_from(context.options["reserved-ports"].as<std::string>(), problem);
    if (!ports) throw process::UsageError{"--reserved-ports: " + problem};
    return rpc::InternetKey::reserve(*ports);
}

rpc::DynamicPorts ports_of(const scenario::Flow& flow) {
    if (!flow.registry.empty()) return rpc::dynamic_ports(key_of(flow.registry));
    rpc::PortRanges ranges;
    for (const auto& range : flow.reserved_ports) ranges.push_back({range.first, range.last});
    return rpc::dynamic_ports(rpc::InternetKey::reserve(ranges));
}

std::vector<scenario::FlowInstance> flows_of(const process::Context& context) {
    auto flows = context.flows_at(scenario::Program::server_sim, scenario::End::to);
    std::erase_if(flows, [](const auto& flow) {
        return flow.flow->type != scenario::FlowType::dcom && flow.flow->type != scenario::FlowType::encoder_alias;
    });
    return flows;
}

bool same_machine(const std::string& left, const std::string& right) {
    if (left == right) return true;
    boost::system::error_code bad;
    const auto one = asio::ip::make_address_v4(left, bad), other = asio::ip::make_address_v4(right, bad);
    return !bad && one.is_loopback() && other.is_loopback();
}

class DcomService : public Service {
public:
    explicit DcomService(Server& server)
        : server_{server}, machine_{options()}, tasks_{server.context.io.get_executor()} {
        for (const auto& flow : flows_of(server_.context)) {
            const auto causality = bytes::Guid::named(server_.context.scenario->name + "/" + flow.id);
            const auto ports = ports_of(*flow.flow);
            machine_.add_pool(causality, ports);
            pools_[flow.id] = ports;
        }
    }

    void prepare() override {
        const auto port = server_.context.options["mapper-port"].as<std::uint16_t>();
        for (const auto& address : server_.addresses) {
            auto acceptor = server_.listen(address, port, "mapper");
            auto socket = server_.bind(address, acceptor.local_endpoint().port(), "mapper");
            open(rpc::mapper_port, std::move(acceptor), std::move(socket));
        }
        // The media service is there before anybody asks for it, with its port in the endpoint map.
        if (!machine_.start_service(first_causality())) spdlog::warn("DCOM: {}", "the media service got no port");
        take_events();
        tasks_.spawn(keep_time());
    }

    asio::awaitable<void> stop() override {
        for (auto& [port, doors] : doors_)
            for (auto& door : doors) door->close();
        tasks_.cancel();
        for (const auto& [alias, pulling] : pulls_) pulling->tasks.cancel();
        co_await tasks_.ended();
        for (const auto& [alias, pulling] : pulls_) co_await pulling->tasks.ended();
        for (const auto& pulling : past_pulls_) co_await pulling->ended();
        if (untold_ > 0) spdlog::warn("DCOM: {} datagrams of unproven senders are not in the journal", untold_);
    }

    std::vector<std::string> urls() const override {
        std::vector<std::string> out;
        for (const auto& address : server_.addresses)
            out.push_back("DCOM: " + address.to_string() + ", ports " + rpc::text(machine_.options().ports.ranges));
        return out;
    }

private:
    struct Door {  // one address of one port
        Door(rpc::Machine& machine, std::uint16_t number, net::tcp::acceptor tcp, net::udp::socket udp)
            : port{number}, acceptor{std::move(tcp)}, datagrams{std::move(udp)}, protocol{machine, number} {}
        void close() {
            if (std::exchange(closed, true)) return;
            boost::system::error_code ignored;
            acceptor.close(ignored);
            datagrams.close();
        }
        const std::uint16_t port;  // as the machine counts: 135 for the mapper wherever it listens
        net::tcp::acceptor acceptor;
        net::DatagramSocket datagrams;
        rpc::DatagramServer protocol;
        bool closed = false;
        std::string leg() const { return port == rpc::mapper_port ? "mapper" : "object"; }
    };
    using DoorPtr = std::shared_ptr<Door>;

    rpc::MachineOptions options() {
        rpc::MachineOptions options;
        if (server_.context.options.contains("advertise"))
            options.addresses = server_.context.options["advertise"].as<std::vector<std::string>>();
        else
            for (const auto& address : server_.addresses)
                if (server_.addresses.size() == 1 || !address.is_loopback())
                    options.addresses.push_back(address.to_string());
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        options.boot_time = static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count());
        if (const auto key = key_from_options(server_.context))
            options.ports = rpc::dynamic_ports(*key);
        else if (const auto flows = flows_of(server_.context); !flows.empty())
            options.ports = ports_of(*flows.front().flow);
        else
            options.ports = rpc::dynamic_ports({});
        if (!options.ports.invalid.empty()) spdlog::warn("DCOM: no process will get a port: {}", options.ports.invalid);
        options.open_port = [this](std::uint16_t port) { return open_object(port); };
        return options;
    }

    bytes::Guid first_causality() const {
        const auto flows = flows_of(server_.context);
        if (flows.empty()) return {};
        return bytes::Guid::named(server_.context.scenario->name + "/" + flows.front().id);
    }

    std::string flow_of(const bytes::Guid& causality) const { return server_.flow_of(causality); }
    const rpc::DynamicPorts& pool_of(const std::string& flow) const {
        const auto found = pools_.find(flow);
        return found == pools_.end() ? machine_.options().ports : found->second;
    }

    // --- ports

    void open(std::uint16_t port, net::tcp::acceptor acceptor, net::udp::socket socket) {
        auto door = std::make_shared<Door>(machine_, port, std::move(acceptor), std::move(socket));
        doors_[port].push_back(door);
        tasks_.spawn(accept(door));
        tasks_.spawn(receive(door));
    }

    // Of a new process, on every address. All or none.
    bool open_object(std::uint16_t port) {
        std::vector<std::pair<net::tcp::acceptor, net::udp::socket>> bound;
        for (const auto& address : server_.addresses) {
            try {
                auto acceptor = server_.listen(address, port, "object");
                auto socket = server_.bind(address, port, "object");
                bound.emplace_back(std::move(acceptor), std::move(socket));
            } catch (const process::EnvironmentError& taken) {  // is in the journal; the next port may be free
                spdlog::info("DCOM: {}", taken.what());
                return false;
            }
        }
        for (auto& [acceptor, socket] : bound) open(port, std::move(acceptor), std::move(socket));
        return true;
    }

    // --- aliases

    // Over TCP the handshake proves whose address it is, over UDP the conversation callback: `peer` is proven. Nobody
    // makes this server connect to a third party, so the stream is at the peer itself. In a scenario it may also be
    // where the scenario has the encoder: translation shows us another address than the encoder's own.
    bool is_own_stream(const rpc::MachineEvent& event, const std::string& peer, const std::string& flow) const {
        if (same_machine(peer.substr(0, peer.rfind(':')), event.encoder.host)) return true;
        const auto flows = flows_of(server_.context);
        const auto known = std::ranges::find(flows, flow, &scenario::FlowInstance::id);
        if (known == flows.end()) return false;
        const auto* const host = server_.context.scenario->host(known->from);
        return host && host->address.text() == event.encoder.host;
    }

    void pull(const rpc::MachineEvent& event, const std::string& peer) {
        const auto flow = server_.scenario_mode() ? flow_of(event.causality) : "";
        if (!is_own_stream(event, peer, flow)) {
            spdlog::warn("DCOM: alias {} of {} names another machine, {}: not pulled", event.alias, peer,
                         event.encoder.text());
            return;
        }
        Pull pull;
        pull.type = scenario::spec(scenario::FlowType::encoder_alias).name;
        pull.url.scheme = url::Scheme::msbd;
        pull.url.host = event.encoder.host;
        if (event.encoder.port != url::default_port(pull.url.scheme)) pull.url.port = event.encoder.port;
        pull.url.path = url::encoded_path(event.alias);
        pull.source = {event.encoder.host, event.encoder.port};
        pull.channel = event.alias;
        pull.point = server_.points.find(event.alias);
        if (pull.point && !pull.point->relayed()) pull.point = nullptr;  // a content of that name
        spdlog::info("DCOM: alias {} is the stream at {}", event.alias, pull.url.text());
        // Registered once more while it is being pulled from there: that pull goes on.
        const auto key = server_.scenario_mode() ? flow : event.alias;
        reap_pulls();
        const auto running = pulls_.find(key);
        if (running != pulls_.end() && running->second->source == pull.source) return;
        if (server_.scenario_mode()) {
            const auto flows = flows_of(server_.context);
            const auto planned = std::ranges::find(flows, flow, &scenario::FlowInstance::id);
            if (planned == flows.end()) return;
            pull.flow = flow;
            pull.opens = false;
            pull.deadline = pull.first_header = planned->flow->deadline;
            pull.play = planned->flow->play;
            return begin_pull(key, std::move(pull));
        }
        if (server_.points.find(event.alias) && !pull.point) {
            spdlog::warn("DCOM: alias {} is not pulled: a content has that name", event.alias);
            return;
        }
        if (running == pulls_.end() && pulls_.size() + past_pulls_.size() >= pulls_max) {
            spdlog::warn("DCOM: alias {} is not pulled: {} streams are being pulled", event.alias, pulls_.size());
            return;
        }
        if (!pull.point) {
            pull.point = std::make_shared<PublishingPoint>(server_.context.io.get_executor(), event.alias);
            server_.points.add(pull.point);
        }
        pull.deadline = std::chrono::seconds{server_.context.options["pull-timeout"].as<unsigned>()};
        pull.first_header = std::max(pull.first_header, pull.deadline);
        pull.again = true;
        begin_pull(key, std::move(pull));
    }

    void begin_pull(const std::string& key, Pull pull) {
        end_pull(key);
        auto pulling = std::make_unique<Pulling>(server_.context.io.get_executor());
        pulling->source = pull.source;
        pulling->tasks.spawn(run_pull(server_, std::move(pull)));
        pulls_[key] = std::move(pulling);
    }

    void end_pull(const std::string& key) {
        const auto found = pulls_.find(key);
        if (found == pulls_.end()) return;
        found->second->tasks.cancel();
        past_pulls_.push_back(std::make_unique<net::Tasks>(std::move(found->second->tasks)));
        pulls_.erase(found);
    }

    void reap_pulls() {
        std::erase_if(past_pulls_, [](const auto& one) { return one->running() == 0; });
        std::erase_if(pulls_, [](const auto& one) { return one.second->tasks.running() == 0; });
    }

    void take_events(const std::string& peer = "") {
        for (const auto& event : machine_.take_events()) {
            switch (event.what) {
                case rpc::MachineEvent::What::process_started:
                    spdlog::info("DCOM: process {} ({}) on port {}", event.process, event.name, event.port);
                    break;
                case rpc::MachineEvent::What::process_ended:
                    spdlog::info("DCOM: process {} ({}) ended, port {} is free", event.process, event.name, event.port);
                    for (const auto& door : doors_[event.port]) door->close();
                    doors_.erase(event.port);
                    break;
                case rpc::MachineEvent::What::alias_registered:
                    pull(event, peer);
                    break;
                case rpc::MachineEvent::What::alias_removed:
                    spdlog::info("DCOM: alias {} is gone", event.alias);
                    alias_gone(event);
                    break;
            }
        }
    }

    void alias_gone(const rpc::MachineEvent& event) {
        if (server_.scenario_mode()) {
            if (const auto point = server_.points.find(event.alias); point && point->relayed()) point->end();
            return;
        }
        if (!pulls_.contains(event.alias)) return;  // it was not ours to end
        end_pull(event.alias);
        if (const auto point = server_.points.find(event.alias); point && point->relayed()) {
            point->end();
            server_.points.remove(point);  // who listens keeps it as long as it likes
        }
    }

    asio::awaitable<void> keep_time() {
        asio::steady_timer second{server_.context.io};
        for (;;) {
            second.expires_after(std::chrono::seconds{1});
            co_await second.async_wait(asio::use_awaitable);
            try {
                machine_.expire(Clock::now());
                for (const auto& [port, doors] : doors_)
                    for (const auto& door : doors) door->protocol.expire(Clock::now());
                take_events();
                reap_pulls();
            } catch (const std::exception& error) {  // who is run down next second still is
                spdlog::warn("DCOM: {}", error.what());
            }
        }
    }

    // --- TCP

    asio::awaitable<void> accept(DoorPtr door) {
        const std::function take = [this, door](net::tcp::socket socket) {
            tasks_.spawn(serve(door, std::move(socket)));
        };
        co_await net::accept_each(door->acceptor, take);
    }

    struct Conversation {
        std::uint64_t connection = 0;
        std::string flow, leg, local, remote;
    };

    asio::awaitable<void> serve(DoorPtr door, net::tcp::socket socket) {
        boost::system::error_code gone;
        Conversation talk;
        talk.connection = server_.next_connection();
        talk.leg = door->leg();
        talk.local = net::text(socket.local_endpoint(gone));
        const auto remote = socket.remote_endpoint(gone);
        talk.remote = net::text(remote);
        if (gone) co_return;
        bool made_room = false;
        const std::function leave = [&] {
            made_room = true;
            boost::system::error_code ignored;
            socket.cancel(ignored);
        };
        Seats::Seat seat{server_.seats_dcom, remote.address(), leave};
        write(What::accepted, talk, {});
        boost::json::object ended;
        ended[field::by] = "self";
        if (!seat.granted()) {
            ended[field::reason] = "too many connections";
            write(What::closed, talk, std::move(ended));
            co_return;
        }
        try {
            ended[field::reason] = co_await converse(*door, socket, talk, ended, seat);
        } catch (const net::StepTimedOut&) {
            const bool newcomer = seat.standing() == Seats::Standing::newcomer;
            ended[field::reason] = newcomer ? "no bind came" : "the rest of a call did not come";
        } catch (const boost::system::system_error& error) {
            if (error.code() == asio::error::operation_aborted) {
                ended[field::reason] = made_room ? "idle, and others wait for the place" : "stopped";
            } else {
                ended[field::by] = "error";
                ended[field::reason] = error.code().message();
                ended[field::failure] = net::to_json(net::Failure::of(error.code(), milliseconds{0}));
            }
        } catch (const std::exception& error) {  // ends this conversation and no other
            ended[field::by] = "error";
            ended[field::reason] = error.what();
            spdlog::warn("DCOM: {}: {}", talk.remote, error.what());
        }
        write(What::closed, talk, std::move(ended));
    }

    asio::awaitable<std::string> converse(const Door& door, net::tcp::socket& socket, Conversation& talk,
                                          boost::json::object& ended, Seats::Seat& seat) {
        rpc::ServerConnection protocol{machine_, door.port};
        const auto first_message = Clock::now() + server_.limits.first_message;
        for (;;) {
            const auto now = Clock::now();
            auto deadline = protocol.deadline().value_or(now + server_.limits.idle);
            if (seat.standing() == Seats::Standing::newcomer) deadline = std::min(deadline, first_message);
            const auto patience = std::max(milliseconds{1}, std::chrono::ceil<milliseconds>(deadline - now));
            auto waiting =
                socket.async_wait(net::tcp::socket::wait_read, asio::as_tuple(asio::use_awaitable));
            const auto [broken] = co_await net::within(patience, std::move(waiting));
            if (broken) throw boost::system::system_error{broken};
            // Thousands wait, hardly any says anything: one buffer for all of them, used within one turn.
            static thread_local std::array<std::byte, read_size> buffer;
            boost::system::error_code error;
            const auto size = socket.read_some(asio::buffer(buffer), error);
            if (error == asio::error::would_block) continue;
            if (error == asio::error::eof) {
                ended[field::by] = "peer";
                co_return "the client closed the connection";
            }
            if (error) throw boost::system::system_error{error};
            auto output = protocol.receive(std::span{buffer}.first(size), Clock::now());
            for (;;) {
                write_notes(talk, output.notes);
                if (!output.notes.empty()) seat.speaks();
                if (!output.send.empty()) {
                    auto sending = asio::async_write(socket, asio::buffer(output.send), asio::use_awaitable);
                    co_await net::within(write_patience, std::move(sending));
                }
                take_events(talk.remote);  // only now: the answer must not be overtaken by the end of its process
                if (output.close) co_return output.why;
                if (!output.more) break;
                output = protocol.receive({}, Clock::now());
            }
        }
    }

    // --- UDP

    asio::awaitable<void> receive(DoorPtr door) {
        asio::steady_timer pause{server_.context.io};
        while (!door->closed) {
            std::string fault;
            try {
                const auto datagram = co_await door->datagrams.receive();
                answer(*door, datagram);
                continue;
            } catch (const boost::system::system_error& error) {
                if (door->closed || error.code() == asio::error::operation_aborted) co_return;
                fault = error.what();
            } catch (const std::exception& error) {  // of one datagram: the next is read all the same
                fault = error.what();
            }
            spdlog::warn("DCOM over UDP {}: {}", door->port, fault);
            pause.expires_after(milliseconds{100});
            co_await pause.async_wait(asio::use_awaitable);
        }
    }

    void answer(Door& door, const net::DatagramSocket::Datagram& datagram) {
        const auto from = datagram.from;
        const auto output = door.protocol.receive(net::text(from), datagram.bytes, Clock::now());
        if (!output.notes.empty() && (output.proven || may_tell())) write_notes(talk_with(door, from), output.notes);
        for (const auto& one : output.send) door.datagrams.send_to(from, one);
        take_events(net::text(from));
    }

    // Of senders that are not proven, as many lines as a person reads: a flood does not fill the journal.
    bool may_tell() {
        constexpr double burst = 1000, a_second = 100;
        const auto now = Clock::now();
        tellable_ = std::min(burst, tellable_ + a_second * std::chrono::duration<double>(now - told_at_).count());
        told_at_ = now;
        if (tellable_ < 1) return ++untold_, false;
        tellable_ -= 1;
        return true;
    }

    // The same peer and port is one conversation: with a number of its own, and a flow once a call has named it.
    Conversation& talk_with(const Door& door, const net::udp::endpoint& from) {
        const TalkKey key{door.port, from};
        auto found = talks_.find(key);
        if (found == talks_.end()) {
            if (talks_.size() >= peers_max) {  // the one that has been silent for the longest is forgotten
                talks_.erase(talks_by_use_.front());
                talks_by_use_.pop_front();
            }
            Conversation talk{server_.next_connection(), "", door.leg(), net::text(door.datagrams.local()),
                              net::text(from)};
            const auto place = talks_by_use_.insert(talks_by_use_.end(), key);
            found = talks_.emplace(key, std::pair{std::move(talk), place}).first;
        }
        talks_by_use_.splice(talks_by_use_.end(), talks_by_use_, found->second.second);
        return found->second.first;
    }

    // --- the journal

    void write_notes(Conversation& talk, const std::vector<rpc::Note>& notes) {
        for (const auto& note : notes)
            if (const auto flow = flow_of(note.causality); !flow.empty()) talk.flow = flow;
        for (const auto& note : notes) {
            auto fields = process::note_fields(note);
            if (note.what == rpc::Note::What::sent && note.hr == rpc::status::RPC_S_OUT_OF_RESOURCES)
                fields[field::exhausted] = rpc::text(pool_of(talk.flow).ranges);
            write(process::what_of(note), talk, std::move(fields));
        }
    }

    void write(What what, const Conversation& talk, boost::json::object fields) {
        fields[field::connection] = talk.connection;
        server_.context.write(what, talk.flow, talk.leg, std::move(fields), talk.local, talk.remote);
    }

    Server& server_;
    rpc::Machine machine_;
    std::map<std::string, rpc::DynamicPorts> pools_;  // by flow
    std::map<std::uint16_t, std::vector<DoorPtr>> doors_;
    using TalkKey = std::pair<std::uint16_t, net::udp::endpoint>;
    std::list<TalkKey> talks_by_use_;  // least recently used first
    std::map<TalkKey, std::pair<Conversation, std::list<TalkKey>::iterator>> talks_;
    double tellable_ = 1000;
    Clock::time_point told_at_ = Clock::now();
    std::uint64_t untold_ = 0;
    struct Pulling {
        explicit Pulling(const asio::any_io_executor& executor) : tasks{executor} {}
        net::Tasks tasks;
        net::HostPort source;
    };
    std::map<std::string, std::unique_ptr<Pulling>> pulls_;  // by alias; in a scenario by flow
    std::vector<std::unique_ptr<net::Tasks>> past_pulls_;    // cancelled, ending
    net::Tasks tasks_;
};

}  // namespace

std::optional<std::string> registry_export(const process::Context& context, unsigned version) {
    const auto key = key_from_options(context);
    if (!key) return std::nullopt;
    return rpc::write_reg(key->reg_file(version));
}

bool dcom_wanted(const process::Context& context) {
    if (context.scenario) return !flows_of(context).empty();
    return context.options.contains("reserved-ports") || context.options.contains("registry");
}

std::unique_ptr<Service> make_dcom(Server& server) {
    return dcom_wanted(server.context) ? std::make_unique<DcomService>(server) : nullptr;
}

}  // namespace wmlab::server_sim
