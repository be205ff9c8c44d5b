// Registry exports and what they mean for ports.
#include <cstdlib>
#include <string_view>

#include "common/rpc/port_registry.hpp"

using namespace wmlab::rpc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto read = read_reg({reinterpret_cast<const char*>(data), size});
    for (const auto& problem : read.problems)
        if (problem.text().empty()) std::abort();
    const auto key = InternetKey::from(read.file);
    const auto ports = dynamic_ports(key);
    for (const auto& range : ports.ranges)
        if (range.first == 0 || range.first > range.last || (range.first <= 135 && range.last >= 135)) std::abort();
    if (!ports.invalid.empty() && !ports.ranges.empty()) std::abort();
    for (const unsigned version : {4U, 5U}) {
        const auto written = write_reg(InternetKey::reserve(ports.ranges).reg_file(version));
        if (dynamic_ports(InternetKey::from(read_reg(written).file)).ranges != ports.ranges) std::abort();
    }
    return 0;
}
