// From what the user or the scenario says to publishing points.
#pragma once
#include <string>
#include <string_view>

#include "common/scenario/model.hpp"
#include "common/serving/publishing_point.hpp"

namespace wmlab::serving {

// "lecture.wmv", "name=other.wmv", "name=synthetic", "synthetic:128k", "synthetic:64k:30s" (stored, of that length),
// "synthetic:64k:128k" (two streams).
struct ContentSpec {
    std::string name;
    std::vector<std::string> more_names;  // of a file: with its extension, with its path
    bool synthetic = false;
    std::vector<std::uint32_t> bitrates = {64'000};  // bit/s, one stream each
    milliseconds duration{0};                        // synthetic: 0 is live
    std::filesystem::path file;
    bool loop = false;  // a file as an endless live stream
};
asf::ContentResult<ContentSpec> content_spec(std::string_view text);
ContentSpec content_spec(const scenario::Content& content);

// An ASF packet above it does not fit into a datagram with the 8 bytes that MMS and MSB put in front of it.
constexpr std::uint32_t media_datagram_max = 65'507 - 8;

// `world` tells synthetic contents of the same name apart (the scenario's name): it goes into their marks.
asf::ContentResult<std::shared_ptr<const asf::Content>> open(const ContentSpec& spec, std::string_view world);

}  // namespace wmlab::serving
