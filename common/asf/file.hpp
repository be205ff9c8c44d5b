// Any .asf, .wma or .wmv on disk as content. Packets are read when they are asked for.
#pragma once
#include <filesystem>
#include <memory>

#include "common/asf/content.hpp"

namespace wmlab::asf {

class File : public Content {
public:
    // Reads the file once, for times and key frames; 4 bytes a packet and 12 a key frame stay in memory. Neither an index
    // nor counts are needed, and a last packet that is cut off is left out. A recording that was never finished (with the
    // broadcast flag, without counts) gets the header of a finished one.
    static ContentResult<std::shared_ptr<const File>> open(const std::filesystem::path& path);
    ~File() override;
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    const Header& header() const override { return header_; }
    std::optional<std::uint64_t> packet_count() const override { return send_times_.size(); }
    std::vector<std::byte> packet(std::uint64_t number) const override;
    milliseconds send_time(std::uint64_t number) const override;
    std::uint64_t packet_at_time(milliseconds time, const StreamSet& streams = every_stream()) const override;
    std::uint64_t start_for_packet(std::uint64_t number, const StreamSet& streams) const override;
    std::uint64_t packets_before(milliseconds time) const override;
    milliseconds send_duration() const { return send_duration_; }         // last send time and that packet's duration
    const std::vector<std::string>& remarks() const { return remarks_; }  // odd but played; one sentence each

private:
    File() = default;
    std::optional<ContentError> scan(const std::filesystem::path& path);
    void note_key_frames(Bytes packet, std::uint32_t number);
    bool has_key_frames(const StreamSet& streams) const;
    template <class Reached>
    std::optional<std::uint64_t> last_key_frames(const StreamSet& streams, Reached reached) const;
    bool index_at(std::uint64_t offset, std::uint64_t file_size) const;
    std::optional<ContentError> read_header(const std::filesystem::path& path, std::uint64_t file_size);

    int descriptor_ = -1;
    Header header_;
    std::uint64_t first_packet_ = 0;         // offset in the file
    std::uint64_t data_object_size_ = 0;     // as the file says
    std::vector<std::uint32_t> send_times_;  // ms, as Pacing gives them
    struct KeyFrame {
        std::uint32_t packet = 0;
        std::uint32_t time = 0;  // ms, without the preroll
        std::uint8_t stream = 0;
    };
    std::vector<KeyFrame> key_frames_;  // of videos, in the order of the file
    milliseconds send_duration_{0}, last_shown_{0};  // when the last media object begins that was found, without the preroll
    std::vector<std::string> remarks_;
};

// A file as an endless live stream: after the last packet the first follows, with times that go on.
class LoopedFile : public Content {
public:
    explicit LoopedFile(std::shared_ptr<const File> file);

    const Header& header() const override { return header_; }
    std::optional<std::uint64_t> packet_count() const override { return std::nullopt; }
    std::vector<std::byte> packet(std::uint64_t number) const override;
    milliseconds send_time(std::uint64_t number) const override;
    std::uint64_t packet_at_time(milliseconds time, const StreamSet& streams = every_stream()) const override;
    std::uint64_t start_for_packet(std::uint64_t number, const StreamSet& streams) const override;
    std::uint64_t packets_before(milliseconds time) const override;

private:
    std::shared_ptr<const File> file_;
    Header header_;
    milliseconds round_{0};  // how long one round lasts
};

}  // namespace wmlab::asf
