#include "lab/verdict/picture.hpp"

#include <algorithm>

namespace wmlab::lab {

const PictureZone* Picture::zone_of(const std::string& host) const {
    for (const auto& zone : zones)
        if (std::ranges::find(zone.hosts, host, &PictureHost::name) != zone.hosts.end()) return &zone;
    return nullptr;
}

}  // namespace wmlab::lab
