// Root is dropped once everything is bound; limits are raised before.
#pragma once
#include <filesystem>
#include <span>
#include <string>

namespace wmlab::process {

void raise_descriptor_limit();   // RLIMIT_NOFILE to what this user may have
std::size_t descriptor_limit();  // of this process
void drop_root_for_good(std::span<const std::filesystem::path> reads, std::span<const std::filesystem::path> writes);

// What drop_root_for_good would do, in words: for the log and the tests.
enum class Drop { not_root, to_nobody, capabilities_only };
Drop how_to_drop(std::span<const std::filesystem::path> reads, std::span<const std::filesystem::path> writes);

}  // namespace wmlab::process
