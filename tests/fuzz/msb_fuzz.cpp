// Datagrams at a player's group and port: each is a length of two bytes and so many bytes. Empty ones let a second
// pass.
#include <algorithm>
#include <cstdlib>

#include "common/asf/synthesiser.hpp"
#include "common/msb/player_session.hpp"

using namespace wmlab;
using namespace wmlab::msb;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

const Station& station() {
    static const Station s = [] {
        Station made;
        made.ip_address = "239.1.2.3";
        made.ip_port = 8080;
        made.multicast_adapter = "10.0.0.2";
        made.default_ecc = 4;
        asf::SyntheticOptions options;
        options.bitrates = {8000};
        made.formats = {{1, asf::Synthesiser::make(options).value()->header(), ""}};
        return made;
    }();
    return s;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes input{reinterpret_cast<const std::byte*>(data), size};
    PlayerSession player{station()};
    TimePoint now{};
    player.start(now);
    std::set<std::uint64_t> numbers;
    std::uint64_t played = 0, datagrams = 0;
    bytes::Reader in{input};
    while (in.left() >= 2) {
        const auto length = in.u16("length");
        const auto datagram = in.raw(std::min<std::size_t>(length & 0x7FFF, in.left()), "datagram");
        if (datagram.empty()) {
            now += std::chrono::seconds{1};
            player.tick(now);
        }
        const bool finished = player.state() == PlayerSession::State::finished;
        for (const auto& action : player.receive(datagram, (length & 0x8000) != 0 ? "10.0.0.2" : "10.0.0.1", now)) {
            if (const auto* play = std::get_if<Play>(&action)) {
                ++played;
                require(numbers.insert(play->media.number).second);  // no packet twice
                require(play->media.asf_packet.size() <= station().formats[0].header.packet_size);
            }
        }
        datagrams += finished ? 0 : 1;
        const auto& counts = player.counts();
        require(counts.media == played);
        require(counts.datagrams == datagrams);
        require(counts.media - counts.restored + counts.parity + counts.beacons + counts.duplicates +
                    counts.unknown_format + counts.other_source + counts.damaged + counts.foreign ==
                datagrams);
        require(player.lost().size() <= counts.lost || counts.lost > Receiver::lost_max);
        require(player.lost().size() <= Receiver::lost_max);
    }
    return 0;
}
