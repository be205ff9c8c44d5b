// Redirector files: .asx, .wax, .wvx, .wmx (Windows Media Player SDK, "ASX elements") and the older [Reference] form. Players
// and browsers get one over HTTP and then open what it names.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "common/url/url.hpp"

namespace wmlab::url {

inline constexpr std::size_t asx_size_max = 64 * 1024, asx_entries_max = 1024, asx_refs_max = 64;

struct AsxEntry {
    std::string title;
    std::vector<std::string> refs;  // the same content at several places: try them in this order
    bool entry_ref = false;         // the one place is another redirector file (ENTRYREF)
    bool operator==(const AsxEntry&) const = default;
};

struct Asx {
    std::string title;
    std::vector<AsxEntry> entries;
    bool operator==(const Asx&) const = default;
};

// Reads all forms: <ASX>, [Reference], and lines that are a URL or "ASF URL". UTF-8, UTF-16 or Latin-1; an XML
// declaration, comments and a DOCTYPE in front; names in any letter case, values with either quotes or none, unknown
// elements skipped, unclosed ones closed: what players of the era took. Refs below a BASE are whole URLs. Error: no such
// form, too large, or names nothing.
boost::system::result<Asx, Problem> parse_asx(std::string_view document);
bool looks_like_asx(std::string_view document);
bool redirector_name(std::string_view name);  // by its extension

std::string write_asx(const Asx& asx);                              // <ASX version="3.0">
std::string write_reference(const std::vector<std::string>& urls);  // [Reference] Ref1=...
inline constexpr std::string_view asx_type = "video/x-ms-asf";      // the MIME type of both

}  // namespace wmlab::url
