// One of every MSBD message, with values unlike the defaults.
#pragma once
#include <vector>

#include "common/bytes/hex.hpp"
#include "common/bytes/hresult.hpp"
#include "common/msbd/message.hpp"

namespace wmlab::msbd::test {

inline StreamInfo stream(std::uint16_t number = 3) {
    StreamInfo stream;
    stream.wStreamId = number;
    stream.cbPacketSize = 800;
    stream.cTotalPackets = 77;
    stream.dwBitRate = 0x12345;
    stream.msDuration = 60000;
    stream.title = "title";
    stream.description = "a description";
    stream.link = "msbd://10.20.0.11";
    stream.header.assign(544, static_cast<std::byte>(number));
    return stream;
}

inline std::vector<Message> samples() {
    MSB_MSG_REQ_CONNECT connect;
    connect.dwFlags = MSB_MSG_REQ_CONNECT::multicast;
    connect.szChannel = u"lecture";
    MSB_MSG_RES_CONNECT connected;
    connected.dwFlags = MSB_MSG_RES_CONNECT::header_in_nsc;
    connected.sin_family = MSB_MSG_RES_CONNECT::family_multicast;
    connected.sin_port = 7000;
    connected.sin_addr = 0xEFC00109;
    MSB_MSG_RES_STREAMINFO none;
    none.hr = bytes::NS_E_NO_STREAM;
    return {MSB_MSG_REQ_PING{},
            MSB_MSG_RES_PING{0x20000001},
            MSB_MSG_REQ_STREAMINFO{},
            MSB_MSG_RES_STREAMINFO{0, stream(0x8001)},
            none,
            MSB_MSG_IND_STREAMINFO{0, stream()},
            MSB_MSG_IND_STREAMINFO::empty(),
            connect,
            connected,
            MSB_MSG_IND_EOS{},
            MSB_MSG_IND_PACKET{0, 0xFFFFFFFF, 3, std::vector<std::byte>(33, std::byte{0x82})},
            MSB_MSG_IND_PACKET{0, 1, 3, {}},
            UnknownMessage{0x0006, 0, bytes::from_hex("010203").value()},
            UnknownMessage{0xFFFF, 0, {}}};
}

}  // namespace wmlab::msbd::test
