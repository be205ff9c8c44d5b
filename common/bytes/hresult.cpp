#include "common/bytes/hresult.hpp"

#include <algorithm>
#include <array>

namespace wmlab::bytes {
namespace {

struct Entry {
    std::uint32_t hr;
    std::string_view name, meaning;
};
constexpr std::array entries = {
    Entry{S_OK, "S_OK", "success"},
    Entry{S_FALSE, "S_FALSE", "success, more follows"},
    Entry{E_NOTIMPL, "E_NOTIMPL", "not offered by this server"},
    Entry{E_FAIL, "E_FAIL", "unspecified failure"},
    Entry{E_UNEXPECTED, "E_UNEXPECTED", "catastrophic failure"},
    Entry{E_PATH_NOT_FOUND, "ERROR_PATH_NOT_FOUND", "the path was not found"},
    Entry{E_ACCESSDENIED, "E_ACCESSDENIED", "access was denied"},
    Entry{E_OUTOFMEMORY, "E_OUTOFMEMORY", "out of memory"},
    Entry{E_INVALIDARG, "E_INVALIDARG", "an argument is invalid"},
    Entry{NS_E_NOFUNNEL, "NS_E_NOFUNNEL", "there is no data connection, or its transport is turned off"},
    Entry{NS_E_NETWORK_BUSY, "NS_E_NETWORK_BUSY", "the network is busy"},
    Entry{NS_E_TOO_MANY_SESS, "NS_E_TOO_MANY_SESS", "the server has too many sessions"},
    Entry{NS_E_PROTOCOL_MISMATCH, "NS_E_PROTOCOL_MISMATCH", "the protocol versions do not match"},
    Entry{NS_E_TIMEOUT, "NS_E_TIMEOUT", "the answer did not come in time"},
    Entry{NS_E_FILE_NOT_FOUND, "NS_E_FILE_NOT_FOUND", "the file was not found"},
    Entry{NS_E_CONNECTION_FAILURE, "NS_E_CONNECTION_FAILURE", "the connection failed"},
    Entry{NS_E_SHUTDOWN, "NS_E_SHUTDOWN", "the server is shutting down"},
    Entry{NS_E_INVALID_REQUEST, "NS_E_INVALID_REQUEST", "the request is invalid in the current state"},
    Entry{NS_E_INSUFFICIENT_BANDWIDTH, "NS_E_INSUFFICIENT_BANDWIDTH", "there is not enough bandwidth"},
    Entry{NS_E_INVALID_DATA, "NS_E_INVALID_DATA",
          "the data is invalid here, as packets that are larger than a datagram are over UDP (ffmpeg -packet_size 1400 writes smaller ones)"},
    Entry{NS_E_BAD_CONTROL_DATA, "NS_E_BAD_CONTROL_DATA", "control data is malformed"},
    Entry{NS_E_NO_STREAM, "NS_E_NO_STREAM", "there is no stream"},
    Entry{NS_E_MSBD_NO_LONGER_SUPPORTED, "NS_E_MSBD_NO_LONGER_SUPPORTED", "the server no longer speaks MSBD"},
    Entry{NS_E_STREAM_END, "NS_E_STREAM_END", "the stream has ended"},
};

const Entry* find(std::uint32_t hr) {
    const auto found =
        std::find_if(entries.begin(), entries.end(), [hr](const Entry& entry) { return entry.hr == hr; });
    return found == entries.end() ? nullptr : &*found;
}

}  // namespace

std::string_view hresult_name(std::uint32_t hr) {
    const auto* entry = find(hr);
    return entry ? entry->name : std::string_view{};
}

std::string hresult_text(std::uint32_t hr) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string number = "0x";
    for (int shift = 28; shift >= 0; shift -= 4) number.push_back(digits[hr >> shift & 15]);
    const auto* entry = find(hr);
    if (!entry) return number;
    return std::string{entry->name} + " (" + number + "): " + std::string{entry->meaning};
}

}  // namespace wmlab::bytes
