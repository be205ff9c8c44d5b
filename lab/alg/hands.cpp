#include "lab/alg/hands.hpp"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <boost/algorithm/string/trim.hpp>
#include <boost/json.hpp>

#include "lab/alg/hand_sockets.hpp"
#include "lab/host/error.hpp"
#include "lab/programs/carried_wmlab.hpp"
#include "lab/report/json_string.hpp"
#include "lab/rules/json_fields.hpp"
#include "lab/run/gateway.hpp"
#include "lab/verdict/version.hpp"

namespace wmlab::lab {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t hand_noise_max = 2048;
constexpr milliseconds latency_max{2000}, look_at_own_sockets{2}, look_at_pipes{100}, look_once_more{500};

class OwnHand final : public Hand {
public:
    OwnHand(const std::string& host, const Namespace& place) : sockets_{host, place} {}
    void ask(HandQuestion question) override { sockets_.ask(std::move(question)); }
    std::optional<HandAnswer> answer() override { return sockets_.answer(); }
    void wait_for(std::vector<pollfd>& all) const override { sockets_.wait_for(all); }

private:
    HandSockets sockets_;
};

class DistantHand final : public Hand {
public:
    DistantHand(Lab& lab, const std::string& host, const HandLimits& limits)
        : lab_{lab}, host_{host}, limits_{limits}, limit_{steady_clock::now() + limits.start} {
        Start start;
        start.host = host;
        start.argv = {"sh", "-s"};
        start.line = [this](std::string_view line) { read(line); };
        start.noise = [this](std::string_view part) {
            noise_ += part;
            if (noise_.size() > hand_noise_max) noise_.erase(0, noise_.size() - hand_noise_max);
        };
        start.ended = [this](const Ending& ending) {
            const auto said = boost::algorithm::trim_copy(noise_);
            fail(fmt::format("it ended with {}{}{}", ending.text(), said.empty() ? "" : ": ", said));
        };
        try {
            process_ = lab_.launcher.start(std::move(start));
            process_->write(carrying_shell(version(), {"alg", "--hand"}));
        } catch (const SetupFailed& failure) {
            fail(failure.what());
        }
    }
    ~DistantHand() override {
        broken_ = "it has ended";
        if (process_) end_program(lab_, *process_);
    }

    // In its place, or broken.
    bool settled() {
        if (!hello_ && broken_.empty() && late()) {
            const auto said = boost::algorithm::trim_copy(noise_);
            fail(fmt::format("nothing comes back after {} s{}{}", (carrying_ ? limits_.carry : limits_.start).count() / 1000, said.empty() ? "" : ": ", said));
        }
        return hello_.has_value() || !broken_.empty();
    }
    const std::optional<HandHello>& hello() const { return hello_; }
    void fail(const std::string& why) {
        if (!broken_.empty()) return;
        broken_ = fmt::format("{}, by `{}`: {}", host_, prefix(), why);
        if (process_) process_->close_input();
    }

    void ask(HandQuestion question) override {
        ++number_;
        answer_.reset();
        asked_ = steady_clock::now();
        limit_ = asked_ + question.patience + limits_.answer;
        waits_ = question.patience > 0ms, warned_ = false;
        if (broken_.empty()) process_->write(hand_line(number_, question) + "\n");
    }
    std::optional<HandAnswer> answer() override {
        if (answer_) return std::exchange(answer_, std::nullopt);
        if (broken_.empty() && lab_.interruptions > 0) fail("interrupted");
        if (broken_.empty() && late()) fail("it does not answer any more");
        if (broken_.empty()) return std::nullopt;
        HandAnswer none;
        none.step = "act on another machine as " + host_, none.cause = broken_;
        return none;
    }
    bool here() const override { return false; }
    std::string broken() const override { return broken_; }
    milliseconds latency() const override { return latency_; }

private:
    // What came while this process was busy, or stopped, has not been read yet.
    bool late() {
        if (steady_clock::now() < limit_) return false;
        if (warned_) return true;
        warned_ = true, limit_ = steady_clock::now() + look_once_more;
        return false;
    }

    std::string prefix() const { return fmt::format("{}", fmt::join(lab_.setting.launched.find(host_)->second, " ")); }

    void read(std::string_view line) {
        if (!broken_.empty()) return;
        if (line.size() > hand_line_max) return fail(fmt::format("it says a line of {} bytes", line.size()));
        const auto kind = hand_kind(line);
        if (kind == "hello" && !hello_) {
            const auto read = hand_hello(line);
            const auto& other = read.message;
            if (!read.problem.empty()) return fail("it says what is not understood: " + read.problem);
            if (other.version != version() || other.protocol != hand_protocol)
                return fail(fmt::format("wmlab is another version there, `{}`, here {}: install the same version", valid_utf8(other.version), version()));
            hello_ = other;
        } else if (kind == "answer" && hello_) {
            auto read = hand_answer(line);
            if (!read.problem.empty()) return fail("it says what is not understood: " + read.problem);
            if (read.number != number_ || answer_) return;  // to a question that is not minded any more
            answer_ = std::move(read.message);
            if (!waits_) note_latency(std::chrono::duration_cast<milliseconds>(steady_clock::now() - asked_));
        } else if (!hello_ && !carrying_) {
            boost::system::error_code wrong;
            const auto value = boost::json::parse(view(line), wrong);
            const auto* object = wrong ? nullptr : value.if_object();
            const auto machine = object != nullptr ? rules::text_at(*object, "carry") : std::string{};
            if (machine.empty()) return;  // what a login shell says for itself
            if (const auto why = bring_wmlab(*process_, machine, version()); !why.empty()) return fail(why);
            carrying_ = true, warned_ = false, limit_ = steady_clock::now() + limits_.carry;
        }
    }

    void note_latency(milliseconds took) { latency_ = std::min(latency_max, std::max(took, latency_ - latency_ / 8)); }

    Lab& lab_;
    const std::string host_;
    const HandLimits limits_;
    std::shared_ptr<Process> process_;
    std::string noise_, broken_;
    std::optional<HandHello> hello_;
    bool carrying_ = false, waits_ = false, warned_ = false;
    unsigned number_ = 0;
    steady_clock::time_point asked_, limit_;
    std::optional<HandAnswer> answer_;
    milliseconds latency_{0};
};

}  // namespace

Hands::Hands(Lab& lab, const scenario::Scenario& scenario, const HandLimits& limits) : lab_{lab} {
    std::vector<std::pair<const scenario::Host*, DistantHand*>> distant;
    for (const auto& host : scenario.hosts) {
        if (const auto* place = lab.place_of(host.name)) {
            hands_[host.name] = std::make_unique<OwnHand>(host.name, *place);
            continue;
        }
        auto hand = std::make_unique<DistantHand>(lab, host.name, limits);
        distant.emplace_back(&host, hand.get());
        hands_[host.name] = std::move(hand);
    }
    const auto all_settled = [&] {
        bool all = true;
        for (const auto& [host, hand] : distant) all = hand->settled() && all;
        return all;
    };
    while (!all_settled() && lab.interruptions == 0) lab.wait(all_settled, steady_clock::now() + look_at_pipes);
    for (const auto& host : scenario.hosts) {
        HandQuestion begin;
        begin.address = host.address, begin.text = host.name;
        auto* const hand = of(host.name);
        const auto is_distant = std::ranges::find(distant, hand, [](const auto& one) { return static_cast<Hand*>(one.second); });
        if (is_distant == distant.end()) {
            ask(hand, begin);
            continue;
        }
        try {
            ask(hand, begin);
        } catch (const SetupFailed& failure) {
            is_distant->second->fail(failure.cause());
        }
    }
    // What two hosts of one machine say to each other passes no firewall.
    for (const auto& [host, hand] : distant)
        for (const auto& [other, another] : distant) {
            if (!hand->broken().empty() || !another->broken().empty() || host->zone == other->zone || hand->hello()->place.empty()) continue;
            if (hand->hello()->place == another->hello()->place)
                another->fail(fmt::format("it is the machine of {}, too: what they say to each other passes no firewall", host->name));
        }
}

Hands::~Hands() = default;

Hand* Hands::of(const std::string& host) const {
    const auto found = hands_.find(host);
    return found == hands_.end() ? nullptr : found->second.get();
}

std::vector<HandAnswer> Hands::ask(std::vector<Asked> asked) {
    std::vector<std::optional<HandAnswer>> answers(asked.size());
    for (auto& one : asked) one.hand->ask(std::move(one.question));
    for (;;) {
        bool all = true, elsewhere = false;
        std::vector<pollfd> sockets;
        for (std::size_t i = 0; i < asked.size(); ++i) {
            if (answers[i] || (answers[i] = asked[i].hand->answer())) continue;
            all = false;
            elsewhere = elsewhere || !asked[i].hand->here();
            asked[i].hand->wait_for(sockets);
        }
        if (all) break;
        if (!elsewhere) {
            ::poll(sockets.data(), sockets.size(), 10);
        } else if (sockets.empty()) {
            lab_.io.run_one_for(look_at_pipes);
        } else {
            lab_.io.run_one_for(look_at_own_sockets);
        }
    }
    std::vector<HandAnswer> got;
    for (auto& answer : answers) {
        if (!answer->cause.empty()) throw SetupFailed{answer->step, answer->cause};
        got.push_back(std::move(*answer));
    }
    return got;
}

HandAnswer Hands::ask(Hand* hand, HandQuestion question) {
    std::vector<Asked> one;
    one.push_back({hand, std::move(question)});
    return ask(std::move(one)).front();
}

void Hands::tell(Hand* hand, HandQuestion question) {
    hand->ask(std::move(question));
    hand->answer();
}

}  // namespace wmlab::lab
