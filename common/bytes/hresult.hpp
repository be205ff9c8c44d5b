// HRESULTs that the protocols carry (MS-ERREF), in one place: values, names, and one line of meaning.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace wmlab::bytes {

enum : std::uint32_t {
    S_OK = 0x00000000,
    S_FALSE = 0x00000001,
    E_NOTIMPL = 0x80004001,
    E_FAIL = 0x80004005,
    E_UNEXPECTED = 0x8000FFFF,
    E_PATH_NOT_FOUND = 0x80070003,  // HRESULT_FROM_WIN32(ERROR_PATH_NOT_FOUND)
    E_ACCESSDENIED = 0x80070005,
    E_OUTOFMEMORY = 0x8007000E,
    E_INVALIDARG = 0x80070057,
    NS_E_NOFUNNEL = 0xC00D000C,
    NS_E_NETWORK_BUSY = 0xC00D000E,
    NS_E_TOO_MANY_SESS = 0xC00D000F,
    NS_E_PROTOCOL_MISMATCH = 0xC00D0012,
    NS_E_TIMEOUT = 0xC00D0013,
    NS_E_FILE_NOT_FOUND = 0xC00D001A,
    NS_E_CONNECTION_FAILURE = 0xC00D0029,
    NS_E_SHUTDOWN = 0xC00D002A,
    NS_E_INVALID_REQUEST = 0xC00D002B,
    NS_E_INSUFFICIENT_BANDWIDTH = 0xC00D002C,
    NS_E_INVALID_DATA = 0xC00D002F,
    NS_E_BAD_CONTROL_DATA = 0xC00D0032,
    NS_E_NO_STREAM = 0xC00D0033,
    NS_E_STREAM_END = 0xC00D0034,
    NS_E_MSBD_NO_LONGER_SUPPORTED = 0xC00D2EEC,
};

constexpr bool is_failure(std::uint32_t hr) { return (hr & 0x80000000) != 0; }

// "NS_E_FILE_NOT_FOUND"; empty for a value this table does not have.
std::string_view hresult_name(std::uint32_t hr);

// "NS_E_FILE_NOT_FOUND (0xC00D001A): the file was not found"; "0xC00D9999" for an unknown value.
std::string hresult_text(std::uint32_t hr);

}  // namespace wmlab::bytes
