// ISimWMStation, the simulator's own object interface: what an encoder with a stream alias and an administrator call on
// a media server. Microsoft's interfaces are not published; this one is invented, its transport is real DCOM.
#pragma once
#include <cstdint>
#include <string>

#include "common/rpc/orpc.hpp"

namespace wmlab::rpc {

struct QueryState {  // in: ORPCTHIS only; out: an OrpcResult. Proves that the object can be reached.
    static constexpr std::uint16_t opnum = 3;
    struct In {
        OrpcThis orpcthis;
        static Parsed<In> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
};

struct RegisterAlias {  // HRESULT RegisterAlias([in, string] alias, [in, string] encoder, [in] unsigned short port)
    static constexpr std::uint16_t opnum = 4;
    struct In {
        OrpcThis orpcthis;
        std::string alias;       // of the stream on the server
        std::string address;     // where the server can pull the stream from by MSBD
        std::uint16_t port = 0;  // 7007, a configured one, or one of 1024-5000 when 7007 was taken
        bool operator==(const In&) const = default;
        static Parsed<In> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
};

struct UnregisterAlias {  // HRESULT UnregisterAlias([in, string] alias)
    static constexpr std::uint16_t opnum = 5;
    struct In {
        OrpcThis orpcthis;
        std::string alias;
        bool operator==(const In&) const = default;
        static Parsed<In> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
};

}  // namespace wmlab::rpc
