// Which streams of a content one receiver gets, and what of its packets that leaves (MS-MMSP 3.2.5.10 and 3.2.5.11.1,
// MS-WMSP 2.2.1.4.27, 3.2.5.6 and 3.2.5.7).
#pragma once
#include <array>
#include <bitset>
#include <optional>
#include <vector>

#include "common/asf/packet.hpp"

namespace wmlab::asf {

using StreamSet = std::bitset<128>;  // by stream number

class Selection {
public:
    enum class Level : std::uint8_t { all, key_frames, off };
    static constexpr std::uint16_t no_stream = 0xFFFF;

    Selection() = default;
    explicit Selection(const Header& header);  // nothing is selected

    void select_all();
    // One entry of a stream switch: `destination` at this level, in place of `source`, which goes on until the other
    // begins. Either may be no_stream; a thinning level that is none of the three counts as off.
    void apply(std::uint16_t source, std::uint16_t destination, std::uint16_t thinning);
    // Before the first packet: where it is not the content's first, video begins with a key frame.
    void start(bool at_the_beginning);

    StreamSet streams() const;  // that are not off
    bool everything() const;    // no packet has anything to be taken out

    // Absent: the packet goes as it is. Empty: nothing of it is left, so it is not sent.
    std::optional<std::vector<std::byte>> filter(Bytes packet, std::size_t packet_size);

private:
    struct State {
        Level level = Level::off;
        bool video = false, waiting = false;    // for a key frame, or, where there is no video, for an object's start
        std::uint16_t replaces = no_stream;     // off as soon as this one has begun
        std::optional<milliseconds> since;      // it waits
        std::optional<std::uint32_t> object{};  // now under way, and whether it is sent
        bool sent = false;
    };
    void switch_on(State& state, Level level);
    bool keeps(const PayloadPlace& place, milliseconds send_time);
    bool begins(State& state, const PayloadPlace& place, milliseconds send_time);

    std::array<State, 128> states_{};
    StreamSet known_;
    bool started_ = false;
};

}  // namespace wmlab::asf
