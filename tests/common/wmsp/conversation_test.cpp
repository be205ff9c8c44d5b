// Our server against our player, in memory, the stream cut in any way.
#include <deque>
#include <memory>

#include "tests/common/wmsp/tools.hpp"

using namespace wmlab::wmsp;

namespace {

struct Result {
    std::optional<Finished> finished;
    std::vector<MediaReceived> media;
    std::optional<wmlab::asf::Header> header;
    unsigned connections = 0;
    std::vector<std::string> server_saw;
};

Result converse(const wmlab::asf::Content& content, const PlayerOptions& options, std::size_t piece,
                std::uint32_t packets) {
    Result result;
    const TimePoint now{};
    PlayerSession player{options};
    std::unique_ptr<ServerSession> server;
    std::string to_server, to_player;
    bool server_closed = false, connect = false;
    const auto perform = [&](const PlayerActions& actions) {
        for (const auto& action : actions) {
            if (std::holds_alternative<Connect>(action)) connect = true;
            if (const auto* send = std::get_if<Send>(&action)) to_server += as_text(send->bytes);
            if (const auto* header = std::get_if<HeaderComplete>(&action)) result.header = header->header;
            if (const auto* media = std::get_if<MediaReceived>(&action)) result.media.push_back(*media);
            if (const auto* finished = std::get_if<Finished>(&action)) result.finished = *finished;
        }
    };
    std::uint32_t next = 0;
    const auto serve = [&](const ServerActions& first) {
        std::deque<ServerAction> actions{first.begin(), first.end()};
        const auto more = [&](const ServerActions& others) {
            actions.insert(actions.end(), others.begin(), others.end());
        };
        for (; !actions.empty(); actions.pop_front()) {
            const auto action = actions.front();
            to_player += sent_by({action});
            if (const auto* received = std::get_if<Received>(&action)) result.server_saw.push_back(received->message);
            if (std::holds_alternative<OpenRequest>(action)) more(server->opened(content_of(content), now));
            if (const auto* started = std::get_if<StartMedia>(&action)) {
                next = static_cast<std::uint32_t>(started->from.by == StartPoint::By::time
                                                      ? content.packet_at_time(milliseconds{started->from.time})
                                                      : started->from.packet);
                for (std::uint32_t i = 0; i < packets && !content.packet(next).empty(); ++i, ++next)
                    more(server->media(next, content.packet(next), now));
                more(server->end_of_media(now));
            }
            if (std::holds_alternative<Close>(action)) server_closed = true;
        }
    };
    perform(player.start(now));
    while (!player.finished()) {
        if (connect) {
            connect = false;
            ++result.connections;
            ServerOptions server_options;
            server_options.client_id = result.connections;
            server = std::make_unique<ServerSession>(server_options, now);
            to_player.clear(), to_server.clear();
            server_closed = false;
            perform(player.connected(now));
        } else if (!to_server.empty()) {
            const auto part = to_server.substr(0, piece);
            to_server.erase(0, part.size());
            serve(server->receive(as_bytes(part), now));
        } else if (!to_player.empty()) {
            const auto part = to_player.substr(0, piece);
            to_player.erase(0, part.size());
            perform(player.receive(as_bytes(part), now));
        } else {
            REQUIRE(server_closed);  // else both wait for ever
            perform(player.disconnected(now));
        }
    }
    return result;
}

PlayerOptions options() {
    PlayerOptions options;
    options.url = wmlab::url::parse("http://media/lecture").value();
    return options;
}

}  // namespace

TEST_CASE("server and player understand each other, direct, in proxy form and on one connection", "[wmsp]") {
    struct Row {
        std::string name;
        bool live, proxied, one_line, keep_alive;
        unsigned connections;
    };
    const auto row = GENERATE(values<Row>({{"stored", false, false, false, false, 2},
                                           {"live", true, false, false, false, 2},
                                           {"the form for proxies", false, true, false, false, 2},
                                           {"one Pragma line", false, false, true, false, 2},
                                           {"a kept connection", false, false, false, true, 1},
                                           {"a kept connection, live", true, false, true, true, 1}}));
    DYNAMIC_SECTION(row.name) {
        const auto content = tone(row.live);
        auto player = options();
        if (row.proxied) player.proxy = Endpoint{"proxy", 3128};
        player.one_line = row.one_line;
        player.keep_alive = row.keep_alive;
        const std::uint32_t count = row.live ? 5 : static_cast<std::uint32_t>(*content->packet_count());
        for (const std::size_t piece : {1U, 2U, 3U, 7U, 13U, 100U, 1399U, 1U << 20}) {
            const auto result = converse(*content, player, piece, count);
            REQUIRE(result.finished);
            INFO(result.finished->reason);
            CHECK(result.finished->worked);
            CHECK(result.connections == row.connections);
            CHECK(result.server_saw == std::vector<std::string>{"Describe", "Play"});
            CHECK(result.header == content->header());
            REQUIRE(result.media.size() == count);
            for (std::uint32_t i = 0; i < count; ++i) CHECK(result.media[i].packet == content->packet(i));
        }
    }
}

TEST_CASE("playing from the middle", "[wmsp]") {
    const auto content = tone();
    auto player = options();
    player.start.stream_time = 1000;
    const auto result = converse(*content, player, 1000, 1000);
    REQUIRE(result.finished);
    CHECK(result.finished->worked);
    const auto first = content->packet_at_time(milliseconds{1000});
    CHECK(first > 0);
    CHECK(result.media.at(0).LocationId == first);
    CHECK(result.media.back().LocationId == *content->packet_count() - 1);
}

TEST_CASE("a server pulls from an encoder", "[wmsp]") {
    auto player = options();
    player.user_agent = RequestForm::server_agent;
    const auto result = converse(*tone(true), player, 50, 3);
    REQUIRE(result.finished);
    CHECK(result.finished->worked);
    CHECK(result.media.size() == 3);
}
