// Accepting connections for as long as a server runs.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <functional>

#include "common/net/failure.hpp"

namespace wmlab::net {

// Hands over each connection until the acceptor is closed or the coroutine is cancelled. What fails for a while, as for
// want of descriptors, is logged and tried again; where taking a connection throws, that connection is lost and no other.
asio::awaitable<void> accept_each(tcp::acceptor& acceptor, std::function<void(tcp::socket)> take);

}  // namespace wmlab::net
