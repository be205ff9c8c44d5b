// The next deadline of a protocol, as a timer of the object that holds it.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>

namespace wmlab::net {

class Deadline {
public:
    using Time = std::chrono::steady_clock::time_point;

    explicit Deadline(boost::asio::any_io_executor executor) : timer_{std::move(executor)} {}

    // Calls `due` of `owner`, which holds this, once at that time, in place of what was set before. None: nothing is
    // due.
    template <class Owner>
    void set(std::optional<Time> at, std::weak_ptr<Owner> owner, void (Owner::*due)()) {
        if (at == at_) return;
        at_ = at;
        if (!at) {
            timer_.cancel();
            return;
        }
        timer_.expires_at(*at);
        timer_.async_wait([this, at, owner = std::move(owner), due](boost::system::error_code error) {
            const auto alive = owner.lock();
            if (!alive || error || at != at_) return;  // set anew since it was due
            at_.reset();
            ((*alive).*due)();
        });
    }

    void cancel() {
        at_.reset();
        timer_.cancel();
    }

private:
    boost::asio::steady_timer timer_;
    std::optional<Time> at_;
};

}  // namespace wmlab::net
