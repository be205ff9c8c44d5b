#include "common/bytes/read_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/catch.hpp"

using namespace wmlab::bytes;

TEST_CASE("read_file: a file to its end, and what is no file or too much is refused at once", "[bytes]") {
    const auto folder = std::filesystem::temp_directory_path() / ("wmlab-read-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder);
    const auto file = folder / "file";
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{65536}, std::size_t{200'000}}) {
        std::ofstream{file, std::ios::binary} << std::string(size, 'x');
        CHECK(read_file(file, 200'000).value().size() == size);
    }
    CHECK(read_file(file, 199'999).error().problem == "is larger than 199999 bytes");
    CHECK(read_file(folder / "none", 10).error().text() ==
          (folder / "none").string() + ": cannot be read: No such file or directory");
    CHECK(read_file(folder, 10).error().problem == "is a directory");
    const auto fifo = folder / "fifo";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    CHECK(read_file(fifo, 10).error().problem == "is not a file");  // nobody writes: opening it would wait for ever
    CHECK(read_file("/dev/zero", 10).error().problem == "is not a file");
    std::filesystem::remove_all(folder);
}
