#include "lab/network/network.hpp"

#include <net/if.h>
#include <sys/mount.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "lab/programs/launcher.hpp"
#include "tests/catch.hpp"
#include "tests/lab/in_lab.hpp"
#include "tests/lab/sockets.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace wmlab::lab::tests;

namespace {

std::string words(const std::string& file) {
    std::ifstream in{file};
    std::ostringstream all;
    all << in.rdbuf();
    return all.str();
}

// The interfaces of the namespace the caller is in.
std::string interfaces() {
    std::string names;
    auto* const list = ::if_nameindex();
    for (auto* at = list; at->if_index != 0; ++at) names += std::string{at->if_name} + " ";
    ::if_freenameindex(list);
    return names;
}

}  // namespace

TEST_CASE("a lab's hosts reach each other over TCP and UDP, in a zone and through the firewall", "[lab]") {
    const auto who = GENERATE(As::root, As::user);
    INFO(name(who));
    const auto outcome = in_lab(who, [](const Inside&) {
        const Network network{two_zones()};
        std::string seen;
        for (const auto* from : {"player", "second"}) {
            const auto& media = network.host("media");
            Socket listener{media, SOCK_STREAM};
            listener.bind("10.10.0.10", 80).listen();
            Socket client{network.host(from), SOCK_STREAM};
            seen += std::to_string(client.connect("10.10.0.10", 80));
            auto accepted = listener.accept();
            client.send("tcp ");
            seen += accepted.receive();
            Socket receiver{media, SOCK_DGRAM};
            receiver.bind("10.10.0.10", 1755);
            Socket sender{network.host(from), SOCK_DGRAM};
            sender.send_to("udp ", "10.10.0.10", 1755);
            seen += receiver.receive();
        }
        return seen;
    });
    CHECK(outcome.text == "0tcp udp 0tcp udp ");
    CHECK(outcome.code == 0);
}

TEST_CASE("the firewall has one interface per zone, named as the scenario says, and every host has eth0", "[lab]") {
    const auto outcome = in_lab(As::root, [](const Inside&) {
        const Network network{two_zones()};
        std::string names;
        for (const auto* place : {&network.firewall(), &network.host("player")}) {
            const Entered entered{*place};
            names += interfaces();
        }
        return names;
    });
    CHECK(outcome.text.find("fw-in fw-out") != std::string::npos);
    CHECK(outcome.text.find("eth0") != std::string::npos);
}

TEST_CASE("settings a new namespace would copy from the machine are set", "[lab]") {
    struct Row {
        std::string name, host, path, value;
    };
    const auto row = GENERATE(values<Row>({
        {"the firewall does not limit its ICMP rejects", "", "ipv4/icmp_ratelimit", "0\n"},
        {"no ICMP message of the firewall is one that is limited", "", "ipv4/icmp_ratemask", "0\n"},
        {"the firewall does not limit ICMP as a whole", "", "ipv4/icmp_msgs_per_sec", "1000000\n"},
        {"the firewall forwards", "", "ipv4/ip_forward", "1\n"},
        {"reverse-path filtering is off", "", "ipv4/conf/fw-out/rp_filter", "0\n"},
        {"IPv6 is off in the firewall", "", "ipv6/conf/fw-in/disable_ipv6", "1\n"},
        {"IPv6 is off in hosts", "player", "ipv6/conf/eth0/disable_ipv6", "1\n"},
        {"hosts do not forward", "player", "ipv4/ip_forward", "0\n"},
        {"hosts' programs may bind low ports", "player", "ipv4/ip_unprivileged_port_start", "0\n"},
    }));
    DYNAMIC_SECTION(row.name) {
        for (const auto who : {As::root, As::user}) {
            const auto outcome = in_lab(who, [&](const Inside&) {
                const Network network{two_zones()};
                const Entered entered{row.host.empty() ? network.firewall() : network.host(row.host)};
                return words("/proc/sys/net/" + row.path);
            });
            INFO(name(who));
            CHECK(outcome.text == row.value);
        }
    }
}

TEST_CASE("where /proc/sys cannot be written the firewall forwards all the same and the notes say what follows",
          "[lab]") {
    const auto outcome = in_lab(As::root, [](const Inside&) {
        if (::mount("/proc/sys", "/proc/sys", nullptr, MS_BIND, nullptr) != 0 ||
            ::mount(nullptr, "/proc/sys", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0)
            return std::string{"mount: "} + std::strerror(errno);
        const Network network{two_zones()};
        Socket listener{network.host("media"), SOCK_STREAM};
        listener.bind("10.10.0.10", 80).listen();
        Socket client{network.host("player"), SOCK_STREAM};
        std::string text = std::to_string(client.connect("10.10.0.10", 80));
        for (const auto& note : network.notes()) text += "\n" + note;
        return text;
    });
    CHECK(outcome.text.starts_with("0\n"));
    CHECK(outcome.text.find("ICMP rejects are limited") != std::string::npos);
}

TEST_CASE("building a lab of six hosts takes well below a second", "[lab]") {
    const auto outcome = in_lab(As::user, [](const Inside&) {
        auto scenario = two_zones();
        for (unsigned i = 20; i < 23; ++i) {
            auto& host = scenario.hosts.emplace_back();
            host.name = "host" + std::to_string(i), host.zone = "outside";
            host.address = {scenario.zones[1].subnet.network.value + i};
        }
        auto best = std::chrono::hours{1} * 1.0;
        for (int round = 0; round < 5; ++round) {
            const auto start = std::chrono::steady_clock::now();
            const Network network{scenario};
            best = std::min<decltype(best)>(best, std::chrono::steady_clock::now() - start);
        }
        return std::to_string(std::chrono::duration<double, std::milli>{best}.count());
    });
    INFO("best of five: " << outcome.text << " ms");
    CHECK(std::stod(outcome.text) < 1000);  // a generous bound: the machine may be busy
}
