// What one host's network interface saw, whatever its programs noticed. Counts packets by sort and by address.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "common/evidence/event.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

struct Endpoint {  // "10.20.0.10:1217"; port 0: none or any
    std::string address;
    std::uint16_t port = 0;
    static Endpoint from(std::string_view text);
    std::string text() const;
    bool empty() const { return address.empty(); }
    auto operator<=>(const Endpoint&) const = default;
};

enum class Way { in, out };

// One packet, as it is found again on another wire.
struct Sighting {
    std::uint16_t id = 0;                             // IP identification
    std::uint32_t sequence = 0, bytes = 0, hash = 0;  // TCP's; behind the transport header; of flags and payload
    std::int64_t at = 0;                              // monotonic, ns
    auto key() const { return std::tuple{id, sequence, bytes, hash}; }
};

struct WireLine {
    Way way = Way::in;
    std::string protocol, kind;  // "tcp", "syn-ack"
    Endpoint source, destination;
    std::uint64_t packets = 0, bytes = 0;
    std::optional<unsigned> ttl;
    std::optional<Icmp> icmp;        // kind "icmp"; `source` and `destination` are those of the packet it quotes
    std::string zone;                // firewall only
    std::vector<std::string> joins;  // IGMP: groups that the sender says it has joined
    std::vector<Sighting> each;    // in order of time; empty: the record only counts
    bool listed() const { return each.size() == packets; }
};

// A packet's addresses: every part that is set must be equal.
struct Between {
    Endpoint source, destination;
    bool matches(const WireLine& line) const;
    Between reversed() const { return {destination, source}; }
    bool operator==(const Between&) const = default;
};

class WireRecord {
public:
    void add(const evidence::Event& event);  // a `wire` event of this host

    // Every packet is accounted for: a sort of packet without a line was not there.
    bool complete() const { return totals_ > 0 && dropped_ == 0 && packets_ == total_; }
    bool empty() const { return lines_.empty() && totals_ == 0; }
    // Besides, every packet of TCP and UDP is told by itself.
    bool listed() const { return complete() && listed_; }
    const std::vector<WireLine>& lines() const { return lines_; }

    // Lines of any kind of this protocol, ICMP about it excepted; the addresses with their ports.
    std::vector<const WireLine*> between(Way way, std::string_view protocol, const Between& between) const;
    // Arrived lines that list such a packet.
    std::vector<const WireLine*> with(const Sighting& packet) const;

    std::uint64_t count(Way way, std::initializer_list<std::string_view> kinds, const Between& between) const;
    std::vector<const WireLine*> find(Way way, std::initializer_list<std::string_view> kinds,
                                      const Between& between) const;

private:
    std::vector<WireLine> lines_;
    using Key = std::tuple<Way, std::string, Endpoint, Endpoint>;
    std::multimap<Key, std::size_t> by_addresses_;
    // Lines by their ports, as find() looks for one conversation of thousands.
    std::unordered_map<std::uint16_t, std::vector<std::size_t>> by_source_port_, by_destination_port_;
    std::multimap<std::tuple<std::uint16_t, std::uint32_t, std::uint32_t, std::uint32_t>, std::size_t> by_packet_;
    std::uint64_t packets_ = 0, total_ = 0, dropped_ = 0;
    unsigned totals_ = 0;
    bool listed_ = true;
};

}  // namespace wmlab::lab
