// The time that a run allows for an ASF header is what its own rate makes of its size.
#include "lab/run/header_time.hpp"

#include <fstream>

#include "common/asf/synthesiser.hpp"
#include "tests/catch.hpp"
#include "tests/lab/directory.hpp"

using namespace wmlab;
using std::chrono::milliseconds;

TEST_CASE("a header takes its size at the rate of its stream, and what is no ASF file takes nothing", "[lab]") {
    const lab::tests::Directory directory;
    const auto made = asf::Synthesiser::make({}).value();
    const auto& raw = made->header().raw;
    const auto write = [&](const char* name, std::size_t bytes) {
        std::ofstream out{directory.path() / name, std::ios::binary};
        out.write(reinterpret_cast<const char*>(raw.data()), static_cast<std::streamsize>(bytes));
        return directory.path() / name;
    };
    scenario::Scenario scenario;
    const auto time_of = [&](const std::filesystem::path& file) {
        scenario.contents = {{"picture", scenario::Content::Kind::file, 0, milliseconds{0}, file}};
        scenario::Flow flow;
        flow.content = "picture";
        return lab::header_time(scenario, flow);
    };
    CHECK(time_of(write("whole.wmv", raw.size())) == milliseconds{8000 * raw.size() / made->header().maximum_bit_rate});
    CHECK(time_of(write("cut.wmv", raw.size() / 2)) == milliseconds{0});
    CHECK(time_of(write("short.wmv", 20)) == milliseconds{0});
    CHECK(time_of(write("empty.wmv", 0)) == milliseconds{0});
    CHECK(time_of(directory.path() / "none.wmv") == milliseconds{0});
    CHECK(time_of(directory.path()) == milliseconds{0});
    scenario::Flow other;
    other.content = "another";
    CHECK(lab::header_time(scenario, other) == milliseconds{0});
}
