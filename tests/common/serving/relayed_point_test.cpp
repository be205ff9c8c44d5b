// A publishing point that is fed by a pull.
#include <set>

#include "common/asf/file.hpp"
#include "common/asf/packet.hpp"
#include "common/asf/synthesiser.hpp"
#include "common/serving/publishing_point.hpp"
#include "tests/catch.hpp"
#include "tests/common/asf/tools.hpp"
#include "tests/sims.hpp"

using namespace wmlab;
using namespace wmlab::serving;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<const asf::Synthesiser> pulled_content(std::uint32_t seed = 0) {
    asf::SyntheticOptions options;
    options.seed = seed;
    return asf::Synthesiser::make(options).value();
}

struct Witness : Subscriber {
    std::vector<Packet> packets;
    unsigned ends = 0, headers = 0, readies = 0;
    void on_packet(const Packet& packet) override { packets.push_back(packet); }
    void on_end() override { ++ends; }
    void on_header() override { ++headers; }
    void on_ready() override { ++readies; }
};

struct Relay {
    asio::io_context io{1};
    std::shared_ptr<PublishingPoint> point = std::make_shared<PublishingPoint>(io.get_executor(), "event");
};

}  // namespace

TEST_CASE("relayed: empty until its source's header is there, then live", "[server_sim]") {
    Relay relay;
    CHECK_FALSE(relay.point->ready());
    CHECK(relay.point->live());
    relay.point->relay(pulled_content()->packet(0));  // nothing begun: nobody could read it
    Witness waits, gives_up, left;
    const auto waiting = relay.point->wait(waits, 1h);
    const auto impatient = relay.point->wait(gives_up, 1ms);
    auto leaving = relay.point->wait(left, 1h);
    leaving.reset();
    REQUIRE(tests::run_until(relay.io, [&] { return gives_up.readies == 1; }));
    CHECK_FALSE(relay.point->ready());
    relay.point->begin(pulled_content()->header());
    CHECK(relay.point->ready());
    CHECK(waits.readies == 1);
    CHECK(gives_up.readies == 1);
    CHECK(left.readies == 0);
    CHECK(relay.point->header().raw == pulled_content()->header().raw);
}

TEST_CASE("relayed: packets go on over a lost connection, their numbers are the point's", "[server_sim]") {
    Relay relay;
    const auto content = pulled_content();
    relay.point->begin(content->header());
    Witness witness;
    const auto subscription = relay.point->subscribe(witness);
    relay.point->relay(content->packet(70));
    relay.point->begin(content->header());  // connected again
    auto short_one = content->packet(3);
    relay.point->relay(short_one);
    REQUIRE(witness.packets.size() == 2);
    CHECK(witness.packets[1].number == witness.packets[0].number + 1);
    CHECK(*witness.packets[0].bytes == content->packet(70));
    CHECK(witness.headers == 0);
    short_one.push_back(std::byte{0});  // larger than the header says: no player could take it
    relay.point->relay(short_one);
    CHECK(witness.packets.size() == 2);
}

TEST_CASE("relayed: another header is told before its packets, the end is one until the source begins anew", "[server_sim]") {
    Relay relay;
    relay.point->begin(pulled_content(1)->header());
    Witness witness;
    const auto subscription = relay.point->subscribe(witness);
    relay.point->begin(pulled_content(2)->header());
    CHECK(witness.headers == 1);
    CHECK(relay.point->header().raw == pulled_content(2)->header().raw);
    relay.point->end();
    CHECK(witness.ends == 1);
    CHECK_FALSE(relay.point->ready());
    relay.point->relay(pulled_content(2)->packet(0));
    CHECK(witness.packets.empty());
    relay.point->begin(pulled_content(2)->header());
    CHECK(relay.point->ready());
}

TEST_CASE("relayed: a stored stream of an upstream server becomes a live one", "[server_sim]") {
    Relay relay;
    asf::SyntheticOptions options;
    options.live = false;
    options.duration = 2s;
    relay.point->begin(asf::Synthesiser::make(options).value()->header());
    CHECK(relay.point->header().broadcast);
    CHECK(relay.point->header().packets_count == 0);
}

TEST_CASE("relayed: who joins gets each video stream from a key frame, however the streams' key frames lie", "[server_sim]") {
    const tests::Folder folder;
    tests::output_of(
        "ffmpeg -v error -f lavfi -i testsrc=size=160x120:rate=10:duration=8 -map 0:v -map 0:v -c:v wmv2 -b:v:0 60k -b:v:1 150k -g 1000 "
        "-force_key_frames:v:0 'expr:gte(t,n_forced*2)' -force_key_frames:v:1 'expr:gte(t,0.7+n_forced*1.5)' -packet_size 1400 " +
        (folder / "rates.wmv").string());
    const auto file = asf::File::open(folder / "rates.wmv").value();
    const auto& header = file->header();
    Relay relay;
    relay.point->begin(header);
    std::set<unsigned> had;  // streams that have had a key frame
    const auto keys_of = [&](const std::vector<std::byte>& packet) {
        std::set<unsigned> keys;
        for (const auto& payload : asf::parse_packet(packet, header.packet_size).value().payloads)
            if (payload.key_frame && payload.offset == 0) keys.insert(payload.stream);
        return keys;
    };
    for (std::uint64_t number = 0; number < file->packet_count().value(); ++number) {
        Witness all, little;
        Position from;
        from.backlog_max = 1 << 20;
        const auto joining = relay.point->subscribe(all, from);
        from.backlog_max = 20'000;
        const auto bounded = relay.point->subscribe(little, from);
        const auto packet = file->packet(number);
        had.merge(keys_of(packet));
        relay.point->relay(packet);
        std::set<unsigned> got;
        for (const auto& one : all.packets) got.merge(keys_of(*one.bytes));
        CHECK(got == had);
        CHECK(little.packets.size() <= 20'000 / 1400 + 1);
    }
    CHECK(had == std::set<unsigned>{1, 2});
}
