// The server's end of one UDP port, 135 or a process's: datagrams in, datagrams out to the same peer. Calls are
// executed at most once for each activity and sequence number; answers are kept to be sent again (C706 10.1,
// MS-RPCE 3.2.3).
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/rpc/datagram.hpp"
#include "common/rpc/note.hpp"
#include "common/rpc/service.hpp"

namespace wmlab::rpc {

struct DatagramOutput {
    std::vector<Octets> send;  // each one datagram to the peer
    std::vector<Note> notes;
};

class DatagramServer {
public:
    static constexpr std::size_t activities_max = 1024;
    static constexpr std::chrono::seconds memory{60};  // an activity silent for so long is forgotten
    static constexpr std::size_t window = 2;  // fragments in flight: little to gain for whoever forges a sender

    DatagramServer(Machine& machine, std::uint16_t port) : machine_{machine}, port_{port} {}

    // `peer` is the sender as text, "10.0.0.7:1034".
    DatagramOutput receive(const std::string& peer, Bytes datagram, TimePoint now);
    void expire(TimePoint now);                       // about every second
    std::size_t dropped() const { return dropped_; }  // datagrams that were no PDU, or none for a server

private:
    struct Activity {
        bool known = false;  // a call was seen; seqnum says which last
        std::uint32_t seqnum = 0;
        std::map<std::uint16_t, Octets> fragments;  // of a request that is not whole
        std::optional<std::uint16_t> last_fragment;
        std::size_t fragment_bytes = 0;
        bool done = false;
        std::vector<Datagram> answer;  // kept until acknowledged
        std::size_t acknowledged = 0;  // fragments of it
        TimePoint used;
    };
    using Key = std::pair<std::string, Guid>;

    void request(Activity& activity, const Datagram& call, DatagramOutput& out, TimePoint now, std::size_t size);
    void collect(Activity& activity, const Datagram& call, DatagramOutput& out, TimePoint now);
    void execute(Activity& activity, const Datagram& call, const Octets& stub, DatagramOutput& out, TimePoint now);
    void send_answer(Activity& activity, DatagramOutput& out);
    Datagram answer_to(const Datagram& call, PduType type) const;
    void send(const Datagram& datagram, std::string message, DatagramOutput& out);
    Activity* activity(const std::string& peer, const Guid& act_id, TimePoint now, bool make);

    Machine& machine_;
    std::uint16_t port_;
    std::map<Key, Activity> activities_;
    std::size_t dropped_ = 0;
};

}  // namespace wmlab::rpc
