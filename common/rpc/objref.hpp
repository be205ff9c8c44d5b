// Object references: string bindings as text inside DUALSTRINGARRAY, and OBJREF around them (MS-DCOM 2.2.18, 2.2.19).
// The addresses in here are what no NAT rewrites.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/rpc/ndr.hpp"

namespace wmlab::rpc {

struct Endpoint {  // "10.66.1.10[3001]"
    std::string host;
    std::uint16_t port = 0;  // 0: a resolver binding, without a port
    std::string text() const;
    auto operator<=>(const Endpoint&) const = default;
};

struct StringBinding {
    std::uint16_t wTowerId = protseq::ncacn_ip_tcp;
    std::string aNetworkAddr;
    bool operator==(const StringBinding&) const = default;

    static StringBinding to(std::uint16_t tower_id, const Endpoint& endpoint) { return {tower_id, endpoint.text()}; }
    std::optional<Endpoint> endpoint() const;  // nothing: the text is no address of that form
};

struct SecurityBinding {
    std::uint16_t wAuthnSvc = 0x000A, wAuthzSvc = 0xFFFF;  // NTLM
    std::string aPrincName;
    bool operator==(const SecurityBinding&) const = default;
};

struct DualStringArray {
    std::vector<StringBinding> string_bindings;
    std::vector<SecurityBinding> security_bindings;
    bool operator==(const DualStringArray&) const = default;

    // As an RPC parameter the array is conformant: max_count comes first. Inside OBJREF it is packed.
    static DualStringArray read(NdrReader& in);
    static DualStringArray read_packed(NdrReader& in);
    void write(NdrWriter& out) const;
    void write_packed(NdrWriter& out) const;
};
std::string text(const DualStringArray& bindings);  // "tcp 10.66.1.10[3001], udp 10.66.1.10[3001]"

struct StdObjRef {  // STDOBJREF
    static constexpr std::uint32_t SORF_NOPING = 0x1000;
    std::uint32_t flags = 0, cPublicRefs = 5;
    std::uint64_t oxid = 0, oid = 0;
    Guid ipid;
    bool operator==(const StdObjRef&) const = default;

    static StdObjRef read(NdrReader& in);
    void write(NdrWriter& out) const;
};

struct ObjRef {  // OBJREF
    struct Standard {
        StdObjRef std;
        DualStringArray saResAddr;  // of the object resolver: no ports
        bool operator==(const Standard&) const = default;
    };
    struct Custom {
        Guid clsid;
        Octets data;
        bool operator==(const Custom&) const = default;
    };
    Guid iid;
    std::variant<Standard, Custom> body;
    bool operator==(const ObjRef&) const = default;

    static Parsed<ObjRef> parse(Bytes octets);  // always little-endian; handler and extended forms are refused
    Octets serialise() const;
};

// MInterfacePointer: max_count, ulCntData, the OBJREF's octets.
Bytes read_interface_pointer(NdrReader& in);
void write_interface_pointer(NdrWriter& out, Bytes objref);

}  // namespace wmlab::rpc
