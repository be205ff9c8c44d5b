#include "common/rpc/orpc.hpp"

namespace wmlab::rpc {
namespace {

// ORPC_EXTENT_ARRAY behind a non-null pointer: an array of pointers to extents, each with its own data.
void skip_extensions(NdrReader& in) {
    if (!in.pointer("extensions")) return;
    in.u32("size");
    in.u32("reserved");
    if (!in.pointer("extent")) return;
    const auto count = in.conformance(4, "extent max_count");
    std::size_t present = 0;
    for (std::size_t i = 0; i < count && !in.failed(); ++i) present += in.pointer("extent") ? 1 : 0;
    for (std::size_t i = 0; i < present && !in.failed(); ++i) {
        const auto size = in.conformance(1, "extent data max_count");
        in.guid("extent id");
        in.u32("extent size");
        in.raw(size, "extent data");
    }
}

}  // namespace

OrpcThis OrpcThis::read(NdrReader& in) {
    OrpcThis orpcthis;
    orpcthis.version.major = in.u16("version.MajorVersion");
    orpcthis.version.minor = in.u16("version.MinorVersion");
    orpcthis.flags = in.u32("flags");
    in.u32("reserved1");
    orpcthis.cid = in.guid("cid");
    skip_extensions(in);
    return orpcthis;
}

void OrpcThis::write(NdrWriter& out) const {
    out.u16(version.major);
    out.u16(version.minor);
    out.u32(flags);
    out.u32(0);
    out.guid(cid);
    out.u32(0);
}

OrpcThat OrpcThat::read(NdrReader& in) {
    OrpcThat orpcthat;
    orpcthat.flags = in.u32("flags");
    skip_extensions(in);
    return orpcthat;
}

void OrpcThat::write(NdrWriter& out) const {
    out.u32(flags);
    out.u32(0);
}

Parsed<RemQueryInterface::In> RemQueryInterface::In::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    In call;
    call.orpcthis = OrpcThis::read(in);
    call.ripid = in.guid("ripid");
    call.cRefs = in.u32("cRefs");
    const std::size_t cIids = in.u16("cIids");
    const auto count = in.conformance(16, "iids");
    in.check(count == cIids, "differs from cIids");
    for (std::size_t i = 0; i < count && !in.failed(); ++i) call.iids.push_back(in.guid("iid"));
    return in.finish(std::move(call));
}

Octets RemQueryInterface::In::serialise() const {
    NdrWriter out;
    orpcthis.write(out);
    out.guid(ripid);
    out.u32(cRefs);
    out.u16(static_cast<std::uint16_t>(iids.size()));
    out.count(iids.size());
    for (const auto& iid : iids) out.guid(iid);
    return out.take();
}

Parsed<RemQueryInterface::Out> RemQueryInterface::Out::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    Out answer;
    OrpcThat::read(in);
    if (in.pointer("ppQIResults")) {
        const auto count = in.conformance(48, "ppQIResults");
        for (std::size_t i = 0; i < count && !in.failed(); ++i) {
            in.align(8);
            Result result;
            result.hResult = in.u32("hResult");
            in.align(8);
            result.std = StdObjRef::read(in);
            answer.results.push_back(result);
        }
    }
    answer.status = in.u32("status");
    return in.finish(std::move(answer));
}

Octets RemQueryInterface::Out::serialise() const {
    NdrWriter out;
    OrpcThat{}.write(out);
    out.pointer(!results.empty());
    if (!results.empty()) out.count(results.size());
    for (const auto& result : results) {
        out.align(8);
        out.u32(result.hResult);
        out.align(8);
        result.std.write(out);
    }
    out.u32(status);
    return out.take();
}

Parsed<RemReferences> RemReferences::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    RemReferences call;
    call.orpcthis = OrpcThis::read(in);
    const std::size_t claimed = in.u16("cInterfaceRefs");
    const auto count = in.conformance(24, "InterfaceRefs");
    in.check(count == claimed, "differs from cInterfaceRefs");
    for (std::size_t i = 0; i < count && !in.failed(); ++i) {
        RemInterfaceRef reference;
        reference.ipid = in.guid("ipid");
        reference.cPublicRefs = in.u32("cPublicRefs");
        reference.cPrivateRefs = in.u32("cPrivateRefs");
        call.references.push_back(reference);
    }
    return in.finish(std::move(call));
}

Octets RemReferences::serialise() const {
    NdrWriter out;
    orpcthis.write(out);
    out.u16(static_cast<std::uint16_t>(references.size()));
    out.count(references.size());
    for (const auto& reference : references) {
        out.guid(reference.ipid);
        out.u32(reference.cPublicRefs);
        out.u32(reference.cPrivateRefs);
    }
    return out.take();
}

Parsed<RemAddRef::Out> RemAddRef::Out::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    Out answer;
    OrpcThat::read(in);
    const auto count = in.conformance(4, "pResults");
    for (std::size_t i = 0; i < count && !in.failed(); ++i) answer.results.push_back(in.u32("result"));
    answer.status = in.u32("status");
    return in.finish(std::move(answer));
}

Octets RemAddRef::Out::serialise() const {
    NdrWriter out;
    OrpcThat{}.write(out);
    out.count(results.size());
    for (const auto result : results) out.u32(result);
    out.u32(status);
    return out.take();
}

Parsed<OrpcResult> OrpcResult::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    OrpcThat::read(in);
    return in.finish(OrpcResult{in.u32("status")});
}

Octets OrpcResult::serialise() const {
    NdrWriter out;
    OrpcThat{}.write(out);
    out.u32(status);
    return out.take();
}

}  // namespace wmlab::rpc
