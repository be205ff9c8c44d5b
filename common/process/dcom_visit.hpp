// A DCOM client's visit (rpc::DcomClient) over real sockets: what client_sim's administrator and encoder_sim's alias
// share. Connects where the client says, moves its bytes, keeps its patience, writes the journal.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <string>

#include "common/net/connect.hpp"
#include "common/net/datagram.hpp"
#include "common/process/context.hpp"
#include "common/rpc/dcom_client.hpp"

namespace wmlab::process {

// A note of a state machine as the fields of `sent`, `received` or `malformed`, the same for both ends.
evidence::What what_of(const rpc::Note& note);
boost::json::object note_fields(const rpc::Note& note);

class DcomVisit {
public:
    // `flow` may be empty (plain tool). `deadline` is for each step.
    DcomVisit(Context& context, std::string flow, rpc::DcomPlan plan, net::milliseconds deadline);
    ~DcomVisit();

    // Until the visit is over, or, with plan.hold, until the references are held (holding() tells).
    asio::awaitable<void> run();
    bool holding() const { return holding_; }
    // Pings until `until` fires or is cancelled, then gives the references back.
    asio::awaitable<void> hold(asio::steady_timer& until);
    const rpc::DcomDone& outcome() const { return done_; }
    // "3 processes answered on ports 3001, 3002, 3003"
    std::string summary() const;

private:
    struct Channel;

    asio::awaitable<void> drive();
    asio::awaitable<void> perform(rpc::DcomActions actions);
    asio::awaitable<rpc::DcomActions> connect(rpc::DcomConnect action);
    asio::awaitable<rpc::DcomActions> send(rpc::DcomSend action);
    asio::awaitable<rpc::DcomActions> wait();
    asio::awaitable<rpc::DcomActions> wait_tcp(unsigned number, Channel& channel);
    asio::awaitable<rpc::DcomActions> wait_udp(unsigned number, Channel& channel);
    rpc::DcomActions broke(unsigned number, Channel& channel, const net::Failure& failure);
    void close(unsigned number);
    void write(evidence::What what, const Channel& channel, boost::json::object fields);

    Context& context_;
    std::string flow_;
    rpc::DcomClient client_;
    bool udp_;
    net::milliseconds deadline_;
    std::map<unsigned, std::unique_ptr<Channel>> channels_;
    unsigned last_ = 0;  // the channel that was sent on: whose answer is awaited
    rpc::DcomActions queue_;
    rpc::DcomDone done_;
    bool holding_ = false;
    std::vector<std::uint16_t> ports_;  // of objects that answered
};

// How patient a client over UDP is: three requests within the deadline.
rpc::DatagramPatience patience_within(net::milliseconds deadline);

}  // namespace wmlab::process
