// The witness: sees every packet of every host's interface, whatever the programs on the host say, and sums them up as
// `wire` events (docs/journal.md). Live as soon as it is constructed. One thread of its own.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/evidence/event.hpp"
#include "lab/host/namespaces.hpp"

namespace wmlab::lab {

struct Tap {
    std::string host;  // whose interface it is, as events name it
    const Namespace* place = nullptr;
    std::string interface;
    std::string zone;  // of a firewall's interfaces; empty for hosts
    bool each = zone.empty();  // tells packets by identity; where not, it counts
};

struct CapturedFrame {
    std::size_t tap = 0;  // index
    bool outgoing = false;
    std::chrono::sys_time<std::chrono::nanoseconds> time;
    std::size_t length = 0;            // of the frame on the wire
    std::span<const std::byte> frame;  // from the Ethernet header; whole only with an every_frame callback
};

class Wire {
public:
    // `every_frame` is called on the witness's thread (a pcapng writer); with it whole frames are captured.
    explicit Wire(std::vector<Tap> taps, std::function<void(const CapturedFrame&)> every_frame = {});
    ~Wire();
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    // What crossed since the last call, everything that happened before this call included; each event says that it is
    // of this wave (0: says nothing). Packets that the witness lost are told in the row of kind `total`: evidence is
    // then incomplete.
    std::vector<evidence::Event> take(std::size_t wave = 0);
    void stop();  // no callback after it

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace wmlab::lab
