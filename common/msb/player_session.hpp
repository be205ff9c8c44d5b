// The player's side of a station (MS-MSB 3.2): from the moment the socket is bound and the group joined, datagrams and
// time in, actions out. Perform them in order; after Finished nothing more comes. Holds no socket and no clock.
#pragma once
#include <chrono>
#include <variant>

#include "common/msb/receiver.hpp"
#include "common/msb/sender_session.hpp"

namespace wmlab::msb {

struct PlayerOptions {
    std::chrono::milliseconds open_timeout = std::chrono::seconds{20};  // Open timer; 10 to 30 s in the specification
    std::chrono::milliseconds end_of_stream_timeout = std::chrono::seconds{30};  // End of Stream timer
};

// The first datagram that is the station's: something arrived.
struct FirstSign {
    Kind kind = Kind::media;  // or beacon
};
// Packets of another stream follow: another format or the next entry. Also before the very first media.
struct StreamStarted {
    std::uint16_t wStreamID = 0;
    const Format* format = nullptr;  // of the session's station; null: it has none
};
struct Play {
    Media media;
};
// Not ours or not readable. Said once for each kind; the counts have the rest.
struct Ignored {
    Kind kind = Kind::foreign;
    std::string problem;
};
// No packet for the End of Stream timer, but beacons: the station lives and may go on.
struct StreamEnded {};
struct Finished {
    enum class Why {
        stopped,  // by stop()
        silent,   // the Open timer ran out: nothing of the station ever arrived
        ended,    // packets or beacons came, then nothing for the End of Stream timer
    } why = Why::stopped;
    std::string reason;       // a sentence
    std::string unicast_url;  // where to roll over to, when silent; may be empty
    std::string log_url;      // where to report to; may be empty
};
using PlayerAction = std::variant<FirstSign, StreamStarted, Play, Ignored, StreamEnded, Finished>;
using PlayerActions = std::vector<PlayerAction>;

class PlayerSession {
public:
    enum class State { idle, opening, waiting, playing, finished };  // waiting: beacons came, no packet yet or no more

    PlayerSession(Station station, PlayerOptions options = {});

    PlayerActions start(TimePoint now);  // bound and joined: the Open timer runs
    PlayerActions receive(Bytes datagram, std::string_view source, TimePoint now);
    PlayerActions stop(TimePoint now);
    std::optional<TimePoint> next_deadline() const { return deadline_; }
    PlayerActions tick(TimePoint now);

    State state() const { return state_; }
    const ReceiverCounts& counts() const { return receiver_.counts(); }
    const std::set<std::uint32_t>& lost() const { return receiver_.lost(); }
    const Station& station() const { return receiver_.station(); }
    std::chrono::milliseconds longest_gap() const { return longest_gap_; }  // between media packets

private:
    void finish(PlayerActions& actions, Finished::Why why, std::string reason);

    Receiver receiver_;
    PlayerOptions options_;
    State state_ = State::idle;
    std::optional<TimePoint> deadline_, last_media_;
    TimePoint last_sign_{};
    std::chrono::milliseconds longest_gap_{0};
    std::set<Kind> ignored_;
};

}  // namespace wmlab::msb
