// Who has to go when more come than there is room for.
#include "common/serving/seats.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/catch.hpp"

using namespace wmlab::serving;
using boost::asio::ip::make_address;

namespace {

struct Room {
    std::shared_ptr<Seats::All> all = Seats::all(1000);
    Seats seats;
    struct Guest {
        bool asked_to_leave = false;
        std::unique_ptr<Seats::Seat> seat;
    };
    std::vector<std::unique_ptr<Guest>> guests;

    explicit Room(std::size_t places, std::size_t of_peer = 1000) : seats{{places, of_peer}, all} {}
    Guest& comes(const std::string& from, Seats::Standing standing = Seats::Standing::newcomer) {
        guests.push_back(std::make_unique<Guest>());
        auto& guest = *guests.back();
        guest.seat = std::make_unique<Seats::Seat>(seats, make_address(from), [&guest] { guest.asked_to_leave = true; });
        guest.seat->stands(standing);
        return guest;
    }
    std::size_t asked() const {
        return static_cast<std::size_t>(std::ranges::count_if(guests, [](const auto& one) { return one->asked_to_leave; }));
    }
};

}  // namespace

TEST_CASE("seats: silent connections never shut a service, whoever holds them and however many", "[server_sim]") {
    const bool same_machine = GENERATE(true, false);
    Room room{100, same_machine ? 60u : 1000u};
    for (int i = 0; i < 500; ++i) {
        room.comes(same_machine ? "10.0.0.66" : "10.0." + std::to_string(i / 200) + "." + std::to_string(i % 200 + 1));
        CHECK(room.seats.taken() <= 100);
    }
    auto& player = room.comes("10.0.0.7");
    CHECK(player.seat->granted());
    player.seat->stands(Seats::Standing::idle);
    for (int i = 0; i < 500; ++i) room.comes("10.9.0.66");
    CHECK_FALSE(player.asked_to_leave);
    player.seat->stands(Seats::Standing::busy);
    for (int i = 0; i < 500; ++i) room.comes("10.9.0.66");
    CHECK_FALSE(player.asked_to_leave);
}

TEST_CASE("seats: newcomers go first, then the idle, the busy never", "[server_sim]") {
    Room room{3};
    const auto& streams = room.comes("10.0.0.1", Seats::Standing::busy);
    const auto& waits = room.comes("10.0.0.2", Seats::Standing::idle);
    const auto& silent = room.comes("10.0.0.3");
    CHECK(room.comes("10.0.0.4", Seats::Standing::busy).seat->granted());
    CHECK(silent.asked_to_leave);
    CHECK_FALSE(waits.asked_to_leave);
    CHECK(room.comes("10.0.0.5", Seats::Standing::busy).seat->granted());
    CHECK(waits.asked_to_leave);
    CHECK_FALSE(room.comes("10.0.0.6").seat->granted());
    CHECK_FALSE(streams.asked_to_leave);
    CHECK(room.asked() == 2);
}

TEST_CASE("seats: where all others are idle, who has just come has the time to say what it wants", "[server_sim]") {
    Room room{80};
    for (int i = 0; i < 79; ++i) room.comes("10.0.1." + std::to_string(i + 1), Seats::Standing::idle);
    const auto& player = room.comes("10.0.0.7");
    for (int i = 0; i < 9; ++i) room.comes("10.0.2." + std::to_string(i + 1));
    CHECK_FALSE(player.asked_to_leave);
    CHECK(room.asked() == 9);
    room.comes("10.0.3.1");
    CHECK(player.asked_to_leave);  // a tenth of all say nothing: the oldest of them goes
}

TEST_CASE("seats: a crowd that says one word and no more does not push out a conversation", "[server_sim]") {
    const bool same_machine = GENERATE(true, false);
    Room room{80, same_machine ? 40u : 1000u};
    auto crowd = [&, number = 0]() mutable {
        room.comes(same_machine ? "10.0.0.66" : "10.1." + std::to_string(number / 200) + "." + std::to_string(number % 200 + 1)).seat->speaks();
        ++number;
    };
    for (int i = 0; i < 200; ++i) crowd();
    auto& player = room.comes(same_machine ? "10.0.0.66" : "10.0.0.7");
    for (int i = 0; i < 5; ++i) {
        for (int k = 0; k < 3; ++k) crowd();
        player.seat->speaks();
    }
    for (int i = 0; i < 500; ++i) crowd();
    CHECK_FALSE(player.asked_to_leave);
}

TEST_CASE("seats: who holds the most loses its own", "[server_sim]") {
    Room room{10};
    const auto& player = room.comes("10.0.0.7", Seats::Standing::idle);  // came first, has waited for longest
    for (int i = 0; i < 9; ++i) room.comes("10.0.0.66", Seats::Standing::idle);
    for (int i = 0; i < 50; ++i) room.comes("10.0.0.66", Seats::Standing::idle);
    CHECK_FALSE(player.asked_to_leave);
}

TEST_CASE("seats: each peer and each service has its own, and all of them share the descriptors", "[server_sim]") {
    Room room{100, 2};
    room.comes("10.0.0.1", Seats::Standing::busy), room.comes("10.0.0.1", Seats::Standing::busy);
    CHECK_FALSE(room.comes("10.0.0.1").seat->granted());
    CHECK(room.comes("10.0.0.2").seat->granted());
    CHECK(room.seats.taken_by(make_address("10.0.0.1")) == 3);  // the refused one has to be told first
    room.guests.clear();
    CHECK(room.seats.taken() == 0);

    const auto all = Seats::all(5);
    Seats one{{10, 10}, all}, other{{10, 10}, all};
    int left = 0;
    std::vector<std::unique_ptr<Seats::Seat>> held;
    const auto leave = [&left] { ++left; };
    for (int i = 0; i < 5; ++i) held.push_back(std::make_unique<Seats::Seat>(one, make_address("10.0.0.1"), leave));
    const Seats::Seat last{other, make_address("10.0.0.2"), leave};
    CHECK(last.granted());
    CHECK(left == 1);  // of the service that is full
    CHECK(one.taken() == 4);
    CHECK(other.taken() == 1);
}
