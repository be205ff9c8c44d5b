// Protocol towers of the endpoint mapper (C706 appendix L): floors with little-endian counts, ports and addresses in
// network order, whatever the stub's byte order is.
#pragma once
#include <cstdint>
#include <string>

#include "common/rpc/ndr.hpp"

namespace wmlab::rpc {

struct Tower {
    SyntaxId interface, transfer_syntax = syntax::NDR;
    std::uint8_t protocol = protseq::ncacn_ip_tcp;  // of floor 4; other protocols keep their number only
    std::uint16_t port = 0;                         // TCP and UDP only; 0 in a query
    std::uint32_t address = 0;                      // IPv4, host byte order; 0 in a query
    bool operator==(const Tower&) const = default;

    bool is_ip() const { return protocol == protseq::ncacn_ip_tcp || protocol == protseq::ncadg_ip_udp; }
    static Parsed<Tower> parse(Bytes tower);
    Octets serialise() const;  // TCP or UDP over IPv4, five floors, 75 bytes
};

// twr_t: max_count, tower_length, the octets; the next field aligns itself.
inline constexpr std::size_t tower_length_max = 2000;
Tower read_twr(NdrReader& in);
void write_twr(NdrWriter& out, const Tower& tower);

std::string address_text(std::uint32_t address);                   // "10.66.1.10"
std::optional<std::uint32_t> address_from(std::string_view text);  // dotted quad

}  // namespace wmlab::rpc
