#include <fstream>
#include <thread>

#include "common/asf/file.hpp"
#include "common/bytes/hex.hpp"
#include "tests/catch.hpp"
#include "tests/client_sim/lab.hpp"

using namespace wmlab;
using namespace wmlab::tests;
using scenario::FlowType;

namespace {

scenario::Flow short_flow(FlowType type) {  // against servers that do not do as they should
    auto out = flow("f", type);
    out.deadline = 1s;
    return out;
}

}  // namespace

TEST_CASE("mms-tcp, mms-udp and mms-auto side by side", "[client_sim]") {
    Lab lab{{flow("t", FlowType::mms_tcp), flow("u", FlowType::mms_udp), flow("a", FlowType::mms_auto)}};
    REQUIRE(lab.play());
    CHECK(lab.client.code() == 0);
    for (const auto* id : {"t", "u", "a"}) {
        CHECK(text(lab.end_of(id), "outcome") == "worked");
        check_media(lab, id);
    }
    CHECK(text(lab.end_of("a"), "transport") == "udp");
    const auto announced = lab.client.events(What::announced, "u");
    REQUIRE(announced.size() == 1);
    CHECK(lab.server->events(What::media_started, "u")[0].remote == announced[0].local);
    const auto port = std::stoul(announced[0].local.substr(announced[0].local.rfind(':') + 1));
    CHECK((port >= 1024 && port <= 5000));
    const auto answered = lab.client.events(What::resend_answered, "u");
    REQUIRE(answered.size() == 1);  // asked once on purpose, after media had come
    CHECK(lab.client.events(What::resend_requested, "u").size() == 1);
    CHECK(lab.client.events(What::resend_requested, "u")[0].monotonic >
          lab.client.events(What::media_started, "u")[0].monotonic);
    CHECK(lab.server->events(What::resend_answered, "u").size() == 1);
    CHECK(lab.client.events(What::resend_requested, "t").empty());
    CHECK(lab.client.events(What::retry).empty());
}

TEST_CASE("many copies of a flow run in one process", "[client_sim]") {
    auto load = flow("load", FlowType::mms_udp);
    load.count = 40;
    Lab lab{{load}};
    REQUIRE(lab.play());
    CHECK(lab.client.code() == 0);
    CHECK(lab.client.events(What::flow_ended).size() == 40);
    CHECK(lab.server->events(What::media_ended).size() == 40);
    for (const auto& ended : lab.client.events(What::media_ended)) CHECK(ended.fields.at("lost").as_array().empty());
}

TEST_CASE("stored content is played to its end when that comes before `play`", "[client_sim]") {
    auto clip = flow("clip", GENERATE(FlowType::mms_tcp, FlowType::mms_udp));
    clip.content = "clip";
    clip.play = 20s;
    Lab lab{{clip}};
    REQUIRE(lab.play());
    CHECK(text(lab.end_of("clip"), "outcome") == "worked");
    check_media(lab, "clip");
    CHECK(number(lab.client.events(What::media_ended)[0], "packets") ==
          number(lab.server->events(What::media_ended)[0], "packets"));
    CHECK(text(lab.client.events(What::media_ended)[0], "digest") ==
          text(lab.server->events(What::media_ended)[0], "digest"));
}

TEST_CASE("a pause in the midst of a stream: StopPlaying, silence, StartPlaying, and nothing counts as lost", "[client_sim]") {
    auto paused = flow("p", GENERATE(FlowType::mms_tcp, FlowType::mms_udp));
    paused.idle = 30s;
    if (GENERATE(false, true)) paused.content = "clip", paused.play = 150ms;
    Lab lab{{paused}};
    lab.client.context().hastened = 100;  // 300 ms
    REQUIRE(lab.play());
    CHECK(text(lab.end_of("p"), "outcome") == "worked");
    check_media(lab, "p");
    const auto began = lab.client.events(What::paused, "p"), ended = lab.client.events(What::continued, "p");
    REQUIRE(began.size() == 1);
    REQUIRE(ended.size() == 1);
    CHECK(number(began[0], "lasts") == 300);
    CHECK(ended[0].monotonic - began[0].monotonic >= 300ms);
    CHECK(number(lab.client.events(What::media_ended, "p")[0], "longest_gap") < 250);  // the pause is none
    std::map<std::string, unsigned> said;
    for (const auto& event : lab.client.events(What::sent, "p")) ++said[text(event, "message")];
    CHECK(said["LinkViewerToMacStopPlaying"] >= 1);
    CHECK(said["LinkViewerToMacStartPlaying"] == 2);
}

TEST_CASE("no server: refused is a value with its cause", "[client_sim]") {
    Lab lab{{short_flow(FlowType::mms_tcp)}, false};
    REQUIRE(lab.play());
    CHECK(lab.client.code() == 1);
    const auto failed = lab.client.events(What::connect_failed);
    REQUIRE(failed.size() == 1);
    CHECK(failed[0].leg == "control");
    CHECK(failed[0].fields.at("failure").as_object().at("kind").as_string() == "refused");
    CHECK_THAT(text(lab.end_of("f"), "reason"), contains("ECONNREFUSED"));
}

TEST_CASE("the server's HRESULT ends the flow and is in its end", "[client_sim]") {
    Lab lab{{flow("f", FlowType::mms_tcp)}};
    lab.scenario.flows[0].content = "nothing";
    REQUIRE(lab.play());
    CHECK(text(lab.end_of("f"), "outcome") == "failed");
    CHECK(number(lab.end_of("f"), "hr") == 0xC00D001A);
}

TEST_CASE("the server is silent at one step: the flow ends, and says at which", "[client_sim]") {
    const auto step = GENERATE(values<std::string>(
        {"LinkMacToViewerReportConnectedEX", "LinkMacToViewerReportFunnelInfo", "LinkMacToViewerReportConnectedFunnel",
         "LinkMacToViewerReportOpenFile", "LinkMacToViewerReportReadBlock", "LinkMacToViewerReportStreamSwitch",
         "LinkMacToViewerReportStartedPlaying"}));
    DYNAMIC_SECTION(step) {
        Lab lab{{short_flow(FlowType::mms_tcp)}, false};
        SpoiltServer server{lab.io, lab.media()};
        bool mute = false;
        server.lets = [&](const mms::ServerAction& action) {
            if (const auto* send = std::get_if<mms::Send>(&action); send && mms::name(send->message) == step)
                mute = true;
            return !mute;
        };
        REQUIRE(lab.play());
        const auto end = lab.end_of("f");
        CHECK(text(end, "outcome") == "failed");
        CHECK_FALSE(text(end, "reason").empty());
        CHECK(lab.client.events(What::closed).size() == 1);
    }
}

TEST_CASE("UDP goes nowhere: the Header timer, its retries, and the end within the deadline's order", "[client_sim]") {
    Lab lab{{short_flow(FlowType::mms_udp)}, false};
    SpoiltServer server{lab.io, lab.media()};
    server.lets = [](const mms::ServerAction& action) {
        const auto* data = std::get_if<mms::SendData>(&action);
        return !data || data->transport != mms::Transport::udp;
    };
    REQUIRE(lab.play());
    CHECK(text(lab.end_of("f"), "outcome") == "failed");
    const auto silent = lab.client.events(What::media_silent);
    // The timer is the specification's, a second and more; the deadline ends the silence before its fourth retry.
    REQUIRE_FALSE(silent.empty());
    REQUIRE(silent.size() < 5);
    CHECK(silent[0].leg == "media");
    CHECK(number(silent.back(), "attempt") == static_cast<double>(silent.size()));
    CHECK(lab.client.events(What::retry).size() == silent.size() - 1);
    CHECK(lab.client.events(What::announced).size() == 1);
    CHECK(lab.client.events(What::resend_requested).empty());  // a datagram of ours could have opened the way
    CHECK(lab.client.events(What::media_started).empty());
}

TEST_CASE("rollover: UDP goes nowhere, TCP plays", "[client_sim]") {
    Lab lab{{short_flow(FlowType::mms_auto)}, false};
    SpoiltServer server{lab.io, lab.media()};
    server.lets = [](const mms::ServerAction& action) {
        const auto* data = std::get_if<mms::SendData>(&action);
        return !data || data->transport != mms::Transport::udp;
    };
    REQUIRE(lab.play());
    const auto end = lab.end_of("f");
    CHECK(text(end, "outcome") == "worked");
    CHECK(text(end, "transport") == "tcp");
    const auto started = lab.client.events(What::flow_started);
    REQUIRE(started.size() == 2);
    CHECK(text(started[0], "transport") == "udp");
    CHECK(text(started[1], "transport") == "tcp");
    CHECK(number(started[1], "attempt") == 2);
    CHECK(server.connections == 2);  // a new connection, as real players make
}

TEST_CASE("media begins and then stops: noticed, and said so", "[client_sim]") {
    auto starved = short_flow(GENERATE(FlowType::mms_tcp, FlowType::mms_udp));
    starved.play = 20s;
    Lab lab{{starved}, false};
    SpoiltServer server{lab.io, lab.media()};
    server.media_packets = 10;
    REQUIRE(lab.play());
    CHECK(text(lab.end_of("f"), "outcome") == "failed");
    CHECK_THAT(text(lab.end_of("f"), "reason"), contains("no more"));
    REQUIRE(lab.client.events(What::media_silent).size() == 1);
    CHECK(number(lab.client.events(What::media_silent)[0], "waited") >= 1000);
    CHECK(number(lab.client.events(What::media_ended)[0], "packets") == 10);
}

TEST_CASE("a machine that stood still for longer than the deadline: the server gets the same time", "[client_sim]") {
    auto stalled = short_flow(GENERATE(FlowType::mms_tcp, FlowType::mms_udp));
    stalled.play = 400ms;
    Lab lab{{stalled}};
    lab.server->prepare(), lab.server->start();
    lab.client.prepare(), lab.client.start();
    REQUIRE(run_until(lab.io, [&] { return !lab.client.events(What::media_started).empty(); }));
    std::this_thread::sleep_for(2s);  // both ends run in this thread
    REQUIRE(run_until(lab.io, [&] { return lab.client.ended(); }));
    lab.server->stop();
    REQUIRE(run_until(lab.io, [&] { return lab.server->ended(); }));
    CHECK(text(lab.end_of("f"), "outcome") == "worked");
    CHECK(lab.client.events(What::media_silent).empty());
    check_media(lab, "f");
}

TEST_CASE("playing begins and no media comes", "[client_sim]") {
    Lab lab{{short_flow(FlowType::mms_tcp)}, false};
    SpoiltServer server{lab.io, lab.media()};
    server.media_packets = 0;
    REQUIRE(lab.play());
    CHECK(text(lab.end_of("f"), "outcome") == "failed");
    CHECK_THAT(text(lab.end_of("f"), "reason"), contains("no media"));
}

TEST_CASE("resend requests that nobody answers: tried again, then let be, the flow works", "[client_sim]") {
    Lab lab{{short_flow(FlowType::mms_udp)}, false};
    SpoiltServer server{lab.io, lab.media()};  // reads no datagrams
    REQUIRE(lab.play());
    CHECK(text(lab.end_of("f"), "outcome") == "worked");
    CHECK(lab.client.events(What::resend_requested).size() == 3);
    CHECK(lab.client.events(What::retry).size() == 2);
    CHECK(lab.client.events(What::resend_answered).empty());
}

TEST_CASE("lost datagrams are asked for, and counted when they do not come", "[client_sim]") {
    Lab lab{{short_flow(FlowType::mms_udp)}, false};
    SpoiltServer server{lab.io, lab.media()};
    server.media_packets = 20;
    server.lets = [](const mms::ServerAction& action) {
        const auto* data = std::get_if<mms::SendData>(&action);
        return !data || data->kind != mms::DataKind::media || data->LocationId != 7;
    };
    REQUIRE(lab.play());
    const auto ended = lab.client.events(What::media_ended);
    REQUIRE(ended.size() == 1);
    CHECK(number(ended[0], "packets") == 19);
    REQUIRE(ended[0].fields.at("lost").as_array().size() == 1);
    CHECK(ended[0].fields.at("lost").as_array()[0].to_number<int>() == 7);
    CHECK(lab.client.events(What::resend_requested).size() >= 2);
}

TEST_CASE("media that was changed on the way is damaged", "[client_sim]") {
    Lab lab{{short_flow(FlowType::mms_tcp)}, false};
    SpoiltServer server{lab.io, lab.media()};
    server.media_packets = 20;
    server.lets = [](const mms::ServerAction& action) {
        const auto* data = std::get_if<mms::SendData>(&action);
        if (data && data->kind == mms::DataKind::media && data->LocationId == 5)
            const_cast<std::byte&>(data->packet->at(200)) ^= std::byte{1};
        return true;
    };
    REQUIRE(lab.play());
    CHECK(number(lab.client.events(What::media_ended)[0], "damaged") == 1);
}

TEST_CASE("a server that sends rubbish: the flow ends with a reason", "[client_sim]") {
    Lab lab{{short_flow(FlowType::mms_tcp)}, false};
    auto acceptor = net::listen_tcp(lab.io.get_executor(), {lab.media(), 1755}).value();
    const auto rubbish = [&]() -> asio::awaitable<void> {
        auto socket = co_await acceptor.async_accept(asio::use_awaitable);
        const auto message =
            bytes::from_hex("01000000cefa0bb0f8ffffff4d4d5320ffffff1f0000000000000000000000000000000018000300").value();
        co_await asio::async_write(socket, asio::buffer(message), asio::use_awaitable);
        std::array<char, 4096> buffer{};
        for (;;) co_await socket.async_read_some(asio::buffer(buffer), asio::use_awaitable);
    };
    asio::co_spawn(lab.io, rubbish(), asio::detached);
    REQUIRE(lab.play());
    CHECK(text(lab.end_of("f"), "outcome") == "failed");
    CHECK(lab.client.has(What::malformed));
}

TEST_CASE("a server that closes at once", "[client_sim]") {
    Lab lab{{short_flow(FlowType::mms_tcp)}, false};
    auto acceptor = net::listen_tcp(lab.io.get_executor(), {lab.media(), 1755}).value();
    const bool hard = GENERATE(false, true);
    const auto closes = [&]() -> asio::awaitable<void> {
        auto socket = co_await acceptor.async_accept(asio::use_awaitable);
        if (hard) socket.set_option(asio::socket_base::linger{true, 0});
        socket.close();
    };
    asio::co_spawn(lab.io, closes(), asio::detached);
    REQUIRE(lab.play());
    CHECK(text(lab.end_of("f"), "outcome") == "failed");
    const auto closed = lab.client.events(What::closed);
    REQUIRE(closed.size() == 1);
    CHECK(text(closed[0], "by") == (hard ? "error" : "peer"));
    CHECK(closed[0].fields.contains("failure") == hard);
}

TEST_CASE("all of client_ports taken: the flow says which range", "[client_sim]") {
    auto busy = flow("f", FlowType::mms_udp);
    busy.client_ports = {4321, 4322};
    Lab lab{{busy}};
    const auto one = net::bind_udp(lab.io.get_executor(), {lab.player(), 4321}).value();
    const auto two = net::bind_udp(lab.io.get_executor(), {lab.player(), 4322}).value();
    REQUIRE(lab.play());
    CHECK(text(lab.end_of("f"), "outcome") == "failed");
    CHECK_THAT(text(lab.end_of("f"), "reason"), contains(":4321-4322"));
    CHECK(lab.client.has(What::listen_failed));
}

TEST_CASE("stop in the middle: every flow is ended in the journal", "[client_sim]") {
    auto t = flow("t", FlowType::mms_tcp), u = flow("u", FlowType::mms_udp), p = flow("p", FlowType::probe);
    t.play = u.play = 60s;
    p.protocol = scenario::Protocol::udp;
    p.ports = {{9, 9}};
    p.deadline = 60s;
    Lab lab{{t, u, p}};
    lab.server->prepare(), lab.server->start();
    lab.client.prepare(), lab.client.start();
    REQUIRE(run_until(lab.io, [&] { return lab.client.events(What::media_started).size() == 2; }));
    lab.client.stop();
    REQUIRE(run_until(lab.io, [&] { return lab.client.ended(); }));
    CHECK(lab.client.events(What::flow_ended).size() == 3);
    CHECK(lab.client.events(What::media_ended).size() == 2);
    CHECK(lab.client.events(What::closed).size() == 2);
    REQUIRE(run_until(lab.io, [&] { return lab.server->events(What::closed).size() == 2; }));
}

TEST_CASE("an endpoint from outside replaces host and port", "[client_sim]") {
    Lab lab{{flow("f", FlowType::mms_tcp)}, false};
    SpoiltServer server{lab.io, lab.player()};  // elsewhere than the scenario says
    lab.client.context().endpoints["f"] = {lab.player().to_string(), 1755};
    REQUIRE(lab.play());
    CHECK(text(lab.end_of("f"), "outcome") == "worked");
}

TEST_CASE("the plain tool: URLs, --save byte for byte, exit codes", "[client_sim]") {
    asio::io_context io{1};
    Sim server{io,
               "media",
               "server_sim",
               server_sim::options(),
               {"--bind", "127.0.0.1", "--mms-port", "0", "--content", "clip=synthetic:256k:300ms"},
               server_sim::make};
    server.prepare(), server.start();
    const auto authority = "127.0.0.1:" + std::to_string(server.port("control"));
    const auto play = [&](std::vector<std::string> arguments) {
        Sim client{io, "here", "client_sim", client_sim::options(), arguments, client_sim::make};
        client.prepare(), client.start();
        REQUIRE(run_until(io, [&] { return client.ended(); }));
        return client.code();
    };
    const std::filesystem::path file = "/tmp/wmlab-save-" + std::to_string(::getpid()) + ".asf";
    for (const auto* scheme : {"mms", "mmst", "mmsu"}) {
        CHECK(play({"--url", std::string{scheme} + "://" + authority + "/clip", "--save", file.string()}) == 0);
        const auto saved = asf::File::open(file);
        REQUIRE(saved.has_value());
        asf::SyntheticOptions options;
        options.bitrates = {256'000};
        options.live = false;
        options.duration = 300ms;
        const auto original = asf::Synthesiser::make(options).value();
        REQUIRE((*saved)->packet_count() == original->packet_count());
        for (std::uint64_t i = 0; i < *original->packet_count(); ++i) {
            const auto a = (*saved)->packet(i), b = original->packet(i);
            // the seed and the checksum of the marks differ by the content's name
            CHECK(a.size() == b.size());
        }
        std::filesystem::remove(file);
    }
    CHECK(play({"--url", "mmst://" + authority + "/other"}) == 1);
    CHECK_THROWS_AS(play({"--url", "mmst://" + authority + "/clip", "--save", "/nowhere/at/all.asf"}), process::EnvironmentError);
    CHECK_THROWS_AS(play({"--url", "mmst://" + authority + "/clip", "--save", "/"}), process::EnvironmentError);
    CHECK(play({"--url", "mmsu://" + authority + "/clip", "--udp-ports", "4400-4410", "--start", "0.1"}) == 0);
    CHECK_THROWS_AS(play({}), process::UsageError);
    CHECK_THROWS_AS(play({"--url", "gopher://x/y"}), process::UsageError);
    CHECK_THROWS_AS(play({"--url", "mms://x/y", "--udp-ports", "5-1"}), process::UsageError);
}
