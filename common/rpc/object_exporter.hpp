// IObjectExporter, the object resolver on port 135 (MS-DCOM 3.1.2.5.1). None of its operations carries ORPCTHIS.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "common/rpc/orpc.hpp"

namespace wmlab::rpc {

struct ResolveOxid {  // ResolveOxid2 has the same request
    static constexpr std::uint16_t opnum = 0, opnum2 = 4;
    struct In {
        std::uint64_t oxid = 0;
        std::vector<std::uint16_t> protseqs;
        bool operator==(const In&) const = default;
        static Parsed<In> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
    struct Out {
        std::optional<DualStringArray> bindings;  // of the object exporter, with ports
        Guid ipid_rem_unknown;
        std::uint32_t authn_hint = 1;
        std::optional<ComVersion> version;  // ResolveOxid2 only
        std::uint32_t status = 0;
        bool operator==(const Out&) const = default;
        static Parsed<Out> parse(Bytes stub, ByteOrder order, bool with_version);
        Octets serialise() const;
    };
};

struct SimplePing {
    static constexpr std::uint16_t opnum = 1;
    struct In {
        std::uint64_t setid = 0;
        static Parsed<In> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
};

struct ComplexPing {
    static constexpr std::uint16_t opnum = 2;
    struct In {
        std::uint64_t setid = 0;  // 0: a new set
        std::uint16_t sequence = 0;
        std::vector<std::uint64_t> add, remove;
        bool operator==(const In&) const = default;
        static Parsed<In> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
    struct Out {
        std::uint64_t setid = 0;
        std::uint16_t backoff = 0;
        std::uint32_t status = 0;
        bool operator==(const Out&) const = default;
        static Parsed<Out> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
};

struct ServerAlive {
    static constexpr std::uint16_t opnum = 3;
};

struct ServerAlive2 {
    static constexpr std::uint16_t opnum = 5;
    struct Out {
        ComVersion version;
        DualStringArray bindings;  // of the resolver: without ports
        std::uint32_t status = 0;
        bool operator==(const Out&) const = default;
        static Parsed<Out> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
};

// Answers of ServerAlive and SimplePing are one error_status_t.
Parsed<std::uint32_t> parse_error_status(Bytes stub, ByteOrder order);
Octets error_status(std::uint32_t status);

}  // namespace wmlab::rpc
