#include "common/serving/serving.hpp"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iostream>

namespace wmlab::serving {

Serving::Serving(process::Context& context, scenario::Program program) : server_{server_for(context, program)}, stopped_{context.io} {
    stopped_.expires_at(asio::steady_timer::time_point::max());
}

void Serving::offer(const ContentSpec& spec) {
    auto content = serving::open(spec, context().scenario ? context().scenario->name : "");
    if (!content) throw process::EnvironmentError{content.error().text()};
    if (!spec.synthetic) files_.push_back(spec.file);
    server_.points.add(std::make_shared<PublishingPoint>(context().io.get_executor(), spec.name, *content), spec.more_names);
}

void Serving::serve(const std::vector<MakeService>& services) {
    for (const auto make : services)
        if (auto service = make(server_)) services_.push_back(std::move(service));
}

void Serving::prepare() {
    for (const auto& service : services_) service->prepare();
    if (context().scenario) return;
    for (const auto& service : services_)
        for (const auto& url : service->urls()) std::cout << url << '\n';
    std::cout << std::flush;
}

// The station's file is written again when a stream that is pulled changes.
std::vector<std::filesystem::path> Serving::writes() const {
    const auto& options = server_.context.options;
    if (!options.contains("nsc-out")) return {};
    return {options["nsc-out"].as<std::string>()};
}

asio::awaitable<int> Serving::run() {
    if (!stopping_)
        for (const auto& service : services_) service->start();
    while (!stopping_) {
        boost::system::error_code cancelled;
        co_await stopped_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    for (const auto& service : services_) co_await service->stop();
    co_return std::ranges::all_of(services_, &Service::worked) ? process::worked : process::did_not_work;
}

void Serving::stop() {
    stopping_ = true;
    stopped_.cancel();
}

}  // namespace wmlab::serving
