// Captures of real programs: what they send is understood, and we answer and ask in the same form.
#include "tests/capture.hpp"
#include "tests/common/wmsp/tools.hpp"

using namespace wmlab::wmsp;
using wmlab::tests::Conversation;
using wmlab::tests::tcp_conversations;

namespace {

Request request_in(const Conversation& conversation) { return request_of(as_text(conversation.to_server)); }

struct Reading {
    ResponseHead head;
    std::vector<Frame> frames;
    bool chunked = false;
};

Reading answer_in(const Conversation& conversation) {
    ResponseReader reader;
    FrameReader frames;
    Reading reading;
    reader.put(conversation.to_client, [&](Bytes body) {
        frames.put(body);
        while (auto frame = frames.next()) reading.frames.push_back(std::move(*frame));
    });
    reader.end();
    INFO((reader.problem() ? reader.problem()->text : "") << (frames.problem() ? frames.problem()->text() : ""));
    CHECK_FALSE(reader.problem());
    CHECK_FALSE(frames.problem());
    CHECK(frames.between_frames());
    reading.head = reader.head();
    reading.chunked = reader.chunked();
    return reading;
}

std::size_t count_of(const Reading& reading, PacketID id) {
    return static_cast<std::size_t>(std::count_if(reading.frames.begin(), reading.frames.end(),
                                                  [&](const Frame& frame) { return frame.packet_id == id; }));
}

// What our player makes of the answers a capture holds.
struct Played {
    std::optional<Finished> finished;
    std::size_t packets = 0;
    std::vector<MediaReceived> media;
    std::optional<wmlab::asf::Header> header;
};
Played play(const std::vector<Conversation>& answers, bool proxied, std::size_t piece) {
    PlayerOptions options;
    options.url = wmlab::url::parse("http://10.189.1.10/stored.asf").value();
    if (proxied) options.proxy = Endpoint{"10.189.2.1", 3128};
    PlayerSession session{options};
    Played played;
    std::size_t connection = 0;
    bool connect = false;
    const auto perform = [&](const PlayerActions& actions) {
        for (const auto& action : actions) {
            if (std::holds_alternative<Connect>(action)) connect = true;
            if (const auto* header = std::get_if<HeaderComplete>(&action)) played.header = header->header;
            if (const auto* media = std::get_if<MediaReceived>(&action)) played.media.push_back(*media);
            if (const auto* finished = std::get_if<Finished>(&action)) played.finished = *finished;
        }
    };
    perform(session.start({}));
    while (connect && connection < answers.size()) {
        connect = false;
        perform(session.connected({}));
        const auto& answer = answers[connection++];
        Bytes left = answer.to_client;
        while (!left.empty() && !connect) {
            perform(session.receive(left.first(std::min(piece, left.size())), {}));
            left = left.subspan(std::min(piece, left.size()));
        }
        if (!connect) perform(session.disconnected({}));
    }
    return played;
}

}  // namespace

TEST_CASE("captures: requests are classified and answers cut into the frames they hold", "[wmsp]") {
    struct Row {
        std::string file;
        std::size_t describe, play;  // which conversations
        std::string host;
        bool broadcast, chunked;
        std::size_t data, ends;
        std::uint32_t first_location;
    };
    const auto row = GENERATE(values<Row>({
        {"ffmpeg_stored.pcap", 0, 1, "10.189.1.10:80", false, false, 40, 1, 0},
        {"ffmpeg_live.pcap", 0, 1, "10.189.1.10:80", true, false, 40, 1, 0},
        {"ffmpeg_squid.pcap", 0, 2, "10.189.1.10:80", false, true, 40, 1, 0},  // player's side
        {"ffmpeg_squid.pcap", 1, 3, "10.189.1.10", false, false, 40, 1, 0},    // server's side
        {"onepragma_tinyproxy.pcap", 0, 2, "10.189.1.10", false, false, 30, 1, 0},
        {"onepragma_tinyproxy.pcap", 1, 3, "10.189.1.10", false, false, 30, 1, 0},
        {"vlcsrv_ffmpeg_end.pcap", 0, 1, "", true, false, 44, 0, 0},
    }));
    DYNAMIC_SECTION(row.file << ", conversation " << row.play) {
        const auto conversations = tcp_conversations(vector_file(row.file));
        REQUIRE(conversations.size() > row.play);
        const auto describe = request_in(conversations[row.describe]), play = request_in(conversations[row.play]);
        CHECK(describe.kind == RequestKind::Describe);
        CHECK(play.kind == RequestKind::Play);
        CHECK(play.user_agent.product == UserAgent::Product::NSPlayer);
        CHECK(play.stream_time == 0U);
        CHECK(play.xClientGUID == describe.xClientGUID);
        CHECK(resolve(play.stream_switch, {1}) == std::vector<StreamChoice>{{1, 0}});
        if (!row.host.empty()) CHECK(play.host == row.host);

        const auto description = answer_in(conversations[row.describe]);
        CHECK(count_of(description, PacketID::Header) == 1);
        const auto stream = answer_in(conversations[row.play]);
        CHECK(stream.chunked == row.chunked);
        const auto answer = answer_from(stream.head);
        CHECK(answer.server == Answer::Server::Cougar);
        CHECK(answer.client_id);
        CHECK((answer.features == Answer::Features::broadcast) == row.broadcast);
        REQUIRE(stream.frames.size() > 2);
        CHECK(stream.frames[0].packet_id == PacketID::Header);
        CHECK(stream.frames[0].AFFlags == 0x0C);
        CHECK(count_of(stream, PacketID::Data) == row.data);
        CHECK(count_of(stream, PacketID::EndOfStream) == row.ends);
        if (row.ends != 0) CHECK(stream.frames.back().Reason == reason_finished);
        if (row.file.starts_with("ffmpeg")) CHECK(stream.frames[1].LocationId == row.first_location);
        for (const auto& frame : stream.frames) CHECK(Frame::parse(frame.serialise()).value() == frame);
    }
}

TEST_CASE("captures: our player plays what real servers and proxies sent", "[wmsp]") {
    struct Row {
        std::string file;
        std::size_t describe, play;
        bool proxied;
        std::size_t packets;
        std::uint32_t packet_size;
        bool worked;
    };
    const auto row = GENERATE(values<Row>({
        {"ffmpeg_stored.pcap", 0, 1, false, 40, 900, true},
        {"ffmpeg_live.pcap", 0, 1, false, 40, 900, true},
        {"ffmpeg_squid.pcap", 0, 2, true, 40, 900, true},
        {"onepragma_tinyproxy.pcap", 0, 2, true, 30, 900, true},
        {"vlcsrv_ffmpeg_end.pcap", 0, 1, false, 44, 1400, true},
        {"vlcsrv_ffmpeg.pcap", 0, 1, false, 26, 1400, false},  // the capture ends inside a packet: ffmpeg left
    }));
    DYNAMIC_SECTION(row.file) {
        const auto all = tcp_conversations(vector_file(row.file));
        for (const std::size_t piece : {1U, 536U, 1U << 20}) {
            const auto played = play({all.at(row.describe), all.at(row.play)}, row.proxied, piece);
            REQUIRE(played.finished);
            INFO(played.finished->reason);
            CHECK(played.media.size() == row.packets);
            REQUIRE(played.header);
            CHECK(played.header->packet_size == row.packet_size);
            if (row.worked) CHECK(played.finished->worked);
        }
    }
}

TEST_CASE("captures: VLC counts packets from where it likes", "[wmsp]") {
    const auto all = tcp_conversations(vector_file("vlcsrv_ffmpeg.pcap"));
    const auto played = play({all.at(0), all.at(1)}, false, 1000);
    REQUIRE_FALSE(played.media.empty());
    CHECK(played.media.front().LocationId == 52);
    CHECK(played.header->raw.size() == 414);
}

TEST_CASE("captures: tinyproxy drops all Pragma lines but the first, and the server sees two Describes", "[wmsp]") {
    const auto all = tcp_conversations(vector_file("ffmpeg_tinyproxy.pcap"));
    std::vector<RequestKind> asked, arrived;
    std::vector<Conversation> answers;
    for (const auto& conversation : all) {
        if (conversation.to_server.empty()) continue;
        const bool to_proxy = conversation.server.ends_with(":8888");
        (to_proxy ? asked : arrived).push_back(request_in(conversation).kind);
        if (to_proxy) answers.push_back(conversation);
    }
    REQUIRE(asked.size() >= 2);
    CHECK(asked[1] == RequestKind::Play);
    for (const auto kind : arrived) CHECK(kind == RequestKind::Describe);
    const auto played = play(answers, true, 1000);
    REQUIRE(played.finished);
    CHECK(played.finished->cause == Finished::Cause::modified);
}

TEST_CASE("captures: our one-line requests are byte for byte those that passed tinyproxy", "[wmsp]") {
    const auto all = tcp_conversations(vector_file("onepragma_tinyproxy.pcap"));
    RequestForm form;
    form.host = "10.189.1.10";
    form.path = "/stored.asf";
    form.proxied = form.keep_alive = true;
    form.client_guid = "{3300AD50-2C39-46C0-AE0A-AC7B8159E203}";
    PlayFrom from;
    from.streams = {{1, 0}};
    CHECK(describe_request(form).text() == as_text(all.at(0).to_server));
    CHECK(play_request(form, from).text() == as_text(all.at(2).to_server));
}

TEST_CASE("captures: our server frames the same header and packets in the same bytes", "[wmsp]") {
    const auto all = tcp_conversations(vector_file("ffmpeg_stored.pcap"));
    const auto reading = answer_in(all.at(1));
    std::string ours{as_text(header_frames(reading.frames[0].payload).front().serialise())}, theirs;
    for (std::size_t i = 1; i + 1 < reading.frames.size(); ++i)
        ours += as_text(data_frame(reading.frames[i].LocationId, reading.frames[i].payload));
    ours += as_text(end_frame(0));
    const auto text = as_text(all.at(1).to_client);
    theirs = text.substr(text.find("\r\n\r\n") + 4);
    CHECK(ours == theirs);
}
