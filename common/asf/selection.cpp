#include "common/asf/selection.hpp"

#include <algorithm>

namespace wmlab::asf {
namespace {

// A video without a single key frame for so long has none that are marked: it is not waited for any more.
constexpr milliseconds patience{12'000};

}  // namespace

Selection::Selection(const Header& header) {
    for (const auto& stream : header.streams) {
        known_.set(stream.number);
        states_[stream.number].video = stream.type == StreamType::video;
    }
}

void Selection::select_all() {
    for (std::size_t i = 0; i < states_.size(); ++i)
        if (known_[i]) switch_on(states_[i], Level::all);
}

void Selection::switch_on(State& state, Level level) {
    const bool new_to_it = state.level != Level::all && (state.level == Level::off || level == Level::all);
    state.level = level;
    if (!new_to_it || !started_) return;
    state.waiting = true;
    state.since.reset();
    state.object.reset();
}

void Selection::apply(std::uint16_t source, std::uint16_t destination, std::uint16_t thinning) {
    const auto level = thinning == 0 ? Level::all : thinning == 1 ? Level::key_frames : Level::off;
    const bool has_source = source < states_.size(), has_destination = destination < states_.size();
    if (!has_destination) {
        if (has_source && destination == no_stream) states_[source].level = Level::off;
        return;
    }
    auto& state = states_[destination];
    if (level == Level::off) {
        state.level = Level::off;
        state.replaces = no_stream;
        return;
    }
    switch_on(state, level);
    if (!has_source || source == destination) return;
    if (state.waiting)
        state.replaces = source;
    else
        states_[source].level = Level::off;
}

void Selection::start(bool at_the_beginning) {
    started_ = true;
    for (auto& state : states_) {
        state.object.reset();
        state.since.reset();
        state.waiting = !at_the_beginning && state.video && state.level != Level::off;
        if (!state.waiting) state.replaces = no_stream;
    }
}

StreamSet Selection::streams() const {
    StreamSet on;
    for (std::size_t i = 0; i < states_.size(); ++i) on[i] = states_[i].level != Level::off;
    return on;
}

bool Selection::everything() const {
    for (std::size_t i = 0; i < states_.size(); ++i)
        if (known_[i] && (states_[i].level != Level::all || states_[i].waiting)) return false;
    return true;
}

bool Selection::begins(State& state, const PayloadPlace& place, milliseconds send_time) {
    if (!place.starts_object) return false;
    if (!state.since || send_time < *state.since) state.since = send_time;
    if (state.video && !place.key_frame && send_time - *state.since < patience) return false;
    state.waiting = false;
    if (const auto other = std::exchange(state.replaces, no_stream); other < states_.size())
        states_[other].level = Level::off;
    return true;
}

bool Selection::keeps(const PayloadPlace& place, milliseconds send_time) {
    auto& state = states_[place.stream];
    if (state.level == Level::off) return false;
    if (state.waiting && !begins(state, place, send_time)) return false;
    if (place.starts_object) {
        state.object = place.object_number;
        state.sent = state.level == Level::all || place.key_frame;
    }
    if (state.level == Level::all) return true;
    return state.object == place.object_number && state.sent;
}

std::optional<std::vector<std::byte>> Selection::filter(Bytes packet, std::size_t packet_size) {
    if (everything()) return std::nullopt;
    if (streams().none()) return std::vector<std::byte>{};
    const auto parsed = parse_packet(packet, packet_size);
    if (!parsed || parsed->places.empty()) return std::nullopt;  // it cannot be taken apart: it goes as it is
    std::vector<bool> keep;
    for (const auto& place : parsed->places) keep.push_back(keeps(place, parsed->send_time));
    if (std::ranges::all_of(keep, [](bool one) { return one; })) return std::nullopt;
    if (std::ranges::none_of(keep, [](bool one) { return one; })) return std::vector<std::byte>{};
    return with_payloads(packet, packet_size, *parsed, keep);
}

}  // namespace wmlab::asf
