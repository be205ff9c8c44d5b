// The names behind the numbers: interfaces with their operations, classes, transfer syntaxes and status codes.
// C706 appendices I and N, MS-DCOM 1.9, MS-RPCE 2.2.1; the SimWM identifiers are this simulator's own inventions.
#pragma once
#include <chrono>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/bytes/guid.hpp"

namespace wmlab::rpc {

using bytes::Guid;
using TimePoint = std::chrono::steady_clock::time_point;  // handed in by the embedder; nothing here reads a clock

struct SyntaxId {  // p_syntax_id_t: an interface or a transfer syntax with its version
    Guid uuid;
    std::uint16_t major = 0, minor = 0;
    auto operator<=>(const SyntaxId&) const = default;
};

inline constexpr std::uint16_t mapper_port = 135;

namespace interface {
extern const SyntaxId epm, mgmt, IObjectExporter, IActivation, IRemoteSCMActivator, IRemUnknown, IRemUnknown2, IUnknown,
    conv;
extern const SyntaxId ISimWMStation;  // object interface of every simulated process
extern const SyntaxId SimWMProcess;   // plain RPC interface each simulated process registers in the endpoint map
}  // namespace interface

namespace syntax {
extern const SyntaxId NDR, NDR64;
// Bind-time feature negotiation: the first eight octets are fixed, the rest is a bitmask (MS-RPCE 3.3.1.5.3).
bool is_feature_negotiation(const SyntaxId& transfer_syntax);
}  // namespace syntax

namespace guid {
extern const Guid CLSID_SimWMService;        // the media service: one process for all callers, never ends
extern const Guid CLSID_SimWMStation;        // an alias object: a process for each activation
extern const Guid CLSID_SimWMAdministrator;  // an administrator: a process for each activation
extern const Guid IID_IActivationPropertiesIn, IID_IActivationPropertiesOut;
extern const Guid CLSID_ActivationPropertiesIn, CLSID_ActivationPropertiesOut;
extern const Guid CLSID_InstantiationInfo, CLSID_ActivationContextInfo, CLSID_ServerLocationInfo, CLSID_ScmRequestInfo,
    CLSID_ScmReplyInfo;
}  // namespace guid

// Protocol identifiers of towers and string bindings (C706 appendix I).
namespace protseq {
inline constexpr std::uint8_t ncacn_ip_tcp = 0x07, ncadg_ip_udp = 0x08, ip = 0x09, connectionless = 0x0A,
                              connection_oriented = 0x0B;
}

namespace status {
inline constexpr std::uint32_t nca_op_rng_error = 0x1C010002, nca_unk_if = 0x1C010003, nca_wrong_boot_time = 0x1C010006,
                               nca_proto_error = 0x1C01000B, nca_out_args_too_big = 0x1C010013,
                               nca_server_too_busy = 0x1C010014, nca_invalid_pres_context_id = 0x1C00001C,
                               nca_fault_cancel = 0x1C00000D;
inline constexpr std::uint32_t RPC_X_BAD_STUB_DATA = 0x000006F7, ERROR_ACCESS_DENIED = 5;
inline constexpr std::uint32_t ept_s_not_registered = 0x16C9A0D6;
inline constexpr std::uint32_t OR_INVALID_OXID = 0x776, OR_INVALID_OID = 0x777, OR_INVALID_SET = 0x778;
inline constexpr std::uint32_t REGDB_E_CLASSNOTREG = 0x80040154, E_NOINTERFACE = 0x80004002, E_INVALIDARG = 0x80070057,
                               CO_E_OBJNOTREG = 0x800401FB;
inline constexpr std::uint32_t RPC_E_VERSION_MISMATCH = 0x80010110, RPC_E_DISCONNECTED = 0x80010108,
                               RPC_E_INVALID_HEADER = 0x80010111, RPC_E_INVALID_OBJREF = 0x8001011D;
inline constexpr std::uint32_t RPC_S_SERVER_UNAVAILABLE = 0x800706BA;  // as HRESULTs
inline constexpr std::uint32_t RPC_S_OUT_OF_RESOURCES = 0x800706B9;    // 1721: no dynamic port is left
inline constexpr std::uint32_t RPC_S_CALL_FAILED = 0x800706BE;
}  // namespace status

std::string status_text(std::uint32_t status);  // "0x1C010003 nca_unk_if"
std::string interface_name(const Guid& uuid);   // "IObjectExporter"; unknown: the UUID
std::string operation_name(const Guid& interface_uuid,
                           std::uint16_t operation);  // "ept_map"; unknown: "epm operation 9"

}  // namespace wmlab::rpc
