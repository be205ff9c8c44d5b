// A `run:` program on another machine: the shell program that brings its files there and runs it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace wmlab::lab {

inline constexpr std::string_view carried_started = "started", carried_listening = "listening ",
                                  carried_stopping = "stopping";

// For the standard input of `PREFIX sh -s`. Words of `run` that name files of the scenario's directory are brought
// along, into a directory of their own, where the program runs; its output goes to standard error. On standard output
// stand the line `started`, and `listening PORT` for each of the ports once something listens on it. The end of the
// input ends the program: it never outlives its runner. std::invalid_argument: a file that cannot be brought there.
std::string carried_program(const std::vector<std::string>& run, const std::filesystem::path& directory,
                            const std::set<std::uint16_t>& ports);

}  // namespace wmlab::lab
