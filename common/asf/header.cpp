#include "common/asf/header.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "common/asf/guids.hpp"
#include "common/bytes/writer.hpp"

namespace wmlab::asf {
namespace {

using bytes::Guid;
using bytes::ParseError;
using bytes::Reader;

constexpr std::uint32_t broadcast_flag = 1, seekable_flag = 2;
constexpr std::size_t nesting_max = 4;  // Header > Header Extension > Extended Stream Properties > Stream Properties

// Offsets in the File Properties Object (3.2) and the Data Object (5.1).
constexpr std::size_t file_size_at = 40, packets_count_at = 56, play_duration_at = 64, send_duration_at = 72,
                      flags_at = 88;
constexpr std::size_t data_size_at = 16, data_count_at = 40;

// Durations are stored in 100 ns. Real files hold nonsense there (all ones in broadcasts): none is reported as larger
// than what still adds up in milliseconds.
milliseconds from_100ns(std::uint64_t value) { return milliseconds{static_cast<std::int64_t>(value / 10'000)}; }
std::uint64_t to_100ns(milliseconds value) { return static_cast<std::uint64_t>(value.count()) * 10'000; }

struct Found {
    Header header;
    bool file_properties = false;
    std::array<std::uint32_t, 128> bitrates{};  // by stream number
};

void add_stream(Found& found, Stream stream) {
    auto& streams = found.header.streams;
    const auto same =
        std::find_if(streams.begin(), streams.end(), [&](const Stream& s) { return s.number == stream.number; });
    if (same == streams.end())
        streams.push_back(std::move(stream));
    else if (same->bitrate == 0)
        same->bitrate = stream.bitrate;
}

void parse_file_properties(Reader& in, Found& found, std::size_t at) {
    auto& header = found.header;
    found.file_properties = true;
    header.file_properties_offset = at;
    header.file_id = in.guid("File ID");
    in.u64("File Size");
    in.u64("Creation Date");
    header.packets_count = in.u64("Data Packets Count");
    header.play_duration = from_100ns(in.u64("Play Duration"));
    header.send_duration = from_100ns(in.u64("Send Duration"));
    const auto preroll = in.u64("Preroll");
    header.preroll = milliseconds{static_cast<std::int64_t>(preroll)};
    in.check(preroll <= std::numeric_limits<std::uint32_t>::max(), "is more than 49 days");
    const auto flags = in.u32("Flags");
    header.broadcast = (flags & broadcast_flag) != 0;
    header.seekable = (flags & seekable_flag) != 0;
    header.packet_size = in.u32("Minimum Data Packet Size");
    in.check(header.packet_size != 0, "is 0, so that packets have no size");
    in.check(header.packet_size <= packet_size_max, "is more than 65536");
    const auto maximum = in.u32("Maximum Data Packet Size");
    in.check(maximum == header.packet_size, "differs from Minimum Data Packet Size (" +
                                                std::to_string(header.packet_size) +
                                                "), so that packet boundaries are unknown");
    header.maximum_bit_rate = in.u32("Maximum Bitrate");
}

void parse_stream_properties(Reader& in, Found& found, std::uint32_t bitrate) {
    Stream stream;
    const auto type = in.guid("Stream Type");
    stream.type = type == guids::Audio_Media     ? StreamType::audio
                  : type == guids::Video_Media   ? StreamType::video
                  : type == guids::Command_Media ? StreamType::command
                  : type == guids::Binary_Media  ? StreamType::binary
                                                 : StreamType::other;
    in.guid("Error Correction Type");
    in.u64("Time Offset");
    const auto type_specific_size = in.u32("Type-Specific Data Length");
    in.u32("Error Correction Data Length");
    const auto flags = in.u16("Flags");
    stream.number = static_cast<std::uint8_t>(flags & 0x7F);
    stream.encrypted = (flags & 0x8000) != 0;
    in.check(stream.number != 0, "has stream number 0");
    stream.bitrate = bitrate;
    in.u32("Reserved");
    const auto data = in.raw(type_specific_size, "Type-Specific Data");
    stream.type_specific.assign(data.begin(), data.end());
    if (!in.failed()) add_stream(found, std::move(stream));
}

void parse_content_description(Reader& in, Header& header) {
    const auto title = in.u16("Title Length"), author = in.u16("Author Length"), copyright = in.u16("Copyright Length"),
               description = in.u16("Description Length");
    in.u16("Rating Length");
    const auto text = [&in](std::size_t size, std::string_view field) {
        return Reader{in.raw(size, field)}.utf16z(field);
    };
    auto title_text = text(title, "Title");
    in.skip(std::size_t{author} + copyright, "Author");
    auto description_text = text(description, "Description");
    if (in.failed()) return;  // for people to read, and often damaged: what does not fit its lengths is left out
    header.title = std::move(title_text);
    header.description = std::move(description_text);
}

void parse_bitrates(Reader& in, Found& found) {
    const auto count = in.u16("Bitrate Records Count");
    for (unsigned i = 0; i < count && !in.failed(); ++i) {
        const auto flags = in.u16("Flags");
        const auto bitrate = in.u32("Average Bitrate");
        if (!in.failed()) found.bitrates[flags & 0x7F] = bitrate;
    }
}

std::optional<ParseError> parse_objects(Bytes message, std::size_t from, std::size_t to, Found& found,
                                        std::size_t depth, std::uint32_t bitrate);

void parse_extended_stream(Reader& in, std::uint32_t& bitrate, std::size_t& nested) {
    in.u64("Start Time"), in.u64("End Time");
    bitrate = in.u32("Data Bitrate");
    for (const auto* field : {"Buffer Size", "Initial Buffer Fullness", "Alternate Data Bitrate",
                              "Alternate Buffer Size", "Alternate Initial Buffer Fullness", "Maximum Object Size"})
        in.u32(field);
    in.u32("Flags");
    in.u16("Stream Number");
    in.u16("Stream Language ID Index");
    in.u64("Average Time Per Frame");
    const auto names = in.u16("Stream Name Count");
    const auto extensions = in.u16("Payload Extension System Count");
    for (unsigned i = 0; i < names && !in.failed(); ++i) {
        in.u16("Language ID Index");
        in.skip(in.u16("Stream Name Length"), "Stream Name");
    }
    for (unsigned i = 0; i < extensions && !in.failed(); ++i) {
        in.guid("Extension System ID");
        in.u16("Extension Data Size");
        in.skip(in.u32("Extension System Info Length"), "Extension System Info");
    }
    nested = in.offset();
}

// One object, head included, that ends at `to`. Nested ones are parsed by parse_objects, hence the offsets of the whole
// message.
std::optional<ParseError> parse_object(Bytes message, std::size_t at, std::size_t to, Found& found, std::size_t depth,
                                       std::uint32_t bitrate) {
    Reader in{message.first(to)};
    in.seek(at, "Object ID");
    const auto id = in.guid("Object ID");
    in.u64("Object Size");
    if (id == guids::File_Properties_Object) {
        parse_file_properties(in, found, at);
    } else if (id == guids::Stream_Properties_Object) {
        parse_stream_properties(in, found, bitrate);
    } else if (id == guids::Content_Description_Object) {
        parse_content_description(in, found.header);
        return std::nullopt;
    } else if (id == guids::Stream_Bitrate_Properties_Object) {
        parse_bitrates(in, found);
    } else if (id == guids::Content_Encryption_Object) {
        found.header.protected_content = true;
    } else if (id == guids::Header_Extension_Object) {
        in.guid("Reserved Field 1");
        in.u16("Reserved Field 2");
        const auto size = in.u32("Header Extension Data Size");
        in.check(size <= in.left(), "is more than the object holds");
        if (!in.failed()) return parse_objects(message, in.offset(), in.offset() + size, found, depth + 1, 0);
    } else if (id == guids::Extended_Stream_Properties_Object) {
        std::uint32_t data_bitrate = 0;
        std::size_t nested = to;
        parse_extended_stream(in, data_bitrate, nested);
        if (in.failed()) return in.error();
        Reader number{message.first(to)};
        number.seek(at + 72, "Stream Number");
        found.bitrates[number.u16("Stream Number") & 0x7F] = data_bitrate;
        return parse_objects(message, nested, to, found, depth + 1, data_bitrate);
    }
    return in.error();
}

std::optional<ParseError> parse_objects(Bytes message, std::size_t from, std::size_t to, Found& found,
                                        std::size_t depth, std::uint32_t bitrate) {
    if (depth > nesting_max) return ParseError{from, "Object ID", "objects are nested too deep"};
    for (auto at = from; to - at >= object_head_size;) {
        Reader in{message};
        in.seek(at + 16, "Object Size");
        const auto size = in.u64("Object Size");
        in.check(size >= object_head_size, "is " + std::to_string(size) + ", less than the object's own head");
        in.check(size <= to - at, "is " + std::to_string(size) + ", past the end of the object around it (" +
                                      std::to_string(to - at) + " bytes left)");
        if (in.failed()) return in.error();
        const auto end = at + static_cast<std::size_t>(size);
        if (auto error = parse_object(message, at, end, found, depth, bitrate)) return error;
        at = end;
    }
    return std::nullopt;
}

// Of WAVEFORMATEX (9.1), for headers without a word on bitrates, as ffmpeg writes them.
std::uint32_t wave_format_bitrate(const Stream& stream) {
    if (stream.type != StreamType::audio) return 0;
    Reader in{stream.type_specific};
    in.seek(8, "nAvgBytesPerSec");
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(in.u32("nAvgBytesPerSec") * std::uint64_t{8}, 0xFFFFFFFF));
}

// Where the Data Object starts; the bytes needed to tell, if they are not there. Padding and unknown objects may come
// first.
struct DataObject {
    std::size_t offset = 0;
    std::size_t needed = 0;
};
Parsed<DataObject> find_data_object(Bytes message) {
    Reader in{message};
    if (message.size() <
        object_head_size) {  // as much of the GUID as is there must fit, so that a wrong stream is told at once
        const auto expected = guids::Header_Object.to_wire();
        const auto common = std::min(message.size(), expected.size());
        if (!std::equal(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(common), message.begin()))
            return ParseError{0, "Object ID", "is not that of an ASF header"};
        return DataObject{0, object_head_size};
    }
    const auto id = in.guid("Object ID");
    in.check(id == guids::Header_Object, "is not that of an ASF header");
    const auto size = in.u64("Object Size");
    in.check(size >= header_object_head, "is " + std::to_string(size) + ", less than the object's own head");
    in.check(size <= header_size_max, "is " + std::to_string(size) + ", more than 10 MiB");
    if (in.failed()) return *in.error();
    auto at = static_cast<std::size_t>(size);
    while (true) {
        if (message.size() < at + object_head_size) return DataObject{at, at + data_object_head};
        Reader object{message};
        object.seek(at, "Object ID");
        if (object.guid("Object ID") == guids::Data_Object) return DataObject{at, at + data_object_head};
        const auto other = object.u64("Object Size");
        object.check(other >= object_head_size && other <= header_size_max - std::min(at, header_size_max),
                     "is " + std::to_string(other) + ": no Data Object follows the header");
        if (object.failed()) return *object.error();
        at += static_cast<std::size_t>(other);
    }
}

Header patched(const Header& header, std::uint32_t flags, std::uint64_t packets_count, milliseconds send_duration) {
    Header copy = header;
    const bool live = (flags & broadcast_flag) != 0;
    const std::uint64_t data_size = live ? 0 : data_object_head + packets_count * header.packet_size;
    copy.broadcast = live;
    copy.seekable = (flags & seekable_flag) != 0;
    copy.packets_count = packets_count;
    copy.send_duration = send_duration;
    copy.play_duration = live ? milliseconds{0} : send_duration + header.preroll;
    bytes::Writer out;
    out.raw(header.raw);
    const auto file = header.file_properties_offset, data = header.data_object_offset;
    out.patch_u64(file + file_size_at, live ? 0 : data + data_size);
    out.patch_u64(file + packets_count_at, packets_count);
    out.patch_u64(file + play_duration_at, to_100ns(copy.play_duration));
    out.patch_u64(file + send_duration_at, to_100ns(send_duration));
    out.patch_u32(file + flags_at, flags);
    out.patch_u64(data + data_size_at, data_size);
    out.patch_u64(data + data_count_at, packets_count);
    copy.raw = out.take();
    return copy;
}

}  // namespace

std::string_view text(StreamType type) {
    switch (type) {
        case StreamType::audio:
            return "audio";
        case StreamType::video:
            return "video";
        case StreamType::command:
            return "command";
        case StreamType::binary:
            return "binary";
        case StreamType::other:
            break;
    }
    return "other";
}

const Stream* Header::stream(std::uint8_t number) const {
    const auto found =
        std::find_if(streams.begin(), streams.end(), [&](const Stream& s) { return s.number == number; });
    return found == streams.end() ? nullptr : &*found;
}

bool Header::has_video() const {
    return std::any_of(streams.begin(), streams.end(), [](const Stream& s) { return s.type == StreamType::video; });
}

Parsed<std::size_t> header_bytes_needed(Bytes received_so_far) {
    const auto data = find_data_object(received_so_far);
    if (data.has_error()) return data.error();
    return Parsed<std::size_t>{boost::system::in_place_value, data->needed};
}

Parsed<Header> Header::parse(Bytes message) {
    const auto data = find_data_object(message);
    if (data.has_error()) return data.error();
    if (data->needed > message.size())
        return ParseError{message.size(), data->offset == 0 ? "Object ID" : "Data Object",
                          "the header needs " + std::to_string(data->needed) + " bytes, " +
                              std::to_string(message.size()) + " are there"};
    message = message.first(data->needed);
    Reader head{message};
    head.seek(16, "Object Size");
    const auto header_size = static_cast<std::size_t>(head.u64("Object Size"));

    Found found;
    if (auto error = parse_objects(message, header_object_head, header_size, found, 1, 0)) return *error;
    auto& header = found.header;
    if (!found.file_properties) return ParseError{header_object_head, "File Properties Object", "is missing"};
    if (header.streams.empty()) return ParseError{header_object_head, "Stream Properties Object", "is missing"};
    for (auto& stream : header.streams) {
        if (stream.bitrate == 0) stream.bitrate = found.bitrates[stream.number];
        if (stream.bitrate == 0) stream.bitrate = wave_format_bitrate(stream);
    }

    Reader in{message};
    in.seek(data->offset + data_count_at, "Total Data Packets");
    const auto total = in.u64("Total Data Packets");
    constexpr auto unknown = std::numeric_limits<std::uint32_t>::max();  // as VLC writes in broadcasts
    if (total != 0 && total < unknown) header.packets_count = total;
    if (header.broadcast || header.packets_count >= unknown) header.packets_count = 0;
    header.data_object_offset = data->offset;
    header.raw.assign(message.begin(), message.end());
    return std::move(header);
}

Header live_header(const Header& header) { return patched(header, broadcast_flag, 0, milliseconds{0}); }

std::vector<std::byte> raw_of_broadcast(const Header& header, std::uint64_t data_object_size) {
    if (!header.broadcast) return header.raw;
    bytes::Writer out;
    out.raw(header.raw);
    out.patch_u64(header.data_object_offset + data_size_at, data_object_size);
    return out.take();
}

Header stored_header(const Header& header, std::uint64_t packets_count, milliseconds send_duration) {
    return patched(header, seekable_flag, packets_count, send_duration);
}

}  // namespace wmlab::asf
