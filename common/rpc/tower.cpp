#include "common/rpc/tower.hpp"

#include <algorithm>
#include <charconv>

namespace wmlab::rpc {
namespace {

constexpr std::uint8_t uuid_floor = 0x0D;

// Floors 1 and 2: lhs 0D, UUID, major; rhs minor.
SyntaxId read_uuid_floor(bytes::Reader& in, std::string_view field) {
    SyntaxId id;
    in.check(in.u16("lhs_length") == 19, "is not that of a UUID floor");
    in.check(in.u8("protocol_id") == uuid_floor, "is not a UUID's");
    id.uuid = in.guid(field);
    id.major = in.u16("version_major");
    in.check(in.u16("rhs_length") == 2, "is not that of a UUID floor");
    id.minor = in.u16("version_minor");
    return id;
}

void write_uuid_floor(bytes::Writer& out, const SyntaxId& id) {
    out.u16(19);
    out.u8(uuid_floor);
    out.guid(id.uuid);
    out.u16(id.major);
    out.u16(2);
    out.u16(id.minor);
}

}  // namespace

Parsed<Tower> Tower::parse(Bytes octets) {
    bytes::Reader in{octets};
    Tower tower;
    const auto floors = in.u16("floor_count");
    in.check(floors >= 3 && floors <= 16, "is no number of floors of a tower");
    tower.interface = read_uuid_floor(in, "interface");
    tower.transfer_syntax = read_uuid_floor(in, "transfer_syntax");
    for (unsigned floor = 3; floor <= floors && !in.failed(); ++floor) {
        const auto lhs_length = in.u16("lhs_length");
        in.check(lhs_length >= 1, "leaves no room for a protocol identifier");
        const auto id = in.u8("protocol_id");
        in.skip(lhs_length > 0 ? lhs_length - std::size_t{1} : 0, "lhs");
        const auto rhs_length = in.u16("rhs_length");
        if ((id == protseq::ncacn_ip_tcp || id == protseq::ncadg_ip_udp) && floor == 4) {
            in.check(rhs_length == 2, "is not a port's");
            tower.protocol = id;
            tower.port = in.u16be("port");
        } else if (id == protseq::ip && floor == 5) {
            in.check(rhs_length == 4, "is not an IPv4 address's");
            tower.address = in.u32be("address");
        } else {
            if (floor == 4 || (floor == 3 && floors == 3)) tower.protocol = id;
            in.skip(rhs_length, "rhs");
        }
    }
    return in.finish(tower);
}

Octets Tower::serialise() const {
    bytes::Writer out;
    out.u16(5);
    write_uuid_floor(out, interface);
    write_uuid_floor(out, transfer_syntax);
    out.u16(1);
    out.u8(protocol == protseq::ncadg_ip_udp ? protseq::connectionless : protseq::connection_oriented);
    out.u16(2);
    out.u16(0);
    out.u16(1);
    out.u8(protocol);
    out.u16(2);
    out.u16be(port);
    out.u16(1);
    out.u8(protseq::ip);
    out.u16(4);
    out.u32be(address);
    return out.take();
}

Tower read_twr(NdrReader& in) {
    const auto claimed = in.conformance(1, "tower max_count");
    const std::size_t length = in.u32("tower_length");
    in.check(length <= claimed, "differs from the array's size");
    in.check(length <= tower_length_max, "is above 2000");
    if (in.failed()) return {};
    const auto parsed = Tower::parse(in.raw(length, "tower_octet_string"));
    if (!parsed) {
        in.check(false, parsed.error().text());
        return {};
    }
    return *parsed;
}

void write_twr(NdrWriter& out, const Tower& tower) {
    const auto octets = tower.serialise();
    out.count(octets.size());
    out.count(octets.size());
    out.raw(octets);
}

std::string address_text(std::uint32_t address) {
    return std::to_string(address >> 24) + "." + std::to_string(address >> 16 & 0xFF) + "." +
           std::to_string(address >> 8 & 0xFF) + "." + std::to_string(address & 0xFF);
}

std::optional<std::uint32_t> address_from(std::string_view text) {
    std::uint32_t address = 0;
    const char* at = text.data();
    const char* const end = at + text.size();
    for (int part = 0; part < 4; ++part) {
        if (part > 0) {
            if (at == end || *at != '.') return {};
            ++at;
        }
        unsigned value = 0;
        const auto [next, error] = std::from_chars(at, end, value);
        if (error != std::errc{} || value > 255) return {};
        address = address << 8 | value;
        at = next;
    }
    return at == end ? std::optional{address} : std::nullopt;
}

}  // namespace wmlab::rpc
