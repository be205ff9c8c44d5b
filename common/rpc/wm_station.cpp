#include "common/rpc/wm_station.hpp"

#include "common/bytes/utf16.hpp"

namespace wmlab::rpc {

Parsed<QueryState::In> QueryState::In::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    return in.finish(In{OrpcThis::read(in)});
}

Octets QueryState::In::serialise() const {
    NdrWriter out;
    orpcthis.write(out);
    return out.take();
}

Parsed<RegisterAlias::In> RegisterAlias::In::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    In call;
    call.orpcthis = OrpcThis::read(in);
    call.alias = bytes::to_utf8(in.wide_string("alias"));
    call.address = bytes::to_utf8(in.wide_string("address"));
    call.port = in.u16("port");
    return in.finish(std::move(call));
}

Octets RegisterAlias::In::serialise() const {
    NdrWriter out;
    orpcthis.write(out);
    out.wide_string(bytes::to_utf16(alias));
    out.wide_string(bytes::to_utf16(address));
    out.u16(port);
    return out.take();
}

Parsed<UnregisterAlias::In> UnregisterAlias::In::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    In call;
    call.orpcthis = OrpcThis::read(in);
    call.alias = bytes::to_utf8(in.wide_string("alias"));
    return in.finish(std::move(call));
}

Octets UnregisterAlias::In::serialise() const {
    NdrWriter out;
    orpcthis.write(out);
    out.wide_string(bytes::to_utf16(alias));
    return out.take();
}

}  // namespace wmlab::rpc
