#include "server_sim/publishing_point.hpp"

#include <fstream>

#include "common/asf/save.hpp"
#include "common/asf/synthesiser.hpp"
#include "server_sim/content.hpp"
#include "tests/catch.hpp"
#include "tests/sims.hpp"

using namespace wmlab;
using namespace wmlab::server_sim;
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

TEST_CASE("publishing points are found by their names", "[server_sim]") {
    asio::io_context io{1};
    PublishingPoints points;
    points.add(std::make_shared<PublishingPoint>(io.get_executor(), "lecture", content(50ms)),
               {"lecture.wmv", "dir/lecture.wmv"});
    points.add(std::make_shared<PublishingPoint>(io.get_executor(), "Other", content(50ms)));
    CHECK(points.find("lecture")->name() == "lecture");
    CHECK(points.find("/lecture")->name() == "lecture");
    CHECK(points.find("dir/lecture.wmv")->name() == "lecture");
    CHECK(points.find("LECTURE.WMV")->name() == "lecture");
    CHECK(points.find("other")->name() == "Other");
    CHECK_FALSE(points.find("lecture.wma"));
    CHECK_FALSE(points.find(""));
    CHECK_FALSE(points.find("../lecture"));
}

TEST_CASE("content: what a user may write for --content", "[server_sim]") {
    CHECK(content_spec("lecture.wmv")->name == "lecture");
    CHECK(content_spec("lecture.wmv")->more_names == std::vector<std::string>{"lecture.wmv"});
    CHECK(content_spec("talks/lecture.wmv")->more_names ==
          std::vector<std::string>{"lecture.wmv", "talks/lecture.wmv"});
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
    CHECK(server_sim::open(spec, "one").value()->packet(0) == server_sim::open(spec, "one").value()->packet(0));
    CHECK(server_sim::open(spec, "one").value()->packet(0) != server_sim::open(spec, "two").value()->packet(0));
    CHECK(server_sim::open(content_spec("/nowhere.wmv").value(), "").has_error());
}
