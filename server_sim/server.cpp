#include "server_sim/server.hpp"

#include <algorithm>
#include <iostream>

#include "server_sim/dcom.hpp"
#include "server_sim/pull.hpp"

namespace wmlab::server_sim {
namespace {

namespace po = boost::program_options;

class ServerSim : public Serving {
public:
    explicit ServerSim(process::Context& context) : Serving{context, scenario::Program::server_sim} {
        add_relays(server_);
        open_contents();
        serve(services());
    }

private:
    void open_contents() {
        std::vector<ContentSpec> specs;
        if (context().scenario) {
            for (const auto& content : context().scenario->contents)
                if (wanted(content.name)) specs.push_back(content_spec(content));
        } else {
            if (!context().options.contains("content")) {
                if (!server_.points.all().empty() || dcom_wanted(context())) return;
                throw process::UsageError{"nothing to serve: give --content FILE, NAME=FILE or synthetic (see --help)"};
            }
            for (const auto& text : context().options["content"].as<std::vector<std::string>>()) {
                auto spec = content_spec(text);
                if (!spec) throw process::UsageError{spec.error().text()};
                spec->loop = context().options.contains("loop");
                specs.push_back(std::move(*spec));
            }
        }
        for (const auto& spec : specs) offer(spec);
    }

    // Contents that a flow of this host plays; a file that no flow here needs is not opened.
    bool wanted(const std::string& content) const {
        if (server_.points.find(content)) return false;  // it is pulled
        return std::ranges::any_of(context().flows, [&](const auto& flow) { return flow.flow->content == content; });
    }
};

}  // namespace

boost::program_options::options_description options() {
    po::options_description options{"Server options"};
    auto add = options.add_options();
    add("content", po::value<std::vector<std::string>>()->composing()->value_name("WHAT"),
        "FILE, NAME=FILE, or synthetic[:BITRATE]...[:DURATION] (live without a duration); repeatable");
    add("loop", "serve files as endless live streams");
    add("pull", po::value<std::vector<std::string>>()->composing()->value_name("[NAME=]URL"),
        "fetch a live stream from an encoder or a server, msbd://HOST[:PORT][/NAME] or http://HOST[:PORT]/NAME, and republish it; repeatable");
    add("pull-timeout", po::value<unsigned>()->default_value(30)->value_name("SECONDS"),
        "a source that sends nothing for so long is given up, and tried again");
    add("mms-port", po::value<std::uint16_t>()->default_value(1755)->value_name("N"), "TCP and UDP port of MMS");
    add("http-port", po::value<std::uint16_t>()->default_value(80)->value_name("N"), "TCP port of HTTP");
    add("no-http", "serve MMS only");
    add("station", po::value<std::vector<std::string>>()->composing()->value_name("STATION"),
        "NAME=GROUP:PORT[,ttl=N][,interface=ADDR][,unicast=URL]: multicast a content; repeatable");
    add("nsc-out", po::value<std::string>()->value_name("FILE"), "write the (first) station's .nsc file there");
    add("msbd-port", po::value<std::uint16_t>()->value_name("N"),
        "serve the first content to other servers by MSBD, too; 7007: a random port in 1024-5000 where it is taken");
    add("close-after-end", po::value<double>()->value_name("SECONDS"),
        "close a session so long after the end of its stream (some players wait for that)");
    add("reserved-ports", po::value<std::string>()->value_name("LIST"),
        "offer DCOM, its processes on these ports: \"3001-3010 135\"");
    add("registry", po::value<std::string>()->value_name("FILE.reg"),
        "offer DCOM, its ports as in this export of HKLM\\SOFTWARE\\Microsoft\\Rpc\\Internet");
    add("print-registry", po::value<unsigned>()->implicit_value(5)->value_name("VERSION"),
        "write the .reg file for --reserved-ports to standard output and end; version 4 is REGEDIT4, default 5");
    add("advertise", po::value<std::vector<std::string>>()->composing()->value_name("ADDR"),
        "what DCOM object references name as this machine's address (repeatable); default: where it listens");
    add("mapper-port", po::value<std::uint16_t>()->default_value(135)->value_name("N"),
        "TCP and UDP port of the endpoint mapper");
    options.add(serving_options());
    return options;
}

namespace {

// --print-registry: no server at all.
class RegistryPrinter : public process::Simulator {
public:
    explicit RegistryPrinter(std::string octets) : octets_{std::move(octets)} {}
    asio::awaitable<int> run() override {
        std::cout << octets_ << std::flush;
        co_return std::cout ? process::worked : process::did_not_work;
    }
    void stop() override {}

private:
    std::string octets_;
};

}  // namespace

std::unique_ptr<process::Simulator> make(process::Context& context) {
    if (!context.options.contains("print-registry")) return std::make_unique<ServerSim>(context);
    const auto version = context.options["print-registry"].as<unsigned>();
    if (version != 4 && version != 5) throw process::UsageError{"--print-registry wants 4 or 5"};
    auto octets = registry_export(context, version);
    if (!octets) throw process::UsageError{"--print-registry needs --reserved-ports (or --registry)"};
    return std::make_unique<RegistryPrinter>(std::move(*octets));
}

}  // namespace wmlab::server_sim
