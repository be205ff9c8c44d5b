// Bodies: the first byte picks the parser. What is understood can be written and read again to the same value.
#include <cstdlib>
#include <span>

#include "common/rpc/activation.hpp"
#include "common/rpc/datagram.hpp"
#include "common/rpc/epm.hpp"
#include "common/rpc/object_exporter.hpp"
#include "common/rpc/wm_station.hpp"

using namespace wmlab::rpc;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

template <class Message>
void stub(Bytes input, ByteOrder order) {
    const auto message = Message::parse(input, order);
    if (!message) return;
    const auto again = Message::parse(message->serialise(), ByteOrder::little);
    require(again.has_value());
    if constexpr (requires { *message == *again; }) require(*message == *again);
}

template <class Message>
void octets(Bytes input) {
    const auto message = Message::parse(input);
    if (!message) return;
    const auto again = Message::parse(message->serialise());
    require(again.has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto input = std::as_bytes(std::span{data + 1, size - 1});
    const auto order = data[0] & 0x80U ? ByteOrder::big : ByteOrder::little;
    switch (data[0] & 0x1FU) {
        case 0:
            octets<Pdu>(input);
            break;
        case 1:
            octets<Datagram>(input);
            break;
        case 2:
            Tower::parse(input);
            break;
        case 3:
            octets<ObjRef>(input);
            break;
        case 4:
            stub<ept_map::In>(input, order);
            break;
        case 5:
            stub<ept_map::Out>(input, order);
            break;
        case 6:
            stub<ept_lookup::In>(input, order);
            break;
        case 7:
            stub<ept_lookup::Out>(input, order);
            break;
        case 8:
            stub<RemoteActivation::In>(input, order);
            break;
        case 9:
            RemoteActivation::Out::parse(input, order);
            break;
        case 10:
            RemoteCreateInstance::In::parse(input, order);
            break;
        case 11:
            RemoteCreateInstance::Out::parse(input, order);
            break;
        case 12:
            stub<RemQueryInterface::In>(input, order);
            break;
        case 13:
            stub<RemQueryInterface::Out>(input, order);
            break;
        case 14:
            stub<RemReferences>(input, order);
            break;
        case 15:
            stub<ResolveOxid::In>(input, order);
            break;
        case 16:
            ResolveOxid::Out::parse(input, order, true);
            break;
        case 17:
            stub<ComplexPing::In>(input, order);
            break;
        case 18:
            ServerAlive2::Out::parse(input, order);
            break;
        case 19:
            stub<RegisterAlias::In>(input, order);
            break;
        case 20:
            stub<rpc__mgmt_inq_if_ids::Out>(input, order);
            break;
        case 21:
            FackBody::parse(input, order);
            break;
        default:
            break;
    }
    return 0;
}
