#include "common/url/url.hpp"

#include <algorithm>
#include <array>
#include <boost/url.hpp>
#include <cctype>
#include <stdexcept>

#include "common/bytes/text.hpp"

namespace wmlab::url {
namespace {

namespace urls = boost::urls;

constexpr std::array<std::string_view, 6> scheme_names = {"mms", "mmsu", "mmst", "mmsh", "http", "msbd"};

using bytes::same_word;

std::optional<Scheme> scheme_from(std::string_view text) {
    for (std::size_t i = 0; i < scheme_names.size(); ++i)
        if (same_word(text, scheme_names[i])) return static_cast<Scheme>(i);
    return std::nullopt;
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

void append_escaped(std::string& text, char c) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    text += '%';
    text += digits[byte >> 4];
    text += digits[byte & 15];
}

bool unreserved(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_' || c == '~';
}

// Escapes what no URL may hold; an escape that is there stays, a lone percent sign is escaped.
std::string tidied(std::string_view text) {
    constexpr std::string_view allowed = "-._~:/?#[]@!$&'()*+,;=";
    std::string tidy;
    // Brackets are of an address in the authority, and of nothing behind it.
    const auto scheme = text.find("://");
    const auto authority_end = scheme == std::string_view::npos ? 0 : text.find_first_of("/?#\\", scheme + 3);
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if ((c == '[' || c == ']') && i >= authority_end) {
            append_escaped(tidy, c);
            continue;
        }
        const bool escape =
            c == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0;
        if (unreserved(c) || escape || allowed.find(c) != std::string_view::npos)
            tidy += c;
        else if (c == '\\')
            tidy += '/';  // as browsers read it
        else
            append_escaped(tidy, c);
    }
    return tidy;
}

std::string_view trimmed(std::string_view text) {
    const auto blank = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
}

boost::system::result<Url, Problem> problem(std::string text) {
    return {boost::system::in_place_error, Problem{std::move(text)}};
}

boost::system::result<Url, Problem> from_view(const urls::url_view& view) {
    const auto scheme = scheme_from(std::string_view{view.scheme().data(), view.scheme().size()});
    if (!scheme) return problem("has a scheme that is none of mms, mmsu, mmst, mmsh, http, msbd");
    Url url;
    url.scheme = *scheme;
    if (!view.has_authority()) return problem("has no host");
    const auto address = view.encoded_host_address();
    url.host = decoded(std::string_view{address.data(), address.size()});
    if (url.host.empty()) return problem("has no host");
    for (const char c : url.host)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0 &&
            std::string_view{".-_:"}.find(c) == std::string_view::npos)
            return problem("has a host that is no name");
    if (view.has_port() && !view.port().empty()) {
        if (view.port_number() == 0) return problem("has a port outside 1 to 65535");
        url.port = view.port_number();
    }
    const auto path = view.encoded_path();
    if (!path.empty()) url.path = std::string{path.data(), path.size()};
    if (!url.path.starts_with('/')) url.path.insert(0, "/");
    const auto query = view.encoded_query();
    url.query = without_extension_hint({query.data(), query.size()});
    return {boost::system::in_place_value, std::move(url)};
}

}  // namespace

std::string_view text(Scheme scheme) { return scheme_names[static_cast<std::size_t>(scheme)]; }

std::uint16_t default_port(Scheme scheme) {
    switch (scheme) {
        case Scheme::mmsh:
        case Scheme::http:
            return 80;
        case Scheme::msbd:
            return 7007;
        default:
            return 1755;
    }
}

void throw_exception_from_error(const Problem& problem, const boost::source_location&) {
    throw std::runtime_error(problem.text);
}

std::string Url::authority() const {
    std::string authority = host.find(':') == std::string::npos ? host : '[' + host + ']';
    if (port) authority += ':' + std::to_string(*port);
    return authority;
}

std::string Url::path_and_query() const { return query.empty() ? path : path + '?' + query; }

std::string Url::name() const { return decoded(path.substr(1)); }

std::string Url::text() const { return std::string{url::text(scheme)} + "://" + authority() + path_and_query(); }

boost::system::result<Url, Problem> parse(std::string_view text) {
    text = trimmed(text);
    if (text.empty()) return problem("is empty");
    if (text.size() > url_size_max) return problem("is longer than 2048 bytes");
    const auto tidy = tidied(text);
    const auto view = urls::parse_uri(tidy);
    if (view.has_error()) return problem("is no URL (scheme://host/name)");
    return from_view(*view);
}

boost::system::result<Url, Problem> resolve(const Url& base, std::string_view reference) {
    reference = trimmed(reference);
    if (reference.empty()) return problem("is empty");
    if (reference.size() > url_size_max) return problem("is longer than 2048 bytes");
    const auto tidy = tidied(reference);
    const auto base_text = base.text();
    const auto base_view = urls::parse_uri(base_text);
    const auto reference_view = urls::parse_uri_reference(tidy);
    if (base_view.has_error() || reference_view.has_error()) return problem("is no URL");
    urls::url resolved;
    if (urls::resolve(*base_view, *reference_view, resolved).has_error()) return problem("is no URL");
    return from_view(resolved);
}

std::string decoded(std::string_view percent_encoded) {
    std::string text;
    for (std::size_t i = 0; i < percent_encoded.size(); ++i) {
        const char c = percent_encoded[i];
        if (c == '%' && i + 2 < percent_encoded.size()) {
            const int high = hex_value(percent_encoded[i + 1]), low = hex_value(percent_encoded[i + 2]);
            if (high >= 0 && low >= 0) {
                text += static_cast<char>(high * 16 + low);
                i += 2;
                continue;
            }
        }
        text += c;
    }
    return text;
}

std::string encoded_path(std::string_view name) {
    std::string path = "/";
    for (const char c : name) {
        if (unreserved(c) || c == '/')
            path += c;
        else
            append_escaped(path, c);
    }
    return path;
}

std::string without_extension_hint(std::string_view query) {
    std::string kept{query};
    for (std::size_t begin = 0; begin <= kept.size();) {
        const auto end = std::min(kept.find('&', begin), kept.size());
        const auto part = std::string_view{kept}.substr(begin, end - begin);
        if (!same_word(part.substr(0, part.find('=')), "MSWMExt")) {
            begin = end + 1;
            continue;
        }
        // The ampersand that joined it goes too: the one behind it, or, of the last, the one in front.
        if (end < kept.size())
            kept.erase(begin, end + 1 - begin);
        else
            kept.erase(begin == 0 ? 0 : begin - 1);
    }
    return kept;
}

}  // namespace wmlab::url
