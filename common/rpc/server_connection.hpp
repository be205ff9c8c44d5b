// The server's end of one TCP connection, to port 135 or to a process's port: bytes in, bytes out.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/rpc/note.hpp"
#include "common/rpc/pdu_stream.hpp"
#include "common/rpc/service.hpp"

namespace wmlab::rpc {

struct ServerOutput {
    Octets send;
    std::vector<Note> notes;
    bool close = false;  // after sending
    std::string why;     // of close
    bool more = false;   // whole PDUs wait: call receive({}, now) once `send` is written
};

class ServerConnection {
public:
    static constexpr std::size_t contexts_max = 64;
    static constexpr std::uint16_t frag_max = 5840;      // as Windows and Samba
    static constexpr std::chrono::seconds patience{30};  // for the rest of a PDU or of a fragmented call

    ServerConnection(Machine& machine, std::uint16_t port) : machine_{machine}, port_{port} {}

    ServerOutput receive(Bytes received, TimePoint now);
    // When an unfinished PDU or call has waited too long; nothing while the peer owes nothing. Then close.
    std::optional<TimePoint> deadline() const { return deadline_; }

private:
    struct Context {
        SyntaxId interface;
    };
    struct Incoming {  // a request whose fragments are being collected
        std::uint16_t p_cont_id = 0, opnum = 0;
        std::optional<Guid> object;
        std::size_t bytes = 0;
    };

    void take(Bytes octets, ServerOutput& out, TimePoint now);
    void bind(const Pdu& pdu, std::size_t size, ServerOutput& out);
    ContextResult negotiate(const ContextElement& element);
    void request(const Pdu& pdu, std::size_t size, ServerOutput& out, TimePoint now);
    void execute(const Pdu& last, Octets stub, ServerOutput& out, TimePoint now);
    void refuse_bind(BindNakReason reason, std::uint32_t call_id, std::string why, ServerOutput& out);
    void fault(std::uint32_t status, const Pdu& pdu, bool did_not_execute, ServerOutput& out);
    void send(std::string message, std::string pdu, Octets octets, ServerOutput& out);
    void malformed(std::string message, const bytes::ParseError& problem, Bytes octets, ServerOutput& out);

    Machine& machine_;
    std::uint16_t port_;
    PduStream stream_;
    FragmentedStub stub_;
    Incoming incoming_;
    std::map<std::uint16_t, Context> contexts_;
    bool bound_ = false, closed_ = false;
    std::uint16_t max_xmit_ = frag_max, max_recv_ = frag_max;
    std::uint32_t association_ = 0;
    std::optional<TimePoint> deadline_;
};

}  // namespace wmlab::rpc
