// Which connections a firewall's kernel forgets, and when: the events of its connection tracking.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "lab/host/namespaces.hpp"

namespace wmlab::lab {

struct ForgottenConnection {
    std::string protocol;             // "tcp", "udp"
    std::string source, destination;  // of its first packet, before translation: "10.20.0.10:40000"
    bool replied = false;             // packets had gone both ways
    bool assured = false;             // of UDP: a stream to the kernel (both ways, and for more than two seconds)
};

// A message of the kernel (ctnetlink): nothing where it is about no IPv4 connection of TCP or UDP that is forgotten.
std::optional<ForgottenConnection> parse_forgotten(std::span<const std::byte> message);

class ForgetfulnessWatch {
public:
    // SetupFailed. `forgotten` is called by `io`.
    ForgetfulnessWatch(boost::asio::io_context& io, const Namespace& firewall, std::function<void(const ForgottenConnection&)> forgotten);

    bool lost() const { return lost_; }  // the kernel had more to say than was read

private:
    void wait();
    void read();
    boost::asio::posix::stream_descriptor socket_;
    std::function<void(const ForgottenConnection&)> forgotten_;
    bool lost_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // its end, to a wait that is over but was not told yet
};

}  // namespace wmlab::lab
