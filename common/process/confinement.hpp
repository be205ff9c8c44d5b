// What a process that reads bytes of strangers can no longer do, once it is ready: whatever they make of it.
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace wmlab::process {

struct Confinement {
    std::vector<std::filesystem::path> reads, writes;  // files; of `writes` the folder, too
    bool only_these = false;  // nothing else is read but what the system's libraries need
};

// No programs are started (Landlock), no files written but those; system calls that only an intruder needs fail with EPERM
// (seccomp). For good, and for all that is started from here. What the kernel does not offer is left out; the words say
// what is in force: "landlock, seccomp".
std::string confine(const Confinement& confinement);

}  // namespace wmlab::process
