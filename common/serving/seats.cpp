#include "common/serving/seats.hpp"

#include <malloc.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace wmlab::serving {

using boost::asio::ip::address;

namespace {

constexpr std::size_t standings = 4;
constexpr std::size_t index_of(Seats::Standing standing) { return static_cast<std::size_t>(standing); }

}  // namespace

struct Seats::All {
    std::size_t seats, taken = 0;
    std::vector<State*> services;
    std::size_t most = 0;  // since memory was given back

    // What a crowd has had goes back to the system when most of it has left: a crowd of another day may be another service's.
    void left() {
        constexpr std::size_t crowd = 400;
        if (most < crowd || taken > most / 4) return;
        most = taken;
        ::malloc_trim(0);
    }
};

struct Seats::Peer {
    std::size_t seats = 0;
    std::array<std::list<Seat*>, standings> by_standing;  // the longest there first
};

struct Seats::State {
    State(Bounds given, std::shared_ptr<All> shared) : bounds{given}, all{std::move(shared)} { all->services.push_back(this); }
    ~State() { std::erase(all->services, this); }

    void count(const address& who, int change) {
        auto& peer = peers[who];
        by_seats.erase({peer.seats, who});
        peer.seats = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(peer.seats) + change);
        taken = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(taken) + change);
        all->taken = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(all->taken) + change);
        all->most = std::max(all->most, all->taken);
        if (change < 0) all->left();
        if (peer.seats > 0) by_seats.insert({peer.seats, who});
        // Seats that were given up stay nowhere, so an empty peer has no lists either.
        if (peer.seats == 0) peers.erase(who);
    }

    // Some newcomers are left the time to say what they want even where all others are idle: for those who come in
    // earnest do not come alone.
    static bool crowded(std::size_t newcomers, std::size_t of) {
        constexpr std::size_t part = 8;
        return newcomers >= std::max<std::size_t>(1, of / part);
    }
    static Seat* first_of(std::array<std::list<Seat*>, standings>& lists) {
        for (const auto standing : {Standing::idle, Standing::greeted, Standing::newcomer})
            if (auto* const one = first(lists[index_of(standing)])) return one;
        return nullptr;
    }
    static Seat* first(std::list<Seat*>& list) { return list.empty() ? nullptr : list.front(); }

    // Of the peer with the most seats first, so that one who takes many loses its own.
    Seat* to_go() {
        const auto of = [&](Standing standing) -> std::list<Seat*>& { return by_standing[index_of(standing)]; };
        auto* const largest = by_seats.empty() || by_seats.rbegin()->first < 2 ? nullptr : &peers.at(by_seats.rbegin()->second);
        if (largest)
            if (auto* const one = first(largest->by_standing[index_of(Standing::newcomer)])) return one;
        for (const auto standing : {Standing::newcomer, Standing::greeted})
            if (crowded(of(standing).size(), bounds.seats)) return first(of(standing));
        if (largest)
            for (const auto standing : {Standing::greeted, Standing::idle})
                if (auto* const one = first(largest->by_standing[index_of(standing)])) return one;
        return first_of(by_standing);
    }
    Seat* to_go(const address& of) {
        const auto peer = peers.find(of);
        if (peer == peers.end()) return nullptr;
        auto& own = peer->second.by_standing;
        for (const auto standing : {Standing::newcomer, Standing::greeted})
            if (crowded(own[index_of(standing)].size(), bounds.of_peer)) return first(own[index_of(standing)]);
        return first_of(own);
    }

    Bounds bounds;
    std::shared_ptr<All> all;
    std::size_t taken = 0;
    std::map<address, Peer> peers;
    std::set<std::pair<std::size_t, address>> by_seats;
    std::array<std::list<Seat*>, standings> by_standing;
};

std::shared_ptr<Seats::All> Seats::all(std::size_t seats) { return std::make_shared<All>(All{seats, 0, {}, 0}); }

Seats::Seats(Bounds bounds, std::shared_ptr<All> all) : state_{std::make_shared<State>(bounds, std::move(all))} {}

std::size_t Seats::taken() const { return state_->taken; }

std::size_t Seats::taken_by(const address& peer) const {
    const auto found = state_->peers.find(peer);
    return found == state_->peers.end() ? 0 : found->second.seats;
}

Seats::Seat::Seat(Seats& seats, const address& peer, std::function<void()> leave) : state_{seats.state_}, address_{peer}, leave_{std::move(leave)} {
    auto& state = *state_;
    const auto makes_room = [](Seat* who) {
        if (!who) return false;
        const auto go = std::exchange(who->leave_, nullptr);
        who->give_up();
        if (go) go();
        return true;
    };
    if (seats.taken_by(peer) >= state.bounds.of_peer) granted_ = makes_room(state.to_go(peer));
    if (granted_ && state.taken >= state.bounds.seats) granted_ = makes_room(state.to_go());
    if (granted_ && state.all->taken >= state.all->seats) {
        const auto fullest = std::ranges::max_element(state.all->services, {}, &State::taken);
        granted_ = makes_room((*fullest)->to_go());
    }
    // A refused connection has its seat, too, as long as it is being refused: so those can be counted.
    counted_ = true;
    state.count(address_, 1);
    enter_lists();
}

Seats::Seat::~Seat() { give_up(); }

void Seats::Seat::give_up() {
    if (!std::exchange(counted_, false)) return;
    leave_lists();
    state_->count(address_, -1);
}

void Seats::Seat::stands(Standing standing) {
    if (standing == standing_) return;
    if (counted_) leave_lists();
    standing_ = standing;
    if (counted_) enter_lists();
}

// Who speaks goes to the end of its list: those who have been silent for the longest are the first to go.
void Seats::Seat::speaks() {
    if (standing_ == Standing::busy) return;
    if (counted_) leave_lists();
    standing_ = standing_ == Standing::newcomer ? Standing::greeted : Standing::idle;
    if (counted_) enter_lists();
}

void Seats::Seat::enter_lists() {
    auto& all = state_->by_standing[index_of(standing_)];
    auto& own = state_->peers.at(address_).by_standing[index_of(standing_)];
    in_all_ = all.insert(all.end(), this);
    in_peer_ = own.insert(own.end(), this);
}

void Seats::Seat::leave_lists() {
    state_->by_standing[index_of(standing_)].erase(in_all_);
    state_->peers.at(address_).by_standing[index_of(standing_)].erase(in_peer_);
}

}  // namespace wmlab::serving
