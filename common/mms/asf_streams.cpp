#include "common/mms/asf_streams.hpp"

#include <algorithm>

#include "common/bytes/guid.hpp"

namespace wmlab::mms {
namespace {

constexpr std::size_t streams_max = 127;  // stream numbers have 7 bits

// Where the objects inside an object of this kind begin; 0: it holds none of interest.
struct Kind {
    std::string_view guid;
    std::size_t inner;
};
constexpr Kind header_object{"75B22630-668E-11CF-A6D9-00AA0062CE6C", 30};
constexpr Kind header_extension{"5FBF03B5-A92E-11CF-8EE3-00C00C205365", 46};
constexpr std::string_view stream_properties = "B7DC0791-A9B7-11CF-8EE6-00C00C205365";
constexpr std::string_view extended_stream_properties = "14E6A5CB-C672-4332-8399-A96952065B5A";

void add(std::vector<std::uint16_t>& numbers, std::uint16_t number) {
    number &= 0x7F;
    const bool known = std::find(numbers.begin(), numbers.end(), number) != numbers.end();
    if (number != 0 && !known && numbers.size() < streams_max) numbers.push_back(number);
}

void scan(bytes::Bytes objects, int depth, std::vector<std::uint16_t>& numbers) {
    while (objects.size() >= 24) {
        bytes::Reader in{objects};
        const auto guid = in.guid("Object ID").text();
        const auto size = in.u64("Object Size");
        if (size < 24 || size > objects.size()) return;
        const auto object = objects.first(static_cast<std::size_t>(size));
        objects = objects.subspan(object.size());
        bytes::Reader body{object};
        if (guid == stream_properties) {
            body.seek(72, "Flags");
            add(numbers, body.u16("Flags"));
        } else if (guid == extended_stream_properties) {
            body.seek(72, "Stream Number");
            add(numbers, body.u16("Stream Number"));
        } else {
            for (const auto& kind : {header_object, header_extension})
                if (guid == kind.guid && object.size() > kind.inner && depth < 3)
                    scan(object.subspan(kind.inner), depth + 1, numbers);
        }
    }
}

}  // namespace

std::vector<std::uint16_t> asf_stream_numbers(bytes::Bytes header) {
    std::vector<std::uint16_t> numbers;
    scan(header, 0, numbers);
    return numbers;
}

}  // namespace wmlab::mms
