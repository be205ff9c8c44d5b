// Redirector files and URLs. What was read must come back the same after writing it.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/url/asx.hpp"
#include "common/url/url.hpp"

using namespace wmlab::url;

namespace {
void require(bool holds) {
    if (!holds) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    if (const auto asx = parse_asx(text)) {
        require(asx->entries.size() <= asx_entries_max);
        for (const auto& entry : asx->entries) require(!entry.refs.empty() && entry.refs.size() <= asx_refs_max);
        const auto written = write_asx(*asx);
        if (written.size() <= asx_size_max) {
            const auto again = parse_asx(written);
            require(again.has_value() && again->entries.size() == asx->entries.size());
        }
    }
    if (const auto url = parse(text)) {
        require(url->path.starts_with('/') && !url->host.empty());
        const auto again = parse(url->text());
        require(url->text().size() > url_size_max || (again.has_value() && *again == *url));
    }
    static const auto base = parse("http://media:8080/dir/x?y=1").value();
    (void)resolve(base, text);
    return 0;
}
