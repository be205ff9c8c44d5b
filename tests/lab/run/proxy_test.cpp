// Web proxies that do more than pass on, as programs of the lab.
#include <spdlog/fmt/fmt.h>

#include "lab/programs/launcher.hpp"
#include "tests/catch.hpp"
#include "tests/lab/directory.hpp"
#include "tests/lab/in_lab.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace wmlab::lab::tests;

namespace {

ToolResult run_with_proxy(const std::string& way, const std::string& flows) {
    const Directory directory;
    const auto file = directory.write("proxy.yaml", fmt::format(R"(version: 1
name: a proxy that should not be as it is
zones:
  inside:  {{ subnet: 10.10.0.0/24, interface: inside }}
  outside: {{ subnet: 10.20.0.0/24, interface: outside }}
hosts:
  media:  {{ zone: inside,  address: 10.10.0.10 }}
  player: {{ zone: outside, address: 10.20.0.10 }}
  proxy:  {{ zone: outside, address: 10.20.0.11, run: [/usr/bin/python3, {}/tests/lab/run/bad_proxy.py, "3128", {}] }}
content:
  lecture: {{ synthetic: audio, bitrate: 64k }}
  film: {{ synthetic: audio, bitrate: 64k, duration: 1s }}
defaults: {{ deadline: 1s }}
flows:
{})",
                                                                WMLAB_SOURCE_DIR, way, flows));
    return run_tool(Namespace::current(), {WMLAB_PROGRAM, "run", file, "--jobs", "1"});
}

}  // namespace

TEST_CASE("media that a proxy holds back is no plain pass", "[lab][command]") {
    const auto result =
        run_with_proxy("trickle",
                       "  - { id: slow, type: http, from: player, to: media, proxy: { host: proxy }, play: 6s,\n"
                       "      content: lecture, expect: { verdict: degraded, leg: proxy } }\n");
    INFO(result.output);
    CHECK(result.ending.code == 0);
    CHECK(result.output.find("proxy held it back: the media came ") != std::string::npos);
}

TEST_CASE("media out of a proxy's cache is not the server's", "[lab][command]") {
    const auto result = run_with_proxy(
        "cache",
        "  - { id: fresh, type: http, from: player, to: media, proxy: { host: proxy }, play: 5s, content: film }\n"
        "  - { id: stale, type: http, from: player, to: media, proxy: { host: proxy }, play: 5s, content: film,\n"
        "      expect: { verdict: blocked, leg: proxy, cause: modified } }\n");
    INFO(result.output);
    CHECK(result.ending.code == 0);
    CHECK(result.output.find("answered out of a cache (Age:") != std::string::npos);
}
