// Whatever a peer sends to a server: the first byte picks the end (TCP 135, TCP of a process, UDP 135, UDP of a
// process) and how the rest is cut into pieces.
#include <cstdlib>
#include <span>

#include "common/rpc/datagram_server.hpp"
#include "common/rpc/server_connection.hpp"

using namespace wmlab::rpc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    MachineOptions options;
    options.addresses = {"10.66.1.10"};
    options.ports.ranges = {{3001, 3010}};
    Machine machine{options};
    machine.activate(guid::CLSID_SimWMStation, {interface::ISimWMStation.uuid}, {}, {});
    const std::uint16_t port = data[0] & 1U ? 3001 : mapper_port;
    const auto input = std::as_bytes(std::span{data + 1, size - 1});
    TimePoint now{};
    if (data[0] & 2U) {
        DatagramServer server{machine, port};
        // A length octet (times 4) before each datagram.
        for (std::size_t at = 0; at < input.size();) {
            const auto length = std::min(std::to_integer<std::size_t>(input[at]) * 4, input.size() - at - 1);
            server.receive("10.0.0.1:1024", input.subspan(at + 1, length), now);
            at += 1 + length;
            now += std::chrono::milliseconds{100};
        }
    } else {
        ServerConnection server{machine, port};
        const std::size_t piece = data[0] & 4U ? 7 : input.size() + 1;
        for (std::size_t at = 0; at < input.size(); at += piece) {
            auto output = server.receive(input.subspan(at, std::min(piece, input.size() - at)), now);
            while (output.more) {
                if (output.send.empty()) std::abort();  // would never end
                output = server.receive({}, now);
            }
        }
    }
    machine.expire(now + std::chrono::hours{1});
    for (const auto& process : machine.processes())
        if (!process.stays) std::abort();  // everything is run down
    return 0;
}
