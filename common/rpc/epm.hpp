// The endpoint mapper's and the management interface's operations (C706 appendices O and Q, MS-RPCE 2.2.1.2).
// Struct names are the operations'; In and Out are the stubs of request and response.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/rpc/tower.hpp"

namespace wmlab::rpc {

// Pointers of these operations are full ones: their referent ids count on from request to response (C706 14.3.10).
struct ept_map {
    static constexpr std::uint16_t opnum = 3;
    struct In {
        std::optional<Guid> object;
        std::optional<Tower> map_tower;
        Guid entry_handle;  // nil to begin
        std::uint32_t max_towers = 1;
        std::uint32_t last_referent = 2;  // read: the largest id of the request; written: always 1 and 2
        bool operator==(const In& other) const;
        static Parsed<In> parse(Bytes stub, ByteOrder order);
        Octets serialise(ByteOrder order = ByteOrder::little) const;
    };
    struct Out {
        Guid entry_handle;
        std::vector<Tower> towers;
        std::uint32_t max_towers = 1;
        std::uint32_t status = 0;
        std::uint32_t first_referent = 3;  // written only
        bool operator==(const Out&) const = default;
        static Parsed<Out> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
};

struct ept_lookup {
    static constexpr std::uint16_t opnum = 2;
    static constexpr std::uint32_t max_ents_max = 500;
    enum class Inquiry : std::uint32_t { all = 0, by_interface = 1, by_object = 2, both = 3 };
    enum class Versions : std::uint32_t { all = 1, compatible = 2, exact = 3, major_only = 4, upto = 5 };
    struct In {
        Inquiry inquiry_type = Inquiry::all;
        std::optional<Guid> object;
        std::optional<SyntaxId> interface;
        Versions vers_option = Versions::all;
        Guid entry_handle;
        std::uint32_t max_ents = max_ents_max;
        bool operator==(const In&) const = default;
        static Parsed<In> parse(Bytes stub, ByteOrder order);
        Octets serialise(ByteOrder order = ByteOrder::little) const;
    };
    struct Entry {
        Guid object;
        std::optional<Tower> tower;
        std::string annotation;  // at most 63 characters
        bool operator==(const Entry&) const = default;
    };
    struct Out {
        Guid entry_handle;
        std::vector<Entry> entries;
        std::uint32_t max_ents = max_ents_max;
        std::uint32_t status = 0;
        bool operator==(const Out&) const = default;
        static Parsed<Out> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
};

struct ept_lookup_handle_free {
    static constexpr std::uint16_t opnum = 4;
    struct In {
        Guid entry_handle;
        static Parsed<In> parse(Bytes stub, ByteOrder order);
        Octets serialise(ByteOrder order = ByteOrder::little) const;
    };
    struct Out {
        Guid entry_handle;
        std::uint32_t status = 0;
        static Parsed<Out> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
};

struct rpc__mgmt_inq_if_ids {
    static constexpr std::uint16_t opnum = 0;
    struct Out {
        std::vector<SyntaxId> if_ids;
        std::uint32_t status = 0;
        bool operator==(const Out&) const = default;
        static Parsed<Out> parse(Bytes stub, ByteOrder order);
        Octets serialise() const;
    };
};

struct rpc__mgmt_inq_stats {
    static constexpr std::uint16_t opnum = 1;
    struct Out {  // calls in, calls out, packets in, packets out
        std::array<std::uint32_t, 4> statistics{};
        Octets serialise(std::uint32_t count) const;
    };
};

}  // namespace wmlab::rpc
