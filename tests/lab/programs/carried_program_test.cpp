#include "lab/programs/carried_program.hpp"

#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "lab/programs/launcher.hpp"
#include "tests/catch.hpp"

using namespace wmlab::lab;

namespace {

struct ScenarioFolder {
    ScenarioFolder() {
        std::filesystem::create_directories(path / "proxies");
        std::ofstream{path / "proxies/it's.conf"} << "Port 3128\nend-of-file\n$HOME `id`";
        std::ofstream{path / "program", std::ios::binary} << std::string("\0\1", 2);
    }
    ~ScenarioFolder() { std::filesystem::remove_all(path); }
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("wmlab-carried-" + std::to_string(::getpid()));
};

std::string ran(const std::string& shell) {
    // The end of the input ends the program: it is kept open for a while.
    const auto result = run_tool(Namespace::current(), {"sh", "-c", "{ cat; sleep 1; } | sh -s"}, shell);
    CHECK(result.ending.ok());
    return result.output;
}

}  // namespace

TEST_CASE("carried program: its files are brought along word by word, and nothing is left", "[lab]") {
    const ScenarioFolder folder;
    const auto shell = carried_program(
        {"sh", "-c", "cat \"$1\"; pwd; echo \"$2\"", "sh", "proxies/it's.conf", "$HOME 'x'"}, folder.path, {});
    const auto output = ran(shell);
    CHECK(output.find("started\n") != std::string::npos);
    CHECK(output.find("Port 3128\nend-of-file\n$HOME `id`\n") != std::string::npos);
    CHECK(output.find("\n$HOME 'x'\n") != std::string::npos);
    const auto place = output.find("\n/");
    REQUIRE(place != std::string::npos);
    CHECK(!std::filesystem::exists(output.substr(place + 1, output.find('\n', place + 1) - place - 1)));
}

TEST_CASE("carried program: what cannot be brought is refused", "[lab]") {
    const ScenarioFolder folder;
    CHECK_THROWS_WITH(carried_program({"cat", "../" + folder.path.filename().string() + "/proxies/it's.conf"}, folder.path, {}),
                      contains("outside of the scenario's directory"));
    CHECK_THROWS_WITH(carried_program({"./program"}, folder.path, {}), contains("only readable text"));
    CHECK_NOTHROW(carried_program({"/bin/cat", "/etc/passwd"}, folder.path, {}));  // that machine's own
}
