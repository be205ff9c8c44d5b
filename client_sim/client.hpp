// The player process: one scenario's flows of a host side by side, or one URL. A flow type is one file with a function
// and one line in flows.cpp.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes/guid.hpp"
#include "common/net/failure.hpp"
#include "common/process/program.hpp"
#include "common/process/received_media.hpp"
#include "common/url/url.hpp"

namespace wmlab::client_sim {

namespace asio = boost::asio;
using process::ReceivedMedia;
using std::chrono::milliseconds;

constexpr std::size_t queue_max = 256 * 1024;  // bytes the server may leave unread before we give up on it

// How a flow, or one attempt of it, ended.
struct Outcome {
    bool worked = false;
    std::string reason;                  // a sentence
    std::string transport;               // "udp", "tcp", "http", "http-proxy"; empty where the word means nothing
    std::uint32_t hr = 0;                // of the peer, if that ended it
    std::string summary;                 // what was received, for a person
    std::vector<std::string> elsewhere;  // URLs to try in its place, in order
};

// One content to be played, whatever the transport.
struct Play {
    std::string flow;                    // instance, for the journal; empty for a plain tool
    bytes::Guid player;                  // by which the server's journal knows the flow
    url::Url url;                        // for messages and the file's name
    std::string station;                 // GROUP:PORT, or where its .nsc file is; empty: `url` is played
    asio::ip::address_v4 interface;      // of multicast; unspecified: as the routes have it
    net::HostPort server;                // where to connect
    std::uint16_t http_port = 80;        // of the server, when an mms:// URL is played over HTTP
    std::optional<net::HostPort> proxy;  // for HTTP
    std::vector<std::string> places;     // of a redirector file: URLs and stations, tried in order; empty: `url` it is
    scenario::PortRange client_ports{1024, 5000};
    std::optional<milliseconds> duration;  // from the first packet on; none: to the end
    std::optional<milliseconds> start;     // stored content: from this time on
    milliseconds deadline{3000};           // for each step
    milliseconds pause{0};                 // MMS: after `duration`, as long as it takes here; then it plays for `duration` once more
    bool ask_again = false;                // once for a packet that came, to try the way of resend requests
    std::optional<std::filesystem::path> save;
    std::shared_ptr<process::MediaTally> tally{};  // of the load that it is a player of
    unsigned attempt = 1;
};

// What every flow of this process shares.
struct Client {
    process::Context& context;
    // What is being received now, for the status line.
    std::list<const ReceivedMedia*> receiving;

    void write(evidence::What what, const Play& play, std::string leg, boost::json::object fields = {},
               std::string local = "", std::string remote = "") const;
};

// Scenario mode: plays one flow instance whose `from` is this host.
using Flow = asio::awaitable<Outcome> (*)(Client&, scenario::FlowInstance);
Flow flow_for(scenario::FlowType type);  // flows.cpp; null: another program's
Play play_of(const Client& client, const scenario::FlowInstance& flow, std::uint16_t port, url::Scheme scheme);

// Plain tool: plays one URL.
asio::awaitable<Outcome> play_url(Client& client, Play play);

// The attempts of a rollover, in order, until one worked; each writes its own flow-started.
using Attempt = std::function<asio::awaitable<Outcome>(Client&, Play)>;
asio::awaitable<Outcome> roll_over(Client& client, Play play, std::vector<Attempt> attempts);

boost::program_options::options_description options();
std::unique_ptr<process::Simulator> make(process::Context& context);

}  // namespace wmlab::client_sim
