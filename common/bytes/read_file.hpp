// A whole file as text, where a user names one: bounded, and never waited for. What has no end (/dev/zero) or may never
// begin (a named pipe) is refused; a pipe that the shell hands over, `<(...)` or /dev/stdin, is read.
#pragma once
#include <boost/system/result.hpp>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>

namespace wmlab::bytes {

struct FileProblem {
    FileProblem() = default;
    FileProblem(std::string of, std::string what) : file{std::move(of)}, problem{std::move(what)} {}
    std::string file, problem;  // "internet.reg", "is not a file"
    std::string text() const { return file + ": " + problem; }
};
[[noreturn]] void throw_exception_from_error(const FileProblem& problem, const boost::source_location&);

boost::system::result<std::string, FileProblem> read_file(const std::filesystem::path& file, std::size_t size_max);

// The same without reading: empty where it can be read.
std::string problem_with(const std::filesystem::path& file);

}  // namespace wmlab::bytes
