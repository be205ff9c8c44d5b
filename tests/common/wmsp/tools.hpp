// Content, text and pieces for the tests of wmsp.
#pragma once
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/asf/synthesiser.hpp"
#include "common/wmsp/player_session.hpp"
#include "common/wmsp/server_session.hpp"
#include "tests/catch.hpp"

namespace wmlab::wmsp {

inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span{text.data(), text.size()}); }
inline std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

inline std::filesystem::path vector_file(const std::string& name) {
    return std::filesystem::path{WMLAB_SOURCE_DIR} / "tests/vectors/http" / name;
}

inline std::shared_ptr<const asf::Synthesiser> tone(bool live = false) {
    asf::SyntheticOptions options;
    options.live = live;
    if (!live) options.duration = milliseconds{2000};
    return asf::Synthesiser::make(options).value();
}

inline Content content_of(const asf::Content& media) {
    Content content;
    content.header = media.header().raw;
    content.packet_size = media.header().packet_size;
    content.packet_count = media.packet_count().value_or(0);
    content.live = media.live();
    for (const auto& stream : media.header().streams) content.streams.push_back(stream.number);
    return content;
}

template <class Wanted, class Action>
std::vector<Wanted> of_kind(const std::vector<Action>& actions) {
    std::vector<Wanted> found;
    for (const auto& action : actions)
        if (const auto* wanted = std::get_if<Wanted>(&action)) found.push_back(*wanted);
    return found;
}

// Everything a server writes for these actions.
inline std::string sent_by(const ServerActions& actions) {
    std::string all;
    for (const auto& action : actions) {
        if (const auto* send = std::get_if<Send>(&action)) all += as_text(send->bytes);
        if (const auto* data = std::get_if<SendData>(&action)) all += as_text(Bytes{*data->frame}.subspan(data->skip));
    }
    return all;
}

inline Request request_of(std::string_view text) {
    RequestReader reader;
    reader.put(as_bytes(text));
    INFO("request: " << text << (reader.problem() ? reader.problem()->text : ""));
    REQUIRE(reader.complete());
    return request_from(reader.head(), reader.body()).value();
}

}  // namespace wmlab::wmsp
