// Where journal lines go: whole lines to a descriptor, waiting when it is full, in spite of O_NONBLOCK on a shared one.
#pragma once
#include <filesystem>
#include <functional>
#include <string_view>

namespace wmlab::process {

std::function<void(std::string_view)> sink_to(int descriptor);                          // throws std::system_error
std::function<void(std::string_view)> sink_to_file(const std::filesystem::path& file);  // created or emptied

}  // namespace wmlab::process
