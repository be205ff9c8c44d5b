// MSBD: the server that pulls opened the connection, the media comes back on it; a source may be lost and come again.
#include "lab/judge/judge.hpp"
#include "tests/catch.hpp"
#include "tests/lab/judge/journal_builder.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

Story pulled() {
    Story story{"  - { id: f, type: msbd, from: media, to: studio, source: encoder }\n"};
    story.process("studio", "encoder_sim", {"f"});
    story.listening("studio", "tcp", 7007, "msbd");
    story.process("media", "server_sim", {"f"});
    story.started("media", "f", "msbd", "tcp");
    return story;
}

Story::Connection one_connection(Story& story) {
    const auto connection = story.connect("f", "msbd", "media", "studio", 7007);
    story.talk(connection);
    return connection;
}

FlowResult judged_pull(const Story& story) {
    const auto report = judge(story.scenario(), story.events());
    REQUIRE(report.flows.size() == 1);
    return report.flows[0];
}

}  // namespace

TEST_CASE("a pull that worked passes, its media is that of the encoder", "[judge]") {
    auto story = pulled();
    const auto connection = one_connection(story);
    story.media({"f", "studio", "media", connection.remote, connection.local, "msbd", 40, {}, {}, 30});
    story.close(connection);
    story.ended("media", "f", "worked", "tcp");
    const auto flow = judged_pull(story);
    CHECK(flow.verdict == Verdict::pass);
    CHECK(flow.transport == "tcp");
    CHECK(flow.notes.empty());
}

TEST_CASE("a packet that was changed on the way from the encoder is found out", "[judge]") {
    auto story = pulled();
    const auto connection = one_connection(story);
    story.media({"f", "studio", "media", connection.remote, connection.local, "msbd", 40, {}, {7}, 30});
    story.close(connection);
    story.ended("media", "f", "worked", "tcp");
    const auto flow = judged_pull(story);
    CHECK(flow.verdict == Verdict::blocked);
    CHECK(flow.cause == Cause::modified);
}

TEST_CASE("an encoder killed and started again: the flow passes, and the report says what is missing", "[judge]") {
    auto story = pulled();
    const auto first = one_connection(story);
    // The killed encoder left no account of this connection; its numbers were others.
    auto& before = story.on("media", "f", "msbd", What::media_ended,
                            {{"packets", 2},
                             {"bytes", 400},
                             {"digests", boost::json::array{boost::json::array{900, 1}, boost::json::array{5, 2}}},
                             {"digest", "3"},
                             {"header_digest", 77},
                             {"duplicates", 0},
                             {"damaged", 0},
                             {"longest_gap", 100}});
    before.local = first.local;
    before.remote = first.remote;
    story.on("media", "f", "msbd", What::closed, {{"by", "peer"}, {"reason", "the serving end closed"}}).remote =
        first.remote;
    story.on("media", "f", "msbd", What::retry, {{"reason", "the serving end closed the connection"}});
    story.kill("studio");
    story.process("studio", "encoder_sim", {"f"});
    story.listening("studio", "tcp", 7007, "msbd");
    const auto second = one_connection(story);
    story.media({"f", "studio", "media", second.remote, second.local, "msbd", 40, {}, {}, 30});
    story.on("media", "f", "msbd", What::media_resumed, {{"gap", 2100}, {"lost", 21}, {"estimated", true}});
    story.close(second);
    story.ended("media", "f", "worked", "tcp");
    const auto flow = judged_pull(story);
    INFO(flow.explanation);
    CHECK(flow.verdict == Verdict::pass);
    REQUIRE(flow.notes.size() == 1);
    CHECK(flow.notes[0].find("nothing came for 2.1 s, about 21 packets are missing") != std::string::npos);
    CHECK(flow.retries.size() == 1);
}
