// Messages of the kernel's trace, which quote what strangers send: broken ones read as nothing, and what they say of
// packets is put together, summed up and named by rules whatever their order.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "common/evidence/journal.hpp"
#include "lab/rules/decision_log.hpp"
#include "lab/rules/trace.hpp"

using namespace wmlab;
using namespace wmlab::lab::rules;

namespace {

const Ruleset& ruleset_of_trace() {
    static const auto ruleset = Ruleset::parse(
        R"({"nftables":[{"table":{"family":"inet","name":"filter","handle":1}},
{"chain":{"family":"inet","table":"filter","name":"forward","handle":1,"type":"filter","hook":"forward","prio":0,"policy":"drop"}},
{"chain":{"family":"inet","table":"filter","name":"more","handle":2}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":4,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":1755}},{"accept":null}]}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":5,"expr":[{"jump":{"target":"more"}}]}},
{"rule":{"family":"inet","table":"filter","chain":"more","handle":6,"expr":[{"counter":{"packets":0,"bytes":0}},{"drop":null}]}}]})",
        "table inet filter {\n\tchain forward {\n\t\ttype filter hook forward priority 0; policy drop;\n\t\ttcp dport 1755 accept # handle 4\n"
        "\t\tjump more # handle 5\n\t}\n\tchain more {\n\t\tcounter drop # handle 6\n\t}\n}\n",
        {});
    return ruleset;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto bytes = std::as_bytes(std::span{data, size});
    DecisionLog log;
    std::size_t told = 0, fed = 0;
    TraceAssembler assembler{[](std::uint32_t index) { return "if" + std::to_string(index % 4); },
                             [&](const Decision& decision) {
                                 ++told;
                                 log.add(decision);
                             },
                             size % 2 == 0};
    // Each message has its length in front, as in a buffer that was read from the socket.
    while (bytes.size() >= 4) {
        std::uint32_t length = 0;
        std::memcpy(&length, bytes.data(), sizeof length);
        if (length < 4 || length > bytes.size()) length = static_cast<std::uint32_t>(bytes.size());
        const auto message = parse_trace(bytes.first(length));
        if (message) {
            assembler.feed(*message);
            ++fed;
        }
        if (length % 5 == 1) assembler.doubt();
        if (length % 5 == 2) assembler.settle();
        bytes = bytes.subspan(length);
    }
    assembler.flush();
    if (told > 2 * fed) std::abort();
    for (const bool every_rule : {true, false})
        for (auto& event : log.take(ruleset_of_trace(), every_rule)) {
            std::string problem;
            event.host = "lab", event.process = "wmlab";  // as the runner's recorder has it
            if (!evidence::event_from_line(evidence::to_line(event), problem)) std::abort();
        }
    return 0;
}
