#include "lab/audit/losses.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace wmlab::lab {
namespace {

std::string network_file(const Namespace& place, const char* name) {
    const Entered inside{place};
    std::ifstream file{std::string{"/proc/thread-self/net/"} + name};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace

std::optional<std::uint64_t> packets_lost(const Namespace& place) {
    std::istringstream devices{network_file(place, "dev")};
    std::uint64_t sum = 0;
    unsigned rows = 0;
    for (std::string line; std::getline(devices, line);) {
        const auto colon = line.find(':');
        if (colon == std::string::npos) continue;
        std::istringstream numbers{line.substr(colon + 1)};
        std::vector<std::uint64_t> columns;  // received: bytes packets errs drop ...; from the ninth on, sent
        for (std::uint64_t number; numbers >> number;) columns.push_back(number);
        if (columns.size() < 12) return std::nullopt;
        sum += columns[3] + columns[11];
        ++rows;
    }
    if (rows == 0) return std::nullopt;

    // One row for each processor, in hexadecimal. A system without the file has no connection tracking to lose by.
    std::istringstream tracking{network_file(place, "stat/nf_conntrack")};
    std::string line;
    std::getline(tracking, line);
    std::istringstream heads{line};
    std::vector<std::string> names;
    for (std::string name; heads >> name;) names.push_back(name);
    while (std::getline(tracking, line)) {
        std::istringstream cells{line};
        std::string cell;
        for (std::size_t i = 0; cells >> cell && i < names.size(); ++i)
            if (names[i] == "drop" || names[i] == "insert_failed") sum += std::stoull("0" + cell, nullptr, 16);
    }
    return sum;
}

bool knows_neighbour(const Namespace& place, const char* address) {
    std::istringstream rows{network_file(place, "arp")};
    for (std::string line; std::getline(rows, line);) {
        std::istringstream cells{line};
        std::string ip, type, flags;
        if (cells >> ip >> type >> flags && ip == address) return flags != "0x0";
    }
    return false;
}

}  // namespace wmlab::lab
