#include "lab/firewall/ruleset_file.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "common/scenario/boxes.hpp"
#include "lab/host/descriptor.hpp"
#include "lab/host/error.hpp"

namespace wmlab::lab {
namespace {

RulesetRefused refused(const std::filesystem::path& file, std::string_view what) {
    return RulesetRefused{fmt::format("the ruleset {} {}", file.string(), what)};
}

// /dev/fd/63 and its like: the number of the descriptor that a shell handed over.
std::optional<int> handed_over(const std::filesystem::path& file) {
    const auto text = file.string();
    if (text == "/dev/stdin") return STDIN_FILENO;
    for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
        if (!text.starts_with(folder)) continue;
        int number = -1;
        const auto* end = text.data() + text.size();
        const auto [stopped, error] = std::from_chars(text.data() + folder.size(), end, number);
        if (error == std::errc{} && stopped == end && number >= 0) return number;
    }
    return std::nullopt;
}

// Calls `each` with what there is, piece by piece, until it says no or the end; the error number, 0 for none.
template <class Each>
int read_pieces(int from, Each each) {
    std::array<char, 1U << 16> piece{};
    for (;;) {
        const auto got = ::read(from, piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0 || !each(std::string_view{piece.data(), static_cast<std::size_t>(got)})) return 0;
    }
}

// Reads the pipe to its end into memory and puts the copy in the place of the descriptor.
void keep_in_memory(const std::filesystem::path& file, int pipe) {
    const Descriptor copy{::memfd_create("ruleset", MFD_CLOEXEC)};
    if (!copy) throw setup_failed("keep the ruleset " + file.string() + " in memory", errno);
    std::size_t size = 0;
    int write_error = 0;
    const int read_error = read_pieces(pipe, [&](std::string_view piece) {
        size += piece.size();
        if (size > ruleset_size_max) return false;
        while (!piece.empty() && write_error == 0) {
            const auto put = ::write(copy.get(), piece.data(), piece.size());
            if (put >= 0)
                piece.remove_prefix(static_cast<std::size_t>(put));
            else if (errno != EINTR)
                write_error = errno;
        }
        return write_error == 0;
    });
    if (read_error != 0) throw refused(file, fmt::format("cannot be read: {}", std::strerror(read_error)));
    if (write_error != 0) throw setup_failed("keep the ruleset " + file.string() + " in memory", write_error);
    if (size > ruleset_size_max) throw refused(file, fmt::format("is larger than {} MB", ruleset_size_max >> 20));
    if (::dup3(copy.get(), pipe, O_CLOEXEC) < 0)
        throw setup_failed("keep the ruleset " + file.string() + " in memory", errno);
}

}  // namespace

std::filesystem::path examine_ruleset(const std::filesystem::path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0)
        throw refused(file, fmt::format("cannot be read: {}", std::strerror(errno)));
    if (S_ISDIR(status.st_mode)) throw refused(file, "is a directory");
    if (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)) {
        const auto pipe = handed_over(file);
        if (!pipe) throw refused(file, "is a named pipe, which can be read only once: save it in a file first");
        keep_in_memory(file, *pipe);
        if (::stat(file.c_str(), &status) != 0)
            throw refused(file, fmt::format("cannot be read: {}", std::strerror(errno)));
    }
    if (!S_ISREG(status.st_mode)) throw refused(file, "is a device, not a file");
    const Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!in) throw refused(file, fmt::format("cannot be read: {}", std::strerror(errno)));
    if (static_cast<std::size_t>(status.st_size) > ruleset_size_max)
        throw refused(file, fmt::format("is larger than {} MB", ruleset_size_max >> 20));
    bool blank = true;
    const int error = read_pieces(in.get(), [&](std::string_view piece) {
        blank = piece.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
        return blank;
    });
    if (error != 0) throw refused(file, fmt::format("cannot be read: {}", std::strerror(error)));
    if (blank)
        throw refused(file,
                      "is empty: nothing would be loaded and the firewall would forward everything; leave the ruleset out where that is meant");
    return file;
}

std::filesystem::path named_ruleset(const std::filesystem::path& file) {
    if (file.empty()) return file;
    const auto examined = examine_ruleset(file);
    const auto near = examined.lexically_proximate(std::filesystem::current_path());
    return examined.is_absolute() && !near.string().starts_with("..") ? near : examined;
}

std::vector<BoxRules> rules_of_boxes(const scenario::Scenario& scenario, const std::filesystem::path& ruleset, bool open) {
    std::vector<BoxRules> all;
    for (const auto& box : scenario::boxes(scenario)) {
        const auto file = open                                ? std::filesystem::path{}
                          : scenario::several_boxes(scenario) ? named_ruleset(box.ruleset)
                                                              : ruleset;
        all.push_back({scenario::as_seen_by(scenario, box), file});
    }
    return all;
}

bool all_open(const std::vector<BoxRules>& boxes) {
    return std::ranges::all_of(boxes, [](const BoxRules& box) { return box.ruleset.empty(); });
}

std::vector<std::filesystem::path> files_of(const std::vector<BoxRules>& boxes) {
    std::vector<std::filesystem::path> files;
    for (const auto& box : boxes)
        if (!box.ruleset.empty() && std::ranges::find(files, box.ruleset) == files.end()) files.push_back(box.ruleset);
    return files;
}

std::string rulesets_text(const std::vector<BoxRules>& boxes) {
    if (boxes.size() == 1) return boxes.front().ruleset.string();
    std::string text;
    for (const auto& box : boxes)
        text += (text.empty() ? "" : "; ") + box.name() + ": " + (box.ruleset.empty() ? "none" : box.ruleset.string());
    return text;
}

}  // namespace wmlab::lab
