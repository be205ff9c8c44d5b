// wmlab on a machine that does not have it: this very program with the libraries it runs with, brought there by the
// pipe through which it is then talked to. Nothing is installed, and no file is left.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace wmlab::lab {

// For the standard input of `PREFIX sh -s`: runs `wmlab ARGUMENTS` there where it is installed in this version.
// Otherwise it prints the line {"carry":"MACHINE"} (of `uname -m`) and waits for the line `SIZE` and that many bytes of
// archive().
std::string carrying_shell(std::string_view version, const std::vector<std::string>& arguments);

// A tar archive of the running program, its libraries and the loader. Empty: they cannot be read.
std::string own_archive();
std::string own_machine();  // of `uname -m`

// Answers the line of carrying_shell: writes the archive to the program that printed it. Empty: it is under way; else why
// it cannot be, and the program's input has ended.
class Process;
std::string bring_wmlab(Process& program, const std::string& machine, std::string_view version);

// There: the folder that --carried names, which has nothing else; the kernel keeps what is mapped.
void remove_carried_files(const std::filesystem::path& directory);

}  // namespace wmlab::lab
