// What a simulator is told when it is made: the event loop, the journal, its options, and in scenario mode which flows
// of which host it plays.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/program_options/variables_map.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/evidence/fields.hpp"
#include "common/evidence/journal.hpp"
#include "common/net/address.hpp"
#include "common/scenario/catalogue.hpp"
#include "common/scenario/model.hpp"

namespace wmlab::process {

namespace asio = boost::asio;

enum Exit : int { worked = 0, did_not_work = 1, usage = 2, environment = 3 };  // contract

struct UsageError : std::runtime_error {  // exit 2
    using std::runtime_error::runtime_error;
};
struct EnvironmentError : std::runtime_error {  // exit 3: cannot bind, no permission, a file cannot be read
    using std::runtime_error::runtime_error;
};

struct MediaTally;  // received_media.hpp

struct Context {
    asio::io_context& io;
    evidence::Journal& journal;  // as a plain tool without --journal it leads nowhere
    const boost::program_options::variables_map& options;

    const scenario::Scenario* scenario = nullptr;  // null: a plain tool
    std::string host;
    std::vector<scenario::FlowInstance> flows;  // that this host takes part in, narrowed by --flow
    std::map<std::string, net::HostPort> endpoints;

    double hastened = 1;  // pauses, and the protocols' own keep-alives, take the so-manieth part
    std::chrono::milliseconds hasten(std::chrono::milliseconds real) const;

    // Flows for which `program` speaks at this host's end.
    std::vector<scenario::FlowInstance> flows_at(scenario::Program program, scenario::End end) const;

    // Where the flow's other end listens: --endpoint or the control channel's `endpoint`, else HOST and the port given.
    net::HostPort other_end(const scenario::FlowInstance& flow, const std::string& to, std::uint16_t port) const;

    // Scenario mode: names of the hosts table and addresses, no DNS. Plain tool: also DNS. Error: a sentence.
    asio::awaitable<boost::system::result<asio::ip::address_v4, std::string>> resolve(std::string name) const;

    // The ports on this host that its flows have little choice about: who has more choice takes another.
    const std::set<std::uint16_t>& ports_to_spare(scenario::Protocol protocol) const;

    // Where the players of a load add up what they receive; null: the flow is no load.
    std::shared_ptr<MediaTally> tally(const scenario::FlowInstance& flow);

    // This host's address in scenario mode.
    asio::ip::address_v4 own_address() const;

    // Writes an event. Named fields only: journal(ctx).write is for those with more.
    void write(evidence::What what, std::string flow, std::string leg, boost::json::object fields = {},
               std::string local = "", std::string remote = "") const;

    mutable std::map<scenario::Protocol, std::set<std::uint16_t>> spared = {};  // ports_to_spare, once it was asked
    std::map<std::string, std::shared_ptr<MediaTally>> tallies = {};            // by load
};

}  // namespace wmlab::process
