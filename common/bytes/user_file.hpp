// A file that somebody names on a command line or in a scenario: read whole, never more than it may hold, and never
// waited for.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>

namespace wmlab::bytes {

struct UserFile {
    std::string octets;
    std::string problem;  // "is a named pipe, not a file"; empty: it was read
    bool ok() const { return problem.empty(); }
};

// A pipe that the shell hands over, `<(...)` or /dev/stdin, is read too; named pipes and devices are refused.
UserFile read_user_file(const std::filesystem::path& file, std::size_t size_max);

// The same without reading: empty where it can be read.
std::string problem_with_user_file(const std::filesystem::path& file);

}  // namespace wmlab::bytes
