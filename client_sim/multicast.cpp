#include "client_sim/multicast.hpp"

#include <netinet/in.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <boost/algorithm/string/predicate.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/multicast.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <fstream>
#include <iterator>

#include "common/bytes/read_file.hpp"
#include "common/msb/player_session.hpp"
#include "common/net/within.hpp"

namespace wmlab::client_sim {
namespace {

using evidence::What;
using Clock = std::chrono::steady_clock;

constexpr int receive_buffer = 4 << 20;
constexpr milliseconds catching_up_max{1000};
constexpr int burst_max = 64;  // datagrams at a time: then others have a turn

// The version of IGMP is the host's, for all its programs; only root may choose it.
void use_igmp_version(unsigned version) {
    constexpr const char* path = "/proc/sys/net/ipv4/conf/all/force_igmp_version";
    const auto wanted = std::to_string(version);
    std::string now;
    std::ifstream{path} >> now;
    if (now == wanted || (version == 3 && now == "0")) return;
    std::ofstream file{path};
    if (!(file << wanted << '\n').flush())
        spdlog::warn("IGMPv{} cannot be chosen here: {} is not writable", wanted, path);
}

class Playing {
public:
    Playing(Client& client, Play play, Membership& membership)
        : client_{client},
          play_{std::move(play)},
          membership_{membership},
          media_{play_.save},
          protocol_{membership.station(), patience(play_)} {}

    asio::awaitable<Outcome> run() {
        Outcome outcome;
        outcome.transport = "udp";
        if (!membership_.failure().empty()) {
            outcome.reason = membership_.failure();
            co_return outcome;
        }
        client_.receiving.push_back(&media_);
        const auto place = std::prev(client_.receiving.end());
        std::exception_ptr stopped;
        try {
            co_await receive();
        } catch (...) {
            stopped = std::current_exception();  // what was received is told all the same
        }
        client_.receiving.erase(place);
        if (!finished_) perform(protocol_.stop(Clock::now()));
        finish(outcome);
        if (stopped) std::rethrow_exception(stopped);
        co_return outcome;
    }

private:
    static msb::PlayerOptions patience(const Play& play) {
        msb::PlayerOptions options;
        options.open_timeout = play.deadline;
        if (!play.flow.empty()) options.end_of_stream_timeout = play.deadline;
        return options;
    }

    asio::awaitable<void> receive() {
        perform(protocol_.start(Clock::now()));
        while (!finished_) {
            const auto now = Clock::now();
            auto until = protocol_.next_deadline();
            auto enough = Clock::time_point::max();
            if (play_.duration && started_) {
                enough = *started_ + *play_.duration;
                if (now < enough) until = until ? std::min(*until, enough) : enough;
            }
            // A datagram is used at once: its bytes last until any socket of this thread receives.
            bool any = false;
            for (int burst = 0; burst < burst_max && !finished_; ++burst) {
                const auto datagram = membership_.socket().try_receive();
                if (!datagram) break;
                any = true;
                from_ = datagram->from;
                const auto source = datagram->from.address().to_string();
                perform(protocol_.receive(datagram->bytes, source, Clock::now()));
            }
            // What came while this process had no processor is read first. What stopped coming is not called enough:
            // another packet, or our patience, decides.
            if (now >= enough && (any ? now >= enough + catching_up_max : !media_.behind(now))) break;
            if (const auto due = protocol_.next_deadline(); due && *due <= Clock::now()) {
                perform(protocol_.tick(Clock::now()));
            } else if (!any) {
                const auto left = std::chrono::duration_cast<milliseconds>(until.value_or(now) - now);
                try {
                    auto step = readable();
                    co_await net::within(std::max(left, milliseconds{1}), std::move(step));
                } catch (const net::StepTimedOut&) {
                }
            }
        }
    }

    asio::awaitable<bool> readable() {
        const auto [error] = co_await membership_.socket().socket().async_wait(net::udp::socket::wait_read,
                                                                               asio::as_tuple(asio::use_awaitable));
        co_return !error;
    }

    void perform(const msb::PlayerActions& actions) {
        for (const auto& action : actions) std::visit([this](const auto& one) { act(one); }, action);
    }

    void act(const msb::FirstSign&) {}
    void act(const msb::StreamStarted& action) {
        if (!action.format || media_.has_header()) return;
        if (const auto problem = media_.header(action.format->header.raw)) spdlog::warn("{}", *problem);
    }
    void act(const msb::Play& action) {
        if (!started_) {
            started_ = Clock::now();
            write(What::media_started);
        }
        media_.packet(action.media.dwPacketID, action.media.asf_packet, Clock::now());
    }
    void act(const msb::Ignored& action) {
        spdlog::warn("ignored a {} datagram{}{}", msb::text(action.kind), action.problem.empty() ? "" : ": ",
                     action.problem);
    }
    void act(const msb::StreamEnded&) {}
    void act(const msb::Finished& action) { finished_ = action; }

    void finish(Outcome& outcome) {
        const auto& counts = protocol_.counts();
        for (auto i = counts.duplicates; i > 0; --i) media_.duplicate();
        media_.waited_until(Clock::now());
        const auto problem = media_.close();
        if (started_) {
            auto fields = media_.fields();
            fields[field::late] = counts.late;
            fields[field::foreign] = counts.foreign + counts.other_source + counts.unknown_format;
            write(What::media_ended, std::move(fields));
        } else if (finished_ && finished_->why != msb::Finished::Why::stopped) {
            boost::json::object fields;
            fields[field::waited] = patience(play_).open_timeout.count();
            fields[field::attempt] = play_.attempt;
            write(What::media_silent, std::move(fields));
        }
        outcome.worked = media_.packets() > 0 && !problem;
        outcome.reason = problem                      ? *problem
                         : media_.packets() == 0      ? (finished_ ? finished_->reason : "nothing arrived")
                         : play_.duration.has_value() ? "played as long as asked"
                                                      : finished_->reason;
        if (!outcome.worked && finished_ && !finished_->unicast_url.empty())
            outcome.elsewhere.push_back(finished_->unicast_url);
        outcome.summary = media_.summary();
        if (counts.late > 0) outcome.summary += fmt::format(", {} late", counts.late);
        if (const auto other = counts.foreign + counts.other_source + counts.unknown_format; other > 0)
            outcome.summary += fmt::format(", {} foreign datagrams ignored", other);
        if (counts.damaged > 0) outcome.summary += fmt::format(", {} damaged", counts.damaged);
    }

    void write(What what, boost::json::object fields = {}) const {
        client_.write(what, play_, "media", std::move(fields),
                      membership_.station().ip_address + ":" + std::to_string(membership_.station().ip_port),
                      from_.port() == 0 ? "" : net::text(from_));
    }

    Client& client_;
    Play play_;
    Membership& membership_;
    process::ReceivedMedia media_;
    msb::PlayerSession protocol_;
    net::udp::endpoint from_;
    std::optional<Clock::time_point> started_;
    std::optional<msb::Finished> finished_;
};

void write_started(const Client& client, const Play& play, const msb::Station& station) {
    boost::json::object fields;
    fields[field::type] = "multicast";
    fields[field::target] = station.ip_address + ":" + std::to_string(station.ip_port);
    fields[field::transport] = "udp";
    fields[field::attempt] = play.attempt;
    client.write(What::flow_started, play, "", std::move(fields));
}

std::optional<msb::Station> group_from(const std::string& text) {
    const auto where = net::host_port(text);
    if (!where) return std::nullopt;
    boost::system::error_code error;
    const auto group = asio::ip::make_address_v4(where->host, error);
    if (error || !group.is_multicast()) return std::nullopt;
    msb::Station station;
    station.ip_address = where->host;
    station.ip_port = where->port;
    return station;
}

// A plain GET: a station file is ordinary content of a web server.
asio::awaitable<std::string> download(Client& client, url::Url url) {
    const net::HostPort server{url.host, url.port_or_default()};
    const auto address = co_await client.context.resolve(server.host);
    if (!address) throw std::runtime_error{address.error()};
    net::tcp::socket socket{client.context.io};
    const net::tcp::endpoint there{*address, server.port};
    co_await socket.async_connect(there, asio::use_awaitable);
    const auto request = "GET " + url.path + " HTTP/1.0\r\nHost: " + server.host +
                         "\r\nUser-Agent: NSPlayer/4.1.0.3923\r\nAccept: */*\r\nConnection: close\r\n\r\n";
    const auto out = asio::buffer(request);
    co_await asio::async_write(socket, out, asio::use_awaitable);
    std::string answer;
    std::vector<char> buffer(std::size_t{64} * 1024);
    for (;;) {
        boost::system::error_code error;
        const auto into = asio::buffer(buffer);
        const auto size = co_await socket.async_read_some(into, asio::redirect_error(asio::use_awaitable, error));
        answer.append(buffer.data(), size);
        if (error || answer.size() > msb::station_file_size_max) break;
    }
    const auto body = answer.find("\r\n\r\n");
    if (body == std::string::npos) throw std::runtime_error{"the web server gave no answer"};
    const auto status = answer.substr(0, answer.find("\r\n"));
    if (status.find(" 200") == std::string::npos) throw std::runtime_error{"the web server says: " + status};
    co_return answer.substr(body + 4);
}

bool is_web_url(const std::string& text) { return boost::algorithm::istarts_with(text, "http://"); }

}  // namespace

Membership::Membership(Client& client, const Play& play, msb::Station station, asio::ip::address_v4 interface,
                       unsigned igmp_version)
    : station_{std::move(station)} {
    boost::system::error_code error;
    const net::udp::endpoint group{asio::ip::make_address_v4(station_.ip_address), station_.ip_port};
    net::udp::socket socket{client.context.io};
    socket.open(group.protocol(), error);
    if (!error) socket.set_option(net::udp::socket::reuse_address{true}, error);
    if (!error) socket.bind(group, error);  // to the group: what others send to the port is not for us
    const std::string_view step = error ? "bind" : "join";
    if (!error) {
        socket.set_option(net::udp::socket::receive_buffer_size{receive_buffer}, error);
        socket.non_blocking(true, error);
        if (igmp_version != 0) use_igmp_version(igmp_version);
        socket.set_option(asio::ip::multicast::join_group{group.address().to_v4(), interface}, error);
    }
    boost::json::object fields;
    if (!error) {
        fields[field::protocol] = "igmp";
        if (igmp_version != 0) fields[field::igmp_version] = igmp_version;
        client.write(What::announced, play, "join", std::move(fields), net::text(group));
        socket_.emplace(std::move(socket));
        return;
    }
    failure_ = fmt::format("cannot {} {}: {}", step, net::text(group), net::error_name(error));
    fields[field::protocol] = "udp";
    fields[field::error] = net::error_name(error);
    client.write(What::listen_failed, play, "join", std::move(fields), net::text(group));
}

std::shared_ptr<Membership> join_flow(Client& client, const scenario::FlowInstance& instance) {
    const auto& flow = *instance.flow;
    Play play;
    play.flow = instance.id;
    msb::Station station;
    station.ip_address = flow.group.text();
    station.ip_port = flow.port;
    return std::make_shared<Membership>(client, play, std::move(station), client.context.own_address(),
                                        flow.igmp_version);
}

asio::awaitable<Outcome> multicast_flow(Client& client, scenario::FlowInstance instance,
                                        std::shared_ptr<Membership> membership) {
    Play play;
    play.flow = instance.id;
    play.duration = instance.flow->play;
    play.deadline = instance.flow->deadline;
    write_started(client, play, membership->station());
    Playing playing{client, std::move(play), *membership};
    co_return co_await playing.run();
}

bool names_station(const std::string& text) {
    return group_from(text).has_value() || boost::algorithm::iends_with(text, ".nsc");
}

asio::awaitable<Outcome> play_station(Client& client, Play play) {
    Outcome failed;
    failed.transport = "udp";
    auto station = group_from(play.station);
    if (!station) {
        std::string text;
        if (is_web_url(play.station)) {
            try {
                auto getting = download(client, play.url);
                text = co_await net::within(play.deadline, std::move(getting));
            } catch (const boost::system::system_error& error) {
                failed.reason = fmt::format("{} cannot be had: {}", play.station, error.code().message());
                co_return failed;
            } catch (const std::exception& error) {
                failed.reason = fmt::format("{} cannot be had: {}", play.station, error.what());
                co_return failed;
            }
        } else {
            auto file = bytes::read_file(play.station, msb::station_file_size_max);
            if (!file) throw process::EnvironmentError{file.error().text()};
            text = std::move(*file);
        }
        const auto reading = msb::read_nsc(text);
        for (const auto& warning : reading.warnings) spdlog::warn("{}", warning.text(play.station));
        for (const auto& problem : reading.errors) spdlog::error("{}", problem.text(play.station));
        if (!reading.station) {
            failed.reason = reading.errors.empty() ? "no station file" : reading.errors.front().text(play.station);
            co_return failed;
        }
        station = reading.station;
    }
    if (play.save && station->formats.empty()) {
        failed.reason = "a stream without a station file has no ASF header and cannot be saved";
        co_return failed;
    }
    write_started(client, play, *station);
    Membership membership{client, play, std::move(*station), play.interface, 0};
    Playing playing{client, std::move(play), membership};
    co_return co_await playing.run();
}

}  // namespace wmlab::client_sim
