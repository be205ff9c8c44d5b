#include "client_sim/playback.hpp"

#include <exception>
#include <iterator>

namespace wmlab::client_sim {

using evidence::What;

Playback::Playback(Client& client, Play play, std::string type)
    : client_{client},
      play_{std::move(play)},
      media_{play_.save, play_.tally},
      patience_{play_.deadline},
      clock_{client.context.io, *this},
      readers_{client.context.io.get_executor()},
      type_{std::move(type)} {
    for (const auto& flow : client_.context.flows)
        if (flow.id == play_.flow) type_ = scenario::spec(flow.flow->type).name;
}

asio::awaitable<Outcome> Playback::play(std::string transport) {
    Outcome outcome;
    outcome.transport = std::move(transport);
    client_.receiving.push_back(&media_);
    const auto place = std::prev(client_.receiving.end());
    std::exception_ptr failure;
    try {
        write_start(outcome);
        co_await run_to_the_end(outcome);
    } catch (const std::exception& error) {  // stopped from outside, or no memory: the account is still written
        outcome.worked = false;
        outcome.reason = error.what();
        failure = std::current_exception();
    }
    over_ = true;
    clock_.stop();
    write_media_end();
    disconnect(outcome.reason);
    readers_.cancel();
    client_.receiving.erase(place);
    if (failure) std::rethrow_exception(failure);
    co_await readers_.ended();
    outcome.summary = media_.summary();
    co_return outcome;
}

void Playback::keep_media(Outcome& outcome) {
    if (const auto unsaved = media_.close()) {
        outcome.worked = false;
        outcome.reason = *unsaved;
    }
}

bool Playback::is_enough(Clock::time_point now) {
    media_.waited_until(now);
    overtime_ = media_.behind(now);
    return !overtime_;
}

void Playback::media_starts(Clock::time_point now) {
    if (media_started_) return;
    media_started_ = now;
    write(What::media_started, media_leg(), {}, media_local(), media_remote());
}

void Playback::write_start(const Outcome& outcome) const {
    boost::json::object started;
    started[field::type] = type_;
    started[field::url] = play_.url.text();
    started[field::transport] = outcome.transport;
    started[field::attempt] = play_.attempt;
    write(What::flow_started, "", std::move(started));
}

void Playback::write_silence(milliseconds waited, unsigned attempt) {
    boost::json::object fields;
    fields[field::waited] = waited.count();
    fields[field::attempt] = attempt;
    write(What::media_silent, media_leg(), std::move(fields), media_local(), media_remote());
}

void Playback::write_media_end() const {
    if (!media_.has_header() && media_.packets() == 0) return;
    auto fields = media_.fields();
    add_to_account(fields);
    write(What::media_ended, media_leg(), std::move(fields), media_local(), media_remote());
}

void Playback::write(What what, std::string leg, boost::json::object fields, std::string local, std::string remote) const {
    client_.write(what, play_, std::move(leg), std::move(fields), std::move(local), std::move(remote));
}

}  // namespace wmlab::client_sim
