#include "common/asf/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

#include "common/asf/guids.hpp"
#include "common/asf/packet.hpp"

namespace wmlab::asf {
namespace {

constexpr std::size_t scan_block = 1 << 20;  // bytes read at once
constexpr auto not_asf_advice =
    "give a Windows Media file (.asf, .wma, .wmv); ffmpeg makes one: ffmpeg -i FILE NEW.wmv";
constexpr auto damaged_advice = "copy the file again, or let ffmpeg write a new one: ffmpeg -i FILE -c copy NEW.wmv";

// As much as is there, up to the size of `into`; absent on a read error.
std::optional<std::size_t> read_at(int descriptor, std::uint64_t offset, std::span<std::byte> into) {
    std::size_t done = 0;
    while (done < into.size()) {
        const auto got = ::pread(descriptor, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::nullopt;
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

bool is_index(Bytes packet) {
    static const std::array wires = {guids::Simple_Index_Object.to_wire(), guids::Index_Object.to_wire()};
    return std::any_of(wires.begin(), wires.end(), [&](const auto& wire) {
        return packet.size() >= wire.size() && std::equal(wire.begin(), wire.end(), packet.begin());
    });
}

std::uint64_t u64_at(Bytes message, std::size_t offset) {
    bytes::Reader in{message};
    in.seek(offset, "Object Size");
    return in.u64("Object Size");
}

}  // namespace

File::~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

ContentResult<std::shared_ptr<const File>> File::open(const std::filesystem::path& path) {
    std::shared_ptr<File> file{new File};
    if (auto error = file->scan(path)) return *std::move(error);
    return std::shared_ptr<const File>{std::move(file)};
}

std::optional<ContentError> File::scan(const std::filesystem::path& path) {
    const auto system_error = [&](const char* what) {
        return ContentError{path.string(), std::nullopt, std::string{what} + ": " + std::strerror(errno),
                            "check the path and its permissions"};
    };
    // O_NONBLOCK: a FIFO by that name must not hold the program up.
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor_ < 0) return system_error("cannot be opened");
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) return system_error("cannot be examined");
    if (!S_ISREG(status.st_mode)) return ContentError{path.string(), std::nullopt, "is not a file", not_asf_advice};
    const auto file_size = static_cast<std::uint64_t>(status.st_size);

    if (auto error = read_header(path, file_size)) return error;

    auto end = file_size;
    const auto data_size = data_object_size_;
    const auto data_offset = first_packet_ - data_object_head;
    // Writers that could not go back leave a Data Object of 0 or 50 bytes, whatever they count: it goes on to the end of the file.
    const bool unfinished = data_size < data_object_head + header_.packet_size;
    if (!unfinished && data_size >= data_object_head && data_size <= file_size - data_offset) {
        end = data_offset + data_size;
    } else if (!header_.broadcast) {
        remarks_.push_back("the Data Object claims " + std::to_string(data_size) + " bytes, the file has " +
                           std::to_string(file_size - data_offset) + " there: it was not finished or is cut off");
    }
    const std::uint64_t size = header_.packet_size;
    auto count = (end - first_packet_) / size;
    if (header_.packets_count != 0 && header_.packets_count < count)
        count = header_.packets_count;
    const auto rest = (end - first_packet_) % size;
    const bool cut_off = rest != 0 && count == (end - first_packet_) / size && count != header_.packets_count;
    if (header_.protected_content) remarks_.push_back("the content is protected: players cannot decode it");
    if (count > std::numeric_limits<std::uint32_t>::max())
        return ContentError{path.string(), std::nullopt, "has more than 4294967295 packets", "use a shorter file"};

    Pacing pacing{header_};
    const bool video = header_.has_video();
    bool index_reached = false;
    std::vector<std::byte> block(std::max<std::size_t>(scan_block / size, 1) * size);
    for (std::uint64_t number = 0; number < count;) {
        const auto wanted = std::min<std::uint64_t>(block.size() / size, count - number);
        const auto got = read_at(descriptor_, first_packet_ + number * size, std::span{block}.first(wanted * size));
        if (!got) return system_error("cannot be read");
        const auto packets = *got / size;
        for (std::size_t i = 0; i < packets; ++i, ++number) {
            const auto packet = Bytes{block}.subspan(i * size, size);
            if (header_.packets_count == 0 && is_index(packet)) index_reached = true;
            if (index_reached) break;
            const auto time = pacing.next(packet).count();
            send_times_.push_back(static_cast<std::uint32_t>(std::min<std::int64_t>(time, 0xFFFFFFFF)));
            if (video) note_key_frames(packet, static_cast<std::uint32_t>(number));
        }
        if (index_reached || packets < wanted) break;
    }
    if (cut_off && !index_reached && !index_at(first_packet_ + send_times_.size() * size, file_size))
        remarks_.push_back("the last packet is cut off after " + std::to_string(rest) + " bytes and left out");
    if (send_times_.empty())
        return ContentError{path.string(), first_packet_, "has no complete data packet", damaged_advice};
    const auto last = parse_packet(packet(send_times_.size() - 1), size);
    send_duration_ = milliseconds{send_times_.back()} + (last.has_value() ? last->duration : milliseconds{0});
    if (header_.broadcast || unfinished || header_.packets_count > send_times_.size()) {
        // Players would wait for a live stream, take the file for empty, or miss what it does not have.
        header_ = stored_header(header_, send_times_.size(), send_duration_);
        remarks_.push_back("it is a recording that was not finished: it is served with the length that it has");
    }
    return std::nullopt;
}

bool File::index_at(std::uint64_t offset, std::uint64_t file_size) const {
    std::array<std::byte, 16> id{};
    if (offset + id.size() > file_size) return false;
    const auto got = read_at(descriptor_, offset, id);
    return got == id.size() && is_index(id);
}

void File::note_key_frames(Bytes packet, std::uint32_t number) {
    const auto parsed = parse_packet(packet, header_.packet_size);
    if (parsed.has_error()) return;
    for (const auto& payload : parsed->payloads) {
        if (payload.offset == 0 && payload.presentation_time) last_shown_ = std::max(last_shown_, *payload.presentation_time - header_.preroll);
        const auto* stream = header_.stream(payload.stream);
        if (!payload.key_frame || payload.offset != 0 || !stream || stream->type != StreamType::video) continue;
        const auto at = payload.presentation_time.value_or(parsed->send_time + header_.preroll);
        const auto time = std::max(at - header_.preroll, milliseconds{0}).count();
        key_frames_.push_back({number, static_cast<std::uint32_t>(std::min<std::int64_t>(time, 0xFFFFFFFF)),
                               payload.stream});
    }
}

// The earliest of the packets where each of these videos has its last key frame that `reached` admits.
template <class Reached>
std::optional<std::uint64_t> File::last_key_frames(const StreamSet& streams, Reached reached) const {
    StreamSet videos;
    for (const auto& stream : header_.streams)
        if (stream.type == StreamType::video) videos.set(stream.number);
    videos &= streams;
    std::optional<std::uint64_t> packet;
    for (auto key = key_frames_.rbegin(); key != key_frames_.rend() && videos.any(); ++key) {
        if (!videos[key->stream] || !reached(*key)) continue;
        videos.reset(key->stream);
        packet = key->packet;  // they come in falling order
    }
    return packet;
}

std::optional<ContentError> File::read_header(const std::filesystem::path& path, std::uint64_t file_size) {
    const auto refuse = [&](const bytes::ParseError& error, const char* advice) {
        return ContentError{path.string(), error.offset, error.field + " " + error.problem, advice};
    };
    std::vector<std::byte> head;
    for (;;) {
        const auto needed = header_bytes_needed(head);
        if (needed.has_error()) return refuse(needed.error(), not_asf_advice);
        if (*needed <= head.size()) break;
        const auto have = head.size();
        if (*needed > file_size)
            return ContentError{path.string(), file_size,
                                "ends inside its header, which needs " + std::to_string(*needed) + " bytes",
                                damaged_advice};
        head.resize(*needed);
        const auto got = read_at(descriptor_, have, std::span{head}.subspan(have));
        if (!got || *got < *needed - have)
            return ContentError{path.string(), have, "cannot be read", "check the disk and the permissions"};
    }
    auto parsed = Header::parse(head);
    if (parsed.has_error()) return refuse(parsed.error(), damaged_advice);
    header_ = *std::move(parsed);
    first_packet_ = head.size();
    data_object_size_ = u64_at(head, header_.data_object_offset + 16);

    // Receivers expect the Data Object right after the Header Object: what stands between is left out.
    const auto header_size = static_cast<std::size_t>(u64_at(head, 16));
    if (header_.data_object_offset != header_size) {
        head.erase(head.begin() + static_cast<std::ptrdiff_t>(header_size),
                   head.begin() + static_cast<std::ptrdiff_t>(header_.data_object_offset));
        header_ = Header::parse(head).value();  // only the distance to the Data Object has changed
        remarks_.push_back("unknown objects between the header and the data are left out");
    }
    return std::nullopt;
}

std::vector<std::byte> File::packet(std::uint64_t number) const {
    if (number >= send_times_.size()) return {};
    std::vector<std::byte> packet(header_.packet_size);
    const auto got = read_at(descriptor_, first_packet_ + number * header_.packet_size, packet);
    if (!got || *got != packet.size()) packet.clear();
    return packet;
}

milliseconds File::send_time(std::uint64_t number) const {
    return milliseconds{send_times_[std::min<std::uint64_t>(number, send_times_.size() - 1)]};
}

std::uint64_t File::packets_before(milliseconds time) const {
    const auto wanted = std::max<std::int64_t>(time.count(), 0);
    const auto at = std::lower_bound(send_times_.begin(), send_times_.end(), wanted,
                                     [](std::uint32_t packet, std::int64_t t) { return std::int64_t{packet} < t; });
    return static_cast<std::uint64_t>(at - send_times_.begin());
}

std::uint64_t File::packet_at_time(milliseconds time, const StreamSet& streams) const {
    if (time <= milliseconds{0}) return 0;  // the start of the file, even where audio comes before the first key frame
    const auto before = packets_before(time + milliseconds{1});
    // The last pictures are shown after the last packet was sent: until then there is something to seek to.
    const auto shown_until = header_.play_duration - std::min(header_.play_duration, header_.preroll);
    if (before == send_times_.size() && time > last_shown_ && time >= std::max(send_duration_, shown_until)) return before;
    if (const auto key = last_key_frames(streams, [&](const KeyFrame& one) { return one.time <= time.count(); }))
        return *key;
    return before == 0 || has_key_frames(streams) ? 0 : before - 1;
}

std::uint64_t File::start_for_packet(std::uint64_t number, const StreamSet& streams) const {
    if (number >= send_times_.size() || !has_key_frames(streams)) return number;
    return last_key_frames(streams, [&](const KeyFrame& one) { return one.packet <= number; }).value_or(0);
}

bool File::has_key_frames(const StreamSet& streams) const {
    return std::any_of(key_frames_.begin(), key_frames_.end(), [&](const KeyFrame& one) { return streams[one.stream]; });
}

LoopedFile::LoopedFile(std::shared_ptr<const File> file)
    : file_{std::move(file)}, header_{live_header(file_->header())} {
    // The last packet's duration is often too short, the header's total right; but the header may be nonsense too. A
    // file without times must not loop at full speed.
    const auto computed = file_->send_duration();
    const auto claimed = std::min(file_->header().send_duration, computed + milliseconds{1000});
    round_ = std::max({computed, claimed, milliseconds{100}});
}

std::vector<std::byte> LoopedFile::packet(std::uint64_t number) const {
    const auto count = *file_->packet_count();
    auto packet = file_->packet(number % count);
    shift_times(packet, header_.packet_size, round_ * static_cast<std::int64_t>(number / count));
    return packet;
}

milliseconds LoopedFile::send_time(std::uint64_t number) const {
    const auto count = *file_->packet_count();
    return round_ * static_cast<std::int64_t>(number / count) + file_->send_time(number % count);
}

std::uint64_t LoopedFile::packet_at_time(milliseconds time, const StreamSet& streams) const {
    const auto positive = std::max(time, milliseconds{0});
    const auto count = *file_->packet_count();
    const auto in_round = std::min(file_->packet_at_time(positive % round_, streams), count - 1);
    return static_cast<std::uint64_t>(positive / round_) * count + in_round;
}

std::uint64_t LoopedFile::start_for_packet(std::uint64_t number, const StreamSet& streams) const {
    const auto count = *file_->packet_count();
    return number / count * count + file_->start_for_packet(number % count, streams);
}

std::uint64_t LoopedFile::packets_before(milliseconds time) const {
    const auto positive = std::max(time, milliseconds{0});
    return static_cast<std::uint64_t>(positive / round_) * *file_->packet_count() +
           file_->packets_before(positive % round_);
}

}  // namespace wmlab::asf
