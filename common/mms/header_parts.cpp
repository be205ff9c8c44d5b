#include "common/mms/header_parts.hpp"

namespace wmlab::mms {

constexpr std::uint32_t parts_max = 4096;

HeaderParts::Added HeaderParts::add(const Data& data) {
    constexpr std::uint8_t last = Data::AFFlags_header_last & ~Data::AFFlags_header_part;
    if (data.LocationId >= parts_max || bytes_ + data.Payload.size() > size_max_) return Added::too_large;
    if (last_ && data.LocationId > *last_) return Added::stray;
    if (!parts_.emplace(data.LocationId, data.Payload).second) return Added::duplicate;
    bytes_ += data.Payload.size();
    if ((data.AFFlags & last) != 0) last_ = data.LocationId;
    return Added::part;
}

bool HeaderParts::complete(std::uint32_t announced) const {
    if (parts_.empty() || parts_.rbegin()->first + 1 != parts_.size()) return false;
    return last_ ? *last_ + 1 == parts_.size() : announced != 0 && bytes_ == announced;
}

std::vector<std::byte> HeaderParts::header() const {
    std::vector<std::byte> whole;
    whole.reserve(bytes_);
    for (const auto& [location, part] : parts_) whole.insert(whole.end(), part.begin(), part.end());
    return whole;
}

}  // namespace wmlab::mms
