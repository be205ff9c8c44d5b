#include "common/evidence/journal.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <csignal>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>
#include <thread>

#include "tests/catch.hpp"

using namespace wmlab::evidence;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

const auto noon = std::chrono::sys_days{std::chrono::November / 24 / 2026} + 16h + 31min + 32s + 123456789ns;
Clock clock_at_noon() {
    return {[] { return noon; }, [] { return 42ns; }};
}

Event media_started() {
    Event event;
    event.flow = "station[media->edge]";
    event.leg = "media";
    event.event = What::media_started;
    event.local = "10.20.0.10:1217";
    event.remote = "10.10.0.10:1755";
    event.fields["packets"] = 41;
    return event;
}

struct TemporaryDirectory {
    TemporaryDirectory() {
        std::string name = (fs::temp_directory_path() / "wmlab-evidence-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::system_error{errno, std::generic_category(), name};
        path = name;
    }
    ~TemporaryDirectory() { fs::remove_all(path); }
    fs::path path;
};

std::string contents_of(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

ReadJournal read(const std::string& text) {
    std::istringstream in{text};
    return read_journal(in, "player.jsonl");
}

const std::string good =
    R"({"time":"2026-11-24T16:31:32.123456789Z","monotonic":42,"host":"player","process":"client_sim","event":"ready"})";

}  // namespace

TEST_CASE("a line is what the documentation says", "[evidence]") {
    std::string lines;
    Journal journal{"player", "client_sim", [&](std::string_view line) { lines += line; }, clock_at_noon()};
    journal.write(media_started());
    CHECK(lines == R"({"time":"2026-11-24T16:31:32.123456789Z","monotonic":42,"host":"player","process":"client_sim",)"
                   R"("flow":"station[media->edge]","leg":"media","event":"media-started","local":"10.20.0.10:1217",)"
                   R"("remote":"10.10.0.10:1755","packets":41})"
                   "\n");
}

TEST_CASE("what is written is read", "[evidence]") {
    std::string lines;
    Journal journal{"player", "client_sim", [&](std::string_view line) { lines += line; }, clock_at_noon()};
    journal.write(media_started());
    auto other = media_started();
    other.host = "media", other.process = "server_sim", other.utc = noon + 1ns, other.monotonic = -7ns;
    other.fields["digests"] = boost::json::array{boost::json::array{0, 4294967295u}};
    journal.write(other);
    const auto read_back = read(lines);
    REQUIRE(read_back.events.size() == 2);
    CHECK(read_back.problems.empty());
    CHECK_FALSE(read_back.truncated);
    CHECK(read_back.events[0].host == "player");
    CHECK(read_back.events[0].utc == noon);
    CHECK(read_back.events[0].fields == media_started().fields);
    const auto& event = read_back.events[1];
    CHECK(event.host == "media");
    CHECK(event.process == "server_sim");
    CHECK(event.flow == other.flow);
    CHECK(event.leg == other.leg);
    CHECK(event.event == What::media_started);
    CHECK(event.local == other.local);
    CHECK(event.remote == other.remote);
    CHECK(event.utc == noon + 1ns);
    CHECK(event.monotonic == -7ns);
    CHECK(event.fields == other.fields);
}

TEST_CASE("every event has a word of its own", "[evidence]") {
    std::set<std::string_view> words;
    for (const auto name : what_names) {
        CHECK(words.insert(name).second);
        REQUIRE(what_from(name).has_value());
        CHECK(text(*what_from(name)) == name);
    }
    CHECK(text(What::probe_answered) == what_names.back());
    CHECK(text(What::media_started) == "media-started");
    CHECK_FALSE(what_from("rebooted").has_value());
    const auto documented = contents_of(fs::path{WMLAB_SOURCE_DIR} / "docs/journal.md");
    for (const auto name : what_names) {
        INFO(name);
        CHECK(documented.find('`' + std::string{name} + '`') != std::string::npos);
    }
}

TEST_CASE("times: nanoseconds, UTC, as text and back", "[evidence]") {
    CHECK(text(noon) == "2026-11-24T16:31:32.123456789Z");
    CHECK(text(std::chrono::sys_time<std::chrono::nanoseconds>{}) == "1970-01-01T00:00:00.000000000Z");
    CHECK(time_from("2026-11-24T16:31:32.123456789Z") == noon);
    CHECK(time_from("2026-11-24T16:31:32.1Z") == noon - 23456789ns);
    CHECK(time_from("2026-11-24T16:31:32Z") == noon - 123456789ns);
    CHECK(time_from("1969-12-31T23:59:59.999999999Z")->time_since_epoch() == -1ns);
    for (const auto* bad : {"", "2026-11-24", "2026-11-24T16:31:32", "2026-11-24 16:31:32Z", "2026-13-24T16:31:32Z",
                            "2026-02-30T16:31:32Z", "2026-11-24T24:31:32Z", "2026-11-24T16:60:32Z",
                            "9999-11-24T16:31:32Z", "2026-11-24T16:31:32.Z", "2026-11-24T16:31:32.12a4Z",
                            "2026-11-24T16:31:32.1234567890Z", "2026-11-24T16:31:32+01:00", "202a-11-24T16:31:32Z"})
        CHECK_FALSE(time_from(bad).has_value());
}

TEST_CASE("bytes that are not UTF-8 are replaced, everywhere in a line", "[evidence]") {
    auto event = media_started();
    event.host = "h\xFF", event.process = "p", event.flow = "f\xC3";
    event.fields["te\xFExt"] = boost::json::array{"a\x80z", boost::json::object{{"in", "\xED\xA0\x80"}}};
    std::string problem;
    const auto read_back = event_from_line(to_line(event), problem);
    INFO(problem);
    REQUIRE(read_back.has_value());
    CHECK(read_back->host == "h\xEF\xBF\xBD");
    CHECK(read_back->fields.at("te\xEF\xBF\xBDxt").as_array()[0] == "a\xEF\xBF\xBDz");
}

TEST_CASE("a field named like a part of the event does not take its place", "[evidence]") {
    auto event = media_started();
    event.host = "player", event.process = "client_sim";
    event.fields["host"] = "other";
    event.fields["time"] = 3;
    std::string problem;
    CHECK(event_from_line(to_line(event), problem)->host == "player");
}

TEST_CASE("a journal that broke off is read as far as it goes", "[evidence]") {
    for (std::size_t size = 0; size <= good.size() + 1; ++size) {
        const auto journal = read(good + '\n' + (good + '\n').substr(0, size));
        const bool whole = size >= good.size();
        CHECK(journal.events.size() == (whole ? 2 : 1));
        CHECK(journal.truncated == (size > 0 && !whole));
        CHECK(journal.problems.empty());
    }
}

TEST_CASE("a broken line inside is a problem with its number, the others are read", "[evidence]") {
    struct Row {
        std::string name, line, problem;
    };
    const auto without = [](const std::string& part) {
        auto line = good;
        return line.erase(line.find(part), part.size());
    };
    const auto row = GENERATE_COPY(values<Row>({
        {"half a line", good.substr(0, 50), "not a JSON object"},
        {"a list", "[1]", "not a JSON object"},
        {"two objects", good + good, "not a JSON object"},
        {"not UTF-8", "{\"event\":\"\xFF\"}", "not a JSON object"},
        {"deeply nested", std::string(5000, '['), "not a JSON object"},
        {"no event", without(R"(,"event":"ready")"), "no `event`"},
        {"no host", without(R"("host":"player",)"), "no `host`"},
        {"no process", without(R"("process":"client_sim",)"), "no `process`"},
        {"no time", without(R"("time":"2026-11-24T16:31:32.123456789Z",)"), "`time` is not a UTC time"},
        {"a host that is a number", R"({"event":"ready","host":3})", "`host` is not text"},
        {"monotonic that is text",
         R"({"time":"2026-11-24T16:31:32Z","monotonic":"x","host":"a","process":"b","event":"ready"})",
         "`monotonic` is not a number"},
        {"a line of 5 MB", std::string(5'000'000, 'x'), "longer than 4194304 bytes"},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto journal = read(good + "\r\n" + row.line + "\n\n" + good + '\n');
        CHECK(journal.events.size() == 2);
        CHECK_FALSE(journal.truncated);
        CHECK(journal.problems == std::vector<std::string>{"player.jsonl:2: " + row.problem});
    }
}

TEST_CASE("events of a later version are left out and counted", "[evidence]") {
    auto later = good;
    later.replace(later.find("ready"), 5, "rebooted");
    auto journal = read(later + '\n' + good + '\n' + later);
    CHECK(journal.events.size() == 1);
    CHECK(journal.unknown == 2);
    CHECK(journal.problems.empty());
    CHECK_FALSE(journal.truncated);
}

TEST_CASE("no damaged byte makes the reader fail", "[evidence]") {
    for (std::size_t at = 0; at < good.size(); ++at) {
        for (const char c : {'\0', '"', '{', '\\', '9', '\xFF', '\n'}) {
            auto line = good;
            line[at] = c;
            const auto journal = read(line + '\n' + good + '\n');
            CHECK(journal.events.size() >= 1);
        }
    }
}

TEST_CASE("problems are bounded", "[evidence]") {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "x\n";
    CHECK(read(text).problems.size() == 100);
}

TEST_CASE("files are appended to, line by line", "[evidence]") {
    const TemporaryDirectory directory;
    const auto file = directory.path / "player.jsonl";
    {
        Journal journal{"player", "client_sim", file_sink(file), clock_at_noon()};
        journal.write(media_started());
        CHECK(read(contents_of(file)).events.size() == 1);  // at once
    }
    Journal{"player", "client_sim", file_sink(file), clock_at_noon()}.write(media_started());
    CHECK(read(contents_of(file)).events.size() == 2);
    CHECK_THROWS_AS(file_sink(directory.path / "none" / "x.jsonl"), std::system_error);
}

TEST_CASE("a full disk is said once, counted, and the process goes on", "[evidence]") {
    std::vector<std::string> complaints;
    Journal journal{"player", "client_sim", file_sink("/dev/full"), clock_at_noon()};
    journal.complain_to([&](const std::string& complaint) { complaints.push_back(complaint); });
    for (int i = 0; i < 3; ++i) journal.write(media_started());
    CHECK(journal.lost() == 3);
    REQUIRE(complaints.size() == 1);
    CHECK(complaints[0] == "the journal cannot be written, evidence is being lost: No space left on device");
}

TEST_CASE("the last line tells how many were lost before it", "[evidence]") {
    std::string lines;
    bool full = true;
    Journal journal{"player", "client_sim",
                    [&](std::string_view line) {
                        if (full) throw std::system_error{ENOSPC, std::generic_category()};
                        lines += line;
                    },
                    clock_at_noon()};
    journal.complain_to([](const std::string&) {});
    journal.write(media_started());
    full = false;
    Event stopped;
    stopped.event = What::stopped;
    journal.write(stopped);
    REQUIRE(read(lines).events.size() == 1);
    CHECK(read(lines).events[0].fields.at("lost") == 1);
}

TEST_CASE("a line that broke off in the middle spoils no other", "[evidence]") {
    const TemporaryDirectory directory;
    const auto file = directory.path / "player.jsonl";
    const auto sink = file_sink(file);
    sink(good + '\n');
    rlimit usual{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &usual) == 0);
    auto tight = usual;
    tight.rlim_cur = good.size() + 20;  // the disk is full in the middle of the second line
    const auto old = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
    CHECK_THROWS_AS(sink(good + '\n'), std::system_error);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &usual) == 0);
    std::signal(SIGXFSZ, old);
    sink(good + '\n');
    const auto journal = read(contents_of(file));
    CHECK(journal.events.size() == 2);
    CHECK(journal.problems == std::vector<std::string>{"player.jsonl:2: not a JSON object"});
}

TEST_CASE("a full non-blocking pipe is waited for, a closed one is a failure", "[evidence]") {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    REQUIRE(::fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    const auto sink = descriptor_sink(ends[1]);
    const std::string line = std::string(300'000, 'x') + '\n';  // more than a pipe holds
    std::string got;
    std::thread reader{[&] {
        char chunk[65536];
        while (got.size() < line.size())
            got.append(chunk, static_cast<std::size_t>(std::max<ssize_t>(0, ::read(ends[0], chunk, sizeof chunk))));
    }};
    sink(line);
    reader.join();
    CHECK(got == line);
    ::close(ends[0]);
    const auto old = std::signal(SIGPIPE, SIG_IGN);
    CHECK_THROWS_AS(sink("nobody reads\n"), std::system_error);
    std::signal(SIGPIPE, old);
    ::close(ends[1]);
}
