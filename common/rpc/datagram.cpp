#include "common/rpc/datagram.hpp"

#include <algorithm>
#include <cassert>

namespace wmlab::rpc {

Parsed<Datagram> Datagram::parse(Bytes datagram) {
    bytes::Reader start{datagram};
    Datagram parsed;
    start.check((start.u8("rpc_vers") & 0x0F) == 4, "is not 4");
    const auto type = start.u8("ptype") & 0x1F;
    start.check(type <= 10, "is no connectionless PDU");
    parsed.ptype = static_cast<PduType>(type);
    parsed.flags1 = start.u8("flags1");
    parsed.flags2 = start.u8("flags2");
    const auto integers = start.u8("drep") >> 4;
    start.check(integers <= 1, "names an unknown byte order");
    parsed.order = integers == 0 ? ByteOrder::big : ByteOrder::little;
    start.skip(2, "drep");
    const unsigned serial_hi = start.u8("serial_hi");
    if (start.failed()) return start.finish(std::move(parsed));

    NdrReader in{datagram, parsed.order};
    in.seek(8, "object");
    parsed.object = in.guid("object");
    parsed.if_id = in.guid("if_id");
    parsed.act_id = in.guid("act_id");
    parsed.server_boot = in.u32("server_boot");
    const auto version = in.u32("if_vers");
    parsed.if_vers_major = static_cast<std::uint16_t>(version & 0xFFFF);
    parsed.if_vers_minor = static_cast<std::uint16_t>(version >> 16);
    parsed.seqnum = in.u32("seqnum");
    parsed.opnum = in.u16("opnum");
    parsed.ihint = in.u16("ihint");
    parsed.ahint = in.u16("ahint");
    const auto len = in.u16("len");
    parsed.fragnum = in.u16("fragnum");
    parsed.auth_proto = in.u8("auth_proto");
    parsed.serial = static_cast<std::uint16_t>(serial_hi << 8 | in.u8("serial_lo"));
    const auto body = in.raw(len, "body");
    parsed.body.assign(body.begin(), body.end());
    return in.finish(std::move(parsed));
}

Octets Datagram::serialise() const {
    assert(body.size() <= 0xFFFF);
    NdrWriter out{order};
    out.u8(4);
    out.u8(static_cast<std::uint8_t>(ptype));
    out.u8(flags1);
    out.u8(flags2);
    out.u8(order == ByteOrder::little ? 0x10 : 0x00);
    out.zeros(2);
    out.u8(static_cast<std::uint8_t>(serial >> 8));
    out.guid(object);
    out.guid(if_id);
    out.guid(act_id);
    out.u32(server_boot);
    out.u32(std::uint32_t{if_vers_minor} << 16 | if_vers_major);
    out.u32(seqnum);
    out.u16(opnum);
    out.u16(ihint);
    out.u16(ahint);
    out.u16(static_cast<std::uint16_t>(body.size()));
    out.u16(fragnum);
    out.u8(auth_proto);
    out.u8(static_cast<std::uint8_t>(serial & 0xFF));
    out.raw(body);
    return out.take();
}

Parsed<FackBody> FackBody::parse(Bytes body, ByteOrder order) {
    NdrReader in{body, order};
    FackBody fack;
    fack.vers = in.u8("vers");
    in.check(fack.vers <= 1, "is above 1");
    in.u8("pad");
    fack.window_size = in.u16("window_size");
    fack.max_tsdu = in.u32("max_tsdu");
    fack.max_frag_size = in.u32("max_frag_size");
    fack.serial_num = in.u16("serial_num");
    const std::size_t masks = in.u16("selack_len");
    in.check(masks * 4 <= in.left(), "claims more masks than the message holds");
    for (std::size_t i = 0; i < masks && !in.failed(); ++i) fack.selack.push_back(in.u32("selack"));
    return in.finish(std::move(fack));
}

Octets FackBody::serialise() const {
    NdrWriter out;
    out.u8(vers);
    out.u8(0);
    out.u16(window_size);
    out.u32(max_tsdu);
    out.u32(max_frag_size);
    out.u16(serial_num);
    out.u16(static_cast<std::uint16_t>(selack.size()));
    for (const auto mask : selack) out.u32(mask);
    return out.take();
}

Parsed<std::uint32_t> parse_datagram_status(const Datagram& datagram) {
    NdrReader in{datagram.body, datagram.order};
    const auto value = in.u32("status");
    return in.finish(value);
}

Octets datagram_status(std::uint32_t value) {
    NdrWriter out;
    out.u32(value);
    return out.take();
}

std::vector<Datagram> datagram_fragments(Datagram header, const Octets& stub) {
    std::vector<Datagram> all;
    if (stub.size() <= datagram_body_max) {
        header.body = stub;
        header.flags1 |= pf1::nofack;
        return {std::move(header)};
    }
    header.flags1 &= static_cast<std::uint8_t>(~pf1::nofack);  // the window moves by facks
    for (std::size_t done = 0; done < stub.size();) {
        const auto size = std::min(datagram_body_max, stub.size() - done);
        Datagram fragment = header;
        fragment.flags1 |= pf1::frag;
        if (done + size == stub.size()) fragment.flags1 |= pf1::lastfrag;
        fragment.fragnum = static_cast<std::uint16_t>(all.size());
        fragment.serial = fragment.fragnum;
        const auto begin = stub.begin() + static_cast<std::ptrdiff_t>(done);
        fragment.body.assign(begin, begin + static_cast<std::ptrdiff_t>(size));
        all.push_back(std::move(fragment));
        done += size;
    }
    return all;
}

}  // namespace wmlab::rpc
