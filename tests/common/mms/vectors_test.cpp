// Captured sessions of real players: everything decodes, and encodes to the same bytes.
#include <algorithm>
#include <map>
#include <set>

#include "common/bytes/hex.hpp"
#include "common/mms/framing.hpp"
#include "common/mms/message.hpp"
#include "tests/catch.hpp"
#include "tests/pcap.hpp"

using namespace wmlab;
using namespace wmlab::mms;

namespace {

struct Decoded {
    std::map<std::string_view, int> messages;
    int data = 0;
    std::size_t left_over = 0;
    std::vector<std::byte> again;  // everything, encoded from what was decoded
};

Decoded decode(bytes::Bytes stream, StreamDirection direction, std::size_t step) {
    Decoded decoded;
    StreamSplitter splitter{direction};
    std::uint16_t seq = 0;
    for (std::size_t at = 0; at < stream.size(); at += step) {
        auto cut = splitter.feed(stream.subspan(at, std::min(step, stream.size() - at)));
        if (cut.error) FAIL(cut.error->text());
        for (const auto& item : cut.items) {
            std::vector<std::byte> bytes;
            if (const auto* packet = std::get_if<MessagePacket>(&item)) {
                CHECK(packet->header.chunkCount * 8 == packet->header.messageLength);
                CHECK(packet->header.seq == seq++);
                MessagePacket again{packet->header, {}};
                for (const auto& message : packet->messages) {
                    const auto parsed = parse_message(message);
                    if (parsed.has_error()) FAIL(parsed.error().text());
                    ++decoded.messages[name(*parsed)];
                    CHECK(from_player(*parsed) == (direction == StreamDirection::to_server));
                    CHECK(bytes::hex(serialise(*parsed)) == bytes::hex(message));
                    again.messages.push_back(serialise(*parsed));
                }
                bytes = again.serialise();
            } else {
                ++decoded.data;
                bytes = std::get<Data>(item).serialise();
            }
            decoded.again.insert(decoded.again.end(), bytes.begin(), bytes.end());
        }
    }
    decoded.left_over = splitter.buffered();
    return decoded;
}

}  // namespace

TEST_CASE("captured sessions decode and encode to the same bytes", "[mms]") {
    struct Row {
        std::string file;
        int requests, reports, tcp_data, udp_data, resend_requests;
    };
    const auto row = GENERATE(values<Row>({
        {"ffmpeg_mmst_notfound", 5, 4, 0, 0, 0},
        {"ffmpeg_mmst_wma", 7, 7, 28, 0, 0},
        {"ffmpeg_mmst_wmv", 8, 7, 65, 0, 0},
        {"libmms_mmst_ping", 11, 12, 86, 0, 0},
        {"libmms_mmst_split_header", 6, 7, 88, 0, 0},
        {"libmms_mmst_wmv", 6, 7, 86, 0, 0},
        {"refclient_mmst_pair", 8, 10, 86, 0, 0},
        {"refclient_mmst_stop", 9, 8, 24, 0, 0},
        {"refclient_mmsu_blackhole", 13, 9, 0, 0, 0},
        {"refclient_mmsu_clean", 8, 8, 0, 86, 0},
        {"refclient_mmsu_loss_resend_pair", 9, 8, 0, 88, 12},
        {"refclient_mmsu_refused_to_mmst", 9, 9, 86, 0, 0},
        {"xine_mmst_wma", 11, 12, 35, 0, 0},
    }));
    DYNAMIC_SECTION(row.file) {
        const auto capture =
            tests::read_pcap(std::string{WMLAB_SOURCE_DIR} + "/tests/vectors/mms/" + row.file + ".pcap");
        REQUIRE_FALSE(capture.connections.empty());
        const auto step = GENERATE(std::size_t{1} << 20, std::size_t{1}, std::size_t{13});
        int requests = 0, reports = 0, tcp_data = 0;
        for (const auto& connection : capture.connections) {
            const auto up = decode(connection.to_server, StreamDirection::to_server, step);
            const auto down = decode(connection.to_client, StreamDirection::to_player, step);
            CHECK(up.left_over == 0);
            CHECK(up.again == connection.to_server);
            REQUIRE(down.again.size() + down.left_over ==
                    connection.to_client.size());  // a capture may end in a packet
            CHECK(std::equal(down.again.begin(), down.again.end(), connection.to_client.begin()));
            for (const auto& [name, count] : up.messages) requests += count;
            for (const auto& [name, count] : down.messages) reports += count;
            CHECK(up.messages.count("unknown") + down.messages.count("unknown") == 0);
            tcp_data += down.data;
        }
        int udp_data = 0, resend_requests = 0;
        for (const auto& datagram : capture.datagrams) {
            if (datagram.destination.port == 1755) {
                ++resend_requests;
                const auto request = RequestPacketListResend::parse(datagram.payload);
                REQUIRE(request.has_value());
                CHECK(request->serialise() == datagram.payload);
            } else {
                ++udp_data;
                const auto data = Data::parse(datagram.payload);
                REQUIRE(data.has_value());
                CHECK(data->serialise() == datagram.payload);
            }
        }
        CHECK(requests == row.requests);
        CHECK(reports == row.reports);
        CHECK(tcp_data == row.tcp_data);
        CHECK(udp_data == row.udp_data);
        CHECK(resend_requests == row.resend_requests);
    }
}

TEST_CASE("the captures hold most of the messages there are", "[mms]") {
    std::set<std::string_view> seen;
    for (const auto& file : std::filesystem::directory_iterator{std::string{WMLAB_SOURCE_DIR} + "/tests/vectors/mms"}) {
        if (file.path().extension() != ".pcap") continue;
        for (const auto& connection : tests::read_pcap(file).connections) {
            for (const auto& [name, count] : decode(connection.to_server, StreamDirection::to_server, 1 << 20).messages)
                seen.insert(name);
            for (const auto& [name, count] : decode(connection.to_client, StreamDirection::to_player, 1 << 20).messages)
                seen.insert(name);
        }
    }
    CHECK(seen.size() == 22);  // of 28; not: authentication, striding, StreamChange, Redirect
}
