#include "common/asf/save.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/asf/packet.hpp"

namespace wmlab::asf {
namespace {

bool write_all(int descriptor, Bytes bytes) {
    while (!bytes.empty()) {
        const auto done = ::write(descriptor, bytes.data(), bytes.size());
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
    return true;
}

bool read_all(int descriptor, std::uint64_t offset, std::span<std::byte> into) {
    while (!into.empty()) {
        const auto got = ::pread(descriptor, into.data(), into.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        into = into.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
    return true;
}

}  // namespace

ContentResult<Save> Save::create(const std::filesystem::path& path, const Header& header, bool finalise) {
    Save save;
    save.path_ = path;
    save.header_ = header;
    save.finalise_ = finalise;
    struct stat status {};
    save.regular_ = ::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode);
    const int flags = save.regular_ ? O_RDWR | O_CREAT | O_TRUNC : O_WRONLY;
    save.descriptor_ = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    if (save.descriptor_ < 0 || !write_all(save.descriptor_, header.raw)) return save.failure("cannot be written");
    return save;
}

Save::Save(Save&& other) noexcept
    : path_{std::move(other.path_)},
      descriptor_{std::exchange(other.descriptor_, -1)},
      regular_{other.regular_},
      header_{std::move(other.header_)},
      finalise_{other.finalise_},
      entries_{std::move(other.entries_)} {}

Save::~Save() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

ContentError Save::failure(const char* what) const {
    return ContentError{path_.string(), std::nullopt, std::string{what} + ": " + std::strerror(errno),
                        "check the path, its permissions and the room on the disk"};
}

std::optional<ContentError> Save::add(std::uint64_t number, Bytes packet) {
    if (packet.empty() || packet.size() > header_.packet_size)
        return ContentError{path_.string(), std::nullopt,
                            "packet " + std::to_string(number) + " has " + std::to_string(packet.size()) +
                                " bytes, the header says " + std::to_string(header_.packet_size),
                            "the stream is not what its header describes"};
    auto place = entries_.end();  // nearly all come in order, and late ones belong near the end
    while (place != entries_.begin() && std::prev(place)->number > number) --place;
    if (place != entries_.begin() && std::prev(place)->number == number) return std::nullopt;
    if (!write_all(descriptor_, padded(packet, header_.packet_size))) return failure("cannot be written");
    const auto slot = entries_.size();
    entries_.insert(place, Entry{number, slot});
    return std::nullopt;
}

std::optional<ContentError> Save::close() {
    if (descriptor_ < 0) return std::nullopt;
    const bool sorted = std::is_sorted(entries_.begin(), entries_.end(),
                                       [](const Entry& a, const Entry& b) { return a.slot < b.slot; });
    std::optional<ContentError> error;
    if (regular_ && !sorted) error = sort();
    if (regular_ && finalise_ && !error) error = finalise();
    if (::close(std::exchange(descriptor_, -1)) != 0 && !error) error = failure("cannot be written");
    return error;
}

std::optional<ContentError> Save::sort() {
    // Into a second file that takes the first one's place: an interruption leaves one of the two complete.
    auto sorted_path = path_;
    sorted_path += ".sorting";
    const int sorted = ::open(sorted_path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (sorted < 0) return failure("cannot be put in order");
    bool good = write_all(sorted, header_.raw);
    std::vector<std::byte> packet(header_.packet_size);
    for (const auto& entry : entries_) {
        good = good && read_all(descriptor_, header_.raw.size() + entry.slot * packet.size(), packet) &&
               write_all(sorted, packet);
    }
    if (!good || ::rename(sorted_path.c_str(), path_.c_str()) != 0) {
        const auto error = failure("cannot be put in order");
        ::unlink(sorted_path.c_str());
        ::close(sorted);
        return error;
    }
    ::close(std::exchange(descriptor_, sorted));
    return std::nullopt;
}

std::optional<ContentError> Save::finalise() {
    milliseconds duration{0};
    if (!entries_.empty()) {
        std::vector<std::byte> first(header_.packet_size), last(header_.packet_size);
        const auto at = header_.raw.size();
        if (!read_all(descriptor_, at, first) || !read_all(descriptor_, at + (entries_.size() - 1) * last.size(), last))
            return failure("cannot be read back");
        const auto start = send_time(first);
        const auto end = parse_packet(last, last.size());
        if (start.has_value() && end.has_value())
            duration = std::max(end->send_time + end->duration - *start, milliseconds{0});
    }
    const auto header = stored_header(header_, entries_.size(), duration);
    if (::lseek(descriptor_, 0, SEEK_SET) != 0 || !write_all(descriptor_, header.raw))
        return failure("cannot be finished");
    return std::nullopt;
}

}  // namespace wmlab::asf
