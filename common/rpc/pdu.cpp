#include "common/rpc/pdu.hpp"

#include <algorithm>
#include <array>
#include <cassert>

namespace wmlab::rpc {
namespace {

constexpr std::size_t auth_trailer_size = 8;

constexpr std::array<std::string_view, 20> pdu_names{
    "request",   "ping",     "response",   "fault",   "working",  "nocall",   "reject",        "ack",
    "cl_cancel", "fack",     "cancel_ack", "bind",    "bind_ack", "bind_nak", "alter_context", "alter_context_resp",
    "auth3",     "shutdown", "co_cancel",  "orphaned"};

Octets copy(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

Bind read_bind(NdrReader& in) {
    Bind bind;
    bind.max_xmit_frag = in.u16("max_xmit_frag");
    bind.max_recv_frag = in.u16("max_recv_frag");
    bind.assoc_group_id = in.u32("assoc_group_id");
    const auto elements = in.u8("n_context_elem");
    in.raw(3, "reserved");
    in.check(elements > 0, "offers no presentation context");
    for (unsigned i = 0; i < elements && !in.failed(); ++i) {
        ContextElement element;
        element.p_cont_id = in.u16("p_cont_id");
        const auto syntaxes = in.u8("n_transfer_syn");
        in.raw(1, "reserved");
        element.abstract_syntax = in.syntax("abstract_syntax");
        for (unsigned j = 0; j < syntaxes && !in.failed(); ++j)
            element.transfer_syntaxes.push_back(in.syntax("transfer_syntax"));
        bind.elements.push_back(std::move(element));
    }
    return bind;
}

void write(NdrWriter& out, const Bind& bind) {
    assert(bind.elements.size() <= 255);
    out.u16(bind.max_xmit_frag);
    out.u16(bind.max_recv_frag);
    out.u32(bind.assoc_group_id);
    out.u8(static_cast<std::uint8_t>(bind.elements.size()));
    out.zeros(3);
    for (const auto& element : bind.elements) {
        out.u16(element.p_cont_id);
        out.u8(static_cast<std::uint8_t>(element.transfer_syntaxes.size()));
        out.u8(0);
        out.syntax(element.abstract_syntax);
        for (const auto& transfer : element.transfer_syntaxes) out.syntax(transfer);
    }
}

BindAck read_bind_ack(NdrReader& in) {
    BindAck ack;
    ack.max_xmit_frag = in.u16("max_xmit_frag");
    ack.max_recv_frag = in.u16("max_recv_frag");
    ack.assoc_group_id = in.u32("assoc_group_id");
    const auto address = in.raw(in.u16("sec_addr_len"), "sec_addr");
    for (const auto octet : address) {
        if (octet == std::byte{0}) break;
        ack.sec_addr.push_back(static_cast<char>(octet));
    }
    in.align(4);
    const auto results = in.u8("n_results");
    in.raw(3, "reserved");
    for (unsigned i = 0; i < results && !in.failed(); ++i) {
        ContextResult result;
        const auto verdict = in.u16("result");
        in.check(verdict <= 3, "is no result of a presentation context");
        result.result = static_cast<ContextVerdict>(verdict);
        result.reason = static_cast<ContextReason>(in.u16("reason"));
        result.transfer_syntax = in.syntax("transfer_syntax");
        ack.results.push_back(result);
    }
    return ack;
}

void write(NdrWriter& out, const BindAck& ack) {
    assert(ack.results.size() <= 255);
    out.u16(ack.max_xmit_frag);
    out.u16(ack.max_recv_frag);
    out.u32(ack.assoc_group_id);
    out.u16(static_cast<std::uint16_t>(ack.sec_addr.empty() ? 0 : ack.sec_addr.size() + 1));
    for (const char character : ack.sec_addr) out.u8(static_cast<std::uint8_t>(character));
    if (!ack.sec_addr.empty()) out.u8(0);
    out.align(4);
    out.u8(static_cast<std::uint8_t>(ack.results.size()));
    out.zeros(3);
    for (const auto& result : ack.results) {
        out.u16(static_cast<std::uint16_t>(result.result));
        out.u16(static_cast<std::uint16_t>(result.reason));
        out.syntax(result.transfer_syntax);
    }
}

BindNak read_bind_nak(NdrReader& in) { return {static_cast<BindNakReason>(in.u16("provider_reject_reason"))}; }

void write(NdrWriter& out, const BindNak& nak) {
    out.u16(static_cast<std::uint16_t>(nak.reason));
    out.u8(1);  // one version is supported: 5.0
    out.u8(5);
    out.u8(0);
    out.zeros(3);
}

Request read_request(NdrReader& in, std::uint8_t flags) {
    Request request;
    request.alloc_hint = in.u32("alloc_hint");
    request.p_cont_id = in.u16("p_cont_id");
    request.opnum = in.u16("opnum");
    if (flags & pfc::OBJECT_UUID) request.object = in.guid("object");
    request.stub = copy(in.rest());
    return request;
}

void write(NdrWriter& out, const Request& request) {
    out.u32(request.alloc_hint);
    out.u16(request.p_cont_id);
    out.u16(request.opnum);
    if (request.object) out.guid(*request.object);
    out.raw(request.stub);
}

Response read_response(NdrReader& in) {
    Response response;
    response.alloc_hint = in.u32("alloc_hint");
    response.p_cont_id = in.u16("p_cont_id");
    response.cancel_count = in.u8("cancel_count");
    in.raw(1, "reserved");
    response.stub = copy(in.rest());
    return response;
}

void write(NdrWriter& out, const Response& response) {
    out.u32(response.alloc_hint);
    out.u16(response.p_cont_id);
    out.u8(response.cancel_count);
    out.u8(0);
    out.raw(response.stub);
}

Fault read_fault(NdrReader& in) {
    Fault fault;
    fault.alloc_hint = in.u32("alloc_hint");
    fault.p_cont_id = in.u16("p_cont_id");
    fault.cancel_count = in.u8("cancel_count");
    in.raw(1, "reserved");
    fault.status = in.u32("status");
    return fault;
}

void write(NdrWriter& out, const Fault& fault) {
    out.u32(fault.alloc_hint);
    out.u16(fault.p_cont_id);
    out.u8(fault.cancel_count);
    out.u8(0);
    out.u32(fault.status);
    out.u32(0);
}

void write(NdrWriter& out, const OtherBody& other) { out.raw(other.body); }

}  // namespace

std::string pdu_name(PduType type) {
    const auto index = static_cast<std::size_t>(type);
    return index < pdu_names.size() ? std::string{pdu_names[index]} : "PTYPE " + std::to_string(index);
}

std::string text(const ContextResult& result) {
    switch (result.result) {
        case ContextVerdict::acceptance:
            return "acceptance";
        case ContextVerdict::negotiate_ack:
            return "negotiate_ack";
        case ContextVerdict::user_rejection:
        case ContextVerdict::provider_rejection:
            break;
    }
    const std::string by = result.result == ContextVerdict::user_rejection ? "user_rejection" : "provider_rejection";
    switch (result.reason) {
        case ContextReason::reason_not_specified:
            return by;
        case ContextReason::abstract_syntax_not_supported:
            return by + ": abstract_syntax_not_supported";
        case ContextReason::proposed_transfer_syntaxes_not_supported:
            return by + ": proposed_transfer_syntaxes_not_supported";
        case ContextReason::local_limit_exceeded:
            return by + ": local_limit_exceeded";
    }
    return by + ": reason " + std::to_string(static_cast<unsigned>(result.reason));
}

std::string text(BindNakReason reason) {
    switch (reason) {
        case BindNakReason::reason_not_specified:
            return "reason_not_specified";
        case BindNakReason::temporary_congestion:
            return "temporary_congestion";
        case BindNakReason::local_limit_exceeded:
            return "local_limit_exceeded";
        case BindNakReason::protocol_version_not_supported:
            return "protocol_version_not_supported";
        case BindNakReason::authentication_type_not_recognized:
            return "authentication_type_not_recognized";
        case BindNakReason::invalid_checksum:
            return "invalid_checksum";
    }
    return "reason " + std::to_string(static_cast<unsigned>(reason));
}

Parsed<PduHeader> PduHeader::parse(Bytes pdu) {
    bytes::Reader start{pdu};
    PduHeader header;
    start.check(start.u8("rpc_vers") == 5, "is not 5");
    header.rpc_vers_minor = start.u8("rpc_vers_minor");
    start.check(header.rpc_vers_minor <= 1, "is above 1");
    header.PTYPE = static_cast<PduType>(start.u8("PTYPE"));
    header.pfc_flags = start.u8("pfc_flags");
    const auto integers = start.u8("packed_drep") >> 4;
    start.check(integers <= 1, "names an unknown byte order");
    header.order = integers == 0 ? ByteOrder::big : ByteOrder::little;
    if (start.failed()) return start.finish(header);

    NdrReader in{pdu, header.order};
    in.seek(8, "frag_length");
    header.frag_length = in.u16("frag_length");
    in.check(header.frag_length >= size, "is shorter than a header");
    header.auth_length = in.u16("auth_length");
    in.check(header.auth_length == 0 || header.auth_length + auth_trailer_size + size <= header.frag_length,
             "is longer than the PDU");
    header.call_id = in.u32("call_id");
    return in.finish(header);
}

Parsed<Pdu> Pdu::parse(Bytes pdu) {
    const auto header = PduHeader::parse(pdu);
    if (!header) return header.error();
    Pdu parsed;
    parsed.header = *header;
    NdrReader whole{pdu, header->order};
    whole.seek(8, "frag_length");
    whole.check(whole.u16("frag_length") == pdu.size(), "is not the number of bytes received");
    auto body_end = pdu.size();
    if (header->auth_length != 0) {
        body_end -= header->auth_length + auth_trailer_size;
        whole.seek(body_end, "sec_trailer");
        AuthTrailer auth;
        auth.auth_type = whole.u8("auth_type");
        auth.auth_level = whole.u8("auth_level");
        auth.auth_pad_length = whole.u8("auth_pad_length");
        whole.check(auth.auth_pad_length <= body_end - PduHeader::size, "is longer than the body");
        whole.u8("auth_reserved");
        const auto context = whole.raw(4, "auth_context_id");  // the trailer need not be aligned
        NdrReader id{context, header->order};
        auth.auth_context_id = id.u32("auth_context_id");
        auth.token = copy(whole.raw(header->auth_length, "auth_value"));
        if (!whole.failed()) body_end -= auth.auth_pad_length;
        parsed.auth = std::move(auth);
    }
    if (whole.failed()) return whole.finish(std::move(parsed));

    NdrReader in{pdu.first(body_end), header->order};
    in.seek(PduHeader::size, "body");
    switch (header->PTYPE) {
        case PduType::bind:
        case PduType::alter_context:
            parsed.body = read_bind(in);
            break;
        case PduType::bind_ack:
        case PduType::alter_context_resp:
            parsed.body = read_bind_ack(in);
            break;
        case PduType::bind_nak:
            parsed.body = read_bind_nak(in);
            break;
        case PduType::request:
            parsed.body = read_request(in, header->pfc_flags);
            break;
        case PduType::response:
            parsed.body = read_response(in);
            break;
        case PduType::fault:
            parsed.body = read_fault(in);
            break;
        default:
            parsed.body = OtherBody{copy(in.rest())};
    }
    return in.finish(std::move(parsed));
}

Octets Pdu::serialise() const {
    NdrWriter out{header.order};
    auto flags = header.pfc_flags;
    if (const auto* request = std::get_if<Request>(&body); request && request->object) flags |= pfc::OBJECT_UUID;
    out.u8(5);
    out.u8(header.rpc_vers_minor);
    out.u8(static_cast<std::uint8_t>(header.PTYPE));
    out.u8(flags);
    out.u8(header.order == ByteOrder::little ? 0x10 : 0x00);
    out.zeros(3);
    out.u16(0);
    out.u16(static_cast<std::uint16_t>(auth ? auth->token.size() : 0));
    out.u32(header.call_id);
    std::visit([&](const auto& content) { write(out, content); }, body);
    if (auth) {
        out.zeros(auth->auth_pad_length);
        out.u8(auth->auth_type);
        out.u8(auth->auth_level);
        out.u8(auth->auth_pad_length);
        out.u8(0);
        NdrWriter id{header.order};
        id.u32(auth->auth_context_id);
        out.raw(id.bytes());
        out.raw(auth->token);
    }
    assert(out.size() <= 0xFFFF);
    out.patch_u16(8, static_cast<std::uint16_t>(out.size()));
    return out.take();
}

namespace {

// Calls make_pdu(part, offset, flags) for each fragment of the stub and appends what it gives.
template <class MakePdu>
Octets fragments(const Octets& stub, std::size_t part_max, MakePdu make_pdu) {
    Octets all;
    std::size_t done = 0;
    do {
        const auto size = std::min(part_max, stub.size() - done);
        const auto begin = stub.begin() + static_cast<std::ptrdiff_t>(done);
        std::uint8_t flags = done == 0 ? pfc::FIRST_FRAG : 0;
        if (done + size == stub.size()) flags |= pfc::LAST_FRAG;
        const Octets pdu = make_pdu(Octets{begin, begin + static_cast<std::ptrdiff_t>(size)},
                                    static_cast<std::uint32_t>(stub.size() - done), flags);
        all.insert(all.end(), pdu.begin(), pdu.end());
        done += size;
    } while (done < stub.size());
    return all;
}

std::size_t part_max(std::uint16_t max_frag, std::size_t overhead) {
    const std::size_t room = max_frag > overhead + 8 ? max_frag - overhead : 8;
    return room / 8 * 8;
}

}  // namespace

Octets request_pdus(const Request& whole, std::uint32_t call_id, std::uint16_t max_frag, ByteOrder order) {
    const std::size_t overhead = PduHeader::size + 8 + (whole.object ? 16 : 0);
    return fragments(whole.stub, part_max(max_frag, overhead),
                     [&](Octets part, std::uint32_t hint, std::uint8_t flags) {
                         Request request = whole;
                         request.alloc_hint = hint;
                         request.stub = std::move(part);
                         Pdu pdu{{}, std::move(request), {}};
                         pdu.header.pfc_flags = flags;
                         pdu.header.order = order;
                         pdu.header.call_id = call_id;
                         return pdu.serialise();
                     });
}

Octets response_pdus(const Response& whole, std::uint32_t call_id, std::uint16_t max_frag) {
    return fragments(whole.stub, part_max(max_frag, PduHeader::size + 8),
                     [&](Octets part, std::uint32_t hint, std::uint8_t flags) {
                         Response response = whole;
                         response.alloc_hint = hint;
                         response.stub = std::move(part);
                         Pdu pdu{{}, std::move(response), {}};
                         pdu.header.PTYPE = PduType::response;
                         pdu.header.pfc_flags = flags;
                         pdu.header.call_id = call_id;
                         return pdu.serialise();
                     });
}

Octets fault_pdu(std::uint32_t status, std::uint16_t p_cont_id, std::uint32_t call_id, bool did_not_execute) {
    Fault fault;
    fault.p_cont_id = p_cont_id;
    fault.status = status;
    Pdu pdu{{}, fault, {}};
    pdu.header.PTYPE = PduType::fault;
    pdu.header.call_id = call_id;
    if (did_not_execute) pdu.header.pfc_flags |= pfc::DID_NOT_EXECUTE;
    return pdu.serialise();
}

}  // namespace wmlab::rpc
