// A server and a player session against each other: every transport, and what a network can do to them.
#include <algorithm>
#include <numeric>

#include "tests/catch.hpp"
#include "tests/common/mms/link.hpp"

using namespace wmlab;
using namespace wmlab::mms;
using namespace wmlab::mms::test;

namespace {

std::size_t count(const std::vector<std::string>& names, std::string_view name) {
    return static_cast<std::size_t>(std::count(names.begin(), names.end(), name));
}

}  // namespace

TEST_CASE("a whole file arrives, byte for byte, over each transport and in each player's manner", "[mms]") {
    const auto transport = GENERATE(Transport::udp, Transport::tcp);
    const auto incarnations =
        GENERATE(Incarnations::open_players, Incarnations::shared_counter, Incarnations::media_player_9);
    const auto pair = GENERATE(PacketPair::none, PacketPair::tcp, PacketPair::udp);
    const auto step = GENERATE(std::size_t{1} << 20, std::size_t{7});
    Link link{transport, 300};
    link.player_options.incarnations = incarnations;
    link.player_options.packet_pair = pair;
    link.step = step;
    link.run();
    REQUIRE(link.finished);
    CHECK(link.finished->reason == "the stream has ended");
    CHECK(link.finished->worked);
    CHECK(link.complete());
    CHECK(link.header == link.content.header);
    CHECK(link.malformed.empty());
    CHECK(link.lost.empty());
    CHECK(link.streams.size() == 2);  // both that the ASF header lists
    REQUIRE(link.closed);
    CHECK(link.closed->reason == "the player closed the file");
    CHECK(link.closed->hr == bytes::S_OK);
    CHECK(link.to_server == std::vector<std::string>{
                                "LinkViewerToMacConnect", "LinkViewerToMacFunnelInfo", "LinkViewerToMacConnectFunnel",
                                "LinkViewerToMacOpenFile", "LinkViewerToMacReadBlock", "LinkViewerToMacStreamSwitch",
                                "LinkViewerToMacStartPlaying", "LinkViewerToMacLogging", "LinkViewerToMacCloseFile"});
    const bool udp_pair = pair == PacketPair::udp && transport == Transport::udp;
    CHECK(link.player->statistics().packet_pairs == (pair == PacketPair::tcp ? 3U : udp_pair ? 2U : 0U));
    CHECK(link.player->statistics().stray == 0);
    CHECK(link.player->statistics().packets == 300);
    CHECK(count(link.to_player, "LinkMacToViewerReportFunnelInfo") == (pair == PacketPair::tcp ? 3U : 1U));
    for (std::uint32_t i = 0; i < 300; ++i) CHECK(link.media[i].sequence == i);
    const auto& log = std::get<LinkViewerToMacLogging>(link.player_sent[7]).log;
    CHECK(log.info.dwPacketsReceived == 300);
    CHECK(log.szTransport == (transport == Transport::udp ? "UDP" : "TCP"));
    if (udp_pair) {  // the pair is the first UDP on the wire, and its bytes differ
        CHECK(link.datagrams[0].size() == 1472);
        CHECK(link.datagrams[1].size() == 1472);
        CHECK_FALSE(std::equal(link.datagrams[0].begin() + 8, link.datagrams[0].end(), link.datagrams[1].begin() + 8));
    }
}

TEST_CASE("the server offers no packet pair when it is told not to", "[mms]") {
    Link link;
    link.server_options.packet_pair = false;
    link.player_options.packet_pair = PacketPair::udp;
    link.run();
    CHECK(link.complete());
    CHECK(link.player->statistics().packet_pairs == 0);
}

TEST_CASE("a header larger than a packet comes in parts, no faster than the stream", "[mms]") {
    const auto transport = GENERATE(Transport::udp, Transport::tcp);
    Link link{transport};
    link.content.header = asf_header(2000);
    SECTION("in order") {}
    SECTION("in any order, some twice") {
        link.wire = [](DataKind kind, std::uint32_t n) {
            if (kind != DataKind::header) return std::vector<milliseconds>{1ms};
            return n % 3 == 0 ? std::vector<milliseconds>{400ms, 30ms}
                              : std::vector<milliseconds>{20ms * (12 - n % 12)};
        };
    }
    link.run();
    CHECK(link.complete());
    CHECK(link.header == link.content.header);
    CHECK(link.silences.empty());
}

TEST_CASE("lost datagrams are asked for again and arrive", "[mms]") {
    Link link{Transport::udp, 600};
    SECTION("one of seven") {
        link.wire = [](DataKind kind, std::uint32_t n) {
            return kind == DataKind::media && n % 7 == 3 ? std::vector<milliseconds>{} : std::vector<milliseconds>{1ms};
        };
    }
    SECTION("one of seven, and half of the answers") {
        link.player_options.resend_attempts = 8;
        link.wire = [](DataKind kind, std::uint32_t n) {
            const bool gone = (kind == DataKind::media && n % 7 == 3) || (kind == DataKind::resend && n % 2 == 0);
            return gone ? std::vector<milliseconds>{} : std::vector<milliseconds>{1ms};
        };
    }
    SECTION("two hundred in a row, more than half a turn of AFFlags") {
        link.wire = [](DataKind kind, std::uint32_t n) {
            return kind == DataKind::media && n >= 100 && n < 300 ? std::vector<milliseconds>{}
                                                                  : std::vector<milliseconds>{1ms};
        };
    }
    SECTION("the first five and the last three") {
        link.wire = [](DataKind kind, std::uint32_t n) {
            return kind == DataKind::media && (n < 5 || n >= 597) ? std::vector<milliseconds>{}
                                                                  : std::vector<milliseconds>{1ms};
        };
    }
    link.run();
    REQUIRE(link.finished);
    CHECK(link.finished->worked);
    CHECK(link.complete());
    CHECK(link.lost.empty());
    CHECK(link.player->statistics().recovered > 0);
    CHECK(link.player->statistics().recovered ==
          static_cast<std::uint64_t>(std::count_if(link.media.begin(), link.media.end(),
                                                   [](const auto& one) { return one.resent && !one.duplicate; })));
    for (const auto& one : link.media) CHECK(one.sequence == one.LocationId);
    for (const auto& request : link.resend_requests) {
        CHECK(request.sequences.size() <= RequestPacketListResend::count_max);
        CHECK_FALSE(request.on_purpose);
    }
}

TEST_CASE("what does not come again is reported lost, once", "[mms]") {
    Link link{Transport::udp, 100};
    SECTION("the answers are lost too") {
        link.wire = [](DataKind kind, std::uint32_t n) {
            const bool gone = (kind == DataKind::media && (n == 20 || n == 21)) || kind == DataKind::resend;
            return gone ? std::vector<milliseconds>{} : std::vector<milliseconds>{1ms};
        };
    }
    SECTION("the player has no client id to ask with") {
        link.player_options.funnel_info = false;
        link.wire = [](DataKind kind, std::uint32_t n) {
            return kind == DataKind::media && (n == 20 || n == 21) ? std::vector<milliseconds>{}
                                                                   : std::vector<milliseconds>{1ms};
        };
    }
    link.run();
    REQUIRE(link.finished);
    CHECK(link.finished->worked);  // the stream ended well; what is missing is for others to judge
    CHECK(link.lost == std::vector<std::uint32_t>{20, 21});
    CHECK(link.player->statistics().lost == 2);
    CHECK(link.received().size() == 98);
}

TEST_CASE("datagrams out of order or twice make neither losses nor resend requests", "[mms]") {
    Link link{Transport::udp, 400};
    link.wire = [](DataKind, std::uint32_t n) {
        if (n % 5 == 0) return std::vector<milliseconds>{1ms, 5ms};
        return std::vector<milliseconds>{milliseconds{1 + (n * 7) % 35}};
    };
    link.run();
    REQUIRE(link.finished);
    CHECK(link.complete());
    CHECK(link.lost.empty());
    CHECK(link.resend_requests.empty());
    CHECK(link.player->statistics().duplicates == 80);
}

TEST_CASE("a packet that has arrived can be asked for once more", "[mms]") {
    Link link{Transport::udp, 40};
    bool asked = false;
    link.on_media = [&asked](Link& self) {
        if (std::exchange(asked, true)) return;
        self.at(0ms, [&self] { self.perform(self.player->request_again(0, self.now)); });
    };
    link.run();
    CHECK(link.complete());
    REQUIRE(link.resend_requests.size() == 1);
    CHECK(link.resend_requests[0].on_purpose);
    const auto again = std::find_if(link.media.begin(), link.media.end(), [](const auto& one) { return one.resent; });
    REQUIRE(again != link.media.end());
    CHECK(again->duplicate);
    CHECK(again->sequence == 0);
    CHECK(again->packet == Link::packet(0));
    CHECK(link.server->resends() == 1);
}

TEST_CASE("a server that refuses UDP", "[mms]") {
    Link link;
    link.server_options.allow_udp = false;
    link.server_options.transport_refused_hr = bytes::E_INVALIDARG;
    SECTION("ends a player that wants nothing else, with the server's HRESULT") {
        link.run();
        REQUIRE(link.finished);
        CHECK_FALSE(link.finished->worked);
        CHECK(link.finished->hr == bytes::E_INVALIDARG);
    }
    SECTION("is asked for TCP on the same connection") {
        link.player_options.tcp_after_refusal = true;
        link.run();
        CHECK(link.complete());
        CHECK(count(link.to_server, "LinkViewerToMacConnectFunnel") == 2);
        CHECK(link.datagrams.empty());
    }
    REQUIRE(link.refusals.size() == 1);
    CHECK(link.refusals[0].hr == bytes::E_INVALIDARG);
}

TEST_CASE("3.1.6.1: silent UDP is noticed by the Header timer, after four more attempts", "[mms]") {
    Link link;
    link.wire = [](DataKind, std::uint32_t) { return std::vector<milliseconds>{}; };
    link.run(10min);
    REQUIRE(link.finished);
    CHECK_FALSE(link.finished->worked);
    CHECK(link.finished->hr == bytes::NS_E_TIMEOUT);
    REQUIRE(link.silences.size() == 5);
    for (unsigned i = 0; i < 5; ++i) {
        CHECK(link.silences[i].attempt == i + 1);
        CHECK(link.silences[i].retrying == (i < 4));
        CHECK(link.silences[i].waited >= milliseconds{1000});
    }
    CHECK(count(link.to_server, "LinkViewerToMacReadBlock") == 5);
    CHECK(count(link.to_server, "LinkViewerToMacCancelReadBlock") == 4);
    CHECK_FALSE(link.closed);  // closing the connection is up to the embedder
}

TEST_CASE("a deadline bounds the silence while the header is awaited, not the header's own pace", "[mms]") {
    const auto transport = GENERATE(Transport::udp, Transport::tcp);
    const auto header_size = GENERATE(std::size_t{12'000}, std::size_t{30'000}, std::size_t{140'000});
    const auto bit_rate = GENERATE(72'000U, 32'000U, 8'000U);  // 140 KB take 140 s at the last
    Link link{transport};
    link.player_options.reply_timeout = 1500ms;
    link.content.header = asf_header(header_size);
    link.content.bit_rate = bit_rate;
    link.run(10min);
    CHECK(link.complete());
    CHECK(link.header == link.content.header);
    CHECK(link.silences.empty());
    CHECK(count(link.to_server, "LinkViewerToMacReadBlock") == 1);
}

TEST_CASE("departure 3.1.6.1: a deadline below the Header timer's four retries ends the wait for a header that does not come", "[mms]") {
    Link link;
    link.player_options.reply_timeout = 1500ms;
    link.wire = [](DataKind, std::uint32_t) { return std::vector<milliseconds>{}; };
    link.run(10min);
    REQUIRE(link.finished);
    CHECK(link.finished->hr == bytes::NS_E_TIMEOUT);
    REQUIRE_FALSE(link.silences.empty());
    CHECK_FALSE(link.silences.back().retrying);
    CHECK(link.silences.size() < 5);
}

TEST_CASE("a header that is known to be lost is not waited for", "[mms]") {
    Link link;
    link.wire = [](DataKind, std::uint32_t) { return std::vector<milliseconds>{}; };
    // Told before the header is asked for (a packet pair was lost), while it is on its way, and later.
    const auto told = GENERATE(0ms, 9ms, 13ms, 400ms);
    link.player_options.packet_pair = PacketPair::udp;
    link.run(0ms);
    link.at(told, [&link] { link.perform(link.player->datagrams_lost(link.now)); });
    link.run(10min);
    REQUIRE(link.finished);
    CHECK_FALSE(link.finished->worked);
    CHECK(link.finished->hr == bytes::NS_E_TIMEOUT);
    CHECK(link.finished_at.time_since_epoch() <= told + 50ms);
    CHECK(link.silences.size() == 1);
    CHECK(count(link.to_server, "LinkViewerToMacReadBlock") == 1);
    CHECK(count(link.to_player, "LinkMacToViewerReportReadBlock") == 1);  // the header was sent: the evidence has what was lost
}

TEST_CASE("that datagrams are lost ends no play that does not wait for a header over UDP", "[mms]") {
    const auto transport = GENERATE(Transport::udp, Transport::tcp);
    Link link{transport};
    link.run(0ms);
    if (transport == Transport::tcp) link.perform(link.player->datagrams_lost(link.now));
    link.on_media = [](Link& one) { one.perform(one.player->datagrams_lost(one.now)); };
    link.run();
    CHECK(link.complete());
}

TEST_CASE("a header that comes after a retry is enough", "[mms]") {
    Link link;
    link.player_options.incarnations =
        GENERATE(Incarnations::open_players, Incarnations::shared_counter, Incarnations::media_player_9);
    link.wire = [](DataKind kind, std::uint32_t n) {
        return kind == DataKind::header && n < 4 ? std::vector<milliseconds>{} : std::vector<milliseconds>{1ms};
    };
    link.run();
    CHECK(link.complete());
    CHECK(link.silences.size() == 2);
}

TEST_CASE("a header that overtakes the report on TCP is not lost", "[mms]") {
    Link link;
    link.wire = [](DataKind, std::uint32_t) { return std::vector<milliseconds>{0ms}; };
    link.run();
    CHECK(link.complete());
}

TEST_CASE("files that are not to be had", "[mms]") {
    Link link;
    SECTION("not found") {
        link.player_options.fileName = "missing";
        link.run();
        REQUIRE(link.finished);
        CHECK(link.finished->hr == bytes::NS_E_FILE_NOT_FOUND);
        CHECK(link.finished->reason.find("NS_E_FILE_NOT_FOUND (0xC00D001A)") != std::string::npos);
        CHECK(link.to_server.back() == "LinkViewerToMacCloseFile");
        REQUIRE(link.closed);
    }
    SECTION("elsewhere") {
        link.player_options.fileName = "elsewhere";
        link.run();
        REQUIRE(link.finished);
        CHECK(link.finished->redirect == "mmst://edge/lecture");
        REQUIRE(link.closed);
    }
    SECTION("too many players") {
        link.server_options.connect_refused_hr = bytes::NS_E_TOO_MANY_SESS;
        link.run();
        REQUIRE(link.finished);
        CHECK(link.finished->hr == bytes::NS_E_TOO_MANY_SESS);
        REQUIRE(link.closed);
    }
    SECTION("of a size no Data packet can carry") {
        link.content.packet_size = 70000;
        link.run();
        REQUIRE(link.finished);
        CHECK(link.finished->hr == bytes::E_FAIL);
    }
    CHECK_FALSE(link.finished->worked);
}

TEST_CASE("live: no duration, no seeking, and it lasts until the player leaves", "[mms]") {
    const auto transport = GENERATE(Transport::udp, Transport::tcp);
    Link link{transport, 0};
    link.content.live = true;
    link.content.duration = {};
    link.player_options.start.position = std::chrono::duration<double>{3};
    link.run(5s);
    CHECK_FALSE(link.finished);
    CHECK(link.player->file()->fileAttributes == 0x06000000);
    CHECK(link.player->file()->fileDuration == 0);
    REQUIRE(link.starts.size() == 1);
    CHECK(link.starts[0].from == StartPosition{});
    link.perform(link.player->stop(link.now));
    link.run(5s);
    REQUIRE(link.finished);
    CHECK(link.finished->worked);
    CHECK(link.media.size() > 450);
    CHECK(link.received().size() == link.media.size());
    CHECK(link.server->next_sequence() == link.media.size());  // nothing of what was sent is missing
}

TEST_CASE("start positions arrive as the player gave them", "[mms]") {
    struct Row {
        std::string name;
        StartPosition start;
        std::uint32_t first;
    };
    const auto row = GENERATE(values<Row>({
        {"the start", {}, 0},
        {"a packet", {.locationId = 17, .asfOffset = {}, .position = {}, .length = {}}, 17},
        {"a byte", {.locationId = {}, .asfOffset = 5000, .position = {}, .length = {}}, 0},
        {"a time",
         {.locationId = {}, .asfOffset = {}, .position = std::chrono::duration<double>{0.25}, .length = {}},
         25},
        {"a time and a length",
         {.locationId = {}, .asfOffset = {}, .position = std::chrono::duration<double>{0.3}, .length = 200ms},
         30},
    }));
    DYNAMIC_SECTION(row.name) {
        Link link{Transport::tcp};
        link.player_options.start = row.start;
        link.run();
        REQUIRE(link.starts.size() == 1);
        CHECK(link.starts[0].from == row.start);
        CHECK(link.media.front().LocationId == row.first);
    }
}

TEST_CASE("pause and resume: the counter goes on and no packet is missing", "[mms]") {
    const auto transport = GENERATE(Transport::udp, Transport::tcp);
    const auto incarnations =
        GENERATE(Incarnations::open_players, Incarnations::shared_counter, Incarnations::media_player_9);
    Link link{transport, 100};
    link.player_options.incarnations = incarnations;
    link.player_options.autoplay = false;
    int times = 0;
    link.on_ready = [&times](Link& self) {
        ++times;
        if (times == 1) {
            self.perform(self.player->play({}, self.now));
        } else {
            self.at(5s, [&self] { self.perform(self.player->resume(self.now)); });
        }
    };
    link.on_playing = [&times](Link& self) {
        if (times < 4) self.at(225ms, [&self] { self.perform(self.player->pause(self.now)); });
    };
    link.run();
    REQUIRE(link.finished);
    CHECK(link.finished->worked);
    CHECK(link.readies == 4);
    CHECK(link.playing == 4);
    CHECK(link.complete());
    CHECK(link.lost.empty());
    CHECK(link.player->statistics().lost == 0);
    CHECK(link.player->statistics().stray == 0);
    for (std::uint32_t i = 0; i < link.media.size(); ++i) CHECK(link.media[i].sequence == i);
    CHECK(count(link.to_server, "LinkViewerToMacStopPlaying") == 3);
    CHECK(count(link.to_server, "LinkViewerToMacStartPlaying") == 4);
}

TEST_CASE("seeking while playing", "[mms]") {
    const auto transport = GENERATE(Transport::udp, Transport::tcp);
    Link link{transport, 200};
    bool done = false;
    link.on_playing = [&done](Link& self) {
        if (std::exchange(done, true)) return;
        StartPosition to;
        to.locationId = 150;
        self.at(305ms, [&self, to] { self.perform(self.player->seek(to, self.now)); });
    };
    link.run();
    REQUIRE(link.finished);
    CHECK(link.finished->worked);
    CHECK(link.lost.empty());
    CHECK(link.media.back().LocationId == 199);
    const auto seen = link.received();
    CHECK(seen.count(149) == 0);
    CHECK(seen.count(150) == 1);
    for (std::uint32_t i = 0; i < link.media.size(); ++i) CHECK(link.media[i].sequence == i);
}

TEST_CASE("the stream's end and the player's Stop may cross", "[mms]") {
    const auto transport = GENERATE(Transport::udp, Transport::tcp);
    const auto after = GENERATE(range(480, 520));
    Link link{transport, 50};
    link.server_options.end_of_stream_delay = 0ms;
    const bool seek = GENERATE(true, false);
    bool done = false;
    link.on_playing = [&done, after, seek](Link& self) {
        if (std::exchange(done, true)) return;
        StartPosition to;
        to.locationId = 40;
        self.at(milliseconds{after}, [&self, seek, to] {
            if (seek) {
                self.perform(self.player->seek(to, self.now));
            } else {
                self.perform(self.player->stop(self.now));
            }
        });
    };
    link.run();
    REQUIRE(link.finished);
    CHECK(link.finished->worked);
    CHECK(link.lost.empty());
    REQUIRE(link.closed);
    CHECK(link.closed->hr == bytes::S_OK);
}

TEST_CASE("stopping before anything plays", "[mms]") {
    const auto after = GENERATE(range(0, 16));
    Link link;
    link.run(milliseconds{after});
    link.perform(link.player->stop(link.now));
    link.run();
    REQUIRE(link.finished);
}

TEST_CASE("a playlist: the next entry's header and media", "[mms]") {
    const auto transport = GENERATE(Transport::udp, Transport::tcp);
    Link link{transport, 30};
    Content next = link.content;
    next.header = asf_header(500);
    next.packet_count = 20;
    next.bit_rate = 80000;
    link.playlist = {next};
    link.run();
    REQUIRE(link.finished);
    CHECK(link.finished->reason == "the stream has ended");
    CHECK(link.finished->worked);
    REQUIRE(link.ends.size() == 2);
    CHECK(link.ends[0].hr == bytes::S_FALSE);
    CHECK(link.ends[1].hr == bytes::S_OK);
    CHECK(link.header == next.header);
    CHECK(link.media.size() == 50);
    CHECK(link.lost.empty());
    CHECK(link.media.back().packet == Link::packet(19));
    CHECK(count(link.to_server, "LinkViewerToMacStreamSwitch") == 2);
    CHECK(count(link.to_server, "LinkViewerToMacReadBlock") == (transport == Transport::udp ? 2U : 1U));
    CHECK(count(link.to_server, "LinkViewerToMacStartPlaying") == (transport == Transport::udp ? 2U : 1U));
}

TEST_CASE("pings are answered, whatever the player is doing", "[mms]") {
    Link link{Transport::tcp, 0};
    link.content.live = true;
    link.interval = 1s;
    link.server_options.keep_alive = 10s;
    link.run(5min);
    CHECK_FALSE(link.finished);
    CHECK(count(link.to_player, "LinkMacToViewerPing") >= 29);
    CHECK(count(link.to_server, "LinkViewerToMacPong") == count(link.to_player, "LinkMacToViewerPing"));
}

TEST_CASE("the server closes after the end, where players wait for that", "[mms]") {
    Link link{Transport::tcp, 10};
    link.server_options.close_after_end = 2s;
    link.passes = [](const Message& message) {  // the player keeps silent at the end, as MPlayer does
        return !std::holds_alternative<LinkViewerToMacLogging>(message) &&
               !std::holds_alternative<LinkViewerToMacCloseFile>(message);
    };
    link.run(1min);
    REQUIRE(link.closed);
    CHECK(link.closed->reason == "the stream has ended");
}

TEST_CASE("silence of the server at any step ends the player, with what it waited for", "[mms]") {
    struct Row {
        std::string message, waiting_for;
    };
    const auto row = GENERATE(values<Row>({
        {"LinkMacToViewerReportConnectedEX", "LinkViewerToMacConnect"},
        {"LinkMacToViewerReportFunnelInfo", "LinkViewerToMacFunnelInfo"},
        {"LinkMacToViewerReportConnectedFunnel", "LinkViewerToMacConnectFunnel"},
        {"LinkMacToViewerReportOpenFile", "LinkViewerToMacOpenFile"},
        {"LinkMacToViewerReportStreamSwitch", "LinkViewerToMacStreamSwitch"},
        {"LinkMacToViewerReportStartedPlaying", "LinkViewerToMacStartPlaying"},
        {"LinkMacToViewerReportEndOfStream", ""},
    }));
    const auto transport = GENERATE(Transport::udp, Transport::tcp);
    DYNAMIC_SECTION(row.message) {
        Link link{transport, 10};
        link.content.live = !row.waiting_for.empty();
        link.passes = [&row](const Message& message) { return name(message) != row.message; };
        link.run(2min);
        if (row.waiting_for.empty()) {
            CHECK_FALSE(link.finished);  // a quiet stream is no error of the protocol
            link.perform(link.player->stop(link.now));
            link.run(2min);
        }
        REQUIRE(link.finished);
        CHECK_FALSE(link.finished->worked);
        CHECK(link.finished->hr == bytes::NS_E_TIMEOUT);
        CHECK(link.finished->reason.find(row.waiting_for) != std::string::npos);
    }
}

TEST_CASE("silence of the player at any step ends the server's session, in its own time", "[mms]") {
    const auto step = GENERATE(range(0, 9));
    Link link{Transport::tcp, 10};
    link.server_options.idle_timeout = 1min;
    link.player_options.reply_timeout = std::chrono::hours{10};
    int sent = 0;
    link.passes = [&sent, step](const Message& message) { return !from_player(message) || sent++ < step; };
    link.run(1h);
    REQUIRE(link.closed);
    CHECK(link.closed->hr == bytes::NS_E_TIMEOUT);
    CHECK(link.server->finished());
    CHECK_FALSE(link.server->next_deadline());
}
