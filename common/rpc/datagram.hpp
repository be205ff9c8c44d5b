// Connectionless PDUs of DCE/RPC, one a datagram (C706 12.5, MS-RPCE 3.2).
#pragma once
#include <cstdint>
#include <vector>

#include "common/rpc/pdu.hpp"

namespace wmlab::rpc {

namespace pf1 {  // flags1
inline constexpr std::uint8_t lastfrag = 0x02, frag = 0x04, nofack = 0x08, maybe = 0x10, idempotent = 0x20,
                              broadcast = 0x40;
}

inline constexpr std::size_t datagram_body_max = 1392;  // of what we send: with all headers below an Ethernet frame

struct Datagram {
    static constexpr std::size_t header_size = 80;
    PduType ptype = PduType::request;
    std::uint8_t flags1 = 0, flags2 = 0;
    ByteOrder order = ByteOrder::little;
    Guid object;                    // the IPID of an object call, else nil
    Guid if_id;                     // interface
    Guid act_id;                    // activity: the conversation
    std::uint32_t server_boot = 0;  // 0: not known to the client yet
    std::uint16_t if_vers_major = 0, if_vers_minor = 0;
    std::uint32_t seqnum = 0;
    std::uint16_t opnum = 0, ihint = 0xFFFF, ahint = 0xFFFF, fragnum = 0;
    std::uint16_t serial = 0;
    std::uint8_t auth_proto = 0;
    Octets body;
    bool operator==(const Datagram&) const = default;

    SyntaxId interface() const { return {if_id, if_vers_major, if_vers_minor}; }
    bool is_last() const { return (flags1 & pf1::frag) == 0 || (flags1 & pf1::lastfrag) != 0; }
    static Parsed<Datagram> parse(Bytes datagram);  // bytes after `len` of body are ignored (an auth trailer)
    Octets serialise() const;                       // sets len
};

struct FackBody {  // C706 12.5.3.4
    std::uint8_t vers = 0;
    std::uint16_t window_size = 0;  // in KiB
    std::uint32_t max_tsdu = 0, max_frag_size = 0;
    std::uint16_t serial_num = 0;
    std::vector<std::uint32_t> selack;  // bit masks of fragments received after fragnum
    bool operator==(const FackBody&) const = default;

    static Parsed<FackBody> parse(Bytes body, ByteOrder order);
    Octets serialise() const;
};

Parsed<std::uint32_t> parse_datagram_status(const Datagram& datagram);  // body of fault and reject
Octets datagram_status(std::uint32_t status);

// The fragments of one request or response; a single unfragmented one if the stub fits.
std::vector<Datagram> datagram_fragments(Datagram header, const Octets& stub);

}  // namespace wmlab::rpc
