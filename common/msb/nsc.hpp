// Station files, .nsc (MS-MSB 2.2.1): what a player must know to receive a multicast.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/asf/header.hpp"

namespace wmlab::msb {

inline constexpr std::size_t station_file_size_max = 8 << 20;  // more is refused
inline constexpr std::uint16_t format_id_max = 0x07FF;         // 11 bits

struct Format {
    std::uint16_t id = 1;  // Format ID: which packets are of this format
    asf::Header header;
    std::string description;  // may be empty
    bool operator==(const Format&) const = default;
};

// Texts are UTF-8. Absent: the file does not say.
struct Station {
    std::string name;               // "machine, publishing point"
    std::string multicast_adapter;  // source address of the stream
    std::string ip_address;         // the group
    std::uint16_t ip_port = 0;
    std::optional<std::uint32_t> time_to_live = {};
    std::optional<std::uint32_t> default_ecc = {};  // data packets to a parity packet, at most
    std::string log_url, unicast_url;
    std::optional<bool> allow_splitting = {}, allow_caching = {};
    std::optional<std::uint32_t> cache_expiration_time = {};  // seconds
    std::optional<std::uint32_t> network_buffer_time = {};    // ms
    std::vector<Format> formats;

    const Format* format(std::uint16_t id) const;
    bool operator==(const Station&) const = default;
};

struct NscProblem {
    std::size_t line = 0;  // from 1; 0: the file as a whole
    std::string property;  // as in the file; may be empty
    std::string problem;
    std::string text(std::string_view file) const;  // "lecture.nsc:5: IP Port: 0 is no port (use 1 to 65535)"
    bool operator==(const NscProblem&) const = default;
};

// The station if it can be received, however odd the file. Real ones have bare line feeds, texts that are not encoded,
// checksums of texts that were edited by hand, properties in any order and properties only some servers know.
struct NscReading {
    std::optional<Station> station = {};
    std::vector<NscProblem> errors = {};    // all of them; no station if there is one
    std::vector<NscProblem> warnings = {};  // odd, and how it was taken
};
NscReading read_nsc(std::string_view text);

// What keeps a station from being written, by property; empty: nothing.
std::vector<NscProblem> problems_of(const Station& station);

// Properties in the order of the specification, all texts encoded (VLC takes no others). The station must have no
// problems.
std::string write_nsc(const Station& station);

}  // namespace wmlab::msb
