// MMS from a peer. The first byte chooses who reads: 0 a server, 1 a player, 2 one message, 3 a Data packet or resend
// request. What must hold whatever the bytes are is checked.
#include <algorithm>
#include <cstdlib>
#include <span>

#include "common/mms/asf_streams.hpp"
#include "common/mms/player_session.hpp"
#include "common/mms/server_session.hpp"

using namespace wmlab;
using namespace wmlab::mms;
using namespace std::chrono_literals;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

// Cuts the input into steps: a byte that says what comes, a byte of length, and the bytes.
struct Steps {
    bytes::Bytes left;
    bool next(unsigned& what, bytes::Bytes& with) {
        if (left.size() < 2) return false;
        what = std::to_integer<unsigned>(left[0]);
        const auto size = std::min<std::size_t>(std::to_integer<std::size_t>(left[1]) * ((what & 0x80U) != 0 ? 8 : 1),
                                                left.size() - 2);
        with = left.subspan(2, size);
        left = left.subspan(2 + size);
        return true;
    }
};

// Messages with a proper TcpMessageHeader around them reach deeper than bytes that must invent one.
std::vector<std::byte> framed(bytes::Bytes body, Framer& framer) {
    std::vector<std::byte> message(4);
    message.insert(message.end(), body.begin(), body.end());
    message.resize(std::max<std::size_t>(8, (message.size() + 7) / 8 * 8));
    message[0] = static_cast<std::byte>(message.size() / 8 & 0xFF);
    message[1] = static_cast<std::byte>(message.size() / 8 >> 8);
    return framer.frame(message);
}

void lead_server(bytes::Bytes input) {
    TimePoint now{};
    ServerOptions options;
    options.close_after_end = 2s;
    ServerSession server{options, now};
    Framer framer;
    std::size_t closes = 0;
    std::uint32_t media = 0;
    Content content;
    content.header.resize(300);
    content.packet_size = 128;
    content.packet_count = 10;
    content.bit_rate = 64000;
    const std::vector<std::byte> packet(128);
    const auto take = [&](const ServerActions& actions) {
        bool open = false;
        for (const auto& action : actions) {
            require(closes == 0);
            closes += std::holds_alternative<Close>(action) ? 1 : 0;
            open = open || std::holds_alternative<OpenRequest>(action);
            if (const auto* send = std::get_if<Send>(&action)) {
                StreamSplitter splitter{StreamDirection::to_player};
                const auto cut = splitter.feed(send->packet);
                require(cut.items.size() == 1 && !cut.error && splitter.buffered() == 0);
            }
            if (const auto* data = std::get_if<SendData>(&action)) require(Data::parse(*data->packet).has_value());
        }
        return open;
    };
    Steps steps{input};
    unsigned what = 0;
    bytes::Bytes with;
    while (steps.next(what, with)) {
        switch (what & 7U) {
            case 0:
                if (take(server.receive(with, now))) take(server.opened(content, now));
                break;
            case 1:
                if (take(server.receive(framed(with, framer), now))) take(server.opened(content, now));
                break;
            case 2:
                take(server.datagram(with, now));
                break;
            case 3:
                take(server.media(media++, packet, now));
                break;
            case 4:
                take(server.end_of_media(now));
                break;
            case 5:
                take(server.next_content(content, now));
                break;
            case 6:
                if (take(server.receive(framed(with, framer), now)))
                    take(server.open_failed(bytes::NS_E_FILE_NOT_FOUND, now));
                break;
            default:
                now += std::chrono::milliseconds{1U << (with.size() % 24)};
        }
        take(server.tick(now));
        require(server.finished() == (closes != 0));
        require(!server.next_deadline() || *server.next_deadline() > now);
    }
}

void lead_player(bytes::Bytes input) {
    if (input.empty()) return;
    const auto choice = std::to_integer<unsigned>(input[0]);
    TimePoint now{};
    PlayerOptions options;
    options.transport = (choice & 1U) != 0 ? Transport::udp : Transport::tcp;
    options.local_port = 2345;
    options.packet_pair = static_cast<PacketPair>((choice >> 1U) % 3);
    options.incarnations = static_cast<Incarnations>((choice >> 3U) % 3);
    options.tcp_after_refusal = (choice & 0x40U) != 0;
    options.autoplay = (choice & 0x80U) != 0;
    options.fileName = "a";
    PlayerSession player{options};
    Framer framer;
    std::size_t ends = 0;
    const auto take = [&](const PlayerActions& actions) {
        for (const auto& action : actions) {
            require(ends == 0);
            ends += std::holds_alternative<Finished>(action) ? 1 : 0;
            if (const auto* send = std::get_if<Send>(&action)) {
                StreamSplitter splitter{StreamDirection::to_server};
                const auto cut = splitter.feed(send->packet);
                require(cut.items.size() == 1 && !cut.error && splitter.buffered() == 0);
            }
            if (const auto* request = std::get_if<SendDatagram>(&action))
                require(RequestPacketListResend::parse(request->packet).has_value());
        }
    };
    take(player.start(now));
    Steps steps{input.subspan(1)};
    unsigned what = 0;
    bytes::Bytes with;
    while (steps.next(what, with)) {
        StartPosition where;
        if (!with.empty()) where.locationId = std::to_integer<unsigned>(with[0]);
        switch (what & 15U) {
            case 0:
                take(player.receive(with, now));
                break;
            case 1:
            case 2:
            case 3:
                take(player.receive(framed(with, framer), now));
                break;
            case 4:
            case 5:
                take(player.datagram(with, now));
                break;
            case 6:
                take(player.pause(now));
                break;
            case 7:
                take(player.resume(now));
                break;
            case 8:
                take(player.seek(where, now));
                break;
            case 9:
                take(player.play(where, now));
                break;
            case 10:
                take(player.stop(now));
                break;
            case 11:
                take(player.request_again(where.locationId.value_or(0), now));
                break;
            case 12:
                if (with.size() >= 6) {
                    const auto byte = [&with](std::size_t at) { return std::to_integer<std::uint8_t>(with[at]); };
                    take(player.datagram(data_packet(byte(0), byte(1), byte(2), with.subspan(3)), now));
                }
                break;
            default:
                now += std::chrono::milliseconds{1U << (with.size() % 24)};
        }
        take(player.tick(now));
        require(player.finished() == (ends != 0));
        require(!player.next_deadline() || *player.next_deadline() > now);
    }
    take(player.disconnected(now));
    require(player.finished() && ends == 1);
}

void one_message(bytes::Bytes input) {
    const auto parsed = parse_message(input);
    if (!parsed.has_value()) {
        require(!parsed.error().field.empty() && parsed.error().offset <= input.size());
        return;
    }
    name(*parsed), result(*parsed), telling_fields(*parsed);
    const auto again = parse_message(serialise(*parsed));
    require(again.has_value() && serialise(*again) == serialise(*parsed));
}

void one_packet(bytes::Bytes input) {
    const auto data = Data::parse(input);
    if (data.has_value()) {
        const auto bytes = data->serialise();
        require(std::equal(bytes.begin(), bytes.end(), input.begin(), input.end()));
    }
    const auto request = RequestPacketListResend::parse(input);
    if (request.has_value()) require(RequestPacketListResend::parse(request->serialise()).has_value());
    asf_stream_numbers(input);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto input = std::as_bytes(std::span{data, size}).subspan(1);
    switch (data[0] & 3U) {
        case 0:
            lead_server(input);
            break;
        case 1:
            lead_player(input);
            break;
        case 2:
            one_message(input);
            break;
        default:
            one_packet(input);
    }
    return 0;
}
