#include "lab/programs/confinement.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>

namespace wmlab::lab {
namespace {

constexpr uid_t nobody = 65534;
constexpr std::string_view nobody_is_zero = "65534 0 1";
constexpr const char* own_tmp = "/tmp";

bool below(const std::filesystem::path& path, const std::filesystem::path& directory) {
    const auto [in, rest] = std::ranges::mismatch(directory, path);
    return in == directory.end();
}

// Root of the machine: not that of a user namespace, in which nobody has no number.
bool real_root() {
    if (::geteuid() != 0) return false;
    const Descriptor map{::open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC)};
    std::array<char, 256> text{};
    const auto size = map ? ::read(map.get(), text.data(), text.size()) : 0;
    return size > 0 && std::string_view{text.data(), static_cast<std::size_t>(size)}.find("4294967295") !=
                           std::string_view::npos;
}

bool write_text(const std::string& path, const std::string& text) {
    const Descriptor file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// A user namespace that maps the owner to nobody, for an id-mapped mount. It needs a process for a moment.
Descriptor namespace_mapping(uid_t user, gid_t group) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {};
    const Descriptor read_end{ends[0]};
    Descriptor write_end{ends[1]};
    const auto child = static_cast<pid_t>(::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
    if (child < 0) return {};
    if (child == 0) {
        ::close(ends[1]);
        char end = 0;
        while (::read(ends[0], &end, 1) > 0) {
        }
        ::_exit(0);
    }
    const auto place = "/proc/" + std::to_string(child);
    const auto row = [](unsigned from, unsigned to) { return std::to_string(from) + " " + std::to_string(to) + " 1\n"; };
    Descriptor found;
    if (write_text(place + "/uid_map", row(user, nobody)) && write_text(place + "/gid_map", row(group, nobody)))
        found = Descriptor{::open((place + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC)};
    write_end.reset();
    ::waitpid(child, nullptr, 0);
    return found;
}

// Between fork and exec: no allocation.
bool write_line(const char* file, std::string_view text) {
    const int opened = ::open(file, O_WRONLY | O_CLOEXEC);
    const bool written = opened >= 0 && ::write(opened, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (opened >= 0) ::close(opened);
    return written;
}

bool no_capabilities() {
    // Without one bit of the bounding set no program file and no user number brings any back.
    for (unsigned long capability = 0; capability <= 63; ++capability)
        if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL) return false;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> none{};
    return ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 &&
           ::syscall(SYS_capset, &header, none.data()) == 0;
}

}  // namespace

bool see_hosts(const char* lines, std::size_t size) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
    // The file is made in a tmpfs that lies on /tmp for a moment; the bind mount keeps it alive.
    if (::mount("wmlab", own_tmp, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0) return false;
    const int file = ::open("/tmp/hosts", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    const bool written = file >= 0 && ::fchmod(file, 0644) == 0 && ::write(file, lines, size) == static_cast<ssize_t>(size) &&
                         ::mount("/tmp/hosts", "/etc/hosts", nullptr, MS_BIND, nullptr) == 0;
    if (file >= 0) ::close(file);
    ::umount2(own_tmp, MNT_DETACH);
    return written;
}

Confinement::Confinement(const std::filesystem::path& directory, const std::filesystem::path& program)
    : nobody_{real_root()} {
    std::error_code ignored;
    const auto here = std::filesystem::absolute(directory.empty() ? std::filesystem::path{"."} : directory, ignored)
                          .lexically_normal();
    directory_ = here.string();
    struct stat owner{};
    const bool everybodys = ::stat(directory_.c_str(), &owner) == 0 && (owner.st_mode & 05) == 05;
    if (nobody_ && !everybodys) as_nobody_ = namespace_mapping(owner.st_uid, owner.st_gid);
    if (as_nobody_ || below(here, own_tmp)) keep(here, static_cast<bool>(as_nobody_));
    const auto home = std::filesystem::absolute(program, ignored).lexically_normal().parent_path();
    if (below(home, own_tmp) && home != own_tmp && !below(home, here)) keep(home, false);
}

bool Confinement::runs_as_nobody() { return real_root(); }

void Confinement::keep(const std::filesystem::path& directory, bool as_ours) {
    Kept kept;
    kept.path = directory.string();
    if (kept.path.size() > 1 && kept.path.ends_with('/')) kept.path.pop_back();
    kept.as_ours = as_ours;
    if (below(directory, own_tmp)) {
        std::filesystem::path parent;
        for (const auto& part : directory) {
            if (part.empty()) continue;
            parent /= part;
            if (parent != "/" && parent != own_tmp) kept.parents.push_back(parent.string());
        }
    }
    kept_.push_back(std::move(kept));
}

// A view of the files of its own: a private /tmp, through which the kept directories are seen.
bool Confinement::private_files() const {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        return errno == EPERM;  // mounting is not allowed here: so it was for the whole lab
    std::array<int, 2> trees{-1, -1};
    for (std::size_t i = 0; i < kept_.size() && i < trees.size(); ++i) {
        trees[i] = ::open_tree(AT_FDCWD, kept_[i].path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (trees[i] < 0) return false;
        if (!kept_[i].as_ours) continue;
        mount_attr change{};
        change.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY;
        change.userns_fd = static_cast<unsigned>(as_nobody_.get());
        ::mount_setattr(trees[i], "", AT_EMPTY_PATH, &change, sizeof change);  // a file system that cannot: as it is
    }
    if (::mount("wmlab", own_tmp, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=256m") != 0) return false;
    for (std::size_t i = 0; i < kept_.size() && i < trees.size(); ++i) {
        for (const auto& parent : kept_[i].parents) ::mkdir(parent.c_str(), 0755);
        if (::move_mount(trees[i], "", AT_FDCWD, kept_[i].path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) return false;
        ::close(trees[i]);
    }
    return true;
}

bool Confinement::enter() const {
    if (!private_files() || ::chdir(directory_.c_str()) != 0) return false;
    if (nobody_) {
        if (::setgroups(0, nullptr) != 0 || ::setresgid(nobody, nobody, nobody) != 0) return false;
        // Capabilities first need the number that holds them; what is left of them goes with it.
        for (unsigned long capability = 0; capability <= 63; ++capability) ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
        if (::setresuid(nobody, nobody, nobody) != 0) return false;
    } else {
        // The lab of an ordinary user has one number, 0. Here it is called nobody: programs that refuse to be root run, and one
        // that makes a user namespace of its own may (without CAP_SETFCAP nobody maps a 0).
        // Where user namespaces cannot be made any more, it is 0 without capabilities.
        if (::geteuid() == 0 && ::unshare(CLONE_NEWUSER) == 0 &&
            !(write_line("/proc/self/setgroups", "deny") && write_line("/proc/self/uid_map", nobody_is_zero) &&
              write_line("/proc/self/gid_map", nobody_is_zero)))
            return false;
        if (!no_capabilities()) return false;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // which a change of credentials undoes
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

}  // namespace wmlab::lab
