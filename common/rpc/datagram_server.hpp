// The server's end of one UDP port, 135 or a process's: datagrams in, datagrams out to the same peer. Calls are
// executed at most once for each activity and sequence number; answers are kept to be sent again (C706 10.1,
// MS-RPCE 3.2.3).
// A sender's address is easily forged. Until an activity has answered a question that only its sender can have read
// (conv_who_are_you2, C706 appendix P), nothing it sends has any effect, is kept beyond a small bound, or brings more
// than three times its size in answers.
#pragma once
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/rpc/datagram.hpp"
#include "common/rpc/note.hpp"
#include "common/rpc/service.hpp"

namespace wmlab::rpc {

struct DatagramOutput {
    std::vector<Octets> send;  // each one datagram to the peer
    std::vector<Note> notes;
    bool proven = false;  // the sender is who it says it is
};

class DatagramServer {
public:
    static constexpr std::size_t activities_max = 1024, activities_of_address_max = 256;  // proven ones
    static constexpr std::chrono::seconds memory{60};  // an activity silent for so long is forgotten
    static constexpr std::size_t window = 2;           // fragments in flight
    static constexpr std::size_t questions_max = 8192, held_max = std::size_t{2} << 20;  // not answered yet
    static constexpr std::size_t held_for_one_max = 64 * 1024;
    static constexpr std::chrono::seconds answer_limit{15};
    static constexpr std::size_t unproven_factor = 3;  // octets sent for one received

    DatagramServer(Machine& machine, std::uint16_t port) : machine_{machine}, port_{port} {}

    // `peer` is the sender as text, "10.0.0.7:1034".
    DatagramOutput receive(const std::string& peer, Bytes datagram, TimePoint now);
    void expire(TimePoint now);                       // about every second
    std::size_t dropped() const { return dropped_; }  // datagrams that were no PDU, or none for a server
    std::size_t activities() const { return activities_.size(); }
    std::size_t questions() const { return questions_.size(); }
    std::size_t held() const { return held_; }  // octets of requests whose senders have not answered

private:
    using Key = std::pair<std::string, Guid>;  // peer and activity
    struct KeyHash {
        std::size_t operator()(const Key& key) const;
    };
    struct GuidHash {
        std::size_t operator()(const Guid& guid) const;
    };
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
        std::list<Key>::iterator by_use, of_address;
    };
    struct Question {  // who are you?
        Key asked;
        std::vector<Octets> requests;  // taken when the answer is there; what was not kept will come again
        TimePoint asked_at;
        std::list<Guid>::iterator by_age;
        std::size_t held = 0;
    };

    void request(Activity& activity, const Datagram& call, DatagramOutput& out, TimePoint now, std::size_t size);
    void unproven_request(const Key& key, const Datagram& call, Bytes octets, DatagramOutput& out, TimePoint now);
    void ask(const Key& key, const Datagram& call, Bytes octets, DatagramOutput& out, TimePoint now);
    void answered(const std::string& peer, const Datagram& answer, std::size_t size, DatagramOutput& out,
                  TimePoint now);
    void forget_question(const Guid& question);
    void collect(Activity& activity, const Datagram& call, DatagramOutput& out, TimePoint now);
    void execute(Activity& activity, const Datagram& call, const Octets& stub, DatagramOutput& out, TimePoint now);
    std::vector<Datagram> executed(const Datagram& call, const Octets& stub, Reply& reply, DatagramOutput& out,
                                   TimePoint now);
    void send_answer(Activity& activity, DatagramOutput& out);
    static void tell(const Reply& reply, DatagramOutput& out);
    Datagram answer_to(const Datagram& call, PduType type) const;
    void send(const Datagram& datagram, std::string message, DatagramOutput& out);
    Activity* activity(const Key& key, TimePoint now);
    Activity& proven(const Key& key, TimePoint now);
    void forget_activity(const Key& key);

    Machine& machine_;
    std::uint16_t port_;
    std::unordered_map<Key, Activity, KeyHash> activities_;
    std::list<Key> by_use_;                               // least recently used first
    std::map<std::string, std::list<Key>> of_addresses_;  // likewise, of each address
    std::unordered_map<Guid, Question, GuidHash> questions_;
    std::unordered_map<Key, Guid, KeyHash> asked_;
    std::list<Guid> by_age_;  // oldest first
    std::size_t held_ = 0;
    std::size_t dropped_ = 0;
};

}  // namespace wmlab::rpc
