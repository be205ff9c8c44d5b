#include "common/net/accept.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace wmlab::net {

asio::awaitable<void> accept_each(tcp::acceptor& acceptor, std::function<void(tcp::socket)> take) {
    asio::steady_timer pause{acceptor.get_executor()};
    for (;;) {
        auto [error, socket] = co_await acceptor.async_accept(asio::as_tuple(asio::use_awaitable));
        if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) co_return;
        if (!error) {
            try {
                take(std::move(socket));
            } catch (const std::exception& fault) {  // of this connection: the next one is taken all the same
                spdlog::warn("accept: {}", fault.what());
            }
            continue;
        }
        spdlog::warn("accept: {}", error.message());
        pause.expires_after(milliseconds{100});
        co_await pause.async_wait(asio::use_awaitable);
    }
}

}  // namespace wmlab::net
