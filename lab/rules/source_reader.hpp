// The two readers behind read_source(), one for each language.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "lab/rules/source.hpp"

namespace wmlab::lab::rules {

void read_nft(Source& source, const std::filesystem::path& file, const ReadFile& read, const IncludePath& include_path);
void read_iptables(Source& source, const std::filesystem::path& file, const std::string& text);

constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
// Of something that is there: why its text is not read. Folders and what may not be read are left to the tools to tell of.
std::string unusable(const std::filesystem::path& path);

}  // namespace wmlab::lab::rules
