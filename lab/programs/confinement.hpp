// What a program that a scenario names may do on its host: nothing that the scenario's reader would not expect. It has no
// capabilities and cannot get any, is `nobody` where root started us, and has a /tmp of its own.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "lab/host/descriptor.hpp"

namespace wmlab::lab {

// Gives the calling process /etc/hosts with these lines, in a mount namespace of its own. System calls only; false, with
// errno, where that is not allowed.
bool see_hosts(const char* lines, std::size_t size);

// Made before the fork, entered between fork and exec: enter() makes system calls only.
class Confinement {
public:
    // `directory` is where the program runs, `program` its file: both stay where they are, also below /tmp. As root a
    // directory of others than everybody is shown to the program as its own, read-only.
    Confinement(const std::filesystem::path& directory, const std::filesystem::path& program);

    static bool runs_as_nobody();  // root started us

    // In the child, after it has come to its network. False: errno says why. The directory is then the current one.
    bool enter() const;

private:
    struct Kept {  // a directory that is seen through the private /tmp
        std::string path;
        std::vector<std::string> parents;  // to be made, outermost first
        bool as_ours = false;
    };
    void keep(const std::filesystem::path& directory, bool as_ours);
    bool private_files() const;

    std::string directory_;
    std::vector<Kept> kept_;
    Descriptor as_nobody_;  // a user namespace in which the directory's owner is nobody
    bool nobody_ = false;
};

}  // namespace wmlab::lab
