// A process that serves, server_sim or encoder_sim: publishing points, limits, and the services that offer them, one for
// each protocol. A new protocol is one file with a class of its own and one line in the list of its process.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/bytes/guid.hpp"
#include "common/net/bind.hpp"
#include "common/process/program.hpp"
#include "common/serving/publishing_point.hpp"
#include "common/serving/seats.hpp"

namespace wmlab::serving {

constexpr milliseconds flush_limit{2000};     // for the last bytes to a client before its connection is closed
constexpr std::size_t read_size = 16 * 1024;  // at a time, of a connection

struct Limits {
    std::size_t sessions = 4000;                            // of each service
    std::size_t sessions_per_peer = 1000;                   // likewise, from one address
    std::size_t queue = 1 << 20;                            // bytes a player may be behind before its session is dropped
    milliseconds idle = std::chrono::hours{1};              // of a session that neither streams nor says anything
    milliseconds first_message = std::chrono::seconds{30};  // of a connection that has said nothing yet
    std::optional<milliseconds> close_after_end;            // the server closes so long after the end of a stream
    milliseconds source = std::chrono::seconds{10};         // a player is kept waiting for a stream that is to be pulled

    // Who comes beyond the limit is told so, as long as there are not too many even for that.
    bool too_many_to_refuse(std::size_t running) const { return running >= 2 * sessions + 16; }
};

// What every service of this process shares.
struct Server {
    process::Context& context;
    scenario::Program program;  // server_sim, or encoder_sim, which serves in the same way
    PublishingPoints points;
    Limits limits;
    Seats seats_mms, seats_http, seats_msbd, seats_dcom;
    std::vector<asio::ip::address_v4> addresses;      // to listen on
    std::map<bytes::Guid, std::string> players;       // flow instance by the GUID its player shows
    std::map<std::string, std::string> stations;      // .nsc files by the path over HTTP, "/lecture.nsc"
    std::uint64_t connections = 0;                    // numbers them for the journal
    std::map<std::string, std::string> aliases;       // flow instance by the channel that MSBD pullers ask for
    std::map<std::string, std::uint16_t> msbd_ports;  // where MSBD is served, by flow; "": to all
    // An MSBD connection to us is over: its flow, where that is known, and how many packets were sent.
    std::function<void(const std::string& flow, std::uint64_t packets)> msbd_over;
    std::string http_name = "Cougar 4.1.0.3923";  // what answers over HTTP call themselves

    std::uint64_t next_connection() { return ++connections; }
    // Which flow a player's GUID names; empty: none of this scenario.
    std::string flow_of(const std::optional<bytes::Guid>& player) const;
    // Binds, writing `listening` or `listen-failed`; throws process::EnvironmentError.
    net::tcp::acceptor listen(const asio::ip::address& address, std::uint16_t port, std::string leg, std::string flow = "");
    net::udp::socket bind(const asio::ip::address& address, std::uint16_t port, std::string leg, std::string flow = "");
    bool scenario_mode() const { return context.scenario != nullptr; }
};

class Service {
public:
    virtual ~Service() = default;
    virtual void prepare() = 0;                                   // binds and begins to accept
    virtual void start() {}                                       // the flows begin: what others listen on is known, and whoever sends unasked sends
    virtual asio::awaitable<void> stop() = 0;                     // ends every session, returns when all have written their end
    virtual std::vector<std::string> urls() const { return {}; }  // for a person, of the plain tool
    virtual std::string status() const { return {}; }             // likewise: what is served now
    virtual bool worked() const { return true; }                  // false: what the plain tool was asked for has failed (exit 1)
};

// Null: this process has no need of the service.
using MakeService = std::unique_ptr<Service> (*)(Server&);

// What every process that serves has: addresses and limits, from the options of serving_options().
Server server_for(process::Context& context, scenario::Program program);
boost::program_options::options_description serving_options();

}  // namespace wmlab::serving
