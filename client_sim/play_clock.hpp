// The time of one attempt to play: sleeps from deadline to deadline until it is over.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>

#include "common/net/reprieve.hpp"

namespace wmlab::client_sim {

class PlayClock {
public:
    using Time = std::chrono::steady_clock::time_point;

    class Player {
    public:
        virtual Time next_deadline() const = 0;  // Time::max(): none
        virtual bool over() const = 0;
        virtual bool unread() = 0;       // something has arrived that was not read yet
        virtual void due(Time now) = 0;  // next_deadline() has come

    protected:
        ~Player() = default;
    };

    PlayClock(boost::asio::io_context& io, Player& player);

    // Throws operation_aborted when it is cancelled.
    boost::asio::awaitable<void> run();
    void changed();  // the deadline may have, or it is over
    void stop();

private:
    Time next() const;

    Player& player_;
    boost::asio::steady_timer timer_;
    Time at_ = Time::max();
    std::optional<Time> postponed_;
    Time postponed_due_{};  // of the deadline that is postponed
    net::Reprieve reprieve_;
};

}  // namespace wmlab::client_sim
