// Pulls: streams that this server fetches from an encoder or an upstream server, to republish them live. What is the
// same whatever the protocol is here: what is pulled and how long, connecting again after a loss, the journal, and
// handing over to the publishing point. A protocol is one function, FetchStream, and one line in pull.cpp.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>

#include "common/net/address.hpp"
#include "common/process/outgoing.hpp"
#include "common/process/received_media.hpp"
#include "common/url/url.hpp"
#include "server_sim/server.hpp"

namespace wmlab::server_sim {

struct Pull {
    std::string flow;                        // instance, for the journal; empty for a plain tool
    std::string type;                        // of the flow: "msbd", "http-distribution"
    url::Url url;                            // its scheme says which protocol
    net::HostPort source;                    // where to connect
    std::string channel;                     // which of the source's streams, where the protocol can say so
    std::shared_ptr<PublishingPoint> point;  // republishes it; null: it is received and counted, no more
    milliseconds deadline{3000};             // for each step, and for the next packet
    milliseconds first_header{3000};         // for the stream's header: a live encoder may take its time
    std::optional<milliseconds> play;        // from the first packet on; none: until stopped
    bool keep = false;                       // goes on after `play` until stopped: others need what it brings
    bool again = false;                      // connects again after a loss, with back-off
    bool opens = true;                       // the flow: says when it starts and ends
};

// How one connection of a pull ended.
struct PullEnd {
    bool over = false;   // the source said that nothing follows, or there is enough: no loss
    std::string reason;  // a sentence
    std::uint32_t hr = 0;
};

// What the connections of one pull hand over. Writes the journal of the flow, but for connections and messages.
class Intake {
public:
    Intake(Server& server, const Pull& pull) : server_{server}, pull_{pull} {}

    // --- for FetchStream

    // The stream's header, first or new; also asks the publishing point to begin. Error: a sentence.
    std::optional<std::string> header(bytes::Bytes asf_header);
    // `number`: a LocationId, dwPacketId ..., which goes on over lost connections where the source counts so.
    void packet(std::uint64_t number, std::vector<std::byte> packet);
    bool enough() const { return enough_; }  // close the connection: it was taken as long as was asked
    std::uint64_t packets() const { return media_ ? media_->packets() : 0; }  // of this connection
    // Nothing came for so long.
    void silent(milliseconds waited);
    void write(evidence::What what, boost::json::object fields = {});  // with the addresses
    std::string local, remote;                                         // of this connection

    // --- for the pull as a whole

    void flow_started();
    void connection_over();  // media-ended
    void retry(const std::string& reason);
    void flow_ended(bool worked, const std::string& reason, std::uint32_t hr = 0);  // said once
    bool had_media() const { return first_.has_value(); }
    const process::ReceivedMedia* media() const { return media_ ? &*media_ : nullptr; }

private:
    void resumed(std::uint64_t number);

    Server& server_;
    const Pull& pull_;
    std::optional<process::ReceivedMedia> media_;  // of this connection
    std::optional<SteadyTime> first_;              // packet, of all connections
    SteadyTime last_{};
    std::uint64_t last_number_ = 0;
    milliseconds interval_{0};  // between packets, as the header has it
    bool enough_ = false, ended_ = false;
};

// Connects once and hands over until the stream ends, the connection is lost, or there is enough; cancelled when the
// process stops. Writes connecting, connected or connect-failed, sent, received, malformed and closed.
using FetchStream = asio::awaitable<PullEnd> (*)(Server&, const Pull&, Intake&);

// The journal of the pull, for a connection of it.
process::Outgoing::Write journal_of(Intake& intake);

asio::awaitable<PullEnd> fetch_msbd(Server& server, const Pull& pull, Intake& intake);
asio::awaitable<PullEnd> fetch_http(Server& server, const Pull& pull, Intake& intake);

// From the first connection to flow-ended, and on as long as the pull says.
asio::awaitable<void> run_pull(Server& server, Pull pull);

// Before the services are made: publishing points for --pull and for pulled contents.
void add_relays(Server& server);

std::unique_ptr<Service> make_pulls(Server& server);  // null: there is nothing to pull

}  // namespace wmlab::server_sim
