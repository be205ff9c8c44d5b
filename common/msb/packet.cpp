#include "common/msb/packet.hpp"

#include <algorithm>

#include "common/bytes/writer.hpp"

namespace wmlab::msb {

bytes::Parsed<Packet> Packet::parse(Bytes datagram) {
    bytes::Reader in{datagram};
    Packet packet;
    packet.dwPacketID = in.u32("dwPacketID");
    packet.wStreamID = in.u16("wStreamID");
    in.check((packet.wStreamID & 0x7800) == 0, "has bits that are always 0");
    const auto size = in.u16("wPacketSize");
    in.check(size == datagram.size(),
             "is " + std::to_string(size) + ", the datagram has " + std::to_string(datagram.size()) + " bytes");
    packet.asf_packet = in.rest();
    return in.finish(packet);
}

std::vector<std::byte> Packet::serialise() const {
    bytes::Writer out;
    out.u32(dwPacketID);
    out.u16(wStreamID);
    out.u16(static_cast<std::uint16_t>(head_size + asf_packet.size()));
    out.raw(asf_packet);
    return out.take();
}

bool is_beacon(Bytes datagram) { return std::ranges::equal(datagram, beacon_packet); }

}  // namespace wmlab::msb
