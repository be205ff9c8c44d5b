// What every object call carries: ORPCTHIS and ORPCTHAT, and IRemUnknown's own operations (MS-DCOM 2.2.13, 3.1.1.5.6).
#pragma once
#include <cstdint>
#include <vector>

#include "common/rpc/objref.hpp"

namespace wmlab::rpc {

struct ComVersion {
    std::uint16_t major = 5, minor = 6;
    auto operator<=>(const ComVersion&) const = default;
};

struct OrpcThis {
    ComVersion version;
    std::uint32_t flags = 0;  // must be 0 except in activations
    Guid cid;                 // causality identifier: the same along a chain of calls
    bool operator==(const OrpcThis&) const = default;

    static OrpcThis read(NdrReader& in);  // walks over extensions
    void write(NdrWriter& out) const;
};

struct OrpcThat {
    std::uint32_t flags = 0;
    static OrpcThat read(NdrReader& in);
    void write(NdrWriter& out) const;
};

struct RemQueryInterface {
    static constexpr std::uint16_t opnum = 3;
    struct In {
        OrpcThis orpcthis;
        Guid ripid;
        std::uint32_t cRefs = 1;
        std::vector<Guid> iids;
        bool operator==(const In&) const = default;
        static Parsed<In> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
    struct Result {  // REMQIRESULT
        std::uint32_t hResult = 0;
        StdObjRef std;
        bool operator==(const Result&) const = default;
    };
    struct Out {
        std::vector<Result> results;
        std::uint32_t status = 0;
        bool operator==(const Out&) const = default;
        static Parsed<Out> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
};

struct RemInterfaceRef {  // REMINTERFACEREF
    Guid ipid;
    std::uint32_t cPublicRefs = 0, cPrivateRefs = 0;
    bool operator==(const RemInterfaceRef&) const = default;
};

struct RemReferences {  // the arguments of RemAddRef and RemRelease
    OrpcThis orpcthis;
    std::vector<RemInterfaceRef> references;
    bool operator==(const RemReferences&) const = default;
    static Parsed<RemReferences> parse(Bytes stub, ByteOrder order);
    Octets serialise() const;
};

struct RemAddRef {
    static constexpr std::uint16_t opnum = 4;
    using In = RemReferences;
    struct Out {
        std::vector<std::uint32_t> results;
        std::uint32_t status = 0;
        bool operator==(const Out&) const = default;
        static Parsed<Out> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
};

struct OrpcResult {  // an answer of nothing but ORPCTHAT and an HRESULT
    std::uint32_t status = 0;
    static Parsed<OrpcResult> parse(Bytes stub, ByteOrder order);
    Octets serialise() const;
};

struct RemRelease {
    static constexpr std::uint16_t opnum = 5;
    using In = RemReferences;
    using Out = OrpcResult;
};

}  // namespace wmlab::rpc
