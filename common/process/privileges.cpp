#include "common/process/privileges.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace wmlab::process {
namespace {

struct Identity {
    uid_t user = 65534;
    gid_t group = 65534;
};

Identity nobody() {
    if (const auto* entry = ::getpwnam("nobody")) return {entry->pw_uid, entry->pw_gid};
    return {};
}

// In a user namespace only some ids exist: there uid 0 is an ordinary user, and nobody cannot be become.
bool owns_all_ids() {
    std::ifstream map{"/proc/self/uid_map"};
    unsigned long inside = 1, outside = 1, count = 0;
    map >> inside >> outside >> count;
    return inside == 0 && outside == 0 && count >= 0xFFFFFFFE;
}

bool as_nobody(const Identity& who, std::span<const std::filesystem::path> reads,
               std::span<const std::filesystem::path> writes) {
    std::array<gid_t, 64> groups{};
    const auto count = ::getgroups(static_cast<int>(groups.size()), groups.data());
    bool able = false;
    if (count >= 0 && ::setgroups(0, nullptr) == 0 && ::setegid(who.group) == 0 && ::seteuid(who.user) == 0) {
        able = std::ranges::all_of(reads,
                                   [](const auto& file) {
                                       const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
                                       if (descriptor >= 0) ::close(descriptor);
                                       return descriptor >= 0;
                                   }) &&
               std::ranges::all_of(writes, [](const auto& file) {
                   const auto folder = std::filesystem::absolute(file).parent_path();
                   std::error_code error;
                   const bool there = std::filesystem::exists(file, error);
                   return ::faccessat(AT_FDCWD, there ? file.c_str() : folder.c_str(), W_OK, AT_EACCESS) == 0;
               });
    }
    const bool back = ::seteuid(0) == 0 && ::setegid(0) == 0 &&
                      ::setgroups(static_cast<std::size_t>(std::max(count, 0)), groups.data()) == 0;
    return able && back;
}

// Keeps only what reading files of others takes; the process can no longer bind, trace or configure anything.
bool drop_capabilities(bool keep_reading) {
    for (int capability = 0; capability <= 63; ++capability)
        if (capability != CAP_DAC_READ_SEARCH || !keep_reading) ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> sets{};
    if (keep_reading) sets[0].effective = sets[0].permitted = 1U << CAP_DAC_READ_SEARCH;
    return ::syscall(SYS_capset, &header, sets.data()) == 0;
}

}  // namespace

void raise_descriptor_limit() {
    constexpr rlim_t enough = 200'000;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    if (limit.rlim_max < enough) {
        const rlimit more{enough, enough};  // takes CAP_SYS_RESOURCE of the machine
        if (::setrlimit(RLIMIT_NOFILE, &more) == 0) return;
    }
    const rlimit most{std::max(limit.rlim_cur, std::min(limit.rlim_max, enough)), limit.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &most);
}

std::size_t descriptor_limit() {
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<std::size_t>(limit.rlim_cur) : 1024;
}

Drop how_to_drop(std::span<const std::filesystem::path> reads, std::span<const std::filesystem::path> writes) {
    if (::geteuid() != 0) return Drop::not_root;
    return owns_all_ids() && as_nobody(nobody(), reads, writes) ? Drop::to_nobody : Drop::capabilities_only;
}

void drop_root_for_good(std::span<const std::filesystem::path> reads, std::span<const std::filesystem::path> writes) {
    const auto how = how_to_drop(reads, writes);
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (how == Drop::not_root) return;
    // What is not in the bounding set no program gets again. Those for changing the user are still to be used.
    for (int capability = 0; capability <= 63; ++capability)
        if (capability != CAP_DAC_READ_SEARCH || how == Drop::to_nobody) ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    int death_signal = 0;  // the kernel forgets it when the user changes
    ::prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0);
    if (how == Drop::to_nobody) {
        const auto who = nobody();
        if (::setgroups(0, nullptr) == 0 && ::setresgid(who.group, who.group, who.group) == 0 &&
            ::setresuid(who.user, who.user, who.user) == 0) {
            ::prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0);
            ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
            spdlog::debug("root dropped: now user {}", who.user);
            return;
        }
        spdlog::warn("cannot become nobody: {}", std::strerror(errno));
    }
    if (!drop_capabilities(!reads.empty())) spdlog::warn("cannot drop capabilities: {}", std::strerror(errno));
    ::prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0);
    spdlog::debug("root's capabilities dropped");
}

}  // namespace wmlab::process
