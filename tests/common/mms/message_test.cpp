// Every message: its name, what it writes it reads, and what damage does.
#include "common/mms/message.hpp"

#include <algorithm>

#include "common/bytes/hex.hpp"
#include "common/bytes/hresult.hpp"
#include "common/mms/framing.hpp"
#include "tests/catch.hpp"
#include "tests/common/mms/samples.hpp"

using namespace wmlab;
using namespace wmlab::mms;

namespace {

std::vector<std::byte> hex(std::string_view text) { return bytes::from_hex(text).value(); }

}  // namespace

TEST_CASE("what a message writes it reads, and it is a multiple of 8 bytes", "[mms]") {
    const auto samples = test::samples();
    REQUIRE(samples.size() >= std::variant_size_v<Message>);
    std::vector<bool> sampled(std::variant_size_v<Message>);
    for (const auto& message : samples) {
        sampled[message.index()] = true;
        INFO(name(message));
        const auto bytes = serialise(message);
        CHECK(bytes.size() % 8 == 0);
        const auto parsed = parse_message(bytes);
        REQUIRE(parsed.has_value());
        CHECK(*parsed == message);
        CHECK(serialise(*parsed) == bytes);
        CHECK(name(*parsed) == name(message));
        CHECK_FALSE(telling_fields(message).size() > 12);
    }
    CHECK(std::count(sampled.begin(), sampled.end(), true) == static_cast<std::ptrdiff_t>(sampled.size()));
}

TEST_CASE("every shorter prefix and every changed byte of every message is read or refused, no more", "[mms]") {
    for (const auto& message : test::samples()) {
        const auto whole = serialise(message);
        for (std::size_t size = 0; size < whole.size(); ++size) {
            const std::vector<std::byte> prefix{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)};
            const auto parsed = parse_message(prefix);
            INFO(name(message) << " cut to " << size);
            REQUIRE(parsed.has_error());  // chunkLen says more
            CHECK(parsed.error().offset <= size);
            // The same with the length corrected: what is optional may be left out, the rest may not.
            if (size % 8 != 0 || size < 8) continue;
            auto corrected = prefix;
            corrected[0] = static_cast<std::byte>(size / 8 & 0xFF);
            corrected[1] = static_cast<std::byte>(size / 8 >> 8);
            const auto again = parse_message(corrected);
            if (again.has_value()) {
                CHECK(parse_message(serialise(*again)).has_value());
            } else {
                CHECK_FALSE(again.error().field.empty());
            }
        }
        auto changed = whole;
        for (std::size_t at = 0; at < whole.size(); ++at) {
            for (const unsigned change : {0x01U, 0x80U, 0xFFU}) {
                changed[at] = whole[at] ^ static_cast<std::byte>(change);
                const auto parsed = parse_message(changed);
                if (parsed.has_value()) {
                    CHECK(parse_message(serialise(*parsed)).has_value());
                }
            }
            changed[at] = whole[at];
        }
    }
}

TEST_CASE("a damaged message names its field and offset", "[mms]") {
    struct Row {
        std::string name;
        std::string message;
        std::string field;
        std::size_t offset;
    };
    LinkViewerToMacOpenFile open;
    open.fileName = u"clip.wmv";
    open.tokenData = hex("00112233");
    const auto token = bytes::hex(serialise(open));
    const auto versions = bytes::hex(serialise(LinkMacToViewerReportConnectedEX{})).replace(96, 8, "ffffff3f");
    const auto row = GENERATE_COPY(values<Row>({
        {"nothing at all", "", "chunkLen", 0},
        {"a length that is not the message's", "0300000001000300", "chunkLen", 0},
        {"a length of zero", "0000000001000300", "chunkLen", 0},
        {"a token beyond the end", std::string{token}.replace(32, 2, "c8"), "token", 42},
        {"more streams than the message holds", "020000003300030002000000ffff0100", "cStreamEntries", 8},
        {"a log that is not of the one size there is", "0200000032000300d205000000000000", "cbSize", 12},
        {"an odd redirect", "02000000220004000000000001000500", "cbLocation", 14},
        {"a challenge whose token is longer than it", "030000001a000400010000000000000020000000 00000000", "pToken",
         20},
        {"version texts of a billion characters", versions, "ServerVersionInfo", 64},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto parsed = parse_message(hex(row.message));
        REQUIRE(parsed.has_error());
        CHECK(parsed.error().field == row.field);
        CHECK(parsed.error().offset == row.offset);
    }
}

TEST_CASE("messages as real programs sent them", "[mms]") {
    struct Row {
        std::string name;
        std::string packet;
        Message message;
    };
    LinkMacToViewerReportConnectedEX connected;
    connected.ServerVersionInfo = u"4.1.0.3930";
    LinkMacToViewerReportFunnelInfo funnel_info;
    funnel_info.nCubs = 0x0CB5E7E2;
    LinkMacToViewerReportOpenFile opened;
    opened.fileAttributes = LinkMacToViewerReportOpenFile::can_seek | LinkMacToViewerReportOpenFile::can_stride;
    opened.fileDuration = 6.0460000000000003;
    opened.fileBlocks = 7;
    opened.filePacketSize = 1200;
    opened.filePacketCount = 85;
    opened.fileBitRate = 92000;
    opened.fileHeaderSize = 809;
    LinkViewerToMacStreamSwitch streams;
    streams.aStreamEntries = {{.wDstStreamNumber = 1}, {.wDstStreamNumber = 2}};
    LinkViewerToMacStartPlaying start;
    start.padding = 0x0001FFFF;
    start.frameOffset = 0x00FFFFFF;
    LinkMacToViewerReportEndOfStream end;
    end.playIncarnation = 4;
    LinkMacToViewerReportDisconnectedFunnel disconnected;
    disconnected.hr = bytes::E_INVALIDARG;
    LinkViewerToMacFunnelInfo ask;
    ask.playIncarnation = 0x00F0F0F0;
    ask.extra = hex("0b000400");
    LinkViewerToMacReadBlock read;
    read.length = 0x00800000;
    LinkMacToViewerReportReadBlock reading;
    reading.playIncarnation = 2;
    LinkMacToViewerReportStartedPlaying started;
    started.playIncarnation = 4;
    const std::vector<Row> rows = {
        {"ReportConnectedEX",
         "01000000cefa0bb0680000004d4d53200d0000000000000000000000000000000b0000000100040000000000eff0f0f00b00"
         "04001c000300000000000000f03f010000000100000000800000809698000b00000000000000000000000000000034002e00"
         "31002e0030002e00330039003300300000000000",
         connected},
        {"ffmpeg's FunnelInfo, which names no known way",
         "01000000cefa0bb0200000004d4d5320040000000100000000000000000000000200000018000300f0f0f0000b000400", ask},
        {"ReportFunnelInfo",
         "01000000cefa0bb0400000004d4d532008000000010000000100000000000000060000001500040000000000eff0f0f00800"
         "00000100000000000100e2e7b50c00000000010000000000000000000000",
         funnel_info},
        {"ReportConnectedFunnel",
         "01000000cefa0bb0500000004d4d53200a000000020000000100000000000000080000000200040000000000000000000000"
         "0000460075006e006e0065006c0020004f0066002000540068006500200047006f00640073000000000000000000",
         LinkMacToViewerReportConnectedFunnel{}},
        {"ReportOpenFile",
         "01000000cefa0bb0880000004d4d5320110000000300000001000000000000000f0000000600040000000000010000000100"
         "0000000000000000000000008001ca76be9f1a2f18400700000000000000000000000000000000000000b004000055000000"
         "0000000060670100290300000000000000000000000000000000000000000000000000000000000000000000000000000000"
         "0000",
         opened},
        {"ReadBlock",
         "01000000cefa0bb0480000004d4d532009000000040000000000000000000000070000001500030001000000000000000000"
         "000000008000ffffffff000000000000000000000000000000000020ac400200000000000000",
         read},
        {"ReportReadBlock",
         "01000000cefa0bb0280000004d4d532005000000040000000100000000000000030000001100040000000000020000000000"
         "000000000000",
         reading},
        {"StreamSwitch",
         "01000000cefa0bb0280000004d4d532005000000050000000000000000000000030000003300030002000000ffff01000000"
         "ffff02000000",
         streams},
        {"ReportStreamSwitch",
         "01000000cefa0bb0200000004d4d53200400000005000000040000000000000002000000210004000000000000000000",
         LinkMacToViewerReportStreamSwitch{}},
        {"StartPlaying",
         "01000000cefa0bb0380000004d4d532007000000060000000000000000000000050000000700030001000000ffff01000000"
         "000000000000ffffffffffffffffffffff0004000000",
         start},
        {"ReportStartedPlaying",
         "01000000cefa0bb0380000004d4d532007000000060000000400000000000000050000000500040000000000040000000100"
         "00000000000000000000000000000000000000000000",
         started},
        {"ReportEndOfStream",
         "01000000cefa0bb0200000004d4d53200400000006000000ec05000000000000020000001e0004000000000004000000", end},
        {"Ping", "01000000cefa0bb0200000004d4d532004000000060000003501000000000000020000001b0004000000000000000000",
         LinkMacToViewerPing{}},
        {"Pong", "01000000cefa0bb0200000004d4d532004000000060000000000000000000000020000001b0003000000000000000000",
         LinkViewerToMacPong{}},
        {"ReportDisconnectedFunnel",
         "01000000cefa0bb0200000004d4d53200400000002000000010000000000000002000000030004005700078000000000",
         disconnected},
    };
    for (const auto& row : rows) {
        INFO(row.name);
        const auto packet = hex(row.packet);
        StreamSplitter splitter{StreamDirection::to_player};
        auto cut = splitter.feed(packet);
        REQUIRE(cut.items.size() == 1);
        const auto& item = std::get<MessagePacket>(cut.items[0]);
        REQUIRE(item.messages.size() == 1);
        const auto parsed = parse_message(item.messages[0]);
        REQUIRE(parsed.has_value());
        if (const auto* file = std::get_if<LinkMacToViewerReportOpenFile>(&*parsed)) {
            CHECK(file->fileDuration == Approx(6.046));
            auto same = *file;
            same.fileDuration = opened.fileDuration;
            CHECK(Message{same} == row.message);
        } else {
            CHECK(*parsed == row.message);
            CHECK(bytes::hex(serialise(row.message)) == bytes::hex(item.messages[0]));
        }
        CHECK(bytes::hex(item.serialise()) == row.packet);
        // The same packet as our own framer makes it.
        Framer framer;
        for (std::uint16_t i = 0; i < item.header.seq; ++i) framer.frame(serialise(row.message));
        CHECK(bytes::hex(framer.frame(item.messages[0], item.header.timeSent)) == row.packet);
    }
}

TEST_CASE("a message of an unknown MID is kept as it came", "[mms]") {
    const auto message = hex("02000000300003000102030405060708");
    const auto parsed = parse_message(message);
    REQUIRE(parsed.has_value());
    CHECK(mid(*parsed) == 0x00030030);
    CHECK(from_player(*parsed));
    CHECK(serialise(*parsed) == message);
}

TEST_CASE("the shortest answers that players accept are read", "[mms]") {
    const auto funnel = parse_message(hex("030000000200040000000000000000000000000000000000"));
    REQUIRE(funnel.has_value());
    CHECK(std::get<LinkMacToViewerReportConnectedFunnel>(*funnel).funnelName.empty());
    auto open = serialise(LinkMacToViewerReportOpenFile{});
    open.resize(80);
    open[0] = std::byte{10};
    const auto opened = parse_message(open);
    REQUIRE(opened.has_value());
    CHECK(std::get<LinkMacToViewerReportOpenFile>(*opened).openFileId == 1);
    const auto started = parse_message(hex("030000000500040000000000040000000100000000000000"));
    REQUIRE(started.has_value());
    CHECK(std::get<LinkMacToViewerReportStartedPlaying>(*started).playIncarnation == 4);
}

TEST_CASE("subscriberName", "[mms]") {
    struct Row {
        std::string name;
        std::u16string text;
        std::string product, version, host;
        bool guid;
    };
    const auto row = GENERATE(values<Row>({
        {"ffmpeg's", u"NSPlayer/7.0.0.1956; {7E667F5D-A661-495E-A512-F55686DDA178}; Host: 10.77.0.1", "NSPlayer",
         "7.0.0.1956", "10.77.0.1", true},
        {"VLC's, whose GUID is malformed", u"NSPlayer/7.0.0.1956; {0xbabac001-0x53cd-}; Host: h:1755", "NSPlayer",
         "7.0.0.1956", "h:1755", false},
        {"a distribution server's", u"Spooooon!", "Spooooon!", "", "", false},
        {"nothing", u"", "", "", "", false},
        {"nothing but separators", u";;; ;", "", "", "", false},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto name = SubscriberName::parse(row.text);
        CHECK(name.product == row.product);
        CHECK(name.version == row.version);
        CHECK(name.host == row.host);
        CHECK(name.guid.has_value() == row.guid);
    }
    const SubscriberName ours{"NSPlayer", "4.1.0.3928", bytes::Guid::named("x"), "media:1755"};
    const auto again = SubscriberName::parse(ours.text());
    CHECK(again.guid == ours.guid);
    CHECK(again.host == "media:1755");
}

TEST_CASE("funnelName", "[mms]") {
    CHECK(FunnelName::parse(u"\\\\10.77.0.2\\UDP\\2345") == FunnelName{"10.77.0.2", Transport::udp, 2345});
    CHECK(FunnelName::parse(u"\\\\192.168.0.129\\TCP\\1037") == FunnelName{"192.168.0.129", Transport::tcp, 1037});
    CHECK(FunnelName::parse(u"\\\\h\\udp\\65535") == FunnelName{"h", Transport::udp, 65535});
    CHECK(FunnelName::parse(FunnelName{"a", Transport::udp, 1024}.text()) == FunnelName{"a", Transport::udp, 1024});
    const auto bad =
        GENERATE(as<std::u16string>{}, u"", u"\\\\", u"\\\\10.0.0.1", u"\\\\10.0.0.1\\UDP", u"\\\\10.0.0.1\\UDP\\",
                 u"\\\\10.0.0.1\\UDP\\0", u"\\\\10.0.0.1\\UDP\\65536", u"\\\\10.0.0.1\\UDP\\12x",
                 u"\\\\10.0.0.1\\SCTP\\12", u"10.0.0.1\\UDP\\12", u"\\\\10.0.0.1\\UDP\\-1");
    CHECK_FALSE(FunnelName::parse(bad));
}

TEST_CASE("HRESULTs have their names", "[mms]") {
    CHECK(bytes::hresult_name(0xC00D001A) == "NS_E_FILE_NOT_FOUND");
    CHECK(bytes::hresult_name(0x12345678).empty());
    CHECK(bytes::hresult_text(0x80070005) == "E_ACCESSDENIED (0x80070005): access was denied");
    CHECK(bytes::hresult_text(0xC00D9999) == "0xC00D9999");
    CHECK(bytes::is_failure(0x80004005));
    CHECK_FALSE(bytes::is_failure(1));
}
