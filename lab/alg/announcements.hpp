// The list of announcements: ports that a client and a server agree on inside a connection, right and wrong in every way
// an inspecting firewall may fall for. Pure data: bytes, and what may open because of them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "common/scenario/model.hpp"

namespace wmlab::lab {

using Octets = std::vector<std::byte>;

struct AlgParties {
    scenario::Ipv4 client, other;      // in the client's zone
    scenario::Ipv4 server, stranger;   // in the server's zone
};

enum class Announces {
    mms,         // a UDP port at the client (MS-MMSP 2.2.4.18)
    mapper,      // a TCP port at the server (C706 appendix O)
    mapper_udp,  // a UDP port at the server, asked for and told by datagrams (C706 12.5)
    msbd,        // no message announces a port: where 7007 is taken, people agree on another one (1024-5000)
};
std::string_view text(Announces kind);                      // "mapper-udp"
constexpr scenario::Protocol protocol_of(Announces kind) {  // of the port that is announced
    return kind == Announces::mms || kind == Announces::mapper_udp ? scenario::Protocol::udp : scenario::Protocol::tcp;
}

struct Announcement {
    enum class Wish {
        opens,     // the stream needs it
        stays,     // nothing may open
        may_open,  // either is right; told all the same
    };
    std::string id, what;  // "split-2", "split over two segments"
    Announces kind = Announces::mms;
    Wish wish = Wish::opens;
    std::uint16_t port = 0;  // that it names
    std::uint16_t control_port = 0;  // of the server, where it is made
    // What is said on the connection, a segment an entry.
    struct Segment {
        bool by_client = true;
        Octets bytes;
        bool again = false;  // its packet is sent once more, as when it was taken for lost
    };
    std::vector<Segment> segments;
    bool names_foreign = false;  // the address named is not the sender's: other's (mms), stranger's (mapper)
    // Before it is looked: a while passes; the stream goes on for twice that; the connection is closed and a while passes.
    enum class Then { nothing, idle, kept, close } then = Then::nothing;
    bool refused = false;  // nobody listens at control_port: the server refuses the connection
};

// Each announcement names a port of its own, ten apart, so that none is taken for another's.
std::vector<Announcement> announcements(const AlgParties& parties, Announces kind);
// A plain one (not of msbd, which has none), whose port shows that all that was said before it has been read.
Announcement marker(const AlgParties& parties, Announces kind, unsigned number);

}  // namespace wmlab::lab
