// What a player, or a server that pulls, received of a stream, over whatever transport: counted, checksummed, checked
// against the marks of synthetic content, and saved.
#pragma once
#include <boost/json/object.hpp>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/asf/save.hpp"
#include "common/process/media_digest.hpp"

namespace wmlab::process {

using SteadyTime = std::chrono::steady_clock::time_point;

// What all players of a load received since somebody looked.
struct MediaTally {
    std::uint64_t packets = 0, lost = 0, gaps = 0;
    double jitter = 0;  // ms, the worst player's
};

// How many packets came in each stretch of time since the first. The stretches grow with the stream, so that there are never more than `most`.
class Arrivals {
public:
    static constexpr std::size_t most = 60;
    void add(SteadyTime at);
    std::chrono::milliseconds each() const { return each_; }  // how long a stretch is
    const std::vector<std::uint32_t>& counts() const { return counts_; }

private:
    SteadyTime first_{};
    std::chrono::milliseconds each_{20};
    std::vector<std::uint32_t> counts_;
};

class ReceivedMedia {
public:
    // `save`: write the stream there as an .asf file.
    explicit ReceivedMedia(std::optional<std::filesystem::path> save = std::nullopt, std::shared_ptr<MediaTally> tally = nullptr)
        : save_to_{std::move(save)}, tally_{std::move(tally)} {}

    // The ASF header. Error: a sentence; packets are counted all the same.
    std::optional<std::string> header(bytes::Bytes asf_header);
    // `packet` may lack padding that was not sent.
    void packet(std::uint64_t number, bytes::Bytes packet, SteadyTime at);
    void duplicate() { ++duplicates_; }
    // After a seek numbers begin elsewhere: what lies between was not lost.
    void new_start();
    std::optional<std::string> close();  // finishes the saved file

    std::uint64_t packets() const { return digest_.packets(); }
    std::uint64_t bytes() const { return digest_.bytes(); }
    std::uint64_t damaged() const { return damaged_; }
    std::uint64_t duplicates() const { return duplicates_; }
    std::vector<std::uint64_t> lost() const;  // numbers skipped between the first and the last of each run
    bool has_header() const { return header_.has_value(); }
    const std::optional<asf::Header>& asf_header() const { return header_; }
    SteadyTime first() const { return first_; }
    SteadyTime last() const { return last_; }
    std::chrono::milliseconds longest_gap() const { return longest_gap_; }
    std::uint64_t gaps() const { return gaps_; }  // times that the stream had run dry, see behind()
    double jitter() const { return jitter_; }     // ms, as RFC 3550 6.4.1 has it, by the packets' own times
    // Until when what has come is enough to play on, as the packets' own times have it.
    SteadyTime lasts_until() const { return first_of_run_ + media_time_; }
    bool behind(SteadyTime now) const;           // a pause that nobody takes for jitter: it stopped coming
    std::chrono::milliseconds interval() const;  // between packets, by the header; 0 where it does not say
    void waited_until(SteadyTime now);           // no packet came: a gap is one also at the end

    boost::json::object fields() const;  // of `media-ended`
    std::string summary() const;         // "41 packets (57400 bytes) in 4.1 s, 0 lost, ..."

private:
    static constexpr std::size_t lost_max = 4096;
    void keep_time(bytes::Bytes packet, SteadyTime at);
    void count(std::uint64_t number);

    std::optional<std::filesystem::path> save_to_;
    std::optional<asf::Header> header_;
    std::optional<asf::Save> file_;
    std::string save_problem_;
    process::MediaDigest digest_;
    std::uint64_t duplicates_ = 0, damaged_ = 0;
    std::set<std::uint64_t> missing_;    // at most lost_max
    std::optional<std::uint64_t> next_;  // number expected
    bool fresh_ = true;                  // nothing has come since the stream began, or began again
    SteadyTime first_{}, last_{}, first_of_run_{};
    std::optional<std::chrono::milliseconds> first_send_time_;
    std::chrono::milliseconds media_time_{0};
    std::chrono::milliseconds longest_gap_{0};
    std::optional<std::chrono::milliseconds> last_send_time_;
    std::uint64_t gaps_ = 0;
    double jitter_ = 0;
    Arrivals arrivals_;
    std::shared_ptr<MediaTally> tally_;
};

}  // namespace wmlab::process
