// The client's end of a conversation over UDP with one server port: one call at a time, sent again until answered.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/rpc/client_call.hpp"
#include "common/rpc/datagram.hpp"

namespace wmlab::rpc {

struct DatagramPatience {
    std::chrono::milliseconds first{1000}, longest{4000};  // between sends; doubles
    unsigned sends = 5;
};

class DatagramClient {
public:
    explicit DatagramClient(const Guid& activity, DatagramPatience patience = {})
        : activity_{activity}, patience_{patience} {}

    ClientOutput call(ClientCall call, TimePoint now);  // while no other is outstanding
    ClientOutput receive(Bytes datagram, TimePoint now);
    std::optional<TimePoint> deadline() const { return deadline_; }
    ClientOutput expire(TimePoint now);     // at the deadline: sends again or gives up
    ClientOutput lost(std::string reason);  // the socket reported an error, or the embedder lost patience
    bool busy() const { return call_.has_value(); }
    unsigned sends() const { return sends_; }  // of the current or last call: above 1 is a retry

private:
    Datagram header(PduType type) const;
    void transmit(ClientOutput& out, TimePoint now);
    void answer_question(const Datagram& question, ClientOutput& out, std::size_t size);
    void response(const Datagram& answer, ClientOutput& out, std::size_t size);
    void finish(CallOutcome outcome, ClientOutput& out);

    Guid activity_;
    DatagramPatience patience_;
    std::optional<ClientCall> call_;
    std::uint32_t seqnum_ = 0xFFFFFFFF, server_boot_ = 0;
    unsigned sends_ = 0;
    std::chrono::milliseconds interval_{0};
    std::optional<TimePoint> deadline_;
    std::vector<std::pair<Guid, unsigned>> questions_;  // of servers who want to know us, and how often answered
    std::vector<Datagram> request_;
    std::size_t acknowledged_ = 0;  // fragments of the request
    std::map<std::uint16_t, Octets> fragments_;
    std::optional<std::uint16_t> last_fragment_;
    std::size_t fragment_bytes_ = 0;
};

}  // namespace wmlab::rpc
