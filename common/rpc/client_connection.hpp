// The client's end of one TCP connection: binds what a call needs (bind, then alter_context), one call at a time.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/rpc/client_call.hpp"
#include "common/rpc/pdu_stream.hpp"

namespace wmlab::rpc {

class ClientConnection {
public:
    static constexpr std::uint16_t frag_max = 5840;

    ClientOutput call(ClientCall call);  // while no other is outstanding
    ClientOutput receive(Bytes received);
    ClientOutput lost(std::string reason);  // the connection ended or the embedder lost patience
    bool busy() const { return call_.has_value(); }

private:
    void send_request(ClientOutput& out);
    void take(Bytes octets, ClientOutput& out);
    void bound(const Pdu& pdu, Bytes octets, ClientOutput& out);
    void finish(CallOutcome outcome, ClientOutput& out);
    void broken(std::string reason, ClientOutput& out);

    PduStream stream_;
    FragmentedStub stub_;
    std::optional<ClientCall> call_;
    std::map<SyntaxId, std::uint16_t> contexts_;
    std::uint16_t next_context_ = 0, offered_ = 0, max_xmit_ = frag_max;
    std::uint32_t call_id_ = 0, association_ = 0;
    std::size_t answer_bytes_ = 0;
    bool bound_ = false, dead_ = false;
};

}  // namespace wmlab::rpc
