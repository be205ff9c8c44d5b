// A hand's sockets, in one network namespace: answers one question after the other, without ever waiting itself.
#pragma once
#include <netinet/in.h>
#include <poll.h>

#include <iosfwd>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "lab/alg/hand.hpp"
#include "lab/host/descriptor.hpp"
#include "lab/host/namespaces.hpp"

namespace wmlab::lab {

class HandSockets {
public:
    HandSockets(std::string host, const Namespace& place) : host_{std::move(host)}, place_{place} {}
    void ask(HandQuestion question);     // forgets one that is not answered yet
    std::optional<HandAnswer> answer();  // once; nothing: not yet, or nothing was asked
    bool asked() const { return question_.has_value(); }
    void wait_for(std::vector<pollfd>& sockets) const;  // what may bring the answer before its time; look every few ms, too
    std::chrono::steady_clock::time_point limit() const { return limit_; }

private:
    struct Connection {
        scenario::Protocol protocol = scenario::Protocol::tcp;
        Descriptor listening, socket, wire;
        std::size_t heard = 0;
        std::string note;
    };
    using Place = std::pair<scenario::Protocol, std::uint16_t>;

    Descriptor socket_at(int type, std::uint16_t port) const;
    int round_socket(scenario::Protocol protocol, std::uint16_t port);
    HandAnswer begin();
    HandAnswer bind();
    HandAnswer send();
    std::optional<HandAnswer> look(bool over);
    HandAnswer listen(Connection& connection);
    HandAnswer connect(Connection& connection);
    std::optional<HandAnswer> accept(Connection& connection, bool over);
    HandAnswer say(Connection& connection);
    std::optional<HandAnswer> hear(Connection& connection, bool over);
    HandAnswer again(Connection& connection) const;
    std::optional<HandAnswer> refused(bool over);
    std::optional<HandAnswer> try_answer();
    void end_round();

    std::string host_;
    const Namespace& place_;
    scenario::Ipv4 address_;
    std::optional<HandQuestion> question_;
    bool fresh_ = false;  // the question has not been looked at
    std::chrono::steady_clock::time_point limit_;
    std::map<Place, Descriptor> round_;
    std::map<unsigned, Descriptor> connecting_;  // of the round, by packet
    std::string text_;
    std::set<unsigned> arrived_;
    std::map<unsigned, Connection> connections_;
    Descriptor trying_;  // of `refused`
};

// A hand on this machine for a wmlab elsewhere, over descriptor `in` and `out` (hand.hpp), until the input ends.
// 0: it ended; 3: what came were no questions.
int serve_hand(int in, std::ostream& out);

// The checksums of an IPv4 packet and of the TCP segment or UDP datagram in it, as the wire has them: a card that
// fills them in leaves captures without. False: it is none, or a fragment, and stays as it is.
bool fill_checksums(std::span<std::byte> packet);

}  // namespace wmlab::lab
