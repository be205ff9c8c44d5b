// The control channel: what a runner, or whoever sits on standard input in its place, writes to a simulator.
#include <cstdlib>
#include <sstream>

#include "common/process/control.hpp"
#include "common/process/probe.hpp"
#include "common/scenario/loader.hpp"

using namespace wmlab;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text{reinterpret_cast<const char*>(data), size};
    std::istringstream in{text};
    const auto document = scenario::read_document(in);
    if (document.size() > text.size() + 1) std::abort();
    std::string line;
    while (std::getline(in, line)) {
        const auto command = process::command_from(line);
        if (const auto* endpoint = std::get_if<process::Endpoint>(&command))
            if (endpoint->flow.empty() || endpoint->at.port == 0) std::abort();
    }
    if (const auto endpoint = process::endpoint_option(text); endpoint && endpoint->flow.empty()) std::abort();
    const auto octets = std::as_bytes(std::span{data, size});
    if (const auto nonce = process::nonce_in(octets); nonce && process::proven_nonce_in(octets)) std::abort();
    return 0;
}
