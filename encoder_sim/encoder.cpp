#include "encoder_sim/encoder.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <iostream>

#include "common/serving/http.hpp"
#include "common/serving/msbd.hpp"
#include "common/serving/serving.hpp"
#include "common/wmsp/response.hpp"
#include "encoder_sim/alias.hpp"

namespace wmlab::encoder_sim {
namespace {

namespace po = boost::program_options;
namespace asio = boost::asio;

class EncoderSim : public serving::Serving {
public:
    explicit EncoderSim(process::Context& context)
        : Serving{context, scenario::Program::encoder_sim}, status_{context.io} {
        server_.http_name = wmsp::rex;
        open_contents();
        serve({make_alias, serving::make_msbd, serving::make_http});
    }

    asio::awaitable<int> run() override {
        if (!context().scenario && !context().options.contains("quiet")) show_status();
        const int worked = co_await Serving::run();
        status_.cancel();
        co_return worked;
    }

private:
    void open_contents() {
        std::vector<serving::ContentSpec> specs;
        if (context().scenario) {
            for (const auto& content : context().scenario->contents)
                if (std::ranges::any_of(context().flows,
                                        [&](const auto& flow) { return flow.flow->content == content.name; }))
                    specs.push_back(serving::content_spec(content));
            for (auto& spec : specs)  // also called as servers know it
                for (const auto& flow : context().flows)
                    if (flow.flow->type == scenario::FlowType::encoder_alias && flow.from == context().host &&
                        flow.flow->content == spec.name)
                        spec.more_names.push_back(flow.flow->alias);
        } else {
            auto texts = context().options["content"].as<std::vector<std::string>>();
            if (context().options.contains("file")) {
                if (context().options["content"].defaulted()) texts.clear();
                texts.insert(texts.begin(), context().options["file"].as<std::string>());
            }
            for (const auto& text : texts) {
                auto spec = serving::content_spec(text);
                if (!spec) throw process::UsageError{spec.error().text()};
                specs.push_back(std::move(*spec));
            }
        }
        for (auto& spec : specs) {
            // An encoder sends what happens now: a file over and over, a tone without an end.
            spec.loop = true;
            spec.duration = serving::milliseconds{0};
            offer(spec);
        }
    }

    // A line a second on standard error, for a person: what is sent to whom.
    void show_status() {
        status_.expires_after(std::chrono::seconds{1});
        status_.async_wait([this](boost::system::error_code error) {
            if (error) return;
            for (const auto& service : running())
                if (const auto text = service->status(); !text.empty()) std::cerr << text << std::endl;
            show_status();
        });
    }

    asio::steady_timer status_;
};

}  // namespace

boost::program_options::options_description options() {
    po::options_description options{"Encoder options"};
    auto add = options.add_options();
    add("content", po::value<std::vector<std::string>>()->composing()->default_value({"live=synthetic"}, "live=synthetic")->value_name("WHAT"),
        "FILE or NAME=FILE, sent over and over as a live stream, or synthetic[:BITRATE]... (several bit rates: as many streams); repeatable, the first is what MSBD sends to those who name none");
    add("file", po::value<std::string>()->value_name("FILE"), "the same as --content FILE");
    add("msbd-port", po::value<std::uint16_t>()->default_value(7007)->value_name("N"),
        "TCP port of MSBD; 7007: a random port in 1024-5000 where it is taken");
    add("alias", po::value<std::string>()->value_name("NAME"),
        "register this stream alias with --server, over DCOM; the server then pulls the stream by MSBD");
    add("server", po::value<std::string>()->value_name("HOST[:PORT]"),
        "where --alias is registered; its endpoint mapper is at 135");
    add("http-port", po::value<std::uint16_t>()->default_value(80)->value_name("N"), "TCP port of HTTP");
    add("no-http", "MSBD only");
    add("quiet", "do not print a status line every second");
    options.add(serving::serving_options());
    return options;
}

std::unique_ptr<process::Simulator> make(process::Context& context) { return std::make_unique<EncoderSim>(context); }

}  // namespace wmlab::encoder_sim
