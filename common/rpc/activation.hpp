// Activation on port 135: IActivation::RemoteActivation as NT4 does it, IRemoteSCMActivator::RemoteCreateInstance as
// Windows 2000 does (MS-DCOM 3.1.2.5.2.3, 2.2.22).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/rpc/orpc.hpp"

namespace wmlab::rpc {

struct RemoteActivation {
    static constexpr std::uint16_t opnum = 0;
    struct In {
        OrpcThis orpcthis;
        Guid clsid;
        std::uint32_t client_imp_level = 2, mode = 0;  // mode 0xFFFFFFFF: the class factory
        std::vector<Guid> iids;
        std::vector<std::uint16_t> protseqs;
        bool operator==(const In&) const = default;
        static Parsed<In> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
    struct Out {
        std::uint64_t oxid = 0;
        std::optional<DualStringArray> bindings;  // of the object exporter, with ports
        Guid ipid_rem_unknown;
        std::uint32_t authn_hint = 1;
        ComVersion version;
        std::uint32_t hr = 0;                           // phr: of the activation
        std::vector<std::optional<ObjRef>> interfaces;  // one for each IID asked for
        std::vector<std::uint32_t> results;
        std::uint32_t status = 0;
        bool operator==(const Out&) const = default;
        static Parsed<Out> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
};

// The activation properties travel in an OBJREF_CUSTOM inside an interface pointer.
struct RemoteCreateInstance {
    static constexpr std::uint16_t opnum = 4, opnum_class_object = 3;  // RemoteGetClassObject differs in one pointer
    struct In {
        OrpcThis orpcthis;
        Guid clsid;
        std::vector<Guid> iids;
        std::vector<std::uint16_t> protseqs{protseq::ncacn_ip_tcp};  // written only; a server may ignore them
        bool operator==(const In&) const = default;
        static Parsed<In> parse(Bytes stub, ByteOrder order, std::uint16_t operation = opnum);
        Octets serialise() const;
    };
    struct Activated {
        std::uint64_t oxid = 0;
        DualStringArray bindings;  // of the object exporter, with ports
        Guid ipid_rem_unknown;
        std::uint32_t authn_hint = 1;
        ComVersion version;
        std::vector<Guid> iids;
        std::vector<std::uint32_t> results;
        std::vector<std::optional<ObjRef>> interfaces;
        bool operator==(const Activated&) const = default;
    };
    struct Out {
        std::optional<Activated> activated;
        std::uint32_t status = 0;  // HRESULT
        bool operator==(const Out&) const = default;
        static Parsed<Out> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
};

}  // namespace wmlab::rpc
