// A device's log from anybody: text in any format reads as entries that can be shown, or as nothing.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "lab/logs/log.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace wmlab;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    for (const auto* format :
         {"asa", "pan-os", "fortios", "junos", "pf", "opnsense", "iptables", "windows", "cisco-ios", "regex"}) {
        scenario::DeviceLog device;
        device.format = format;
        device.pattern = R"((?<rule>\S+) (?<source>[\d.]+) (?<destination>[\d.]+))";
        const auto log = lab::logs::read_log(device, text, {});
        if (log.understood != log.entries.size() || log.understood > log.lines) std::abort();
        for (const auto& entry : log.entries)
            for (const auto& shown : {entry.rule, entry.text})
                for (const char c : shown)
                    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F) std::abort();
    }
    return 0;
}
