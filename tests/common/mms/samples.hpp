// One of every message, most with values unlike the defaults.
#pragma once
#include <vector>

#include "common/bytes/hex.hpp"
#include "common/mms/message.hpp"

namespace wmlab::mms::test {

inline std::vector<Message> samples() {
    std::vector<Message> all;
    LinkViewerToMacConnect connect;
    connect.playIncarnation = MMS_USE_PACKET_PAIR;
    connect.subscriberName = u"NSPlayer/4.1.0.3928; {7E667F5D-A661-495E-A512-F55686DDA178}; Host: media";
    all.push_back(connect);
    LinkViewerToMacConnectFunnel funnel;
    funnel.funnelName = u"\\\\10.20.0.10\\UDP\\2345";
    all.push_back(funnel);
    LinkViewerToMacOpenFile open;
    open.fileName = u"a/b c.wmv";
    all.push_back(open);
    open.tokenData = bytes::from_hex("00010203040506").value();
    all.push_back(open);
    LinkViewerToMacStartPlaying start;
    start.position = 12.5;
    all.push_back(start);
    start.position = position_unused;
    start.locationId = 77;
    start.frameOffset = 0x80001000;
    start.acceleration = Acceleration{1000000, 5000, 2000000};
    all.push_back(start);
    all.push_back(LinkViewerToMacStopPlaying{1, 9, {}});
    all.push_back(LinkViewerToMacCloseFile{1, 1, {}});
    LinkViewerToMacReadBlock read;
    read.tEarliest = 0.5;
    read.playIncarnation = 0x102;
    all.push_back(read);
    all.push_back(LinkViewerToMacFunnelInfo{MMS_PACKET_PAIR_UDP_HIGH_ENTROPY, {}});
    LinkViewerToMacSecurityResponse response;
    response.cookie = 5;
    response.pToken = bytes::from_hex("757365723a7061737300").value();
    all.push_back(response);
    all.push_back(LinkViewerToMacPong{1, 0x0100FFFF, {}});
    all.push_back(LinkViewerToMacCancelReadBlock{3, {}});
    LinkViewerToMacStartStriding striding;
    striding.rate = -5;
    all.push_back(striding);
    LinkViewerToMacLogging logging;
    logging.log.info.szURL = "mms://media/lecture";
    logging.log.info.rate = -2;
    logging.log.info.qwBytesReceived = 0x123456789;
    logging.log.szTransport = "UDP";
    logging.log.dwResendRequests = 12;
    all.push_back(logging);
    LinkViewerToMacStreamSwitch streams;
    streams.aStreamEntries = {{0xFFFF, 1, 0}, {0xFFFF, 2, 2}, {1, 3, 1}};
    all.push_back(streams);

    LinkMacToViewerReportConnectedEX connected;
    connected.playIncarnation = MMS_USE_PACKET_PAIR;
    connected.ServerVersionInfo = u"4.1.0.3930";
    connected.VersionUrl = u"http://update/";
    connected.AuthenPackage = u"NTLM";
    all.push_back(connected);
    LinkMacToViewerReportConnectedFunnel connected_funnel;
    all.push_back(connected_funnel);
    all.push_back(LinkMacToViewerReportDisconnectedFunnel{0x80070057, 0, {}});
    LinkMacToViewerReportStartedPlaying started;
    started.playIncarnation = 4;
    all.push_back(started);
    LinkMacToViewerReportOpenFile opened;
    opened.fileAttributes = 0x01800000;
    opened.fileDuration = 6.046;
    opened.filePacketSize = 1200;
    opened.filePacketCount = 85;
    opened.fileBitRate = 160352;
    opened.fileHeaderSize = 809;
    all.push_back(opened);
    all.push_back(LinkMacToViewerReportStartStriding{0, 4, 0, {}});
    all.push_back(LinkMacToViewerReportReadBlock{0, 2, 0, {}});
    LinkMacToViewerReportFunnelInfo info;
    info.nCubs = 0x0CB5E7E2;
    all.push_back(info);
    info.playIncarnation = MMS_PACKET_PAIR_TCP_HIGH_ENTROPY;
    info.packet_pair.assign(432, std::byte{0x5A});
    all.push_back(info);
    LinkMacToViewerSecurityChallenge challenge;
    challenge.cookie = 5;
    challenge.pToken = bytes::from_hex("4e544c4d").value();
    all.push_back(challenge);
    all.push_back(LinkMacToViewerPing{});
    all.push_back(LinkMacToViewerReportEndOfStream{1, 4, {}});
    LinkMacToViewerReportStreamChange change;
    change.cbPacketSize = 1200;
    change.cbHeaderSize = 809;
    change.dwBitRate = 64000;
    all.push_back(change);
    all.push_back(LinkMacToViewerReportStreamSwitch{0, {}});
    LinkMacToViewerReportRedirect redirect;
    redirect.wszLocation = u"mmst://edge/lecture";
    all.push_back(redirect);
    all.push_back(UnknownMessage{0x00030030, bytes::from_hex("0102030405060708").value()});
    return all;
}

}  // namespace wmlab::mms::test
