#include "lab/rules/source.hpp"

#include <glob.h>
#include <spdlog/fmt/fmt.h>

#include <sstream>
#include <system_error>

#include "common/bytes/read_file.hpp"
#include "lab/rules/source_reader.hpp"

namespace wmlab::lab::rules {

// Of something that is there: why its text is not read. Folders and what may not be read are left to the tools to tell of.
std::string unusable(const std::filesystem::path& path) {
    std::error_code failed;
    const auto status = std::filesystem::status(path, failed);
    if (failed || !std::filesystem::exists(status) || std::filesystem::is_directory(status) || path == "/dev/null") return {};
    if (!std::filesystem::is_regular_file(status)) return path.string() + " is not a file";
    const auto size = std::filesystem::file_size(path, failed);
    return !failed && size > text_size_max ? fmt::format("{} is larger than {} MB", path.string(), text_size_max >> 20) : std::string{};
}

Dialect dialect_of(std::string_view ruleset) {
    if (ruleset.starts_with("\xEF\xBB\xBF")) ruleset.remove_prefix(3);  // a mark some editors write: refused later
    std::istringstream lines{std::string{ruleset}};
    for (std::string line; std::getline(lines, line);) {
        const auto start = line.find_first_not_of(" \t\r");
        if (start == std::string::npos || line[start] == '#') continue;
        const auto rest = std::string_view{line}.substr(start);
        return rest.starts_with('*') || rest.starts_with("-A ") || rest.starts_with("-P ") || rest.starts_with(":")
                   ? Dialect::iptables
                   : Dialect::nft;
    }
    return Dialect::nft;
}

std::optional<std::string> read_from_disk(const std::filesystem::path& path) {
    auto text = bytes::read_file(path, text_size_max);
    return text ? std::optional{std::move(*text)} : std::nullopt;
}

std::optional<std::filesystem::path> ipsets_beside(const std::filesystem::path& file, std::string_view text,
                                                   const ReadFile& read) {
    if (text.find("--match-set ") == std::string_view::npos && text.find("-j SET ") == std::string_view::npos)
        return std::nullopt;
    auto of_its_name = file;
    of_its_name.replace_extension(".ipset");
    for (const auto& path : {of_its_name, file.parent_path() / "ipsets"})
        if (read(path) || !unusable(path).empty()) return path;
    return std::nullopt;
}

Source read_source(const std::filesystem::path& file, const ReadFile& read, const IncludePath& include_path) {
    Source source;
    const auto text = read(file);
    if (!text) return source;
    source.dialect = dialect_of(*text);
    if (source.dialect == Dialect::iptables) {
        source.files.push_back(file);
        read_iptables(source, file, *text);
        if (auto sets = ipsets_beside(file, *text, read)) source.files.push_back(std::move(*sets));
    } else {
        read_nft(source, file, read, include_path);
    }
    return source;
}

std::optional<std::string> with_includes_from(const std::string& text, const IncludePath& include_path) {
    std::string moved = text;
    bool any = false;
    for (auto at = moved.find("include"); at != std::string::npos; at = moved.find("include", at + 1)) {
        const auto line = moved.rfind('\n', at);
        if (moved.find_first_not_of(" \t;{", line == std::string::npos ? 0 : line + 1) < at && moved[at - 1] != ';' &&
            moved[at - 1] != ' ')
            continue;
        const auto quote = moved.find_first_not_of(" \t", at + 7);
        if (quote == std::string::npos || moved[quote] != '"' || moved.compare(quote + 1, 1, "/") != 0) continue;
        const auto end = moved.find('"', quote + 1);
        if (end == std::string::npos) break;
        const std::filesystem::path wanted = moved.substr(quote + 1, end - quote - 1);
        for (const auto& directory : include_path) {
            const auto there = directory / wanted.relative_path();
            glob_t found{};
            const bool has = ::glob(there.c_str(), 0, nullptr, &found) == 0;
            ::globfree(&found);
            if (!has) continue;
            moved.replace(quote + 1, end - quote - 1, there.string());
            any = true;
            break;
        }
    }
    return any ? std::optional{moved} : std::nullopt;
}

}  // namespace wmlab::lab::rules
