#include "common/process/context.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

#include "common/process/received_media.hpp"
#include "common/scenario/waves.hpp"

namespace wmlab::process {

std::vector<scenario::FlowInstance> Context::flows_at(scenario::Program program, scenario::End end) const {
    std::vector<scenario::FlowInstance> out;
    if (!scenario) return out;
    for (const auto& flow : flows) {
        const auto& at = end == scenario::End::from ? flow.from : flow.to;
        if (at == host && scenario::program_at(*scenario, flow, end) == program) out.push_back(flow);
    }
    return out;
}

net::HostPort Context::other_end(const scenario::FlowInstance& flow, const std::string& to, std::uint16_t port) const {
    const auto given = endpoints.find(flow.id);
    return given != endpoints.end() ? given->second : net::HostPort{to, port};
}

asio::awaitable<boost::system::result<asio::ip::address_v4, std::string>> Context::resolve(std::string name) const {
    boost::system::error_code error;
    const auto literal = asio::ip::make_address_v4(name, error);
    if (!error) co_return literal;
    if (scenario) {
        if (const auto* known = scenario->host(name)) {
            const auto* own = scenario->host(host);
            const auto published = own != nullptr ? known->published_to(own->zone) : std::nullopt;
            co_return asio::ip::address_v4{published.value_or(known->address).value};
        }
        co_return "the scenario has no host `" + name + "`";
    }
    asio::ip::tcp::resolver resolver{co_await asio::this_coro::executor};
    const auto [failed, found] =
        co_await resolver.async_resolve(asio::ip::tcp::v4(), name, "", asio::as_tuple(asio::use_awaitable));
    if (failed || found.empty()) co_return "cannot resolve `" + name + "`: " + failed.message();
    co_return found.begin()->endpoint().address().to_v4();
}

const std::set<std::uint16_t>& Context::ports_to_spare(scenario::Protocol protocol) const {
    const auto known = spared.find(protocol);
    if (known != spared.end()) return known->second;
    auto& ports = spared[protocol];
    if (!scenario) return ports;
    ports = scenario::ports_to_spare(*scenario, flows, host, protocol);
    // Another program of this host plays those; it takes their ports when it is asked for them, not at its beginning.
    auto late = scenario::instances(*scenario);
    std::erase_if(late, [&](const scenario::FlowInstance& flow) {
        const auto type = flow.flow->type;
        return flow.to != host || (type != scenario::FlowType::dcom && type != scenario::FlowType::encoder_alias);
    });
    ports.merge(scenario::ports_to_spare(*scenario, late, host, protocol));
    return ports;
}

std::shared_ptr<MediaTally> Context::tally(const scenario::FlowInstance& flow) {
    if (!flow.flow->load) return nullptr;
    auto& tally = tallies[flow.load()];
    if (!tally) tally = std::make_shared<MediaTally>();
    return tally;
}

asio::ip::address_v4 Context::own_address() const {
    const auto* own = scenario ? scenario->host(host) : nullptr;
    return own ? asio::ip::address_v4{own->address.value} : asio::ip::address_v4::any();
}

void Context::write(evidence::What what, std::string flow, std::string leg, boost::json::object fields,
                    std::string local, std::string remote) const {
    evidence::Event event;
    event.event = what;
    event.flow = std::move(flow);
    event.leg = std::move(leg);
    event.fields = std::move(fields);
    event.local = std::move(local);
    event.remote = std::move(remote);
    journal.write(std::move(event));
}

std::chrono::milliseconds Context::hasten(std::chrono::milliseconds real) const {
    return std::max(std::chrono::milliseconds{1}, std::chrono::round<std::chrono::milliseconds>(real / hastened));
}

}  // namespace wmlab::process
