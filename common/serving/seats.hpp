// Who may stay when more come than a service has room for. Each service has seats of its own, so that a crowd at one
// does not shut another; each peer has a share; and who has not said what it wants makes room for who comes after it.
#pragma once
#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <vector>

namespace wmlab::serving {

class Seats {
public:
    // In the order in which they have to go.
    enum class Standing {
        newcomer,  // has not said one whole message
        greeted,   // has said one
        idle,      // has said more, and neither gets nor gives a stream
        busy       // never has to go
    };
    struct Bounds {
        std::size_t seats = 4000, of_peer = 1000;
    };

    struct All;  // what the services of a process share: its descriptors
    static std::shared_ptr<All> all(std::size_t seats);

    Seats(Bounds bounds, std::shared_ptr<All> all);

private:
    struct Peer;
    struct State;

public:
    // Held as long as the connection lives.
    class Seat {
    public:
        // `leave` is called when the seat is wanted for somebody else, once at most, never from within here.
        Seat(Seats& seats, const boost::asio::ip::address& peer, std::function<void()> leave);
        ~Seat();
        Seat(const Seat&) = delete;
        Seat& operator=(const Seat&) = delete;

        bool granted() const { return granted_; }  // false: nobody could make room, the connection is to be refused
        void stands(Standing standing);
        void speaks();  // one more whole message
        Standing standing() const { return standing_; }

    private:
        friend class Seats;
        friend struct State;
        void leave_lists();
        void enter_lists();
        void give_up();  // no longer counted

        std::shared_ptr<State> state_;
        boost::asio::ip::address address_;
        std::function<void()> leave_;
        Standing standing_ = Standing::newcomer;
        bool granted_ = true, counted_ = false;
        std::list<Seat*>::iterator in_all_, in_peer_;
    };

    std::size_t taken() const;
    std::size_t taken_by(const boost::asio::ip::address& peer) const;

private:
    std::shared_ptr<State> state_;
};

}  // namespace wmlab::serving
