// Inside common/mms: what every message's parse() and serialise() begin and end with.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes/reader.hpp"
#include "common/bytes/writer.hpp"

namespace wmlab::mms {

class MessageReader : public bytes::Reader {
public:
    MessageReader(bytes::Bytes message, std::uint32_t MID) : Reader{message} {
        check(std::size_t{u32("chunkLen")} * 8 == message.size(), "is not the message's length in chunks of 8 bytes");
        check(u32("MID") == MID, "is another message's");
    }

    template <std::size_t Size>
    void fill(std::array<std::byte, Size>& field, std::string_view name) {
        const auto bytes = raw(Size, name);
        std::copy(bytes.begin(), bytes.end(), field.begin());
    }
    std::vector<std::byte> bytes_of(std::size_t size, std::string_view name) {
        const auto bytes = raw(size, name);
        return {bytes.begin(), bytes.end()};
    }
    // The rest of the message; nothing when it is no more than the zero bytes that fill the last chunk.
    std::vector<std::byte> extra() const {
        const auto left = rest();
        const bool padding =
            left.size() < 8 && std::all_of(left.begin(), left.end(), [](auto b) { return b == std::byte{0}; });
        return padding ? std::vector<std::byte>{} : std::vector<std::byte>(left.begin(), left.end());
    }
    // Fills in `extra` and gives the message, or the first problem.
    template <class Message>
    bytes::Parsed<Message> complete(Message message) const {
        message.extra = extra();
        return finish(std::move(message));
    }
};

class MessageWriter : public bytes::Writer {
public:
    explicit MessageWriter(std::uint32_t MID) {
        u32(0);  // chunkLen
        u32(MID);
    }
    std::vector<std::byte> complete(bytes::Bytes extra) {
        raw(extra);
        align(8);
        patch_u32(0, static_cast<std::uint32_t>(size() / 8));
        return take();
    }
};

}  // namespace wmlab::mms
