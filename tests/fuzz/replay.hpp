// Runs a fuzz entry over its corpus, each file also cut short and with bytes changed, so that the unit tests keep what
// fuzzing found. wmlab_replay(TESTS NAME) compiles NAME_fuzz.cpp into the test program with its entry called NAME_fuzz.
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace wmlab::tests {

using FuzzEntry = int (*)(const std::uint8_t* data, std::size_t size);

// How many files there were: a test must check that it is not 0.
inline std::size_t replay(const std::string& name, FuzzEntry entry) {
    std::size_t files = 0;
    const std::filesystem::path folder{std::string{WMLAB_SOURCE_DIR} + "/tests/fuzz/corpus/" + name};
    for (const auto& file : std::filesystem::directory_iterator{folder}) {
        std::ifstream in{file.path(), std::ios::binary};
        const std::string text{std::istreambuf_iterator<char>{in}, {}};
        // A vector of exactly the size, so that the address sanitizer sees a read past the end.
        std::vector<std::uint8_t> data{text.begin(), text.end()};
        entry(data.data(), data.size());
        const auto stride = data.size() / 200 + 1;
        for (std::size_t at = 0; at < data.size(); at += stride) {
            const std::vector<std::uint8_t> prefix{data.begin(), data.begin() + static_cast<std::ptrdiff_t>(at)};
            entry(prefix.data(), prefix.size());
            for (const unsigned change : {0x01U, 0x80U, 0xFFU}) {
                data[at] = static_cast<std::uint8_t>(data[at] ^ change);
                entry(data.data(), data.size());
                data[at] = static_cast<std::uint8_t>(data[at] ^ change);
            }
        }
        ++files;
    }
    return files;
}

}  // namespace wmlab::tests
