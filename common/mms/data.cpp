#include "common/mms/data.hpp"

#include <cassert>

#include "common/bytes/writer.hpp"

namespace wmlab::mms {

bytes::Parsed<Data> Data::parse(bytes::Bytes packet) {
    bytes::Reader in{packet};
    Data data;
    data.LocationId = in.u32("LocationId");
    data.playIncarnation = in.u8("playIncarnation");
    data.AFFlags = in.u8("AFFlags");
    in.check(in.u16("PacketSize") == packet.size(), "is not the packet's size");
    const auto payload = in.rest();
    data.Payload.assign(payload.begin(), payload.end());
    return in.finish(std::move(data));
}

std::vector<std::byte> Data::serialise() const { return data_packet(LocationId, playIncarnation, AFFlags, Payload); }

std::vector<std::byte> data_packet(std::uint32_t LocationId, std::uint8_t playIncarnation, std::uint8_t AFFlags,
                                   bytes::Bytes Payload) {
    assert(Payload.size() <= Data::payload_max);
    bytes::Writer out;
    out.u32(LocationId);
    out.u8(playIncarnation);
    out.u8(AFFlags);
    out.u16(static_cast<std::uint16_t>(Payload.size() + Data::header_size));
    out.raw(Payload);
    return out.take();
}

bytes::Parsed<RequestPacketListResend> RequestPacketListResend::parse(bytes::Bytes datagram) {
    bytes::Reader in{datagram};
    RequestPacketListResend request;
    in.check(in.u32("magic") == magic, "is not 0xBEEFF00D");
    request.dwClientId = in.u32("dwClientId");
    request.wSourceId = in.u16("wSourceId");
    const auto count = in.u16("wPacketCount");
    in.check(count >= 1 && count <= count_max, "is outside 1 to 32");
    for (std::size_t i = 0; i < count && !in.failed(); ++i)
        request.dwBeginPacketList.push_back(in.u32("dwBeginPacketList"));
    return in.finish(std::move(request));
}

std::vector<std::byte> RequestPacketListResend::serialise() const {
    assert(dwBeginPacketList.size() <= count_max);
    bytes::Writer out;
    out.u32(magic);
    out.u32(dwClientId);
    out.u16(wSourceId);
    out.u16(static_cast<std::uint16_t>(dwBeginPacketList.size()));
    for (const auto sequence : dwBeginPacketList) out.u32(sequence);
    return out.take();
}

}  // namespace wmlab::mms
