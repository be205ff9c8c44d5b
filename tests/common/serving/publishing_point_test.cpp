#include "common/serving/publishing_point.hpp"

#include <boost/asio/post.hpp>
#include <fstream>

#include "common/asf/save.hpp"
#include "common/asf/synthesiser.hpp"
#include "common/serving/content.hpp"
#include "common/url/url.hpp"
#include "tests/catch.hpp"
#include "tests/sims.hpp"

using namespace wmlab;
using namespace wmlab::serving;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<const asf::Content> content(std::optional<milliseconds> duration, unsigned bitrate = 2'000'000) {
    asf::SyntheticOptions options;
    options.bitrates = {bitrate};
    options.live = !duration;
    options.duration = duration;
    return asf::Synthesiser::make(options).value();
}

struct Collector : Subscriber {
    std::vector<Packet> packets;
    bool ended = false;
    std::function<void()> then = [] {};
    void on_packet(const Packet& packet) override {
        packets.push_back(packet);
        then();
    }
    void on_end() override { ended = true; }
};

}  // namespace

TEST_CASE("live: all subscribers get the very same packets, from now on", "[server_sim]") {
    asio::io_context io{1};
    const auto point = std::make_shared<PublishingPoint>(io.get_executor(), "live", content(std::nullopt));
    Collector one, two;
    const auto first = point->subscribe(one);
    const auto second = point->subscribe(two);
    REQUIRE(tests::run_until(io, [&] { return one.packets.size() >= 5 && two.packets.size() >= 5; }));
    CHECK(one.packets.size() == two.packets.size());
    for (std::size_t i = 0; i < 5; ++i) {
        CHECK(one.packets[i].number == two.packets[i].number);
        CHECK(one.packets[i].bytes == two.packets[i].bytes);  // the same object: made once
        CHECK(one.packets[i].number == one.packets[0].number + i);
    }
    CHECK(point->subscribers() == 2);
}

TEST_CASE("live: a subscriber may leave from within a delivery, others stay", "[server_sim]") {
    asio::io_context io{1};
    const auto point = std::make_shared<PublishingPoint>(io.get_executor(), "live", content(std::nullopt));
    Collector stays, leaves;
    std::unique_ptr<Subscription> leaving = point->subscribe(leaves);
    leaves.then = [&] { leaving.reset(); };
    const auto staying = point->subscribe(stays);
    REQUIRE(tests::run_until(io, [&] { return stays.packets.size() >= 3; }));
    CHECK(leaves.packets.size() == 1);
    CHECK(point->subscribers() == 1);
}

TEST_CASE("live: while nobody listens no packet is made, and the clock goes on", "[server_sim]") {
    asio::io_context io{1};
    const auto point = std::make_shared<PublishingPoint>(io.get_executor(), "live", content(std::nullopt));
    Collector one, two;
    auto first = point->subscribe(one);
    REQUIRE(tests::run_until(io, [&] { return one.packets.size() >= 2; }));
    first.reset();
    const auto last = one.packets.back().number;
    const auto second = point->subscribe(two);
    REQUIRE(tests::run_until(io, [&] { return !two.packets.empty(); }));
    CHECK(two.packets[0].number > last);
}

namespace {

// A subscriber whose packets take so long that the clock cannot be kept up with, on whatever machine.
struct Slow : Collector {
    milliseconds takes{5};
    void on_packet(const Packet& packet) override {
        for (const auto until = std::chrono::steady_clock::now() + takes; std::chrono::steady_clock::now() < until;) {
        }
        Collector::on_packet(packet);
    }
};

}  // namespace

TEST_CASE("live: more is due than can be sent, and players vanish: others have their turn, all ends as it began", "[server_sim]") {
    asio::io_context io{1};
    const auto point = std::make_shared<PublishingPoint>(io.get_executor(), "live", content(std::nullopt));
    // 2 Mbit/s are more than 170 packets a second; 40 subscribers of 5 ms each get one packet in 200 ms.
    std::vector<std::unique_ptr<Slow>> players;
    std::vector<std::unique_ptr<Subscription>> subscriptions;
    for (int i = 0; i < 40; ++i) {
        players.push_back(std::make_unique<Slow>());
        subscriptions.push_back(point->subscribe(*players.back()));
    }
    // Beside them: connections that close, signals, new players. They must have a turn between any two slices.
    int turns = 0;
    std::function<void()> beside = [&] {
        ++turns;
        asio::post(io, beside);
    };
    asio::post(io, beside);
    const auto got = [&] {
        std::size_t all = 0;
        for (const auto& player : players) all += player->packets.size();
        return all;
    };
    std::size_t longest = 0, before = 0;
    int turns_before = 0;
    while (point->skipped() == 0 && got() < 4000) {
        io.run_one();
        if (turns == turns_before) continue;
        longest = std::max(longest, got() - before);
        before = got(), turns_before = turns;
    }
    CHECK(point->skipped() > 0);  // it went on from the present instead of running after the clock for ever
    CHECK(longest <= 20);         // packets in one turn: a slice, and not all that was due
    CHECK(turns > 20);
    for (auto& subscription : subscriptions) subscription.reset();  // all at once, in the middle of a delivery
    CHECK(point->subscribers() == 0);
    const auto last = got();
    beside = [] {};
    io.restart();
    for (int i = 0; i < 1000 && io.poll_one() > 0; ++i) {
    }
    CHECK(got() == last);
    Collector next;  // who comes now gets the present
    const auto subscription = point->subscribe(next);
    REQUIRE(tests::run_until(io, [&] { return next.packets.size() >= 3; }));
    CHECK(next.packets[1].number == next.packets[0].number + 1);
    CHECK(subscription->skipped() == 0);
}

TEST_CASE("stored: what is very late is sent in pieces, nothing is left out", "[server_sim]") {
    asio::io_context io{1};
    const auto stored = content(1500ms);
    const auto point = std::make_shared<PublishingPoint>(io.get_executor(), "clip", stored);
    Slow player;
    player.takes = 2ms;
    const auto subscription = point->subscribe(player, Position{0, std::nullopt, 1500ms, 1000});
    std::size_t before = 0, longest = 0;
    REQUIRE(tests::run_until(io, [&] {
        longest = std::max(longest, player.packets.size() - before);
        before = player.packets.size();
        return player.ended;
    }));
    CHECK(player.packets.size() == *stored->packet_count());
    CHECK(longest <= 4);
}

TEST_CASE("relayed: a source that is faster than all who are served is cut, and the cut is counted", "[server_sim]") {
    asio::io_context io{1};
    const auto source = content(std::nullopt);
    const auto point = std::make_shared<PublishingPoint>(io.get_executor(), "relay");
    point->begin(source->header());
    std::vector<std::unique_ptr<Slow>> players;
    std::vector<std::unique_ptr<Subscription>> subscriptions;
    for (int i = 0; i < 40; ++i) {
        players.push_back(std::make_unique<Slow>());
        players.back()->takes = 1ms;
        subscriptions.push_back(point->subscribe(*players.back()));
    }
    for (std::uint64_t number = 0; number < 200; ++number) point->relay(source->packet(number));
    CHECK(point->skipped() >= 200 - PublishingPoint::deliveries_max - 1);
    point->end();
    REQUIRE(tests::run_until(io, [&] { return players.back()->ended; }));
    CHECK(players.back()->packets.size() == 200 - point->skipped());
}

TEST_CASE("stored: from a position to an end, each subscriber for itself", "[server_sim]") {
    asio::io_context io{1};
    const auto stored = content(100ms);
    const auto count = *stored->packet_count();
    REQUIRE(count > 6);
    const auto point = std::make_shared<PublishingPoint>(io.get_executor(), "clip", stored);
    Collector whole, part, nothing;
    const auto a = point->subscribe(whole);
    const auto b = point->subscribe(part, Position{2, 5, 0ms, 1});
    const auto c = point->subscribe(nothing, Position{count, std::nullopt, 0ms, 1});
    REQUIRE(tests::run_until(io, [&] { return whole.ended && part.ended && nothing.ended; }));
    CHECK(whole.packets.size() == count);
    REQUIRE(part.packets.size() == 3);
    CHECK(part.packets[0].number == 2);
    CHECK(*part.packets[0].bytes == stored->packet(2));
    CHECK(nothing.packets.empty());
}

TEST_CASE("stored: packets are paced by their send times, or faster where asked", "[server_sim]") {
    asio::io_context io{1};
    const auto point = std::make_shared<PublishingPoint>(io.get_executor(), "clip", content(300ms));
    Collector paced, fast;
    const auto start = std::chrono::steady_clock::now();
    const auto a = point->subscribe(paced);
    REQUIRE(tests::run_until(io, [&] { return paced.ended; }));
    CHECK(std::chrono::steady_clock::now() - start >= 250ms);
    const auto b = point->subscribe(fast, Position{0, std::nullopt, 300ms, 10});
    std::size_t before = 0;
    const auto burst = std::chrono::steady_clock::now();
    REQUIRE(tests::run_until(io, [&] {
        if (std::chrono::steady_clock::now() - burst < 200ms) before = fast.packets.size();
        return fast.ended;
    }));
    CHECK(fast.packets.size() == paced.packets.size());
}

TEST_CASE("a subscription may end in its own on_end, or before its first packet", "[server_sim]") {
    asio::io_context io{1};
    const auto point = std::make_shared<PublishingPoint>(io.get_executor(), "clip", content(50ms));
    Collector never;
    auto subscription = point->subscribe(never);
    subscription.reset();
    Collector other;
    const auto b = point->subscribe(other);
    REQUIRE(tests::run_until(io, [&] { return other.ended; }));
    CHECK(never.packets.empty());
    CHECK_FALSE(never.ended);
}

TEST_CASE("a fault in one subscriber ends that one: of live, stored and awaited content", "[server_sim]") {
    struct Faulty : Collector {
        unsigned faults = 0;
        std::unique_ptr<Subscription> own;
        void on_ready() override { throw std::runtime_error{"no memory"}; }
        void on_fault(const std::exception&) override {
            ++faults;
            own.reset();
        }
    };
    struct Waits : Collector {
        bool ready = false;
        void on_ready() override { ready = true; }
    };
    asio::io_context io{1};
    const auto live = std::make_shared<PublishingPoint>(io.get_executor(), "live", content(std::nullopt));
    const auto stored = std::make_shared<PublishingPoint>(io.get_executor(), "clip", content(200ms));
    const auto relayed = std::make_shared<PublishingPoint>(io.get_executor(), "pulled");
    Faulty of_live, of_stored, waits, waits_in_vain;
    for (auto* const one : {&of_live, &of_stored}) one->then = [] { throw std::runtime_error{"no memory"}; };
    of_live.own = live->subscribe(of_live);
    of_stored.own = stored->subscribe(of_stored);
    waits.own = relayed->wait(waits, 10s);
    waits_in_vain.own = std::make_shared<PublishingPoint>(io.get_executor(), "nothing")->wait(waits_in_vain, 1ms);
    Collector beside_live, beside_stored;
    Waits beside;
    const auto a = live->subscribe(beside_live), b = stored->subscribe(beside_stored), c = relayed->wait(beside, 10s);
    asio::post(io, [&] { relayed->begin(live->header()); });
    REQUIRE(tests::run_until(io, [&] { return beside_live.packets.size() >= 3 && beside_stored.ended && waits_in_vain.faults > 0; }));
    for (const auto* const one : {&of_live, &of_stored, &waits, &waits_in_vain}) CHECK(one->faults == 1);
    CHECK(of_live.packets.size() == 1);
    CHECK(of_stored.packets.size() == 1);
    CHECK(beside.ready);
    CHECK(live->subscribers() == 1);
}

TEST_CASE("publishing points are found by their names", "[server_sim]") {
    asio::io_context io{1};
    PublishingPoints points;
    points.add(std::make_shared<PublishingPoint>(io.get_executor(), "lecture", content(50ms)), {"lecture.wmv", "dir/lecture.wmv"});
    points.add(std::make_shared<PublishingPoint>(io.get_executor(), "Other", content(50ms)));
    CHECK(points.find("lecture")->name() == "lecture");
    CHECK(points.find("/lecture")->name() == "lecture");
    CHECK(points.find("dir/lecture.wmv")->name() == "lecture");
    CHECK(points.find("LECTURE.WMV")->name() == "lecture");
    CHECK(points.find("other")->name() == "Other");
    for (const auto* const name : {"50%", "50%25", "%41", "a?b", "a [b]"}) {
        PublishingPoints odd;
        odd.add(std::make_shared<PublishingPoint>(io.get_executor(), name, content(50ms)));
        CHECK(odd.find(name));
        CHECK(odd.find(url::encoded_path(name)));
        CHECK(odd.find(url::decoded(url::encoded_path(name))));
        CHECK(odd.find(url::decoded(name)));  // decoded once too often on the way
        CHECK_FALSE(odd.find("other"));
    }
    CHECK_FALSE(points.find("lecture.wma"));
    CHECK_FALSE(points.find(""));
    CHECK_FALSE(points.find("../lecture"));
}

TEST_CASE("content: what a user may write for --content", "[server_sim]") {
    CHECK(content_spec("lecture.wmv")->name == "lecture");
    CHECK(content_spec("lecture.wmv")->more_names == std::vector<std::string>{"lecture.wmv"});
    CHECK(content_spec("talks/lecture.wmv")->more_names == std::vector<std::string>{"lecture.wmv", "talks/lecture.wmv"});
    CHECK(content_spec("a=b.wmv")->name == "a");
    CHECK(content_spec("a=/x/b.wmv")->file == "/x/b.wmv");
    CHECK(content_spec("synthetic")->synthetic);
    CHECK(content_spec("synthetic")->name == "synthetic");
    CHECK(content_spec("tone=synthetic:128k")->bitrates == std::vector<std::uint32_t>{128'000});
    CHECK(content_spec("tone=synthetic:1.5M:30s")->bitrates == std::vector<std::uint32_t>{1'500'000});
    CHECK(content_spec("synthetic:64k:128k")->bitrates == std::vector<std::uint32_t>{64'000, 128'000});
    CHECK(content_spec("tone=synthetic:1.5M:30s")->duration == 30s);
    CHECK(content_spec("synthetic:2m")->duration == 120s);
    CHECK_FALSE(content_spec("synthetics")->synthetic);  // a file of that name
    CHECK(content_spec("").has_error());
    CHECK(content_spec("=x.wmv").has_error());
    CHECK(content_spec("synthetic:fast").has_error());
    CHECK(content_spec("synthetic:-64k").has_error());
    CHECK(content_spec("synthetic:").has_error());
}

TEST_CASE("synthetic content of different scenarios differs in its marks", "[server_sim]") {
    const auto spec = content_spec("tone=synthetic:64k").value();
    CHECK(serving::open(spec, "one").value()->packet(0) == serving::open(spec, "one").value()->packet(0));
    CHECK(serving::open(spec, "one").value()->packet(0) != serving::open(spec, "two").value()->packet(0));
    CHECK(serving::open(content_spec("/nowhere.wmv").value(), "").has_error());
}
