#include "server_sim/multicast.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/ip/multicast.hpp>
#include <charconv>
#include <fstream>
#include <functional>
#include <set>
#include <utility>

#include "common/msb/nsc.hpp"
#include "common/msb/sender_session.hpp"
#include "common/net/datagram.hpp"
#include "common/process/media_digest.hpp"
#include "common/serving/content.hpp"
#include "common/url/url.hpp"

namespace wmlab::server_sim {
namespace {

using evidence::What;
using Clock = std::chrono::steady_clock;

constexpr milliseconds look_again{5000};  // whether a pulled stream has come

struct StationSpec {
    std::string flow;  // id without the receivers, which share the stream; empty for a plain tool
    std::string content;
    net::udp::endpoint group;
    unsigned ttl = 5;
    std::optional<asio::ip::address_v4> interface;
    std::string unicast_url;
};

[[noreturn]] void refuse(const std::string& text, const std::string& why) {
    throw process::UsageError{"--station `" + text + "`: " + why};
}

// NAME=GROUP:PORT[,ttl=N][,interface=ADDR][,unicast=URL]
StationSpec station_from(const std::string& text) {
    StationSpec spec;
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) refuse(text, "wants NAME=GROUP:PORT");
    spec.content = text.substr(0, equals);
    auto rest = text.substr(equals + 1);
    const auto next = [&rest] {
        const auto comma = rest.find(',');
        auto word = rest.substr(0, comma);
        rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
        return word;
    };
    const auto where = net::host_port(next());
    boost::system::error_code error;
    const auto group = where ? asio::ip::make_address_v4(where->host, error) : asio::ip::address_v4{};
    constexpr std::uint16_t port_max = 65000;  // of the article
    if (!where || error || !group.is_multicast() || group == asio::ip::address_v4{0xE0000000})
        refuse(text, "wants a group from 224.0.0.1 to 239.255.255.255 and a port");
    if (where->port > port_max) refuse(text, "wants a port from 1 to 65000");
    spec.group = {group, where->port};
    while (!rest.empty()) {
        const auto word = next();
        const auto sign = word.find('=');
        const auto name = word.substr(0, sign);
        const auto value = sign == std::string::npos ? "" : word.substr(sign + 1);
        if (name == "ttl") {
            constexpr unsigned ttl_max = 255;
            const auto [end, bad] = std::from_chars(value.data(), value.data() + value.size(), spec.ttl);
            if (bad != std::errc{} || end != value.data() + value.size() || spec.ttl > ttl_max)
                refuse(text, "wants a ttl from 0 to 255");
        } else if (name == "interface") {
            spec.interface = asio::ip::make_address_v4(value, error);
            if (error) refuse(text, "wants the interface's IPv4 address");
        } else if (name == "unicast") {
            spec.unicast_url = value;
        } else {
            refuse(text, "does not know `" + name + "` (ttl, interface, unicast)");
        }
    }
    return spec;
}

// One stream to one group.
class Sender : public Subscriber {
public:
    Sender(Server& server, StationSpec spec, std::shared_ptr<PublishingPoint> point)
        : server_{server}, spec_{std::move(spec)}, point_{std::move(point)}, beacon_{server.context.io} {}

    std::function<void(const Sender&)> on_station = [](const Sender&) {};  // station() is another than before
    bool has_station() const { return point_->ready(); }

    msb::Station station() const {
        msb::Station station;
        const auto address = spec_.interface ? spec_.interface->to_string() : std::string{};
        station.name = (address.empty() ? "wmlab" : address) + ", " + point_->name();
        station.multicast_adapter = address;
        station.ip_address = spec_.group.address().to_string();
        station.ip_port = spec_.group.port();
        station.time_to_live = spec_.ttl;
        station.default_ecc = 0;
        station.unicast_url = spec_.unicast_url;
        station.allow_splitting = station.allow_caching = true;
        station.cache_expiration_time = 86400;
        station.network_buffer_time = 1000;
        station.formats.push_back({format_id_, point_->header(), point_->name()});
        return station;
    }

    const StationSpec& spec() const { return spec_; }

    void prepare() {
        const auto local = spec_.interface.value_or(asio::ip::address_v4::any());
        socket_.emplace(server_.bind(local, 0, "media", spec_.flow));
        auto& socket = socket_->socket();
        boost::system::error_code error;
        socket.set_option(asio::ip::multicast::hops{static_cast<int>(spec_.ttl)}, error);
        if (!error && spec_.interface)
            socket.set_option(asio::ip::multicast::outbound_interface{*spec_.interface}, error);
        if (error) throw process::EnvironmentError{"multicast to " + net::text(spec_.group) + ": " + error.message()};
    }

    void start() {
        protocol_.start(Clock::now());
        on_ready();
    }

    void stop() {
        subscription_.reset();
        beacon_.cancel();
        protocol_.stop();
        if (!socket_) return;
        socket_->drain_errors();
        if (digest_.packets() > 0) {
            auto fields = digest_.fields();
            fields[field::first_send] = first_send_.count();
            fields[field::last_send] = last_send_.count();
            fields[field::datagrams] = datagrams_;
            fields[field::unsent] = socket_->unsent();
            write(What::media_ended, std::move(fields));
        }
        if (socket_->unsent() > 0)
            spdlog::warn("{}: {} datagrams could not be sent", net::text(spec_.group), socket_->unsent());
        socket_->close();
    }

    void on_packet(const Packet& packet) override {
        const auto number = protocol_.next_dwPacketID();
        for (const auto& datagram : protocol_.packet(*packet.bytes)) send(datagram);
        const std::chrono::nanoseconds now = Clock::now().time_since_epoch();
        if (digest_.packets() == 0) {
            first_send_ = now;
            boost::json::object fields;
            fields[field::ttl] = spec_.ttl;
            write(What::media_started, std::move(fields));
        }
        last_send_ = now;
        sent_in_round_ = true;
        digest_.packet(number, *packet.bytes);
    }

    // A pulled stream may come later, and end before others: beacons until there is one.
    void on_ready() override {
        if (point_->ready() && point_->header().packet_size > media_datagram_max) {
            spdlog::warn("{}: packets of {} bytes do not fit into datagrams: the station {} stays silent", point_->name(),
                         point_->header().packet_size, net::text(spec_.group));
            tell_too_large();
            arm();
        } else if (point_->ready()) {
            start_stream();
            subscription_ = point_->subscribe(*this);
        } else {
            subscription_ = point_->wait(*this, look_again);
            arm();
        }
    }

    // A station goes on: stored content begins again, as a stream of its own.
    void on_end() override {
        const bool again = !point_->relayed() && std::exchange(sent_in_round_, false);
        if (!again) protocol_.end_stream(Clock::now());
        if (again || point_->relayed()) return on_ready();
        spdlog::warn("{}: nothing to send", point_->name());
        arm();
    }

    void on_header() override {
        constexpr std::uint16_t format_id_max = 0x7FF;
        format_id_ = format_id_ == format_id_max ? std::uint16_t{1} : static_cast<std::uint16_t>(format_id_ + 1);
        start_stream();
    }

private:
    void start_stream() {
        const auto& header = point_->header();
        protocol_.start_stream(format_id_, Clock::now());
        beacon_.cancel();
        digest_.header(header.raw);
        constexpr std::size_t unfragmented = msb::unfragmented_max;
        if (header.packet_size > unfragmented)
            spdlog::warn("{}: packets of {} bytes: their datagrams travel in fragments", point_->name(),
                         header.packet_size);
        if (point_->relayed()) on_station(*this);
    }

    void tell_too_large() {
        if (std::exchange(told_too_large_, true)) return;
        boost::json::object fields;
        fields[field::reason] = point_->name() + " has packets of " + std::to_string(point_->header().packet_size) + " bytes, too large for a datagram (" +
                                std::to_string(media_datagram_max) + " at most): let ffmpeg write smaller ones (-packet_size 1400)";
        write(What::retry, std::move(fields));
    }

    void send(const msb::Datagram& datagram) {
        if (socket_->send_to(spec_.group, datagram)) ++datagrams_;
    }

    void arm() {
        const auto due = protocol_.next_deadline();
        if (!due) return;
        beacon_.expires_at(*due);
        // A timer that has come may be cancelled, and we may be gone, before its handler runs.
        beacon_.async_wait([this, alive = std::weak_ptr{alive_}](boost::system::error_code error) {
            if (error || alive.expired() || !socket_ || !socket_->socket().is_open()) return;
            if (const auto datagram = protocol_.tick(Clock::now())) send(*datagram);
            arm();
        });
    }

    void write(What what, boost::json::object fields) {
        server_.context.write(what, spec_.flow, "media", std::move(fields), net::text(socket_->local()),
                              net::text(spec_.group));
    }

    Server& server_;
    StationSpec spec_;
    std::shared_ptr<PublishingPoint> point_;
    asio::steady_timer beacon_;
    msb::SenderSession protocol_;
    std::optional<net::DatagramSocket> socket_;
    std::unique_ptr<Subscription> subscription_;
    process::MediaDigest digest_;
    std::chrono::nanoseconds first_send_{}, last_send_{};
    std::uint64_t datagrams_ = 0;
    std::uint16_t format_id_ = 1;
    bool sent_in_round_ = false, told_too_large_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

class MulticastService : public Service {
public:
    MulticastService(Server& server, const std::vector<StationSpec>& specs) : server_{server} {
        for (const auto& spec : specs) {
            auto point = server.points.find(spec.content);
            if (!point) throw process::UsageError{"--station: there is no content `" + spec.content + "`"};
            senders_.push_back(std::make_unique<Sender>(server, spec, std::move(point)));
            auto& sender = *senders_.back();
            sender.on_station = [this](const Sender& changed) {
                try {
                    if (const auto problem = publish(changed); !problem.empty()) spdlog::warn("{}", problem);
                } catch (const process::EnvironmentError& error) {
                    spdlog::warn("{}", error.what());
                }
            };
            if (!sender.has_station()) continue;  // its file comes with the stream
            if (const auto problem = publish(sender); !problem.empty())
                throw process::UsageError{"--station: " + problem};
        }
    }

    void prepare() override {
        for (const auto& sender : senders_) sender->prepare();
    }
    void start() override {
        for (const auto& sender : senders_) sender->start();
    }
    asio::awaitable<void> stop() override {
        for (const auto& sender : senders_) sender->stop();
        co_return;
    }
    std::vector<std::string> urls() const override {
        std::vector<std::string> out;
        for (const auto& sender : senders_)
            out.push_back(net::text(sender->spec().group) + " (multicast of " + sender->spec().content + ")");
        return out;
    }

private:
    // The station's file: over HTTP, and the first one to a file. A sentence where there can be none.
    std::string publish(const Sender& sender) {
        const auto station = sender.station();
        if (const auto problems = msb::problems_of(station); !problems.empty())
            return problems.front().text(station.name);
        const auto text = msb::write_nsc(station);
        auto name = sender.spec().content;
        name.erase(0, std::min(name.find_first_not_of('/'), name.size()));
        // A second station of one content is NAME-2.nsc.
        std::size_t count = 0;
        for (const auto& other : senders_) {
            count += other->spec().content == sender.spec().content;
            if (other.get() == &sender) break;
        }
        if (count > 1) name += "-" + std::to_string(count);
        server_.stations["/" + name + ".nsc"] = text;
        const auto& options = server_.context.options;
        if (!options.contains("nsc-out") || &sender != senders_.front().get()) return {};
        const auto path = options["nsc-out"].as<std::string>();
        std::ofstream file{path, std::ios::binary};
        if (!(file << text).flush()) throw process::EnvironmentError{"cannot write " + path};
        return {};
    }

    Server& server_;
    std::vector<std::unique_ptr<Sender>> senders_;
};

}  // namespace

std::unique_ptr<Service> make_multicast(Server& server) {
    std::vector<StationSpec> specs;
    const auto& context = server.context;
    if (!server.scenario_mode()) {
        if (context.options.contains("station"))
            for (const auto& text : context.options["station"].as<std::vector<std::string>>()) {
                auto spec = station_from(text);
                if (!spec.interface && context.options.contains("bind")) spec.interface = server.addresses.front();
                specs.push_back(std::move(spec));
            }
        if (specs.empty() && context.options.contains("nsc-out"))
            throw process::UsageError{"--nsc-out needs a --station"};
    } else {
        std::set<std::string> seen;
        for (const auto& instance : context.flows_at(scenario::Program::server_sim, scenario::End::from)) {
            const auto& flow = *instance.flow;
            if (flow.type != scenario::FlowType::multicast || !seen.insert(flow.id).second) continue;
            const auto own = context.own_address();
            specs.push_back({flow.id,
                             flow.content,
                             {asio::ip::address_v4{flow.group.value}, flow.port},
                             flow.ttl,
                             own,
                             "mms://" + own.to_string() + url::encoded_path(flow.content)});
        }
    }
    return specs.empty() ? nullptr : std::make_unique<MulticastService>(server, specs);
}

}  // namespace wmlab::server_sim
