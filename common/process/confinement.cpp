#include "common/process/confinement.hpp"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

namespace wmlab::process {
namespace {

// --- files (Landlock)

constexpr std::uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t writing = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                                  LANDLOCK_ACCESS_FS_REMOVE_FILE;
constexpr std::uint64_t never = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                                LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

void allow(int ruleset, const std::filesystem::path& path, std::uint64_t access) {
    const int descriptor = ::open(path.c_str(), O_PATH | O_CLOEXEC);
    if (descriptor < 0) return;
    struct stat status {};
    constexpr std::uint64_t of_files = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
    if (::fstat(descriptor, &status) == 0 && !S_ISDIR(status.st_mode)) access &= of_files;
    landlock_path_beneath_attr rule{};
    rule.allowed_access = access;
    rule.parent_fd = descriptor;
    ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    ::close(descriptor);
}

bool confine_files(const Confinement& confinement) {
    landlock_ruleset_attr attributes{};
    attributes.handled_access_fs = writing | never | (confinement.only_these ? reading : 0);
    const auto ruleset =
        static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes.handled_access_fs, 0));
    if (ruleset < 0) return false;
    const auto handled = attributes.handled_access_fs;
    // Names and addresses are resolved, who holds a port is looked up, libraries are loaded for both.
    for (const auto* system : {"/etc", "/usr", "/lib", "/lib64", "/proc", "/sys", "/run", "/dev"})
        if (confinement.only_these) allow(ruleset, system, reading);
    allow(ruleset, "/dev/null", (reading | LANDLOCK_ACCESS_FS_WRITE_FILE) & handled);
    for (const auto& file : confinement.reads)
        if (confinement.only_these) allow(ruleset, file, reading);
    for (const auto& file : confinement.writes) {
        const auto folder = std::filesystem::absolute(file).parent_path();
        allow(ruleset, folder, (reading | writing) & handled);
    }
    const bool done = ::syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    ::close(ruleset);
    return done;
}

// --- system calls (seccomp)

#if defined(__x86_64__)
constexpr std::uint32_t architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t architecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t architecture = 0;  // not filtered
#endif

constexpr std::array forbidden = {
    // other programs and processes
    SYS_execve, SYS_execveat, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_pidfd_getfd,
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // whose leak check traces the process itself
    SYS_ptrace,
#endif
    // the machine
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_setns, SYS_unshare, SYS_reboot, SYS_swapon, SYS_swapoff,
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_acct, SYS_quotactl, SYS_sethostname,
    SYS_setdomainname, SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_syslog,
    SYS_move_mount, SYS_open_tree, SYS_fsopen, SYS_fsmount, SYS_fsconfig, SYS_mount_setattr,
    // much of the kernel that nothing here needs
    SYS_bpf, SYS_perf_event_open, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_userfaultfd, SYS_io_uring_setup,
    SYS_io_uring_enter, SYS_io_uring_register, SYS_open_by_handle_at, SYS_name_to_handle_at, SYS_personality,
    SYS_fanotify_init, SYS_lookup_dcookie, SYS_vhangup, SYS_nfsservctl};

bool confine_calls() {
    if (architecture == 0) return false;
    std::vector<sock_filter> program;
    const auto load = [&](std::size_t offset) {
        program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)));
    };
    const auto answer = [&](std::uint32_t value) { program.push_back(BPF_STMT(BPF_RET | BPF_K, value)); };
    load(offsetof(seccomp_data, arch));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, architecture, 1, 0));
    answer(SECCOMP_RET_ERRNO | EPERM);  // calls of another architecture have other numbers
    load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
    constexpr std::uint32_t x32 = 0x40000000;  // the same architecture by the back door
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, x32, 0, 1));
    answer(SECCOMP_RET_ERRNO | EPERM);
#endif
    for (const auto call : forbidden) {
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1));
        answer(SECCOMP_RET_ERRNO | EPERM);
    }
    answer(SECCOMP_RET_ALLOW);
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

}  // namespace

std::string confine(const Confinement& confinement) {
    std::string in_force;
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (confine_files(confinement)) in_force = "landlock";
    if (confine_calls()) in_force += in_force.empty() ? "seccomp" : ", seccomp";
    return in_force;
}

}  // namespace wmlab::process
