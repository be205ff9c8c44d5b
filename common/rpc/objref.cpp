#include "common/rpc/objref.hpp"

#include <array>
#include <charconv>

#include "common/bytes/utf16.hpp"

namespace wmlab::rpc {
namespace {

constexpr std::uint32_t signature = 0x574F454D;  // "MEOW"
constexpr std::uint32_t OBJREF_STANDARD = 1, OBJREF_CUSTOM = 4;

// A NUL-terminated string out of the array's 16-bit units; `at` moves behind the NUL or to the end.
std::string take_string(const std::u16string& units, std::size_t& at, std::size_t end) {
    const auto begin = at;
    while (at < end && units[at] != 0) ++at;
    const auto string = bytes::to_utf8(std::u16string_view{units}.substr(begin, at - begin));
    if (at < end) ++at;
    return string;
}

std::u16string flatten(const DualStringArray& array, std::size_t& security_offset) {
    std::u16string units;
    for (const auto& binding : array.string_bindings) {
        units.push_back(static_cast<char16_t>(binding.wTowerId));
        units += bytes::to_utf16(binding.aNetworkAddr);
        units.push_back(0);
    }
    if (array.string_bindings.empty()) units.push_back(0);  // the shortest array has two nulls in each part
    units.push_back(0);
    security_offset = units.size();
    for (const auto& binding : array.security_bindings) {
        units.push_back(static_cast<char16_t>(binding.wAuthnSvc));
        units.push_back(static_cast<char16_t>(binding.wAuthzSvc));
        units += bytes::to_utf16(binding.aPrincName);
        units.push_back(0);
    }
    if (array.security_bindings.empty()) units.push_back(0);
    units.push_back(0);
    return units;
}

}  // namespace

std::string Endpoint::text() const { return port == 0 ? host : host + "[" + std::to_string(port) + "]"; }

std::optional<Endpoint> StringBinding::endpoint() const {
    const auto open = aNetworkAddr.find('[');
    Endpoint endpoint{aNetworkAddr.substr(0, open), 0};
    if (endpoint.host.empty()) return {};
    if (open == std::string::npos) return endpoint;
    const char* const begin = aNetworkAddr.data() + open + 1;
    const char* const end = aNetworkAddr.data() + aNetworkAddr.size();
    const auto [next, error] = std::from_chars(begin, end, endpoint.port);
    if (error != std::errc{} || endpoint.port == 0 || end - next != 1 || *next != ']') return {};
    return endpoint;
}

DualStringArray DualStringArray::read(NdrReader& in) {
    const auto claimed = in.conformance(2, "max_count");
    const auto before = in.offset();
    auto array = read_packed(in);
    in.check((in.offset() - before) / 2 <= claimed + 2, "is longer than max_count");
    return array;
}

DualStringArray DualStringArray::read_packed(NdrReader& in) {
    DualStringArray array;
    const std::size_t entries = in.u16("wNumEntries");
    const std::size_t security = in.u16("wSecurityOffset");
    in.check(security <= entries, "is beyond the array");
    in.check(entries * 2 <= in.left(), "claims more than the message holds");
    std::u16string units;
    for (std::size_t i = 0; i < entries && !in.failed(); ++i)
        units.push_back(static_cast<char16_t>(in.u16("aStringArray")));
    if (in.failed()) return array;
    for (std::size_t at = 0; at < security && units[at] != 0;) {
        StringBinding binding;
        binding.wTowerId = units[at++];
        binding.aNetworkAddr = take_string(units, at, security);
        array.string_bindings.push_back(std::move(binding));
    }
    for (std::size_t at = security; at + 1 < entries && units[at] != 0;) {
        SecurityBinding binding;
        binding.wAuthnSvc = units[at++];
        binding.wAuthzSvc = units[at++];
        binding.aPrincName = take_string(units, at, entries);
        array.security_bindings.push_back(std::move(binding));
    }
    return array;
}

void DualStringArray::write(NdrWriter& out) const {
    std::size_t security = 0;
    out.count(flatten(*this, security).size());
    write_packed(out);
}

void DualStringArray::write_packed(NdrWriter& out) const {
    std::size_t security = 0;
    const auto units = flatten(*this, security);
    out.u16(static_cast<std::uint16_t>(units.size()));
    out.u16(static_cast<std::uint16_t>(security));
    for (const auto unit : units) out.u16(unit);
}

std::string text(const DualStringArray& bindings) {
    std::string all;
    for (const auto& binding : bindings.string_bindings) {
        if (!all.empty()) all += ", ";
        if (binding.wTowerId == protseq::ncacn_ip_tcp)
            all += "tcp ";
        else if (binding.wTowerId == protseq::ncadg_ip_udp)
            all += "udp ";
        else
            all += "protseq " + std::to_string(binding.wTowerId) + " ";
        all += binding.aNetworkAddr;
    }
    return all;
}

StdObjRef StdObjRef::read(NdrReader& in) {
    StdObjRef std;
    std.flags = in.u32("flags");
    std.cPublicRefs = in.u32("cPublicRefs");
    std.oxid = in.u64("oxid");
    std.oid = in.u64("oid");
    std.ipid = in.guid("ipid");
    return std;
}

void StdObjRef::write(NdrWriter& out) const {
    out.u32(flags);
    out.u32(cPublicRefs);
    out.u64(oxid);
    out.u64(oid);
    out.guid(ipid);
}

Parsed<ObjRef> ObjRef::parse(Bytes octets) {
    NdrReader in{octets};
    ObjRef reference;
    in.check(in.u32("signature") == signature, "is not MEOW");
    const auto flags = in.u32("flags");
    in.check(flags == OBJREF_STANDARD || flags == OBJREF_CUSTOM, "is neither a standard nor a custom reference");
    reference.iid = in.guid("iid");
    if (flags == OBJREF_STANDARD) {
        Standard standard;
        standard.std = StdObjRef::read(in);
        standard.saResAddr = DualStringArray::read_packed(in);
        reference.body = std::move(standard);
    } else {
        Custom custom;
        custom.clsid = in.guid("clsid");
        in.u32("cbExtension");
        in.u32("reserved");  // what writers put here differs; the data fills the rest
        const auto data = in.rest();
        custom.data.assign(data.begin(), data.end());
        reference.body = std::move(custom);
    }
    return in.finish(std::move(reference));
}

Octets ObjRef::serialise() const {
    NdrWriter out;
    out.u32(signature);
    if (const auto* standard = std::get_if<Standard>(&body)) {
        out.u32(OBJREF_STANDARD);
        out.guid(iid);
        standard->std.write(out);
        standard->saResAddr.write_packed(out);
    } else {
        const auto& custom = std::get<Custom>(body);
        out.u32(OBJREF_CUSTOM);
        out.guid(iid);
        out.guid(custom.clsid);
        out.u32(0);
        out.count(custom.data.size() + 8);
        out.raw(custom.data);
    }
    return out.take();
}

Bytes read_interface_pointer(NdrReader& in) {
    const auto claimed = in.conformance(1, "max_count");
    const std::size_t size = in.u32("ulCntData");
    in.check(size <= claimed, "differs from the array's size");
    return in.raw(in.failed() ? 0 : size, "abData");
}

void write_interface_pointer(NdrWriter& out, Bytes objref) {
    out.count(objref.size());
    out.count(objref.size());
    out.raw(objref);
}

}  // namespace wmlab::rpc
