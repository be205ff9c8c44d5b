// Writes what was received as a playable .asf: header and packets byte for byte as they were sent.
#pragma once
#include <filesystem>
#include <vector>

#include "common/asf/content.hpp"

namespace wmlab::asf {

class Save {
public:
    // finalise: turn the header of a live stream into that of a stored file when it is complete.
    static ContentResult<Save> create(const std::filesystem::path& path, const Header& header, bool finalise = false);
    Save(Save&& other) noexcept;
    Save& operator=(Save&&) = delete;
    ~Save();  // closes without the work of close()

    // Padding that was not sent is put back. Numbers may come in any order; one that is there already is ignored.
    std::optional<ContentError> add(std::uint64_t number, Bytes packet);
    // Puts packets that came late where they belong and finalises. Packets that never came leave no hole.
    std::optional<ContentError> close();
    std::uint64_t packet_count() const { return entries_.size(); }

private:
    struct Entry {
        std::uint64_t number;  // the sender's
        std::uint64_t slot;    // place in the file, in order of arrival
    };
    Save() = default;
    ContentError failure(const char* what) const;
    std::optional<ContentError> sort();
    std::optional<ContentError> finalise();

    std::filesystem::path path_;
    int descriptor_ = -1;
    bool regular_ = true;  // a pipe or device gets the packets as they come
    Header header_;
    bool finalise_ = false;
    std::vector<Entry> entries_;  // by number
};

}  // namespace wmlab::asf
