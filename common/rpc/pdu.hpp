// Connection-oriented PDUs of DCE/RPC (C706 12.6, MS-RPCE 2.2.2). Both byte orders are read and written; a PDU's drep
// says which. An authentication trailer is recognised and taken off, never checked.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/rpc/ndr.hpp"

namespace wmlab::rpc {

enum class PduType : std::uint8_t {  // PTYPE; 0 to 3 mean the same in both protocols
    request = 0,
    ping = 1,
    response = 2,
    fault = 3,
    working = 4,
    nocall = 5,
    reject = 6,
    ack = 7,
    cl_cancel = 8,
    fack = 9,
    cancel_ack = 10,
    bind = 11,
    bind_ack = 12,
    bind_nak = 13,
    alter_context = 14,
    alter_context_resp = 15,
    auth3 = 16,
    shutdown = 17,
    co_cancel = 18,
    orphaned = 19
};
std::string pdu_name(PduType type);  // "alter_context"; unknown: "PTYPE 77"

namespace pfc {  // pfc_flags
inline constexpr std::uint8_t FIRST_FRAG = 0x01, LAST_FRAG = 0x02, PENDING_CANCEL = 0x04, CONC_MPX = 0x10,
                              DID_NOT_EXECUTE = 0x20, MAYBE = 0x40, OBJECT_UUID = 0x80;
}

struct PduHeader {
    static constexpr std::size_t size = 16;
    std::uint8_t rpc_vers_minor = 0;
    PduType PTYPE = PduType::request;
    std::uint8_t pfc_flags = pfc::FIRST_FRAG | pfc::LAST_FRAG;
    ByteOrder order = ByteOrder::little;
    std::uint16_t frag_length = 0, auth_length = 0;  // set when serialised
    std::uint32_t call_id = 0;
    bool operator==(const PduHeader&) const = default;

    static Parsed<PduHeader> parse(Bytes pdu);  // needs the first 16 bytes only
};

struct AuthTrailer {  // sec_trailer
    std::uint8_t auth_type = 0, auth_level = 0, auth_pad_length = 0;
    std::uint32_t auth_context_id = 0;
    Octets token;
    bool operator==(const AuthTrailer&) const = default;
};

struct ContextElement {  // p_cont_elem_t
    std::uint16_t p_cont_id = 0;
    SyntaxId abstract_syntax;
    std::vector<SyntaxId> transfer_syntaxes;
    bool operator==(const ContextElement&) const = default;
};

struct Bind {  // bind and alter_context
    std::uint16_t max_xmit_frag = 5840, max_recv_frag = 5840;
    std::uint32_t assoc_group_id = 0;  // 0: a new association
    std::vector<ContextElement> elements;
    bool operator==(const Bind&) const = default;
};

enum class ContextVerdict : std::uint16_t {
    acceptance = 0,
    user_rejection = 1,
    provider_rejection = 2,
    negotiate_ack = 3
};
enum class ContextReason : std::uint16_t {
    reason_not_specified = 0,
    abstract_syntax_not_supported = 1,
    proposed_transfer_syntaxes_not_supported = 2,
    local_limit_exceeded = 3
};
struct ContextResult {  // p_result_t
    ContextVerdict result = ContextVerdict::acceptance;
    ContextReason reason = ContextReason::reason_not_specified;  // negotiate_ack: the accepted features
    SyntaxId transfer_syntax;                                    // zero unless accepted
    bool operator==(const ContextResult&) const = default;
};
std::string text(const ContextResult& result);

struct BindAck {  // bind_ack and alter_context_resp
    std::uint16_t max_xmit_frag = 5840, max_recv_frag = 5840;
    std::uint32_t assoc_group_id = 0;
    std::string sec_addr;  // the port in decimal; empty in alter_context_resp
    std::vector<ContextResult> results;
    bool operator==(const BindAck&) const = default;
};

enum class BindNakReason : std::uint16_t {
    reason_not_specified = 0,
    temporary_congestion = 1,
    local_limit_exceeded = 2,
    protocol_version_not_supported = 4,
    authentication_type_not_recognized = 8,
    invalid_checksum = 9
};
std::string text(BindNakReason reason);
struct BindNak {
    BindNakReason reason = BindNakReason::reason_not_specified;
    bool operator==(const BindNak&) const = default;
};

struct Request {  // one fragment
    std::uint32_t alloc_hint = 0;
    std::uint16_t p_cont_id = 0, opnum = 0;
    std::optional<Guid> object;  // the IPID of an object call
    Octets stub;
    bool operator==(const Request&) const = default;
};

struct Response {  // one fragment
    std::uint32_t alloc_hint = 0;
    std::uint16_t p_cont_id = 0;
    std::uint8_t cancel_count = 0;
    Octets stub;
    bool operator==(const Response&) const = default;
};

struct Fault {
    std::uint32_t alloc_hint = 32;
    std::uint16_t p_cont_id = 0;
    std::uint8_t cancel_count = 0;
    std::uint32_t status = 0;
    bool operator==(const Fault&) const = default;
};

struct OtherBody {  // auth3, co_cancel, orphaned, shutdown, and types that do not belong on a connection
    Octets body;
    bool operator==(const OtherBody&) const = default;
};

struct Pdu {
    PduHeader header;
    std::variant<OtherBody, Bind, BindAck, BindNak, Request, Response, Fault> body;
    std::optional<AuthTrailer> auth;
    bool operator==(const Pdu&) const = default;

    static Parsed<Pdu> parse(Bytes pdu);  // exactly one PDU
    Octets serialise() const;             // fills frag_length and auth_length; the body must fit its PTYPE
};

// A call's stub cut into PDUs of at most max_frag bytes, one after the other; cuts are at multiples of 8 stub bytes.
Octets request_pdus(const Request& whole, std::uint32_t call_id, std::uint16_t max_frag,
                    ByteOrder order = ByteOrder::little);
Octets response_pdus(const Response& whole, std::uint32_t call_id, std::uint16_t max_frag);
Octets fault_pdu(std::uint32_t status, std::uint16_t p_cont_id, std::uint32_t call_id, bool did_not_execute);

}  // namespace wmlab::rpc
