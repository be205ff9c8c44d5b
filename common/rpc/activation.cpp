#include "common/rpc/activation.hpp"

#include <algorithm>

namespace wmlab::rpc {
namespace {

// "Type serialization 1" (MS-RPCE 2.2.6): a small header, then an NDR body of its own, padded to 8.
constexpr std::size_t type_header_size = 16;
constexpr std::uint32_t type_version_endian = 0x00081001;  // version 1, little-endian, common header length 8
constexpr std::uint32_t type_filler = 0xCCCCCCCC;

Octets with_type_header(NdrWriter body) {
    body.align(8);
    NdrWriter out;
    out.u32(type_version_endian);
    out.u32(type_filler);
    out.count(body.size());
    out.u32(0);
    out.raw(body.bytes());
    return out.take();
}

// The body after a type header, or a problem. A property of big-endian make is refused: none is known to exist.
Parsed<Bytes> without_type_header(Bytes octets, std::string_view field) {
    bytes::Reader in{octets};
    in.check(in.u8(field) == 1, "is not type serialization version 1");
    in.check(in.u8(field) == 0x10, "is not little-endian");
    in.skip(6, field);
    const auto length = in.u32(field);
    in.check(length <= octets.size(), "is longer than the property");
    in.skip(4, field);
    // Writers differ in whether the padding is counted: what is there serves.
    const auto body = in.raw(std::min<std::size_t>(length, in.left()), field);
    return in.finish(body);
}

struct Property {
    Guid clsid;
    Octets octets;  // with its type header
};

Octets activation_blob(const std::vector<Property>& properties) {
    NdrWriter header;
    const std::size_t header_size =
        (type_header_size + 48 + 4 + 16 * properties.size() + 4 + 4 * properties.size() + 7) / 8 * 8;
    std::size_t total = header_size;
    for (const auto& property : properties) total += property.octets.size();
    header.count(total);
    header.count(header_size);
    header.u32(0);
    header.u32(2);  // destCtx: another machine
    header.count(properties.size());
    header.guid({});  // classInfoClsid
    header.referent();
    header.referent();
    header.u32(0);
    header.count(properties.size());
    for (const auto& property : properties) header.guid(property.clsid);
    header.count(properties.size());
    for (const auto& property : properties) header.count(property.octets.size());

    NdrWriter blob;
    blob.count(total);
    blob.u32(0);
    blob.raw(with_type_header(std::move(header)));
    for (const auto& property : properties) blob.raw(property.octets);
    return blob.take();
}

Parsed<std::vector<Property>> read_activation_blob(Bytes blob) {
    bytes::Reader outer{blob};
    outer.u32("dwSize");
    outer.u32("dwReserved");
    const auto pieces = outer.rest();
    if (outer.failed()) return *outer.error();
    const auto body = without_type_header(pieces, "CustomHeader");
    if (!body) return body.error();
    NdrReader in{*body};
    in.u32("totalSize");
    const std::size_t header_size = in.u32("headerSize");
    in.check(header_size <= pieces.size(), "is longer than the activation properties");
    in.u32("dwReserved");
    in.u32("destCtx");
    const std::size_t cIfs = in.u32("cIfs");
    in.guid("classInfoClsid");
    in.pointer("pclsid");
    in.pointer("pSizes");
    in.u32("pdwReserved");
    const auto count = in.conformance(16, "pclsid");
    in.check(count == cIfs, "differs from cIfs");
    std::vector<Property> properties;
    for (std::size_t i = 0; i < count && !in.failed(); ++i) properties.push_back({in.guid("pclsid"), {}});
    in.check(in.conformance(4, "pSizes") == count, "differs from cIfs");
    auto left = pieces.subspan(in.failed() ? pieces.size() : header_size);
    for (auto& property : properties) {
        const std::size_t size = in.u32("pSizes");
        in.check(size <= left.size(), "is longer than the activation properties");
        if (in.failed()) break;
        property.octets.assign(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(size));
        left = left.subspan(size);
    }
    return in.finish(std::move(properties));
}

const Property* find(const std::vector<Property>& properties, const Guid& clsid) {
    const auto found =
        std::find_if(properties.begin(), properties.end(), [&](const auto& one) { return one.clsid == clsid; });
    return found == properties.end() ? nullptr : &*found;
}

Property instantiation_info(const RemoteCreateInstance::In& call) {
    NdrWriter body;
    body.guid(call.clsid);
    body.u32(0);  // classCtx
    body.u32(0);  // actvflags
    body.u32(0);  // fIsSurrogate
    body.count(call.iids.size());
    body.u32(0);  // instFlag
    body.referent();
    body.count((48 + 4 + 16 * call.iids.size() + 7) / 8 * 8 + type_header_size);  // thisSize
    body.u16(call.orpcthis.version.major);
    body.u16(call.orpcthis.version.minor);
    body.count(call.iids.size());
    for (const auto& iid : call.iids) body.guid(iid);
    return {guid::CLSID_InstantiationInfo, with_type_header(std::move(body))};
}

Property activation_context_info() {
    NdrWriter body;
    body.zeros(24);  // no client context: four numbers and two null pointers
    return {guid::CLSID_ActivationContextInfo, with_type_header(std::move(body))};
}

Property server_location_info() {
    NdrWriter body;
    body.zeros(16);  // no machine name, no process, no apartment
    return {guid::CLSID_ServerLocationInfo, with_type_header(std::move(body))};
}

Property scm_request_info(const std::vector<std::uint16_t>& protseqs) {
    NdrWriter body;
    body.u32(0);  // pdwReserved
    body.referent();
    body.u32(2);  // ClientImpLevel: identify
    body.u16(static_cast<std::uint16_t>(protseqs.size()));
    body.referent();
    body.count(protseqs.size());
    for (const auto protseq : protseqs) body.u16(protseq);
    return {guid::CLSID_ScmRequestInfo, with_type_header(std::move(body))};
}

Property props_out_info(const RemoteCreateInstance::Activated& activated) {
    NdrWriter body;
    body.count(activated.iids.size());
    for (int i = 0; i < 3; ++i) body.referent();
    body.count(activated.iids.size());
    for (const auto& iid : activated.iids) body.guid(iid);
    body.count(activated.results.size());
    for (const auto result : activated.results) body.u32(result);
    body.count(activated.interfaces.size());
    for (const auto& interface : activated.interfaces) body.pointer(interface.has_value());
    for (const auto& interface : activated.interfaces) {
        if (interface) write_interface_pointer(body, interface->serialise());
    }
    return {guid::CLSID_ActivationPropertiesOut, with_type_header(std::move(body))};
}

Property scm_reply_info(const RemoteCreateInstance::Activated& activated) {
    NdrWriter body;
    body.u32(0);  // pdwReserved
    body.referent();
    body.u64(activated.oxid);
    body.referent();
    body.guid(activated.ipid_rem_unknown);
    body.u32(activated.authn_hint);
    body.u16(activated.version.major);
    body.u16(activated.version.minor);
    activated.bindings.write(body);
    return {guid::CLSID_ScmReplyInfo, with_type_header(std::move(body))};
}

std::optional<ObjRef> read_reference(NdrReader& in) {
    const auto octets = read_interface_pointer(in);
    if (in.failed()) return {};
    auto reference = ObjRef::parse(octets);
    if (!reference) {
        in.check(false, "holds a bad OBJREF: " + reference.error().text());
        return {};
    }
    return std::move(*reference);
}

// n pointers, then what the non-null ones point to.
std::vector<std::optional<ObjRef>> read_references(NdrReader& in) {
    const auto count = in.conformance(4, "ppInterfaceData");
    std::vector<bool> present;
    for (std::size_t i = 0; i < count && !in.failed(); ++i) present.push_back(in.pointer("ppInterfaceData"));
    std::vector<std::optional<ObjRef>> references(present.size());
    for (std::size_t i = 0; i < present.size() && !in.failed(); ++i) {
        if (present[i]) references[i] = read_reference(in);
    }
    return references;
}

std::vector<std::uint32_t> read_results(NdrReader& in) {
    const auto count = in.conformance(4, "pResults");
    std::vector<std::uint32_t> results;
    for (std::size_t i = 0; i < count && !in.failed(); ++i) results.push_back(in.u32("result"));
    return results;
}

void read_props_out_info(NdrReader& in, RemoteCreateInstance::Activated& activated) {
    in.u32("cIfs");
    const bool with_iids = in.pointer("piid");
    const bool with_results = in.pointer("phresults");
    const bool with_interfaces = in.pointer("ppIntfData");
    if (with_iids) {
        const auto count = in.conformance(16, "piid");
        for (std::size_t i = 0; i < count && !in.failed(); ++i) activated.iids.push_back(in.guid("piid"));
    }
    if (with_results) activated.results = read_results(in);
    if (with_interfaces) activated.interfaces = read_references(in);
}

void read_scm_reply_info(NdrReader& in, RemoteCreateInstance::Activated& activated) {
    if (in.pointer("pdwReserved")) in.u32("dwReserved");
    in.check(in.pointer("remoteReply"), "is null");
    activated.oxid = in.u64("Oxid");
    const bool with_bindings = in.pointer("pdsaOxidBindings");
    activated.ipid_rem_unknown = in.guid("ipidRemUnknown");
    activated.authn_hint = in.u32("authnHint");
    activated.version.major = in.u16("serverVersion.MajorVersion");
    activated.version.minor = in.u16("serverVersion.MinorVersion");
    if (with_bindings) activated.bindings = DualStringArray::read(in);
}

// Reads one property of an answer with `read`; the problem, if there is one.
template <class Read>
std::optional<bytes::ParseError> read_property(const std::vector<Property>& properties, const Guid& clsid, Read read,
                                               RemoteCreateInstance::Activated& activated) {
    const auto* property = find(properties, clsid);
    if (property == nullptr) return bytes::ParseError{0, "ppActProperties", "lacks property " + clsid.text()};
    const auto body = without_type_header(property->octets, "property");
    if (!body) return body.error();
    NdrReader in{*body};
    read(in, activated);
    return in.error();
}

// Finds the custom reference's property blob: {iid, clsid} say whether it is a request's or an answer's.
Parsed<std::vector<Property>> read_properties(NdrReader& in, const Guid& iid) {
    const auto octets = read_interface_pointer(in);
    if (in.failed()) return *in.error();
    const auto reference = ObjRef::parse(octets);
    if (!reference) return reference.error();
    const auto* custom = std::get_if<ObjRef::Custom>(&reference->body);
    if (custom == nullptr || reference->iid != iid)
        return bytes::ParseError{in.offset() - octets.size(), "pActProperties", "holds no activation properties"};
    return read_activation_blob(custom->data);
}

}  // namespace

Parsed<RemoteActivation::In> RemoteActivation::In::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    In call;
    call.orpcthis = OrpcThis::read(in);
    call.clsid = in.guid("Clsid");
    if (in.pointer("pwszObjectName")) in.wide_string("pwszObjectName");
    if (in.pointer("pObjectStorage")) read_interface_pointer(in);
    call.client_imp_level = in.u32("ClientImpLevel");
    call.mode = in.u32("Mode");
    const std::size_t interfaces = in.u32("Interfaces");
    if (in.pointer("pIIDs")) {
        const auto count = in.conformance(16, "pIIDs");
        in.check(count == interfaces, "differs from Interfaces");
        for (std::size_t i = 0; i < count && !in.failed(); ++i) call.iids.push_back(in.guid("pIIDs"));
    }
    in.check(!call.iids.empty(), "asks for no interface");
    const std::size_t claimed = in.u16("cRequestedProtseqs");
    const auto count = in.conformance(2, "RequestedProtseqs");
    in.check(count == claimed, "differs from cRequestedProtseqs");
    for (std::size_t i = 0; i < count && !in.failed(); ++i) call.protseqs.push_back(in.u16("protseq"));
    return in.finish(std::move(call));
}

Octets RemoteActivation::In::serialise() const {
    NdrWriter out;
    orpcthis.write(out);
    out.guid(clsid);
    out.u32(0);  // pwszObjectName
    out.u32(0);  // pObjectStorage
    out.u32(client_imp_level);
    out.u32(mode);
    out.count(iids.size());
    out.referent();
    out.count(iids.size());
    for (const auto& iid : iids) out.guid(iid);
    out.u16(static_cast<std::uint16_t>(protseqs.size()));
    out.count(protseqs.size());
    for (const auto protseq : protseqs) out.u16(protseq);
    return out.take();
}

Parsed<RemoteActivation::Out> RemoteActivation::Out::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    Out answer;
    OrpcThat::read(in);
    answer.oxid = in.u64("pOxid");
    if (in.pointer("ppdsaOxidBindings")) answer.bindings = DualStringArray::read(in);
    answer.ipid_rem_unknown = in.guid("pipidRemUnknown");
    answer.authn_hint = in.u32("pAuthnHint");
    answer.version.major = in.u16("pServerVersion.MajorVersion");
    answer.version.minor = in.u16("pServerVersion.MinorVersion");
    answer.hr = in.u32("phr");
    answer.interfaces = read_references(in);
    answer.results = read_results(in);
    answer.status = in.u32("status");
    return in.finish(std::move(answer));
}

Octets RemoteActivation::Out::serialise() const {
    NdrWriter out;
    OrpcThat{}.write(out);
    out.u64(oxid);
    out.pointer(bindings.has_value());
    if (bindings) bindings->write(out);
    out.guid(ipid_rem_unknown);
    out.u32(authn_hint);
    out.u16(version.major);
    out.u16(version.minor);
    out.u32(hr);
    out.count(interfaces.size());
    for (const auto& interface : interfaces) out.pointer(interface.has_value());
    for (const auto& interface : interfaces) {
        if (interface) write_interface_pointer(out, interface->serialise());
    }
    out.count(results.size());
    for (const auto result : results) out.u32(result);
    out.u32(status);
    return out.take();
}

Parsed<RemoteCreateInstance::In> RemoteCreateInstance::In::parse(Bytes stub, ByteOrder order, std::uint16_t operation) {
    NdrReader in{stub, order};
    In call;
    call.orpcthis = OrpcThis::read(in);
    if (operation == opnum && in.pointer("pUnkOuter")) read_interface_pointer(in);
    in.check(in.pointer("pActProperties"), "is null");
    if (in.failed()) return in.finish(std::move(call));
    const auto properties = read_properties(in, guid::IID_IActivationPropertiesIn);
    if (!properties) return properties.error();
    const auto* info = find(*properties, guid::CLSID_InstantiationInfo);
    if (info == nullptr) return bytes::ParseError{in.offset(), "pActProperties", "holds no InstantiationInfo"};
    const auto body = without_type_header(info->octets, "InstantiationInfo");
    if (!body) return body.error();

    NdrReader inner{*body};
    call.clsid = inner.guid("classId");
    inner.u32("classCtx");
    inner.u32("actvflags");
    inner.u32("fIsSurrogate");
    const std::size_t cIID = inner.u32("cIID");
    inner.u32("instFlag");
    inner.check(inner.pointer("pIID"), "is null");
    inner.u32("thisSize");
    inner.u16("clientCOMVersion.MajorVersion");
    inner.u16("clientCOMVersion.MinorVersion");
    const auto count = inner.conformance(16, "pIID");
    inner.check(count == cIID && count > 0, "differs from cIID");
    for (std::size_t i = 0; i < count && !inner.failed(); ++i) call.iids.push_back(inner.guid("pIID"));
    return inner.finish(std::move(call));
}

Octets RemoteCreateInstance::In::serialise() const {
    const ObjRef reference{guid::IID_IActivationPropertiesIn,
                           ObjRef::Custom{guid::CLSID_ActivationPropertiesIn,
                                          activation_blob({instantiation_info(*this), activation_context_info(),
                                                           server_location_info(), scm_request_info(protseqs)})}};
    NdrWriter out;
    orpcthis.write(out);
    out.u32(0);  // pUnkOuter
    out.referent();
    write_interface_pointer(out, reference.serialise());
    return out.take();
}

Parsed<RemoteCreateInstance::Out> RemoteCreateInstance::Out::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    Out answer;
    OrpcThat::read(in);
    if (in.pointer("ppActProperties")) {
        const auto properties = read_properties(in, guid::IID_IActivationPropertiesOut);
        if (!properties) return properties.error();
        Activated activated;
        if (const auto problem =
                read_property(*properties, guid::CLSID_ActivationPropertiesOut, read_props_out_info, activated))
            return *problem;
        if (const auto problem = read_property(*properties, guid::CLSID_ScmReplyInfo, read_scm_reply_info, activated))
            return *problem;
        answer.activated = std::move(activated);
    }
    answer.status = in.u32("status");
    return in.finish(std::move(answer));
}

Octets RemoteCreateInstance::Out::serialise() const {
    NdrWriter out;
    OrpcThat{}.write(out);
    out.pointer(activated.has_value());
    if (activated) {
        const ObjRef reference{
            guid::IID_IActivationPropertiesOut,
            ObjRef::Custom{guid::CLSID_ActivationPropertiesOut,
                           activation_blob({props_out_info(*activated), scm_reply_info(*activated)})}};
        write_interface_pointer(out, reference.serialise());
    }
    out.u32(status);
    return out.take();
}

}  // namespace wmlab::rpc
