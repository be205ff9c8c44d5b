#include "common/rpc/object_exporter.hpp"

namespace wmlab::rpc {

Parsed<ResolveOxid::In> ResolveOxid::In::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    In call;
    call.oxid = in.u64("pOxid");
    const std::size_t claimed = in.u16("cRequestedProtseqs");
    const auto count = in.conformance(2, "arRequestedProtseqs");
    in.check(count == claimed, "differs from cRequestedProtseqs");
    for (std::size_t i = 0; i < count && !in.failed(); ++i) call.protseqs.push_back(in.u16("protseq"));
    return in.finish(std::move(call));
}

Octets ResolveOxid::In::serialise() const {
    NdrWriter out;
    out.u64(oxid);
    out.u16(static_cast<std::uint16_t>(protseqs.size()));
    out.count(protseqs.size());
    for (const auto protseq : protseqs) out.u16(protseq);
    return out.take();
}

Parsed<ResolveOxid::Out> ResolveOxid::Out::parse(Bytes stub, ByteOrder order, bool with_version) {
    NdrReader in{stub, order};
    Out answer;
    if (in.pointer("ppdsaOxidBindings")) answer.bindings = DualStringArray::read(in);
    answer.ipid_rem_unknown = in.guid("pipidRemUnknown");
    answer.authn_hint = in.u32("pAuthnHint");
    if (with_version) {
        ComVersion version;
        version.major = in.u16("MajorVersion");
        version.minor = in.u16("MinorVersion");
        answer.version = version;
    }
    answer.status = in.u32("status");
    return in.finish(std::move(answer));
}

Octets ResolveOxid::Out::serialise() const {
    NdrWriter out;
    out.pointer(bindings.has_value());
    if (bindings) bindings->write(out);
    out.guid(ipid_rem_unknown);
    out.u32(authn_hint);
    if (version) {
        out.u16(version->major);
        out.u16(version->minor);
    }
    out.u32(status);
    return out.take();
}

Parsed<SimplePing::In> SimplePing::In::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    return in.finish(In{in.u64("pSetId")});
}

Octets SimplePing::In::serialise() const {
    NdrWriter out;
    out.u64(setid);
    return out.take();
}

Parsed<ComplexPing::In> ComplexPing::In::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    In call;
    call.setid = in.u64("pSetId");
    call.sequence = in.u16("SequenceNum");
    const std::size_t adds = in.u16("cAddToSet");
    const std::size_t removes = in.u16("cDelFromSet");
    const auto read_oids = [&](std::size_t claimed, std::vector<std::uint64_t>& oids, std::string_view field) {
        if (!in.pointer(field)) {
            in.check(claimed == 0, "is null, its count is not");
            return;
        }
        const auto count = in.conformance(8, field);
        in.check(count == claimed, "differs from its count");
        for (std::size_t i = 0; i < count && !in.failed(); ++i) oids.push_back(in.u64("oid"));
    };
    read_oids(adds, call.add, "AddToSet");
    read_oids(removes, call.remove, "DelFromSet");
    return in.finish(std::move(call));
}

Octets ComplexPing::In::serialise() const {
    NdrWriter out;
    out.u64(setid);
    out.u16(sequence);
    out.u16(static_cast<std::uint16_t>(add.size()));
    out.u16(static_cast<std::uint16_t>(remove.size()));
    for (const auto* oids : {&add, &remove}) {
        out.pointer(!oids->empty());
        if (oids->empty()) continue;
        out.count(oids->size());
        for (const auto oid : *oids) out.u64(oid);
    }
    return out.take();
}

Parsed<ComplexPing::Out> ComplexPing::Out::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    Out answer;
    answer.setid = in.u64("pSetId");
    answer.backoff = in.u16("pPingBackoffFactor");
    answer.status = in.u32("status");
    return in.finish(answer);
}

Octets ComplexPing::Out::serialise() const {
    NdrWriter out;
    out.u64(setid);
    out.u16(backoff);
    out.u32(status);
    return out.take();
}

Parsed<ServerAlive2::Out> ServerAlive2::Out::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    Out answer;
    answer.version.major = in.u16("MajorVersion");
    answer.version.minor = in.u16("MinorVersion");
    if (in.pointer("ppdsaOrBindings")) answer.bindings = DualStringArray::read(in);
    in.u32("pReserved");
    answer.status = in.u32("status");
    return in.finish(std::move(answer));
}

Octets ServerAlive2::Out::serialise() const {
    NdrWriter out;
    out.u16(version.major);
    out.u16(version.minor);
    out.referent();
    bindings.write(out);
    out.u32(0);
    out.u32(status);
    return out.take();
}

Parsed<std::uint32_t> parse_error_status(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    const auto value = in.u32("error_status");
    return in.finish(value);
}

Octets error_status(std::uint32_t value) {
    NdrWriter out;
    out.u32(value);
    return out.take();
}

}  // namespace wmlab::rpc
