// What a server reads: requests, and (behind a first byte of 0) framed packets. The same bytes in other pieces must
// give the same.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/wmsp/frame.hpp"
#include "common/wmsp/server_session.hpp"

using namespace wmlab::wmsp;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

std::vector<Frame> frames_of(Bytes bytes, std::size_t piece) {
    std::vector<Frame> frames;
    FrameReader reader;
    while (!bytes.empty()) {
        const auto part = bytes.first(std::min(piece, bytes.size()));
        bytes = bytes.subspan(part.size());
        reader.put(part);
        while (auto frame = reader.next()) frames.push_back(std::move(*frame));
        require(reader.unfinished() <= 4 + 65535 + piece);
    }
    return frames;
}

std::string answers_to(Bytes bytes, std::size_t piece) {
    std::string answers;
    ServerSession session{{}, TimePoint{}};
    const auto perform = [&](const ServerActions& actions, const auto& self) -> void {
        for (const auto& action : actions) {
            require(!answers.ends_with("\nclosed"));
            if (const auto* send = std::get_if<Send>(&action)) answers += send->message;
            if (const auto* data = std::get_if<SendData>(&action)) require(data->skip <= data->frame->size());
            if (const auto* received = std::get_if<Received>(&action)) answers += received->message;
            if (std::holds_alternative<Close>(action)) answers += "\nclosed";
            if (const auto* open = std::get_if<OpenRequest>(&action)) {
                answers += open->name;
                Content content;
                content.header.resize(80);
                content.packet_size = 900;
                content.packet_count = 10;
                content.live = open->name.empty();
                content.streams = {1, 10};
                self(session.opened(content, TimePoint{}), self);
                if (session.streaming()) self(session.media(0, content.header, TimePoint{}), self);
            }
        }
    };
    while (!bytes.empty() && !session.finished() && !session.streaming()) {
        const auto part = bytes.first(std::min(piece, bytes.size()));
        bytes = bytes.subspan(part.size());
        perform(session.receive(part, TimePoint{}), perform);
    }
    perform(session.disconnected(TimePoint{}), perform);
    require(session.finished());
    return answers;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes input{reinterpret_cast<const std::byte*>(data), size};
    if (size > 0 && data[0] == 0) {
        const auto whole = frames_of(input.subspan(1), size);
        require(whole == frames_of(input.subspan(1), 7));
        for (const auto& frame : whole) {
            const auto bytes = frame.serialise();
            const auto again = Frame::parse(bytes);
            require(again.has_value() && *again == frame);
        }
        return 0;
    }
    require(answers_to(input, size) == answers_to(input, 1));
    return 0;
}
