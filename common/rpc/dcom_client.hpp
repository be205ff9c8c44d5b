// A DCOM client's whole visit to a server: object resolver on 135, activation, then object calls to the address and
// port in the string binding, release. What an administrator and an encoder with a stream alias do. No sockets: it says
// where to connect and what to send, and is told what happened.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/rpc/activation.hpp"
#include "common/rpc/client_connection.hpp"
#include "common/rpc/datagram_client.hpp"

namespace wmlab::rpc {

struct AliasOffer {  // what an encoder tells the server
    std::string alias;
    Endpoint encoder;  // its MSBD listener
};

struct DcomPlan {
    std::string server;  // dialled for port 135
    bool udp = false;
    std::uint16_t mapper = mapper_port;  // tests only: where the object resolver listens
    ComVersion version;                  // below 5.6: ServerAlive and RemoteActivation, as NT4
    Guid causality;                      // CID of every call: both ends' journals show whose it is
    unsigned processes = 1;              // so many activations, each in a process of its own
    std::optional<AliasOffer> alias;     // register it through the (only) object
    bool hold = false;                   // keep the references, pinging, until release() is called
    DatagramPatience patience;           // UDP
};

struct DcomConnect {  // TCP: connect; UDP: open a socket for this peer. Then connected() or failed().
    unsigned channel = 0;
    std::string leg;  // "mapper" or "object"
    Endpoint to;
};
struct DcomSend {
    unsigned channel = 0;
    Octets octets;  // UDP: one datagram
};
struct DcomClose {
    unsigned channel = 0;
};
struct DcomNote {
    unsigned channel = 0;
    Note note;
};
struct DcomGaveUp {  // UDP: the channel's peer never answered, requests were sent as often as `patience` says
    unsigned channel = 0;
};
struct DcomHolding {};  // everything asked for is done, the references are held
struct DcomDone {
    bool worked = false;
    std::string leg;         // where it failed
    std::string reason;      // in words
    std::uint32_t hr = 0;    // of the peer, or RPC_S_SERVER_UNAVAILABLE as a real client would report it
    bool exhausted = false;  // the server has no port left for a process
    std::string inner;       // address translation: the host in the reference, if it is not the one dialled; else empty
};
using DcomAction = std::variant<DcomConnect, DcomSend, DcomClose, DcomNote, DcomGaveUp, DcomHolding, DcomDone>;
using DcomActions = std::vector<DcomAction>;

class DcomClient {
public:
    explicit DcomClient(DcomPlan plan) : plan_{std::move(plan)} {}

    DcomActions start(TimePoint now);
    DcomActions connected(unsigned channel, TimePoint now);
    DcomActions received(unsigned channel, Bytes octets, TimePoint now);
    // Connecting failed, the connection ended, or the embedder waited too long for an answer.
    DcomActions failed(unsigned channel, const std::string& reason, TimePoint now);
    DcomActions release(TimePoint now);  // ends DcomHolding
    std::optional<TimePoint> deadline() const;
    DcomActions expire(TimePoint now);  // at the deadline: datagrams again, or a ping
    bool done() const { return done_; }
    bool waiting() const { return !done_ && (!holding_ || call_); }  // for the peer; while holding, for a ping's answer
    unsigned processes_activated() const { return static_cast<unsigned>(objects_.size()); }

private:
    struct Channel {
        Endpoint to;
        std::string leg;
        bool connected = false;
        std::unique_ptr<ClientConnection> tcp;
        std::unique_ptr<DatagramClient> udp;
    };
    struct Object {
        StdObjRef std;
        Guid ipid_rem_unknown;
        std::vector<Endpoint> bindings;  // of the wanted protocol, in the server's order
        std::size_t tried = 0;
        unsigned channel = 0;  // 0: not called yet
        bool held = true;
    };
    using Then = void (DcomClient::*)(const CallOutcome&);

    unsigned open(Endpoint to, std::string leg);
    void call(unsigned channel, ClientCall call, Then then);
    void begin_call();
    void take(unsigned channel, ClientOutput output);
    void close(unsigned channel);

    void ask_alive();
    void alive(const CallOutcome& outcome);
    void mapped(const CallOutcome& outcome);
    void activate();
    void activated(const CallOutcome& outcome);
    void take_activation(std::uint64_t oxid, const DualStringArray& bindings, const Guid& ipid_rem_unknown,
                         const std::optional<ObjRef>& reference);
    void activation_failed(std::uint32_t hr);
    void ping();
    void pinged(const CallOutcome& outcome);
    void reach_object();
    void object_called(const CallOutcome& outcome);
    void object_unreachable(const std::string& reason);
    void give_up_unreached();
    void release_next();
    void released(const CallOutcome& outcome);
    void fail(std::string leg, std::string reason, std::uint32_t hr);
    void fail(std::string leg, const CallOutcome& outcome);
    void end();
    std::string translation() const;

    DcomPlan plan_;
    DcomActions actions_;
    TimePoint now_;
    std::map<unsigned, Channel> channels_;
    unsigned channel_numbers_ = 0, mapper_ = 0;
    std::optional<ClientCall> call_;  // the one outstanding, or waiting for its connection
    unsigned call_channel_ = 0;
    Then then_ = nullptr;
    std::vector<Object> objects_;
    std::size_t object_ = 0;
    ComVersion server_version_;
    std::uint64_t ping_set_ = 0;
    std::uint16_t ping_sequence_ = 0;
    std::optional<TimePoint> next_ping_;
    std::optional<DcomDone> outcome_;
    std::string last_bindings_;
    bool holding_ = false, done_ = false, releasing_ = false;
};

}  // namespace wmlab::rpc
