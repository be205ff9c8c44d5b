// What a server can send: a header and numbered packets, each with its time. A file, a file in a loop, or synthetic.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/asf/selection.hpp"

namespace wmlab::asf {

inline StreamSet every_stream() { return StreamSet{}.set(); }

class Content {
public:
    virtual ~Content() = default;
    virtual const Header& header() const = 0;
    virtual std::optional<std::uint64_t> packet_count() const = 0;  // absent: endless
    // Always packet_size bytes. Empty: no such packet, or the file can no longer be read.
    virtual std::vector<std::byte> packet(std::uint64_t number) const = 0;
    // When to send it, from the start of the content; never decreases with the number.
    virtual milliseconds send_time(std::uint64_t number) const = 0;
    // Where to start so that these streams can be shown from this time on (as players count: without the preroll): at
    // the key frame of each video at or before it, without video at the packet at or before it. packet_count() past the
    // end.
    virtual std::uint64_t packet_at_time(milliseconds time, const StreamSet& streams = every_stream()) const = 0;
    // Likewise so that what is in this packet can be shown.
    virtual std::uint64_t start_for_packet(std::uint64_t number, const StreamSet&) const { return number; }
    virtual std::uint64_t packets_before(milliseconds time) const = 0;  // that are sent earlier
    bool live() const { return header().broadcast; }
};

// Why there is no content. The user reads it: says what is wrong where, and what to do.
struct ContentError {
    std::string content;  // path, or "synthetic"
    std::optional<std::uint64_t> offset;
    std::string problem;
    std::string advice;
    std::string text() const;  // "lecture.wmv: packet size 0 at offset 122; convert it: ..."
    bool operator==(const ContentError&) const = default;
};
[[noreturn]] void throw_exception_from_error(const ContentError& error, const boost::source_location&);
template <class T>
using ContentResult = boost::system::result<T, ContentError>;

}  // namespace wmlab::asf
