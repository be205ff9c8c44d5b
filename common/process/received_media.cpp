#include "common/process/received_media.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <cmath>

#include "common/asf/packet.hpp"
#include "common/asf/synthesiser.hpp"
#include "common/evidence/fields.hpp"

namespace wmlab::process {

using std::chrono::milliseconds;

void Arrivals::add(SteadyTime at) {
    if (counts_.empty()) first_ = at;
    const auto since = std::chrono::duration_cast<milliseconds>(std::max(at, first_) - first_);
    while (since / each_ >= static_cast<std::ptrdiff_t>(most)) {
        each_ *= 2;
        for (std::size_t i = 0; i < counts_.size(); ++i)
            if (i % 2 == 0) counts_[i / 2] = counts_[i] + (i + 1 < counts_.size() ? counts_[i + 1] : 0);
        counts_.resize((counts_.size() + 1) / 2);
    }
    const auto at_index = static_cast<std::size_t>(since / each_);
    if (counts_.size() <= at_index) counts_.resize(at_index + 1);
    ++counts_[at_index];
}

std::optional<std::string> ReceivedMedia::header(bytes::Bytes asf_header) {
    digest_.header(asf_header);
    auto parsed = asf::Header::parse(asf_header);
    if (!parsed) return "the ASF header cannot be read: " + parsed.error().text();
    header_ = std::move(*parsed);
    if (!save_to_ || file_) return std::nullopt;
    auto created = asf::Save::create(*save_to_, *header_);
    if (!created) return save_problem_ = created.error().text();
    file_.emplace(std::move(*created));
    return std::nullopt;
}

void ReceivedMedia::packet(std::uint64_t number, bytes::Bytes packet, SteadyTime at) {
    std::vector<std::byte> whole;
    if (header_ &&
        packet.size() < header_->packet_size) {  // the sender may leave out padding: digests are of the whole
        whole.assign(packet.begin(), packet.end());
        whole.resize(header_->packet_size);
        packet = whole;
    }
    keep_time(packet, at);
    digest_.packet(number, packet);
    count(number);
    if (header_ && asf::verify_synthetic(packet, *header_).outcome == asf::SyntheticCheck::Outcome::damaged) ++damaged_;
    if (!file_) return;
    if (const auto problem = file_->add(number, packet)) {
        save_problem_ = problem->text();
        file_.reset();
    }
}

void ReceivedMedia::keep_time(bytes::Bytes packet, SteadyTime at) {
    const auto send_time = asf::send_time(packet);
    if (packets() == 0) {
        first_ = at;
    } else if (!fresh_) {  // what lies before a new start is no gap
        longest_gap_ = std::max(longest_gap_, std::chrono::duration_cast<milliseconds>(at - last_));
        if (behind(at)) {
            ++gaps_;
            if (tally_) ++tally_->gaps;
        }
        // A packet that was sent again, or one of another run, has a time that says nothing.
        if (send_time && last_send_time_ && *send_time >= *last_send_time_) {
            const auto late = std::chrono::duration<double, std::milli>{at - last_} - (*send_time - *last_send_time_);
            jitter_ += (std::abs(late.count()) - jitter_) / 16;
        }
    }
    last_ = at;
    arrivals_.add(at);
    fresh_ = false;
    if (tally_) {
        ++tally_->packets;
        tally_->jitter = std::max(tally_->jitter, jitter_);
    }
    if (!send_time) return;
    last_send_time_ = *send_time;
    if (!first_send_time_) first_send_time_ = *send_time, first_of_run_ = at;
    media_time_ = std::max(media_time_, *send_time - *first_send_time_);
}

void ReceivedMedia::count(std::uint64_t number) {
    const auto before = missing_.size();
    if (!next_ || number >= *next_) {
        for (auto skipped = next_.value_or(number); skipped < number && missing_.size() < lost_max; ++skipped)
            missing_.insert(skipped);
        next_ = number + 1;
        if (tally_) tally_->lost += missing_.size() - before;
    } else {
        missing_.erase(number);  // late, or sent again
        if (tally_) tally_->lost -= std::min<std::uint64_t>(tally_->lost, before - missing_.size());
    }
}

void ReceivedMedia::new_start() {
    fresh_ = true;
    last_send_time_.reset();
    next_.reset();
    first_send_time_.reset();
    media_time_ = milliseconds{0};
}

bool ReceivedMedia::behind(SteadyTime now) const {
    constexpr milliseconds noticeable{150};
    return now > std::max(last_, lasts_until()) + std::max(noticeable, 4 * interval());
}

milliseconds ReceivedMedia::interval() const {
    if (!header_ || header_->maximum_bit_rate == 0) return milliseconds{0};
    return milliseconds{1000ULL * 8 * header_->packet_size / header_->maximum_bit_rate};
}

void ReceivedMedia::waited_until(SteadyTime now) {
    if (packets() > 0 && !fresh_) longest_gap_ = std::max(longest_gap_, std::chrono::duration_cast<milliseconds>(now - last_));
}

std::optional<std::string> ReceivedMedia::close() {
    if (file_) {
        if (const auto problem = file_->close()) save_problem_ = problem->text();
        file_.reset();
    }
    return save_problem_.empty() ? std::nullopt : std::optional{save_problem_};
}

std::vector<std::uint64_t> ReceivedMedia::lost() const { return {missing_.begin(), missing_.end()}; }

boost::json::object ReceivedMedia::fields() const {
    auto fields = digest_.fields();
    boost::json::array lost;
    for (const auto number : missing_) lost.emplace_back(number);
    fields[field::lost_numbers] = std::move(lost);
    fields[field::duplicates] = duplicates_;
    fields[field::damaged] = damaged_;
    fields[field::longest_gap] = longest_gap_.count();
    fields[field::gaps] = gaps_;
    fields[field::jitter] = std::round(jitter_ * 1000) / 1000;
    boost::json::array counts;
    for (const auto count : arrivals_.counts()) counts.emplace_back(count);
    fields[field::arrivals] = std::move(counts);
    fields[field::arrivals_each] = arrivals_.each().count();
    // How long it had been quiet when the session ended: whether packets sent later were still waited for.
    if (packets() > 0) {
        fields[field::last_gap] = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - last_).count();
    }
    return fields;
}

std::string ReceivedMedia::summary() const {
    const auto seconds = std::chrono::duration<double>(last_ - first_).count();
    auto text =
        fmt::format("{} packets ({} bytes) in {:.1f} s, {} lost, {} duplicates, longest gap {} ms", packets(), bytes(),
                    packets() == 0 ? 0.0 : seconds, missing_.size(), duplicates_, longest_gap_.count());
    if (header_ && asf::synthetic_seed(*header_))
        text += damaged_ == 0 ? ", every packet proved intact" : fmt::format(", {} damaged", damaged_);
    return text;
}

}  // namespace wmlab::process
