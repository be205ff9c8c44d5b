#include "lab/programs/carried_wmlab.hpp"

#include <link.h>
#include <spdlog/fmt/fmt.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <set>

#include "lab/programs/launcher.hpp"

namespace wmlab::lab {
namespace {

constexpr std::string_view carried_program_name = "wmlab", loader_name = "loader";
constexpr std::size_t tar_block = 512;

std::string octal(std::size_t value, std::size_t digits) { return fmt::format("{:0{}o}", value, digits); }

void add_to_archive(std::string& archive, std::string_view name, const std::string& content) {
    std::string header(tar_block, '\0');
    const auto put = [&](std::size_t at, std::string_view text) { header.replace(at, text.size(), text); };
    put(0, name.substr(0, 99));
    put(100, "0000755");
    put(108, "0000000");
    put(116, "0000000");
    put(124, octal(content.size(), 11));
    put(136, octal(0, 11));
    put(148, "        ");
    put(156, "0");
    put(257, std::string_view{"ustar\00000", 8});
    std::size_t sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    put(148, octal(sum, 6) + std::string(1, '\0') + " ");
    archive += header;
    archive += content;
    archive.append((tar_block - content.size() % tar_block) % tar_block, '\0');
}

std::string content_of(const std::filesystem::path& file) {
    std::ifstream in{file, std::ios::binary | std::ios::ate};
    std::string content(static_cast<std::size_t>(std::max<std::streamoff>(in.tellg(), 0)), '\0');
    in.seekg(0);
    return in.read(content.data(), static_cast<std::streamsize>(content.size())) ? content : std::string{};
}

int collect(dl_phdr_info* info, std::size_t, void* into) {
    if (info->dlpi_name != nullptr && info->dlpi_name[0] == '/')
        static_cast<std::set<std::filesystem::path>*>(into)->insert(info->dlpi_name);
    return 0;
}

}  // namespace

std::string carrying_shell(std::string_view version, const std::vector<std::string>& arguments) {
    std::string words;
    for (const auto& argument : arguments) words += " " + argument;
    // In braces: read as a whole before any of it runs. $$ stays the same when the shell becomes the program.
    return fmt::format(
        "{{\n"
        "PATH=$PATH:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin\n"
        "if [ \"$(wmlab --version 2> /dev/null)\" = 'wmlab {0}' ]; then exec wmlab{1}; fi\n"
        "echo '{{\"carry\":\"'\"$(uname -m)\"'\"}}'\n"
        "read -r size && [ -n \"$size\" ] || exit 1\n"
        "files=$(mktemp -d) || exit 1\n"
        "{{ while kill -0 $$ && [ -d \"$files\" ]; do sleep 0.2; done; rm -rf \"$files\"; }} < /dev/null > /dev/null 2>&1 &\n"
        "head -c \"$size\" | tar -x -f - -C \"$files\" || exit 1\n"
        "exec \"$files/{2}\" --library-path \"$files\" \"$files/{3}\"{1} --carried \"$files\"\n"
        "}}\n",
        version, words, loader_name, carried_program_name);
}

std::string own_machine() {
    utsname about{};
    return ::uname(&about) == 0 ? about.machine : "";
}

std::string own_archive() {
    std::set<std::filesystem::path> files;
    ::dl_iterate_phdr(collect, &files);
    std::string archive;
    bool loader = false;
    for (const auto& file : files) {
        const auto name = file.filename().string();
        const bool is_loader = name.starts_with("ld-") || name.starts_with("ld.");
        loader = loader || is_loader;
        const auto content = content_of(file);
        if (content.empty()) return {};
        add_to_archive(archive, is_loader ? loader_name : name, content);
    }
    const auto program = content_of(find_simulator(carried_program_name));
    if (!loader || program.empty()) return {};
    add_to_archive(archive, carried_program_name, program);
    archive.append(2 * tar_block, '\0');
    return archive;
}

std::string bring_wmlab(Process& program, const std::string& machine, std::string_view version) {
    const auto missing = fmt::format("wmlab is not installed there in version {}", version);
    if (machine != own_machine()) {
        program.close_input();
        return fmt::format("{}, and it is a machine of another kind ({}, here {}): install the same version", missing, machine, own_machine());
    }
    auto archive = own_archive();
    if (archive.empty()) {
        program.close_input();
        return missing + ", and cannot be brought there: its own files cannot be read";
    }
    program.write(std::to_string(archive.size()) + "\n");
    program.write(std::move(archive));
    return {};
}

void remove_carried_files(const std::filesystem::path& directory) {
    std::error_code ignored;
    if (std::filesystem::exists(directory / loader_name, ignored) && std::filesystem::exists(directory / carried_program_name, ignored))
        std::filesystem::remove_all(directory, ignored);
}

}  // namespace wmlab::lab
