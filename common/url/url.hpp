// URLs of the Windows Media era: mms://, mmsu://, mmst://, http://, mmsh://, msbd://, with the player's modifiers in
// them.
#pragma once
#include <boost/system/result.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace wmlab::url {

// mms: the player chooses the transport (rollover); mmsu, mmst, mmsh: MMS over UDP, over TCP, Windows Media HTTP.
enum class Scheme { mms, mmsu, mmst, mmsh, http, msbd };
std::string_view text(Scheme scheme);
std::uint16_t default_port(Scheme scheme);  // 1755, 80, 7007

inline constexpr std::size_t url_size_max = 2048;  // what players of the era take, and then some

struct Url {
    Scheme scheme = Scheme::mms;
    std::string host;                   // a name, an IPv4 address, or an IPv6 address without brackets
    std::optional<std::uint16_t> port;  // as written
    std::string path = "/";             // percent-encoded, begins with a slash
    std::string query;                  // percent-encoded, without `?`; MSWMExt is taken out

    std::uint16_t port_or_default() const { return port.value_or(default_port(scheme)); }
    std::string authority() const;  // "media:8080", "[::1]"; for Host lines
    std::string path_and_query() const;
    std::string name() const;  // of the publishing point: the path decoded, without the first slash
    std::string text() const;
    bool operator==(const Url&) const = default;
};

struct Problem {
    std::string text;  // "has no host"
};
[[noreturn]] void throw_exception_from_error(const Problem& problem, const boost::source_location&);

// Letter case of the scheme does not matter; blanks and other bytes that a URL may not hold are percent-encoded first,
// as players do; user names and fragments are dropped.
boost::system::result<Url, Problem> parse(std::string_view text);
// What `reference` means in a document that came from `base`: a redirect's Location, an href.
boost::system::result<Url, Problem> resolve(const Url& base, std::string_view reference);

std::string decoded(std::string_view percent_encoded);       // broken escapes stay as they are
std::string encoded_path(std::string_view name);             // a name as a URL path, slashes kept
std::string without_extension_hint(std::string_view query);  // MSWMExt=.asf tells players what kind of file follows

}  // namespace wmlab::url
