#include "common/msb/player_session.hpp"

namespace wmlab::msb {
namespace {

std::string seconds_text(std::chrono::milliseconds time) {
    const auto tenths = std::to_string(time.count() % 1000 / 100);
    return std::to_string(time.count() / 1000) + (tenths == "0" ? "" : "." + tenths) + " s";
}

}  // namespace

PlayerSession::PlayerSession(Station station, PlayerOptions options)
    : receiver_{std::move(station)}, options_{options} {}

PlayerActions PlayerSession::start(TimePoint now) {
    state_ = State::opening;
    deadline_ = now + options_.open_timeout;
    return {};
}

PlayerActions PlayerSession::receive(Bytes datagram, std::string_view source, TimePoint now) {
    PlayerActions actions;
    if (state_ == State::idle || state_ == State::finished) return actions;
    auto receipt = receiver_.receive(datagram, source);
    switch (receipt.kind) {
        case Kind::beacon:
        case Kind::media:
        case Kind::parity:
        case Kind::duplicate:
            break;
        case Kind::unknown_format:
        case Kind::other_source:
        case Kind::damaged:
        case Kind::foreign:
            if (ignored_.insert(receipt.kind).second) actions.push_back(Ignored{receipt.kind, receipt.problem});
            return actions;
    }
    last_sign_ = now;
    if (state_ == State::opening)
        actions.push_back(FirstSign{receipt.kind == Kind::beacon ? Kind::beacon : Kind::media});
    if (receipt.kind == Kind::beacon) {
        if (state_ == State::opening) state_ = State::waiting;
        // While packets come, their silence counts, with or without beacons (3.2.5.2).
        if (state_ == State::waiting) deadline_ = now + options_.end_of_stream_timeout;
        return actions;
    }
    state_ = State::playing;
    deadline_ = now + options_.end_of_stream_timeout;
    if (receipt.stream_changed) {
        const auto wStreamID = receipt.wStreamID;
        actions.push_back(StreamStarted{wStreamID, station().format(wStreamID & 0x07FF)});
    }
    for (auto& media : receipt.media) {
        if (last_media_)
            longest_gap_ =
                std::max(longest_gap_, std::chrono::duration_cast<std::chrono::milliseconds>(now - *last_media_));
        last_media_ = now;
        actions.push_back(Play{std::move(media)});
    }
    return actions;
}

PlayerActions PlayerSession::stop(TimePoint) {
    PlayerActions actions;
    if (state_ != State::finished) finish(actions, Finished::Why::stopped, "stopped");
    return actions;
}

PlayerActions PlayerSession::tick(TimePoint now) {
    PlayerActions actions;
    if (!deadline_ || now < *deadline_) return actions;
    if (state_ == State::opening) {
        finish(actions, Finished::Why::silent,
               "nothing arrived at " + station().ip_address + ":" + std::to_string(station().ip_port) + " for " +
                   seconds_text(options_.open_timeout));
    } else if (now - last_sign_ >= options_.end_of_stream_timeout) {
        finish(actions, Finished::Why::ended,
               "the station fell silent: nothing for " + seconds_text(options_.end_of_stream_timeout));
    } else {
        state_ = State::waiting;
        deadline_ = last_sign_ + options_.end_of_stream_timeout;
        actions.push_back(StreamEnded{});
    }
    return actions;
}

void PlayerSession::finish(PlayerActions& actions, Finished::Why why, std::string reason) {
    state_ = State::finished;
    deadline_.reset();
    actions.push_back(Finished{why, std::move(reason), why == Finished::Why::silent ? station().unicast_url : "",
                               why == Finished::Why::silent ? "" : station().log_url});
}

}  // namespace wmlab::msb
