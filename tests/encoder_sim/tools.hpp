// Encoder, servers and players in this process, on a loopback address of each test's own, so that 7007 is free there.
#pragma once
#include <unistd.h>

#include <atomic>
#include <boost/asio/ip/address_v4.hpp>
#include <map>
#include <set>

#include "client_sim/client.hpp"
#include "encoder_sim/encoder.hpp"
#include "server_sim/server.hpp"
#include "tests/catch.hpp"
#include "tests/sims.hpp"

namespace wmlab::tests {

using namespace std::chrono_literals;

inline std::string own_address() {
    static std::atomic<std::uint32_t> next{0};
    const auto pid = static_cast<std::uint32_t>(::getpid());
    return asio::ip::address_v4{0x7F800000U + ((pid % 30000) << 8) + 1 + next++ % 250}.to_string();
}

struct Site {
    asio::io_context io{1};
    std::string address = own_address();

    using Sims = std::vector<std::unique_ptr<Sim>>;

    bool http = false;  // serve HTTP too

    std::unique_ptr<Sim> encoder(std::vector<std::string> options = {}) {
        options.insert(options.end(), {"--bind", address, "--quiet"});
        add_http(options);
        return started("studio", "encoder_sim", encoder_sim::options(), std::move(options), encoder_sim::make);
    }
    std::unique_ptr<Sim> server(std::vector<std::string> options) {
        options.insert(options.end(), {"--bind", address, "--mms-port", "0"});
        add_http(options);
        return started("media", "server_sim", server_sim::options(), std::move(options), server_sim::make);
    }
    std::unique_ptr<Sim> player(std::uint16_t mms_port, const std::string& name,
                                std::vector<std::string> options = {}) {
        return player("mmst://" + address + ":" + std::to_string(mms_port) + "/" + name, std::move(options));
    }
    std::unique_ptr<Sim> player(const std::string& from, std::vector<std::string> options = {}) {
        options.insert(options.end(), {"--url", from});
        return started("player", "client_sim", client_sim::options(), std::move(options), client_sim::make);
    }
    std::string url(const Sim& source) const { return "msbd://" + address + ":" + std::to_string(source.port("msbd")); }

    std::string http_url(const Sim& source) const {
        return "http://" + address + ":" + std::to_string(source.port("http")) + "/";
    }

    void stop(const Sims& sims) {
        for (const auto& sim : sims) stop(*sim);
    }
    void stop(Sim& sim) {
        sim.stop();
        REQUIRE(run_until(io, [&] { return sim.ended(); }));
    }

private:
    void add_http(std::vector<std::string>& options) const {
        if (!http)
            options.emplace_back("--no-http");
        else if (std::ranges::find(options, "--http-port") == options.end())
            options.insert(options.end(), {"--http-port", "0"});
    }
    std::unique_ptr<Sim> started(std::string host, std::string process,
                                 const boost::program_options::options_description& options,
                                 std::vector<std::string> command_line, const process::Make& make) {
        auto sim = std::make_unique<Sim>(io, std::move(host), std::move(process), options, command_line, make);
        sim->prepare();
        sim->start();
        return sim;
    }
};

// The checksums of all packets in media-ended events.
inline std::multiset<std::uint64_t> checksums(const std::vector<Event>& ends) {
    std::multiset<std::uint64_t> out;
    for (const auto& end : ends)
        for (const auto& pair : end.fields.at("digests").as_array())
            out.insert(pair.as_array().at(1).to_number<std::uint64_t>());
    return out;
}

inline bool all_among(const std::multiset<std::uint64_t>& some, const std::multiset<std::uint64_t>& all) {
    return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

}  // namespace wmlab::tests
