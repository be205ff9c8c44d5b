#include "common/mms/logging.hpp"

#include "common/mms/message_io.hpp"

namespace wmlab::mms {
namespace {

std::string text(MessageReader& in, std::size_t size, std::string_view field) {
    const auto bytes = in.raw(size, field);
    const auto end = std::find(bytes.begin(), bytes.end(), std::byte{0});
    std::string value;
    for (auto at = bytes.begin(); at != end; ++at) value.push_back(static_cast<char>(*at));
    return value;
}

void put(MessageWriter& out, std::string_view value, std::size_t size) {
    value = value.substr(0, size - 1);
    out.raw(value);
    out.zeros(size - value.size());
}

CLIENT_LOG_INFO read_info(MessageReader& in) {
    CLIENT_LOG_INFO info;
    in.check(in.u32("cbSize") == CLIENT_LOG_INFO::cbSize, "is not 1142");
    info.szURL = text(in, 260, "szURL");
    info.szChannelURL = text(in, 260, "szChannelURL");
    info.szUserAgent = text(in, 64, "szUserAgent");
    info.szHostingWebPage = text(in, 260, "szHostingWebPage");
    info.qwClientVersion = in.u64("qwClientVersion");
    info.szLang = text(in, 16, "szLang");
    info.szUniquePID = text(in, 40, "szUniquePID");
    info.szHostExe = text(in, 32, "szHostExe");
    info.qwHostExeVer = in.u64("qwHostExeVer");
    info.msFileDuration = in.u32("msFileDuration");
    info.qwFileSize = in.u64("qwFileSize");
    info.dwAvgBandwidthBps = in.u32("dwAvgBandwidthBps");
    info.szAudioCodec = text(in, 64, "szAudioCodec");
    info.szVideoCodec = text(in, 64, "szVideoCodec");
    info.msStartTime = in.u32("msStartTime");
    info.msPlayed = in.u32("msPlayed");
    info.rate = static_cast<std::int16_t>(in.u16("rate"));
    info.dwBufferingCount = in.u32("dwBufferingCount");
    info.msBufferingTime = in.u32("msBufferingTime");
    info.qwBytesReceived = in.u64("qwBytesReceived");
    info.dwPacketsReceived = in.u32("dwPacketsReceived");
    info.dwPacketsLostClient = in.u32("dwPacketsLostClient");
    info.dwPacketsRecoveredECC = in.u32("dwPacketsRecoveredECC");
    info.dwMinReceptionQuality = in.u32("dwMinReceptionQuality");
    info.hr = in.u32("hr");
    return info;
}

void write_info(MessageWriter& out, const CLIENT_LOG_INFO& info) {
    out.u32(CLIENT_LOG_INFO::cbSize);
    put(out, info.szURL, 260);
    put(out, info.szChannelURL, 260);
    put(out, info.szUserAgent, 64);
    put(out, info.szHostingWebPage, 260);
    out.u64(info.qwClientVersion);
    put(out, info.szLang, 16);
    put(out, info.szUniquePID, 40);
    put(out, info.szHostExe, 32);
    out.u64(info.qwHostExeVer);
    out.u32(info.msFileDuration);
    out.u64(info.qwFileSize);
    out.u32(info.dwAvgBandwidthBps);
    put(out, info.szAudioCodec, 64);
    put(out, info.szVideoCodec, 64);
    out.u32(info.msStartTime);
    out.u32(info.msPlayed);
    out.u16(static_cast<std::uint16_t>(info.rate));
    out.u32(info.dwBufferingCount);
    out.u32(info.msBufferingTime);
    out.u64(info.qwBytesReceived);
    out.u32(info.dwPacketsReceived);
    out.u32(info.dwPacketsLostClient);
    out.u32(info.dwPacketsRecoveredECC);
    out.u32(info.dwMinReceptionQuality);
    out.u32(info.hr);
}

}  // namespace

bytes::Parsed<LinkViewerToMacLogging> LinkViewerToMacLogging::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkViewerToMacLogging logging;
    auto& log = logging.log;
    in.check(in.u32("cbSize") == CLIENT_LOG::cbSize, "is not 1490");
    log.info = read_info(in);
    log.dwSourceId = in.u32("dwSourceId");
    log.dwIPAddress = in.u32("dwIPAddress");
    log.szComputerDNS = text(in, 260, "szComputerDNS");
    log.szOS = text(in, 16, "szOS");
    log.qwOSVersion = in.u64("qwOSVersion");
    log.szCPU = text(in, 16, "szCPU");
    log.szProto = text(in, 8, "szProto");
    log.szTransport = text(in, 8, "szTransport");
    log.dwPacketsLostNet = in.u32("dwPacketsLostNet");
    log.dwPacketsLostContNet = in.u32("dwPacketsLostContNet");
    log.dwResendRequests = in.u32("dwResendRequests");
    log.dwPacketsRecoveredResent = in.u32("dwPacketsRecoveredResent");
    log.dwPacketsResent = in.u32("dwPacketsResent");
    return in.complete(std::move(logging));
}

std::vector<std::byte> LinkViewerToMacLogging::serialise() const {
    MessageWriter out{MID};
    out.u32(CLIENT_LOG::cbSize);
    write_info(out, log.info);
    out.u32(log.dwSourceId);
    out.u32(log.dwIPAddress);
    put(out, log.szComputerDNS, 260);
    put(out, log.szOS, 16);
    out.u64(log.qwOSVersion);
    put(out, log.szCPU, 16);
    put(out, log.szProto, 8);
    put(out, log.szTransport, 8);
    out.u32(log.dwPacketsLostNet);
    out.u32(log.dwPacketsLostContNet);
    out.u32(log.dwResendRequests);
    out.u32(log.dwPacketsRecoveredResent);
    out.u32(log.dwPacketsResent);
    return out.complete(extra);
}

}  // namespace wmlab::mms
