// Addresses as text, spelled everywhere (journal, messages, options) as "10.20.0.10:1217".
#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace wmlab::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;

template <class InternetProtocol>
std::string text(const asio::ip::basic_endpoint<InternetProtocol>& endpoint) {
    return endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
}

struct HostPort {
    std::string host;        // a name or an address
    std::uint16_t port = 0;  // 0: not given
    bool operator==(const HostPort&) const = default;
};
std::optional<HostPort> host_port(std::string_view text);         // "media:1755"; the port is needed
std::optional<std::uint16_t> port_from(std::string_view digits);  // 1 to 65535

}  // namespace wmlab::net
