#include "lab/host/listeners.hpp"

#include <arpa/inet.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace wmlab::lab {
namespace {

constexpr unsigned state_listen = 10, state_unconnected = 7;  // of TCP; of UDP

// One line of /proc/net/tcp: sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
std::optional<Listener> listener_in(const std::string& line, unsigned wanted_state) {
    std::istringstream words{line};
    std::string number, local, remote, state, skip;
    Listener listener;
    if (!(words >> number >> local >> remote >> state)) return std::nullopt;
    for (int i = 0; i < 5; ++i) words >> skip;
    const auto colon = local.find(':');
    if (!(words >> listener.inode) || colon == std::string::npos) return std::nullopt;
    if (std::stoul(state, nullptr, 16) != wanted_state) return std::nullopt;
    listener.port = static_cast<std::uint16_t>(std::stoul(local.substr(colon + 1), nullptr, 16));
    // IPv6: the last word of the address; those of the lab are the wildcard or mapped IPv4
    const auto address = local.substr(colon < 8 ? 0 : colon - 8, 8);
    listener.address.value = ntohl(static_cast<std::uint32_t>(std::stoul(address, nullptr, 16)));
    return listener;
}

}  // namespace

std::optional<Listener> find_listener(const Namespace& place, scenario::Protocol protocol, std::uint16_t port) {
    const bool tcp = protocol == scenario::Protocol::tcp;
    const Entered entered{place};
    for (const auto* version : {"", "6"}) {
        std::ifstream table{std::string{"/proc/thread-self/net/"} + (tcp ? "tcp" : "udp") + version};
        std::string line;
        std::getline(table, line);  // the headings
        while (std::getline(table, line)) {
            const auto listener = listener_in(line, tcp ? state_listen : state_unconnected);
            if (listener && listener->port == port) return listener;
        }
    }
    return std::nullopt;
}

std::string holder(const Listener& listener) {
    const auto socket = "socket:[" + std::to_string(listener.inode) + "]";
    std::error_code failure;
    for (const auto& process : std::filesystem::directory_iterator{"/proc", failure}) {
        const auto pid = process.path().filename().string();
        if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
        std::error_code gone;
        for (std::filesystem::directory_iterator at{process.path() / "fd", gone}, end; !gone && at != end;
             at.increment(gone)) {
            std::error_code closed;
            if (std::filesystem::read_symlink(at->path(), closed) != socket) continue;
            std::ifstream name_file{process.path() / "comm"};
            std::string name;
            std::getline(name_file, name);
            return name + " (pid " + pid + ")";
        }
    }
    return {};
}

}  // namespace wmlab::lab
