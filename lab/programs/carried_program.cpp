#include "lab/programs/carried_program.hpp"

#include <spdlog/fmt/fmt.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace wmlab::lab {
namespace {

constexpr std::size_t carried_max = 1 << 20;

std::string shell_word(std::string_view text) {
    std::string word = "'";
    for (const char c : text) word += c == '\'' ? std::string{"'\\''"} : std::string(1, c);
    return word + "'";
}

// Empty: the word names no file of the scenario.
std::string file_text(const std::filesystem::path& word, const std::filesystem::path& directory) {
    std::error_code error;
    const auto file = directory / word;
    if (word.empty() || word.is_absolute() || !std::filesystem::is_regular_file(file, error)) return {};
    if (*word.lexically_normal().begin() == "..")
        throw std::invalid_argument{fmt::format(
            "{} is outside of the scenario's directory and cannot be brought to another machine", word.string())};
    std::ifstream in{file, std::ios::binary};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    if (!in || text.size() > carried_max || text.find('\0') != std::string::npos)
        throw std::invalid_argument{
            fmt::format("{} cannot be brought to another machine: only readable text of up to {} KiB can",
                        file.string(), carried_max / 1024)};
    if (!text.ends_with('\n')) text += '\n';
    return text;
}

}  // namespace

std::string carried_program(const std::vector<std::string>& run, const std::filesystem::path& directory,
                            const std::set<std::uint16_t>& ports) {
    // In braces: read as a whole before any of it runs, so that what follows in the input is nobody's but `cat`'s.
    std::string shell = "{\nfiles=$(mktemp -d) && cd \"$files\" || exit 1\n", words;
    for (const auto& word : run) {
        words += shell_word(word) + ' ';
        const auto text = file_text(word, directory);
        if (text.empty()) continue;
        const std::filesystem::path path{word};
        if (path.has_parent_path()) shell += fmt::format("mkdir -p {}\n", shell_word(path.parent_path().string()));
        std::string end = "end-of-file";
        while (text.find(end) != std::string::npos) end += '-';
        shell += fmt::format("cat > {} <<'{}'\n{}{}\n", shell_word(word), end, text, end);
        if (&word == &run.front()) shell += fmt::format("chmod +x {}\n", shell_word(word));
    }
    shell += "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin\nexec 3<&0\n";
    shell += words + "< /dev/null 1>&2 3<&- &\nprogram=$!\n";
    shell += fmt::format("echo {}\n", carried_started);
    shell += fmt::format(
        "{{ cat <&3 > /dev/null; echo {}; exec > /dev/null; kill $program; sleep 2; kill -KILL $program; }} 2> /dev/null &\n"
        "input=$!\n",
        carried_stopping);
    for (const auto port : ports)  // a listening socket in state 0A, of either family
        shell += fmt::format(
            "{{ while kill -0 $program; do grep -qi ':{:04X} [0-9A-F]*:0000 0A' /proc/net/tcp /proc/net/tcp6 && echo {}{} && break; sleep 0.05; done; }} 2> /dev/null 3<&- &\n",
            port, carried_listening, port);
    return shell + "wait $program\nended=$?\nkill $input 2> /dev/null\ncd / && rm -rf \"$files\"\nexit $ended\n}\n";
}

}  // namespace wmlab::lab
