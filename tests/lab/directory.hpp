// A directory of its own, readable for the ordinary user of these tests.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace wmlab::lab::tests {

class Directory {
public:
    Directory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "wmlab-test-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
        std::filesystem::permissions(path_, std::filesystem::perms{0755});
    }
    ~Directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    std::filesystem::path write(const std::string& name, const std::string& text) const {
        std::ofstream{path_ / name} << text;
        return path_ / name;
    }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace wmlab::lab::tests
