// The far end of a sweep: sees which probes arrive on its wire, whatever listens there. A ring of received packets that
// needs no large socket buffer, read by a thread of its own.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/audit/probes.hpp"
#include "lab/host/descriptor.hpp"

namespace wmlab::lab {

class Witness {
public:
    Witness(const SweepEnd& to, scenario::Protocol protocol);  // SetupFailed
    ~Witness();
    Witness(const Witness&) = delete;
    Witness& operator=(const Witness&) = delete;

    void expect(std::uint32_t seed) { seed_ = seed; }
    bool seen(std::uint16_t port) const { return seen_[port].load(std::memory_order_relaxed); }
    std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }
    // How many of the markers with this token have been read; all that came before them has been read too.
    void expect_markers(std::uint32_t token) { token_ = token, markers_ = 0; }
    unsigned markers() const { return markers_.load(std::memory_order_acquire); }
    bool lost();  // packets, since the last call

private:
    static constexpr unsigned block_size = 1u << 20, block_count = 16;
    void attach_filter();
    void read();
    void take(const std::uint8_t* bytes, std::size_t size);

    scenario::Protocol protocol_;
    std::uint32_t to_;
    Descriptor socket_;
    std::uint8_t* ring_ = nullptr;
    std::vector<std::atomic<bool>> seen_;
    std::atomic<std::uint64_t> count_ = 0;
    std::atomic<std::uint32_t> seed_ = 0, token_ = 0;
    std::atomic<unsigned> markers_ = 0;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

}  // namespace wmlab::lab
