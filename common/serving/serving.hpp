// A process that serves, server_sim or encoder_sim: its contents, and its services from the first listener to the last
// event.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/serving/content.hpp"
#include "common/serving/server.hpp"

namespace wmlab::serving {

class Serving : public process::Simulator {
public:
    void prepare() override;
    asio::awaitable<int> run() override;
    void stop() override;
    std::vector<std::filesystem::path> reads() const override { return files_; }
    std::vector<std::filesystem::path> writes() const override;
    bool reads_nothing_else() const override { return true; }

protected:
    Serving(process::Context& context, scenario::Program program);

    process::Context& context() const { return server_.context; }
    void offer(const ContentSpec& spec);  // throws process::EnvironmentError where it cannot be opened
    void serve(const std::vector<MakeService>& services);
    const std::vector<std::unique_ptr<Service>>& running() const { return services_; }

    Server server_;

private:
    std::vector<std::filesystem::path> files_;
    std::vector<std::unique_ptr<Service>> services_;
    asio::steady_timer stopped_;
    bool stopping_ = false;
};

}  // namespace wmlab::serving
