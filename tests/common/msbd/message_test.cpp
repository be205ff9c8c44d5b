// Every MSBD message both ways, byte for byte, and what damage does.
#include "common/msbd/message.hpp"

#include <algorithm>

#include "common/bytes/hex.hpp"
#include "common/bytes/hresult.hpp"
#include "tests/catch.hpp"
#include "tests/common/msbd/samples.hpp"

using namespace wmlab;
using namespace wmlab::msbd;

namespace {

std::vector<std::byte> hex(std::string_view text) { return bytes::from_hex(text).value(); }

}  // namespace

TEST_CASE("worked examples decode and encode to the same bytes", "[msbd]") {
    struct Row {
        std::string name, wire;
        Message message;
    };
    const std::string zeros20(40, '0'), zeros32(64, '0');
    MSB_MSG_REQ_CONNECT multicast;
    multicast.dwFlags = MSB_MSG_REQ_CONNECT::multicast;
    MSB_MSG_RES_CONNECT granted;
    granted.sin_family = 2;
    granted.sin_port = 7000;
    granted.sin_addr = 0xEFC00109;
    MSB_MSG_RES_CONNECT not_found, invalid;
    not_found.hr = bytes::NS_E_FILE_NOT_FOUND;
    invalid.hr = bytes::E_INVALIDARG;
    MSB_MSG_IND_STREAMINFO info;
    info.stream.cbPacketSize = 1000;
    info.stream.dwBitRate = 64000;
    info.stream.title = "news";
    info.stream.header = hex("aaaaaaaaaaaa");
    const std::vector<Row> rows = {
        {"REQ_CONNECT unicast", "4d534220 0601 0700 22000000 00000000 01000000 4e006500740053006800 6f007700",
         MSB_MSG_REQ_CONNECT{}},
        {"REQ_CONNECT multicast", "4d534220 0601 0700 22000000 00000000 02000000 4e006500740053006800 6f007700",
         multicast},
        {"RES_CONNECT accepted, unicast", "4d534220 0601 0800 24000000 00000000" + zeros20, MSB_MSG_RES_CONNECT{}},
        {"RES_CONNECT accepted, multicast",
         "4d534220 0601 0800 24000000 00000000 00000000 0200 1b58 efc00109 0000000000000000", granted},
        {"RES_CONNECT refused, not found", "4d534220 0601 0800 24000000 1a000dc0" + zeros20, not_found},
        {"RES_CONNECT refused, invalid", "4d534220 0601 0800 24000000 57000780" + zeros20, invalid},
        {"IND_STREAMINFO",
         "4d534220 0601 0500 3a000000 00000000 0100e803 00000000 00fa0000 ffffffff 04000000 00000000 00000000 06000000 "
         "6e657773 aaaaaaaaaaaa",
         info},
        {"IND_STREAMINFO, empty", "4d534220 0601 0500 30000000 33000dc0" + zeros32, MSB_MSG_IND_STREAMINFO::empty()},
        {"IND_PACKET", "4d534220 0601 0a00 20000000 00000000 00000000 0100 1000 8200005d 01020304",
         MSB_MSG_IND_PACKET{0, 0, 1, hex("8200005d01020304")}},
        {"REQ_STREAMINFO", "4d534220 0601 0300 10000000 00000000", MSB_MSG_REQ_STREAMINFO{}},
        {"REQ_PING", "4d534220 0601 0100 10000000 00000000", MSB_MSG_REQ_PING{}},
        {"RES_PING", "4d534220 0601 0200 10000000 00000000", MSB_MSG_RES_PING{}},
        {"IND_EOS", "4d534220 0601 0900 10000000 00000000", MSB_MSG_IND_EOS{}},
    };
    for (const auto& row : rows) {
        INFO(row.name);
        const auto wire = hex(row.wire);
        const auto parsed = parse_message(wire);
        REQUIRE(parsed.has_value());
        CHECK(*parsed == row.message);
        CHECK(bytes::hex(serialise(row.message)) == bytes::hex(wire));
    }
    CHECK(bytes::hex(packet_message(0, 1, hex("8200005d01020304"))) == bytes::hex(hex(rows[8].wire)));
}

TEST_CASE("what a message writes it reads", "[msbd]") {
    const auto samples = test::samples();
    std::vector<bool> sampled(std::variant_size_v<Message>);
    for (const auto& message : samples) {
        INFO(name(message));
        sampled[message.index()] = true;
        const auto wire = serialise(message);
        const auto parsed = parse_message(wire);
        REQUIRE(parsed.has_value());
        CHECK(*parsed == message);
        CHECK(serialise(*parsed) == wire);
        CHECK(result(*parsed) == result(message));
        telling_fields(*parsed);
    }
    CHECK(std::count(sampled.begin(), sampled.end(), true) == static_cast<std::ptrdiff_t>(sampled.size()));
}

TEST_CASE("every shorter prefix and every changed byte of every message is read or refused, no more", "[msbd]") {
    for (const auto& message : test::samples()) {
        const auto whole = serialise(message);
        for (std::size_t size = 0; size < whole.size(); ++size) {
            std::vector<std::byte> prefix{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)};
            CHECK(parse_message(prefix).has_error());  // cbMessage says more
            if (size < 12) continue;
            prefix[8] = static_cast<std::byte>(size & 0xFF);
            prefix[9] = static_cast<std::byte>(size >> 8);
            const auto again = parse_message(prefix);
            if (again.has_value()) CHECK(parse_message(serialise(*again)).has_value());
        }
        auto changed = whole;
        for (std::size_t at = 0; at < whole.size(); ++at) {
            for (const unsigned change : {0x01U, 0x80U, 0xFFU}) {
                changed[at] = whole[at] ^ static_cast<std::byte>(change);
                const auto parsed = parse_message(changed);
                if (parsed.has_value()) CHECK(parse_message(serialise(*parsed)).has_value());
            }
            changed[at] = whole[at];
        }
    }
}

TEST_CASE("a damaged message names its field and offset", "[msbd]") {
    struct Row {
        std::string name, wire, field;
        std::size_t offset;
    };
    const auto row = GENERATE(values<Row>({
        {"nothing", "", "dwSignature", 0},
        {"another signature", "4d534221 0601 0100 10000000 00000000", "dwSignature", 0},
        {"another major version", "4d534220 0602 0100 10000000 00000000", "wVersion", 4},
        {"a length below the header's", "4d534220 0601 0100 0f000000 00000000", "cbMessage", 8},
        {"a length above 65535", "4d534220 0601 0100 00000100 00000000", "cbMessage", 8},
        {"a length that is not the message's", "4d534220 0601 0100 11000000 00000000", "cbMessage", 8},
        {"REQ_CONNECT without flags", "4d534220 0601 0700 12000000 00000000 0100", "dwFlags", 16},
        {"REQ_CONNECT with flags of no meaning", "4d534220 0601 0700 14000000 00000000 03000000", "dwFlags", 16},
        {"REQ_CONNECT with an odd channel", "4d534220 0601 0700 17000000 00000000 01000000 4e0065", "szChannel", 20},
        {"RES_CONNECT too short", "4d534220 0601 0800 20000000 00000000 00000000 00000000 00000000 00000000",
         "sin_zero", 28},
        {"IND_PACKET whose wPacketSize is too small", "4d534220 0601 0a00 18000000 00000000 00000000 0100 0700",
         "wPacketSize", 22},
        {"IND_PACKET whose wPacketSize is too large", "4d534220 0601 0a00 19000000 00000000 00000000 0100 0a00 00",
         "wPacketSize", 22},
        {"IND_PACKET cut off", "4d534220 0601 0a00 16000000 00000000 00000000 0100", "wPacketSize", 22},
        {"IND_STREAMINFO of a stream number out of range",
         "4d534220 0601 0500 30000000 00000000 0008e803 00000000 00fa0000 ffffffff 00000000 00000000 00000000 00000000",
         "wStreamId", 16},
        {"IND_STREAMINFO whose lengths add up to more",
         "4d534220 0601 0500 30000000 00000000 0100e803 00000000 00fa0000 ffffffff 00000000 00000000 00000000 01000000",
         "cbHeader", 44},
        {"IND_STREAMINFO whose lengths add up only in 32 bits",
         "4d534220 0601 0500 30000000 00000000 0100e803 00000000 00fa0000 ffffffff 00000080 00000080 00000000 00000000",
         "cbHeader", 44},
        {"IND_STREAMINFO without a body", "4d534220 0601 0500 10000000 00000000", "wStreamId", 16},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto parsed = parse_message(hex(row.wire));
        REQUIRE(parsed.has_error());
        CHECK(parsed.error().field == row.field);
        CHECK(parsed.error().offset == row.offset);
    }
}

TEST_CASE("what is read although it is unusual", "[msbd]") {
    struct Row {
        std::string name, wire;
        Message message;
    };
    const std::string zeros20(40, '0');
    const auto row = GENERATE_COPY(values<Row>({
        {"an empty IND_STREAMINFO of 16 octets", "4d534220 0601 0500 10000000 33000dc0",
         MSB_MSG_IND_STREAMINFO::empty()},
        {"an empty IND_STREAMINFO with rubbish for a body",
         "4d534220 0601 0500 30000000 33000dc0 ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff",
         MSB_MSG_IND_STREAMINFO::empty()},
        {"a minor version of its own", "4d534220 0701 0100 10000000 00000000", MSB_MSG_REQ_PING{}},
        {"RES_CONNECT with a tail", "4d534220 0601 0800 26000000 00000000" + zeros20 + "0102", MSB_MSG_RES_CONNECT{}},
        {"a channel with its terminator",
         "4d534220 0601 0700 24000000 00000000 01000000 4e006500740053006800 6f007700 0000", MSB_MSG_REQ_CONNECT{}},
        {"a ping with a body", "4d534220 0601 0100 14000000 00000000 00000000", MSB_MSG_REQ_PING{}},
        {"id 6, which is nobody's", "4d534220 0601 0600 12000000 00000000 0102", UnknownMessage{6, 0, hex("0102")}},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto parsed = parse_message(hex(row.wire));
        REQUIRE(parsed.has_value());
        CHECK(*parsed == row.message);
    }
}

TEST_CASE("messages come out of the stream whole, however it is cut", "[msbd]") {
    std::vector<std::byte> stream;
    std::vector<std::vector<std::byte>> messages;
    for (const auto& message : test::samples()) messages.push_back(serialise(message));
    messages.push_back(packet_message(9, 1, std::vector<std::byte>(MSB_MSG_IND_PACKET::payload_max)));
    for (const auto& message : messages) stream.insert(stream.end(), message.begin(), message.end());
    for (const std::size_t step :
         {std::size_t{1} << 20, std::size_t{1}, std::size_t{3}, std::size_t{17}, std::size_t{1460}}) {
        MessageSplitter splitter;
        std::vector<std::vector<std::byte>> cut;
        for (std::size_t at = 0; at < stream.size(); at += step) {
            auto result = splitter.feed(bytes::Bytes{stream}.subspan(at, std::min(step, stream.size() - at)));
            REQUIRE_FALSE(result.error);
            CHECK(splitter.buffered() < MSBMSGBASE::message_size_max);
            for (auto& message : result.messages) cut.push_back(std::move(message));
        }
        CHECK(cut == messages);
        CHECK(splitter.buffered() == 0);
    }
}

TEST_CASE("a stream at fault is noticed as soon as the field is there", "[msbd]") {
    struct Row {
        std::string name, wire, field;
        std::size_t octets;  // enough to tell
    };
    const auto row = GENERATE(values<Row>({
        {"HTTP", "47455420", "dwSignature", 4},
        {"a major version", "4d534220 0602", "wVersion", 6},
        {"a length too small", "4d534220 0601 0100 0f000000", "cbMessage", 12},
        {"a length too large", "4d534220 0601 0100 ffffffff", "cbMessage", 12},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto wire = hex(row.wire);
        MessageSplitter splitter;
        CHECK(splitter.feed(hex("4d534220060101001000000000000000")).messages.size() == 1);
        for (std::size_t at = 0; at < wire.size(); ++at) {
            const auto result = splitter.feed(bytes::Bytes{wire}.subspan(at, 1));
            REQUIRE(result.error.has_value() == (at + 1 == row.octets));
            if (result.error) CHECK(result.error->field == row.field);
        }
        CHECK(splitter.failed());
        CHECK(splitter.feed(hex("4d534220060101001000000000000000")).messages.empty());
    }
}

TEST_CASE("what a sender must not send is told beforehand", "[msbd]") {
    StreamInfo stream;
    CHECK_FALSE(problem(stream));
    stream.header.resize(StreamInfo::binary_size_max);
    CHECK_FALSE(problem(stream));
    CHECK(serialise(MSB_MSG_IND_STREAMINFO{0, stream}).size() == 65535);
    stream.title = "x";
    CHECK(problem(stream));
    stream.title.clear();
    stream.wStreamId = 0x800;
    CHECK(problem(stream));
    stream.wStreamId = 0x87FF;
    CHECK_FALSE(problem(stream));
    stream.cbPacketSize = 0xFFF7;
    CHECK(problem(stream));
}
