// Whatever a server answers to a DCOM client. The first byte picks TCP or UDP, NT4 or 2000; then a length octet (times
// 4) before each piece that is received on the newest channel.
#include <cstdlib>
#include <span>

#include "common/rpc/dcom_client.hpp"

using namespace wmlab::rpc;

namespace {

void perform(DcomClient& client, const DcomActions& actions, unsigned& newest, unsigned& ends) {
    for (const auto& action : actions) {
        if (std::get_if<DcomDone>(&action) != nullptr) ++ends;
        if (const auto* connect = std::get_if<DcomConnect>(&action)) {
            newest = connect->channel;
            perform(client, client.connected(newest, {}), newest, ends);
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    DcomPlan plan;
    plan.server = "10.66.1.10";
    plan.udp = (data[0] & 1U) != 0;
    plan.version.minor = data[0] & 2U ? 4 : 6;
    plan.processes = data[0] & 4U ? 3 : 1;
    if (data[0] & 8U) plan.alias = AliasOffer{"lecture", {"10.66.1.20", 7007}};
    DcomClient client{plan};
    unsigned newest = 0, ends = 0;
    perform(client, client.start({}), newest, ends);
    const auto input = std::as_bytes(std::span{data + 1, size - 1});
    for (std::size_t at = 0; at < input.size();) {
        const auto length = std::min(std::to_integer<std::size_t>(input[at]) * 4, input.size() - at - 1);
        perform(client, client.received(newest, input.subspan(at + 1, length), {}), newest, ends);
        at += 1 + length;
    }
    // It ends, and once, when every channel breaks.
    for (unsigned channel = 1; channel <= newest + 64; ++channel)
        perform(client, client.failed(channel, "closed", {}), newest, ends);
    if (ends != 1 || !client.done()) std::abort();
    return 0;
}
