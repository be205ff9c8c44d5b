// The ASF header of a content as its parts come (MS-MMSP 2.2.2): over UDP in any order, and again after a second
// LinkViewerToMacReadBlock.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/mms/data.hpp"

namespace wmlab::mms {

class HeaderParts {
public:
    explicit HeaderParts(std::size_t size_max) : size_max_{size_max} {}

    void begin() { *this = HeaderParts{size_max_}; }  // asked for, or asked for again
    enum class Added { part, duplicate, stray, too_large };
    Added add(const Data& data);
    // `announced`: the size in bytes of which the server spoke, by which headers are known whose last part is not
    // marked.
    bool complete(std::uint32_t announced) const;
    std::vector<std::byte> header() const;

private:
    std::size_t size_max_, bytes_ = 0;
    std::map<std::uint32_t, std::vector<std::byte>> parts_;  // by LocationId
    std::optional<std::uint32_t> last_;
};

}  // namespace wmlab::mms
