#include "client_sim/client.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>

#include "client_sim/dcom.hpp"
#include "client_sim/multicast.hpp"
#include "common/bytes/hresult.hpp"
#include "common/net/tasks.hpp"
#include "common/process/probe.hpp"
#include "common/url/asx.hpp"

namespace wmlab::client_sim {
namespace {

namespace po = boost::program_options;
using evidence::What;

constexpr std::chrono::seconds station_patience{10};  // MS-MSB 3.2.2: the Open timer's least

template <class Value>
std::optional<Value> given(const process::Context& context, const char* name) {
    if (!context.options.contains(name)) return std::nullopt;
    return context.options[name].as<Value>();
}

std::optional<milliseconds> seconds_option(const process::Context& context, const char* name) {
    const auto seconds = given<double>(context, name);
    if (!seconds) return std::nullopt;
    if (!(*seconds >= 0) || *seconds > 1e6) throw process::UsageError{std::string{"--"} + name + " wants seconds"};
    return milliseconds{static_cast<long>(*seconds * 1000)};
}

std::string beginning_of(const std::filesystem::path& path, std::size_t size_max) {
    std::ifstream file{path, std::ios::binary};
    std::string document(size_max, '\0');
    file.read(document.data(), static_cast<std::streamsize>(document.size()));
    document.resize(static_cast<std::size_t>(file.gcount()));
    return document;
}

bool is_redirector(const std::filesystem::path& path) {
    std::error_code unknown;
    if (!std::filesystem::is_regular_file(path, unknown)) return false;
    return url::redirector_name(path.string()) || url::looks_like_asx(beginning_of(path, 4096));
}

// What a redirector file names, in its order: URLs, stations, and what further files name. `unplayable` gets the first
// that is none of these.
void add_places(const std::filesystem::path& path, std::vector<std::string>& places, std::string& unplayable,
                unsigned depth = 0) {
    constexpr unsigned depth_max = 5;
    constexpr std::size_t places_max = 256;
    const auto asx = url::parse_asx(beginning_of(path, url::asx_size_max + 1));
    if (!asx) {
        if (unplayable.empty()) unplayable = path.string() + " " + asx.error().text;
        return;
    }
    for (const auto& entry : asx->entries)
        for (const auto& ref : entry.refs) {
            if (places.size() >= places_max) return;
            const auto local = path.parent_path() / std::filesystem::path{url::decoded(ref)};
            std::error_code unknown;
            const auto parsed = url::parse(ref);
            if (parsed)
                places.push_back(ref);
            else if (names_station(ref) && std::filesystem::is_regular_file(local, unknown))
                places.push_back(local.string());
            else if (depth < depth_max && is_redirector(local))
                add_places(local, places, unplayable, depth + 1);
            else if (unplayable.empty())
                unplayable = "`" + ref + "` " + parsed.error().text;
        }
}

// Told before an hour of media is received in vain. What is there stays as it is until media comes.
std::optional<std::string> why_not_written(const std::filesystem::path& path) {
    constexpr int flags = O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int file = ::open(path.c_str(), flags);
    const bool missing = file < 0 && errno == ENOENT;
    if (missing) file = ::open(path.c_str(), flags | O_CREAT | O_EXCL, 0600);
    if (file < 0 && errno == ENXIO) return std::nullopt;  // a pipe whose reader is still to come
    if (file < 0) return std::strerror(errno);
    ::close(file);
    if (missing) ::unlink(path.c_str());
    return std::nullopt;
}

Play play_from_options(const process::Context& context) {
    const auto text = given<std::string>(context, "url");
    if (!text) throw process::UsageError{"nothing to play: give a URL, mms://HOST/NAME (see --help)"};
    Play play;
    if (names_station(*text)) {
        play.station = *text;
        if (const auto web = url::parse(*text)) play.url = *web;
    } else if (is_redirector(*text)) {
        std::string unplayable;
        add_places(*text, play.places, unplayable);
        if (play.places.empty()) throw process::UsageError{unplayable};
        if (const auto first = url::parse(play.places.front())) play.url = *first;
    } else {
        auto parsed = url::parse(*text);
        if (!parsed) throw process::UsageError{"`" + *text + "` " + parsed.error().text};
        play.url = std::move(*parsed);
        play.server = {play.url.host, play.url.port_or_default()};
    }
    if (const auto address = given<std::string>(context, "interface")) {
        boost::system::error_code error;
        play.interface = asio::ip::make_address_v4(*address, error);
        if (error) throw process::UsageError{"--interface wants an IPv4 address, not `" + *address + "`"};
    }
    play.player = bytes::Guid::named(process::new_nonce());
    play.duration = seconds_option(context, "duration");
    play.start = seconds_option(context, "start");
    if (const auto deadline = seconds_option(context, "deadline"))
        play.deadline = std::max(*deadline, milliseconds{50});
    else if (!play.station.empty())
        play.deadline = station_patience;
    if (const auto ports = given<std::string>(context, "udp-ports")) {
        const auto range = scenario::PortRange::from(*ports);
        if (!range) throw process::UsageError{"--udp-ports wants A-B, not `" + *ports + "`"};
        play.client_ports = *range;
    }
    play.ask_again = context.options.contains("ask-again");
    play.http_port = context.options["http-port"].as<std::uint16_t>();
    if (const auto proxy = given<std::string>(context, "proxy")) {
        play.proxy = net::host_port(*proxy);
        if (!play.proxy) throw process::UsageError{"--proxy wants HOST:PORT, not `" + *proxy + "`"};
    }
    if (const auto file = given<std::string>(context, "save")) {
        play.save = std::filesystem::absolute(*file);
        if (const auto problem = why_not_written(*play.save))
            throw process::EnvironmentError{"--save: cannot write " + *file + ": " + *problem};
    }
    return play;
}

Administration administration_from_options(const process::Context& context) {
    const bool both = context.options.contains("admin") && context.options.contains("endpoints");
    if (both || context.options.contains("url"))
        throw process::UsageError{"give one of --admin HOST, --endpoints HOST, and a URL to play"};
    Administration admin;
    const auto host = *given<std::string>(context, context.options.contains("admin") ? "admin" : "endpoints");
    admin.server = net::host_port(host).value_or(net::HostPort{host, 0});
    admin.udp = context.options.contains("udp");
    admin.processes = given<unsigned>(context, "processes").value_or(1);
    if (admin.processes < 1 || admin.processes > 1000) throw process::UsageError{"--processes wants 1 to 1000"};
    if (const auto deadline = seconds_option(context, "deadline"))
        admin.deadline = std::max(*deadline, milliseconds{50});
    return admin;
}

class ClientSim : public process::Simulator {
public:
    explicit ClientSim(process::Context& context)
        : client_{context, {}}, tasks_{context.io.get_executor()}, status_{context.io} {
        if (!context.scenario && (context.options.contains("admin") || context.options.contains("endpoints"))) {
            admin_ = administration_from_options(context);
            return;
        }
        if (!context.scenario) {
            play_ = play_from_options(context);
            return;
        }
        for (const auto& flow : context.flows_at(scenario::Program::client_sim, scenario::End::from))
            if (flow_for(flow.flow->type)) flows_.push_back(flow);
        for (const auto& flow : context.flows_at(scenario::Program::client_sim, scenario::End::to))
            if (flow.flow->type == scenario::FlowType::multicast) stations_.push_back({flow, nullptr});
    }

    // Whoever joined before the stream starts misses nothing of it.
    void prepare() override {
        for (auto& [flow, membership] : stations_) membership = join_flow(client_, flow);
    }

    asio::awaitable<int> run() override {
        if (stopped_) co_return process::did_not_work;
        began_ = std::chrono::steady_clock::now();
        for (const auto& flow : flows_)
            if (flow.flow->load) first_turns_.emplace(flow.load(), flow.starts());  // they are in order
        if (play_) tasks_.spawn(play());
        if (admin_) tasks_.spawn(administrate());
        for (const auto& flow : flows_) tasks_.spawn(play(flow));
        for (const auto& [flow, membership] : stations_)
            tasks_.spawn(end_with(flow.id, multicast_flow(client_, flow, membership)));
        if (play_) show_status();
        co_await tasks_.ended();
        status_.cancel();
        co_return all_worked_ ? process::worked : process::did_not_work;
    }

    void stop() override {
        stopped_ = true;
        tasks_.cancel();
    }

    std::vector<std::filesystem::path> writes() const override {
        return play_ && play_->save ? std::vector{*play_->save} : std::vector<std::filesystem::path>{};
    }

private:
    asio::awaitable<void> play(scenario::FlowInstance flow) {
        return end_with(flow.id, flow.flow->load ? in_its_turn(flow) : flow_for(flow.flow->type)(client_, flow));
    }

    // Of a load: when its place in the ramp has come. Where some of its players are run, the first of them begins at once.
    asio::awaitable<Outcome> in_its_turn(scenario::FlowInstance flow) {
        asio::steady_timer turn{client_.context.io, began_ + flow.starts() - first_turns_.at(flow.load())};
        co_await turn.async_wait(asio::use_awaitable);
        auto playing = flow_for(flow.flow->type)(client_, flow);
        co_return co_await std::move(playing);
    }

    asio::awaitable<void> end_with(std::string flow, asio::awaitable<Outcome> playing) {
        Outcome outcome;
        try {
            outcome = co_await std::move(playing);
        } catch (const std::exception& error) {
            outcome.reason = stopped_ ? "stopped before it had ended" : error.what();
        }
        end_flow(flow, outcome);
    }

    asio::awaitable<void> play() {
        Outcome outcome;
        try {
            outcome = co_await play_url(client_, *play_);
        } catch (const std::exception& error) {
            outcome.reason = stopped_ ? "stopped" : error.what();
        }
        end_flow("", outcome);
        std::cout << (play_->station.empty() ? play_->url.text() : play_->station) << ": "
                  << (outcome.worked ? "played" : "failed");
        if (!outcome.transport.empty()) std::cout << " over " << outcome.transport;
        std::cout << ": " << outcome.reason << '\n';
        if (!outcome.summary.empty()) std::cout << outcome.summary << '\n';
        if (play_->save && client_.receiving.empty() && outcome.worked)
            std::cout << "saved as " << play_->save->string() << '\n';
    }

    asio::awaitable<void> administrate() {
        Outcome outcome;
        try {
            if (client_.context.options.contains("endpoints"))
                outcome = co_await list_endpoints(client_, *admin_);
            else
                outcome = co_await client_sim::administrate(client_, *admin_);
        } catch (const std::exception& error) {
            outcome.reason = stopped_ ? "stopped" : error.what();
        }
        end_flow("", outcome);
        std::cout << admin_->server.host << ": " << (outcome.worked ? "" : "failed: ") << outcome.reason << '\n';
    }

    void end_flow(const std::string& flow, const Outcome& outcome) {
        all_worked_ = all_worked_ && outcome.worked;
        boost::json::object fields;
        fields[field::outcome] = outcome.worked ? "worked" : "failed";
        fields[field::reason] = outcome.reason;
        if (!outcome.transport.empty()) fields[field::transport] = outcome.transport;
        if (outcome.hr != 0) fields[field::hr] = outcome.hr;
        client_.context.write(What::flow_ended, flow, "", std::move(fields));
        spdlog::info("{}{}", flow.empty() ? "" : flow + ": ", outcome.reason);
    }

    // A line a second on standard error, for a person.
    void show_status() {
        status_.expires_after(std::chrono::seconds{1});
        status_.async_wait([this](boost::system::error_code error) {
            if (error) return;
            for (const auto* media : client_.receiving) std::cerr << media->summary() << std::endl;
            show_status();
        });
    }

    Client client_;
    std::optional<Play> play_;
    std::optional<Administration> admin_;
    std::vector<scenario::FlowInstance> flows_;
    std::vector<std::pair<scenario::FlowInstance, std::shared_ptr<Membership>>> stations_;
    net::Tasks tasks_;
    asio::steady_timer status_;
    std::chrono::steady_clock::time_point began_{};
    std::map<std::string, milliseconds> first_turns_;  // by load
    bool stopped_ = false, all_worked_ = true;
};

}  // namespace

void Client::write(What what, const Play& play, std::string leg, boost::json::object fields, std::string local,
                   std::string remote) const {
    context.write(what, play.flow, std::move(leg), std::move(fields), std::move(local), std::move(remote));
}

Play play_of(const Client& client, const scenario::FlowInstance& flow, std::uint16_t port, url::Scheme scheme) {
    Play play;
    play.flow = flow.id;
    play.player = bytes::Guid::named(client.context.scenario->name + "/" + flow.id);
    play.server = client.context.other_end(flow, flow.to, port);
    play.url.scheme = scheme;
    play.url.host = play.server.host;
    if (play.server.port != url::default_port(scheme)) play.url.port = play.server.port;
    play.url.path = url::encoded_path(flow.flow->content);
    play.client_ports = flow.flow->client_ports;
    play.duration = flow.plays();
    play.tally = client.context.tally(flow);
    play.deadline = flow.flow->deadline;
    if (flow.flow->idle.count() > 0) play.pause = client.context.hasten(flow.flow->idle);
    play.ask_again = true;
    if (flow.flow->port != 0) play.http_port = flow.flow->port;
    if (flow.flow->proxy) play.proxy = net::HostPort{flow.flow->proxy->host, flow.flow->proxy->port};
    return play;
}

asio::awaitable<Outcome> roll_over(Client& client, Play play, std::vector<Attempt> attempts) {
    Outcome outcome;
    std::string before;
    for (const auto& attempt : attempts) {
        outcome = co_await attempt(client, play);
        if (outcome.worked) break;
        before += (before.empty() ? "" : "; ") + outcome.transport + ": " + outcome.reason;
        ++play.attempt;
    }
    if (!outcome.worked)
        outcome.reason = "no transport worked: " + before;
    else if (!before.empty())
        outcome.reason += " (before that, " + before + ")";
    co_return outcome;
}

boost::program_options::options_description options() {
    po::options_description options{"Player options"};
    auto add = options.add_options();
    add("url", po::value<std::string>()->value_name("URL"),
        "mms://HOST/NAME (UDP, then TCP, then HTTP), mmsu:// (UDP), mmst:// (TCP), http:// or mmsh:// (HTTP), a redirector file (.asx and its kin), or a multicast station: an .nsc file or its URL, or GROUP:PORT; also without --url");
    add("interface", po::value<std::string>()->value_name("ADDR"),
        "join multicast groups on the interface with this address");
    add("proxy", po::value<std::string>()->value_name("HOST:PORT"), "web proxy for HTTP");
    add("http-port", po::value<std::uint16_t>()->default_value(80)->value_name("N"), "the server's HTTP port, when an mms:// URL falls back to HTTP");
    add("save", po::value<std::string>()->value_name("FILE"), "write what is received as an .asf file");
    add("duration", po::value<double>()->value_name("SECONDS"), "stop after this time; default: play to the end");
    add("start", po::value<double>()->value_name("SECONDS"), "of stored content: where to start");
    add("udp-ports", po::value<std::string>()->value_name("A-B"), "ports for media over UDP (default 1024-5000, as KB189416 has it)");
    add("deadline", po::value<double>()->value_name("SECONDS"),
        "patience with each step (default 3; 10 with a station, whose group may be silent for a while)");
    add("ask-again", "ask for one packet again after media has arrived, to try the way of resend requests");
    add("admin", po::value<std::string>()->value_name("HOST[:PORT]"),
        "instead of playing: administrate the server by DCOM (endpoint mapper, activation, object calls, release)");
    add("endpoints", po::value<std::string>()->value_name("HOST[:PORT]"),
        "instead of playing: list what the endpoint mapper of a machine has");
    add("udp", "with --admin: over UDP, as NT4 does, instead of TCP");
    add("processes", po::value<unsigned>()->value_name("N"),
        "with --admin: reach so many server processes, each on a port of its own (default 1)");
    return options;
}

std::unique_ptr<process::Simulator> make(process::Context& context) { return std::make_unique<ClientSim>(context); }

}  // namespace wmlab::client_sim
