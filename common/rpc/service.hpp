// The operations a machine answers, on port 135 and on its processes' ports: stub in, stub or fault out.
#pragma once
#include <cstdint>
#include <optional>

#include "common/rpc/machine.hpp"
#include "common/rpc/note.hpp"

namespace wmlab::rpc {

struct Call {
    std::uint16_t port = mapper_port;  // where it came in
    SyntaxId interface;
    std::uint16_t opnum = 0;
    std::optional<Guid> object;  // IPID
    Bytes stub;
    ByteOrder order = ByteOrder::little;
    TimePoint now;
};

struct Reply {
    Octets stub;
    std::optional<std::uint32_t> fault;  // instead of the stub
    bool did_not_execute = false;        // the fault came before the procedure
    // For the journal:
    std::optional<std::uint32_t> hr;
    Guid causality;
    Fields fields;
    std::optional<bytes::ParseError> problem;  // the arguments could not be read

    static Reply of(Octets stub, std::optional<std::uint32_t> hr = {});
    static Reply faulted(std::uint32_t status, bool did_not_execute = false);
    static Reply bad_stub(const bytes::ParseError& problem);
};

// The interfaces behind a port; a version is supported if the major is equal and the minor not above ours.
std::vector<SyntaxId> interfaces_at(Machine& machine, std::uint16_t port);
bool offers(Machine& machine, std::uint16_t port, const SyntaxId& interface);

Reply serve(Machine& machine, const Call& call);
// Whether the operation only reads: it may be executed again, and for somebody whose address is not proven.
bool changes_nothing(const SyntaxId& interface, std::uint16_t opnum);

// One file each; serve() picks.
Reply serve_mapper(Machine& machine, const Call& call);      // epm and mgmt
Reply serve_exporter(Machine& machine, const Call& call);    // IObjectExporter
Reply serve_activation(Machine& machine, const Call& call);  // IActivation, IRemoteSCMActivator
Reply serve_object(Machine& machine, const Call& call);      // IRemUnknown, ISimWMStation, SimWMProcess

}  // namespace wmlab::rpc
