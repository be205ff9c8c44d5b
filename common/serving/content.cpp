#include "common/serving/content.hpp"

#include <spdlog/spdlog.h>

#include <charconv>
#include <cmath>
#include <span>

#include "common/asf/file.hpp"
#include "common/asf/synthesiser.hpp"
#include "common/bytes/crc32.hpp"
#include "common/mms/data.hpp"

namespace wmlab::serving {
namespace {

constexpr std::string_view synthetic_word = "synthetic";
constexpr auto smaller_packets_advice = "let ffmpeg write smaller ones: ffmpeg -i FILE -c copy -packet_size 1400 NEW.wmv";
const std::string synthetic_advice = "write synthetic, synthetic:128k or synthetic:64k:30s";

// "64k", "1.5M", "30s", "2m", "500ms": the number and what follows it.
std::optional<std::pair<double, std::string_view>> quantity(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || !std::isfinite(value) || value <= 0) return std::nullopt;
    return std::pair{value, text.substr(static_cast<std::size_t>(end - text.data()))};
}

std::optional<unsigned> bitrate_from(std::string_view text) {
    const auto parts = quantity(text);
    if (!parts) return std::nullopt;
    const auto& [value, unit] = *parts;
    const double factor = unit.empty() ? 1 : unit == "k" ? 1e3 : unit == "M" ? 1e6 : 0;
    const double bits = value * factor;
    return bits >= 1 && bits <= 1e9 ? std::optional{static_cast<unsigned>(bits)} : std::nullopt;
}

std::optional<milliseconds> duration_from(std::string_view text) {
    const auto parts = quantity(text);
    if (!parts) return std::nullopt;
    const auto& [value, unit] = *parts;
    const double factor = unit == "ms" ? 1 : unit == "s" ? 1e3 : unit == "m" ? 6e4 : unit == "h" ? 3.6e6 : 0;
    const double ms = value * factor;
    return ms >= 1 && ms <= 1e9 ? std::optional{milliseconds{static_cast<long>(ms)}} : std::nullopt;
}

asf::ContentResult<ContentSpec> synthetic_spec(std::string_view name, std::string_view options) {
    ContentSpec spec;
    spec.name = name.empty() ? synthetic_word : name;
    spec.synthetic = true;
    std::vector<std::uint32_t> bitrates;
    while (!options.empty()) {
        options.remove_prefix(1);  // ':'
        const auto word = options.substr(0, options.find(':'));
        options.remove_prefix(word.size());
        if (const auto bitrate = bitrate_from(word))
            bitrates.push_back(*bitrate);
        else if (const auto duration = duration_from(word))
            spec.duration = *duration;
        else
            return asf::ContentError{std::string{synthetic_word}, std::nullopt, "`" + std::string{word} + "` is neither a bit rate nor a duration",
                                     synthetic_advice};
    }
    if (!bitrates.empty()) spec.bitrates = std::move(bitrates);
    return spec;
}

}  // namespace

asf::ContentResult<ContentSpec> content_spec(std::string_view text) {
    // A file whose name has the character is meant before a name given to another.
    std::error_code unknown;
    const auto equals = std::filesystem::is_regular_file(text, unknown) ? std::string_view::npos : text.find('=');
    const auto name = equals == std::string_view::npos ? std::string_view{} : text.substr(0, equals);
    const auto what = equals == std::string_view::npos ? text : text.substr(equals + 1);
    if (what.starts_with(synthetic_word) && (what.size() == synthetic_word.size() || what[synthetic_word.size()] == ':'))
        return synthetic_spec(name, what.substr(synthetic_word.size()));
    if (what.empty() || equals == 0) return asf::ContentError{std::string{text}, std::nullopt, "no content is named", "write FILE or NAME=FILE"};
    ContentSpec spec;
    spec.file = std::filesystem::absolute(what);
    spec.name = name.empty() ? spec.file.stem().string() : std::string{name};
    spec.more_names = {spec.file.filename().string()};
    if (what != spec.more_names[0] && what.front() != '/') spec.more_names.emplace_back(what);
    if (!name.empty()) spec.more_names.push_back(std::string{name} + spec.file.extension().string());
    return spec;
}

ContentSpec content_spec(const scenario::Content& content) {
    ContentSpec spec;
    spec.name = content.name;
    spec.synthetic = content.kind == scenario::Content::Kind::audio;
    spec.bitrates = {content.bitrate};
    spec.duration = content.duration;
    spec.file = content.file;
    if (!spec.synthetic) spec.more_names = {content.name + content.file.extension().string()};
    return spec;
}

asf::ContentResult<std::shared_ptr<const asf::Content>> open(const ContentSpec& spec, std::string_view world) {
    if (spec.synthetic) {
        asf::SyntheticOptions options;
        options.bitrates = spec.bitrates;
        options.live = spec.duration == milliseconds{0};
        if (!options.live) options.duration = spec.duration;
        const auto identity = std::string{world} + "/" + spec.name;
        options.seed = bytes::crc32(std::as_bytes(std::span{identity}));
        options.title = spec.name;
        auto made = asf::Synthesiser::make(options);
        if (!made) return made.error();
        return std::shared_ptr<const asf::Content>{*made};
    }
    auto file = asf::File::open(spec.file);
    if (!file) return file.error();
    const auto size = (*file)->header().packet_size;
    if (size > mms::Data::payload_max)
        return asf::ContentError{
            spec.file.string(), std::nullopt,
            "has packets of " + std::to_string(size) + " bytes, and no protocol carries more than " + std::to_string(mms::Data::payload_max),
            smaller_packets_advice};
    if (size > media_datagram_max)
        spdlog::warn(
            "{}: has packets of {} bytes, too large for a datagram ({} at most): it is played over TCP and HTTP, not over UDP and not by multicast; {}",
            spec.file.string(), size, media_datagram_max, smaller_packets_advice);
    for (const auto& remark : (*file)->remarks()) spdlog::info("{}: {}", spec.file.string(), remark);
    if (spec.loop) return std::shared_ptr<const asf::Content>{std::make_shared<asf::LoopedFile>(*file)};
    return std::shared_ptr<const asf::Content>{*file};
}

}  // namespace wmlab::serving
