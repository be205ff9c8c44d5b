// One attempt to play, whatever the protocol: what was received, until when, and the events from `flow-started` to `media-ended`.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "client_sim/client.hpp"
#include "client_sim/play_clock.hpp"
#include "common/net/tasks.hpp"

namespace wmlab::client_sim {

class Playback : protected PlayClock::Player {
protected:
    using Clock = std::chrono::steady_clock;

    Playback(Client& client, Play play, std::string type);  // `type`: of a flow, where no scenario has another name for it
    ~Playback() = default;

    asio::awaitable<Outcome> play(std::string transport);

    virtual asio::awaitable<void> run_to_the_end(Outcome& outcome) = 0;
    virtual void add_to_account(boost::json::object& fields) const = 0;  // of media-ended
    virtual void disconnect(const std::string& reason) = 0;
    // Where media is to come: the leg, and its two ends.
    virtual std::string media_leg() const = 0;
    virtual std::string media_local() const = 0;
    virtual std::string media_remote() const = 0;

    bool over() const override { return over_; }
    // Closes what was to be kept of the media; what cannot be kept is no success.
    void keep_media(Outcome& outcome);
    // `duration` has passed: whether it is enough. What stopped coming is not called enough: another packet, or our patience, decides.
    bool is_enough(Clock::time_point now);
    void media_starts(Clock::time_point now);  // at the first packet
    void write_silence(milliseconds waited, unsigned attempt);
    void write(evidence::What what, std::string leg, boost::json::object fields = {}, std::string local = "", std::string remote = "") const;

    Client& client_;
    Play play_;
    ReceivedMedia media_;
    milliseconds patience_;
    PlayClock clock_;
    std::optional<Clock::time_point> media_started_;
    bool over_ = false, enough_ = false, overtime_ = false;
    net::Tasks readers_;

private:
    void write_start(const Outcome& outcome) const;
    void write_media_end() const;

    std::string type_;
};

}  // namespace wmlab::client_sim
