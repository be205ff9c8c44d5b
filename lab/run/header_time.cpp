#include "lab/run/header_time.hpp"

#include <algorithm>
#include <fstream>
#include <vector>

#include "common/asf/header.hpp"

namespace wmlab::lab {
namespace {

// As much of the file as it has, up to `size`.
std::vector<std::byte> beginning_of(const std::filesystem::path& file, std::size_t size) {
    std::vector<std::byte> bytes(size);
    std::ifstream in{file, std::ios::binary};
    in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
    bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    return bytes;
}

}  // namespace

std::chrono::milliseconds header_time(const scenario::Scenario& scenario, const scenario::Flow& flow) {
    using std::chrono::milliseconds;
    constexpr std::size_t enough_for_the_size = 64;
    constexpr milliseconds longest{std::chrono::minutes{10}};
    const auto content = std::ranges::find(scenario.contents, flow.content, &scenario::Content::name);
    std::error_code ignored;
    if (content == scenario.contents.end() || !std::filesystem::is_regular_file(content->file, ignored)) return milliseconds{0};
    const auto needed = asf::header_bytes_needed(beginning_of(content->file, enough_for_the_size));
    if (!needed) return milliseconds{0};
    const auto header = asf::Header::parse(beginning_of(content->file, *needed));
    if (!header || header->maximum_bit_rate == 0) return milliseconds{0};
    return std::min(longest, milliseconds{8000 * header->raw.size() / header->maximum_bit_rate});
}

}  // namespace wmlab::lab
