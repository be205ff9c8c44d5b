// A publishing point that is fed by a pull.
#include "common/asf/synthesiser.hpp"
#include "server_sim/publishing_point.hpp"
#include "tests/catch.hpp"
#include "tests/sims.hpp"

using namespace wmlab;
using namespace wmlab::server_sim;
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

TEST_CASE("relayed: another header is told before its packets, the end is one until the source begins anew",
          "[server_sim]") {
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
