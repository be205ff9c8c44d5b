// What a player reads: the answers of servers and proxies. The first byte chooses the connection and the pieces, the
// next two say how long the answer to Describe is; the rest answers the second request.
#include <cstdint>
#include <cstdlib>

#include "common/wmsp/player_session.hpp"

using namespace wmlab::wmsp;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3) return 0;
    const auto flags = data[0];
    const Bytes input{reinterpret_cast<const std::byte*>(data) + 3, size - 3};
    const auto first = std::min<std::size_t>(input.size(), data[1] | static_cast<unsigned>(data[2]) << 8);
    const Bytes answers[] = {input.first(first), input.subspan(first)};
    const std::size_t piece = (flags & 2) != 0 ? 1 : (flags & 4) != 0 ? 31 : size;

    PlayerOptions options;
    options.url = wmlab::url::parse("http://media/lecture").value();
    if ((flags & 1) != 0) options.proxy = Endpoint{"proxy", 3128};
    options.keep_alive = (flags & 8) != 0;
    options.utc = 1795000000;
    PlayerSession session{options};
    const TimePoint now{};
    bool ended = false, connect = false;
    const auto perform = [&](const PlayerActions& actions) {
        for (const auto& action : actions) {
            require(!ended);
            if (std::holds_alternative<Connect>(action)) connect = true;
            if (const auto* header = std::get_if<HeaderComplete>(&action)) require(header->header.packet_size != 0);
            if (const auto* finished = std::get_if<Finished>(&action)) {
                ended = true;
                require(!finished->reason.empty() && finished->words.text.size() <= 400);
                require(finished->worked == (finished->cause == Finished::Cause::none));
            }
        }
    };
    perform(session.start(now));
    for (unsigned connection = 0; connect && connection < 8; ++connection) {
        connect = false;
        perform(session.connected(now));
        auto bytes = answers[std::min(connection, 1U)];
        while (!bytes.empty() && !ended && !connect) {
            const auto part = bytes.first(std::min(piece, bytes.size()));
            bytes = bytes.subspan(part.size());
            perform(session.receive(part, now));
        }
        if (!connect) perform(session.disconnected(now));
    }
    if (!ended) perform(session.tick(now + std::chrono::hours{1}));
    require(ended == session.finished());
    return 0;
}
