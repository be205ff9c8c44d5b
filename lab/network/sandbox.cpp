#include "lab/network/sandbox.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <set>
#include <sstream>

#include "lab/host/descriptor.hpp"
#include "lab/host/error.hpp"
#include "lab/host/interruption.hpp"
#include "lab/host/remedy.hpp"

namespace wmlab::lab {
namespace {

constexpr std::array forwarded = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

void write_file(const char* path, const std::string& text, const std::string& step) {
    const Descriptor file{::open(path, O_WRONLY | O_CLOEXEC)};
    if (file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return;
    const auto error = errno;
    throw setup_failed(step, error, remedy(Privilege::id_maps, error));
}

// As the first process of the new namespaces: the rest of the walls.
void build_walls(uid_t user, gid_t group, bool user_namespace, Inside& inside) {
    if (user_namespace) {
        write_file("/proc/self/setgroups", "deny", "give up group changes in the user namespace");
        write_file("/proc/self/uid_map", "0 " + std::to_string(user) + " 1", "map the user into the user namespace");
        write_file("/proc/self/gid_map", "0 " + std::to_string(group) + " 1", "map the group into the user namespace");
    }
    if (::unshare(CLONE_NEWNET) != 0) {
        const auto error = errno;
        throw setup_failed("create a network namespace", error, remedy(Privilege::other_namespace, error));
    }
    (void)::unshare(CLONE_NEWIPC | CLONE_NEWUTS);  // tidy, not needed
    if (::unshare(CLONE_NEWNS) != 0) {
        inside.notes.push_back("no mount namespace (" + std::string{std::strerror(errno)} +
                               "): host names do not resolve in programs of the lab");
        return;
    }
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        inside.notes.push_back("mounting is forbidden (" + std::string{std::strerror(errno)} +
                               "): host names do not resolve in programs of the lab");
        return;
    }
    inside.mounts = true;
    // Shared memory has fixed names in some programs (squid): two labs, or two users, would meet there.
    ::mount("wmlab", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    // Also brings a writable /proc/sys where the old one is read-only.
    if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
        inside.notes.push_back("/proc cannot be mounted anew (" + std::string{std::strerror(errno)} +
                               "): programs of the lab see the machine's processes");
}

// What the outer process tells the inner one before it starts, and what the inner one answers if it cannot.
struct Pipe {
    Descriptor read, write;
    Pipe() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw setup_failed("make a pipe", errno);
        read = Descriptor{ends[0]};
        write = Descriptor{ends[1]};
    }
};

std::string read_all(int fd) {
    std::string text;
    std::array<char, 512> part{};
    while (true) {
        const auto got = ::read(fd, part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return text;
        text.append(part.data(), static_cast<std::size_t>(got));
    }
}

[[noreturn]] void be_inner(const std::function<int(const Inside&)>& body, Pipe& to_inner, Pipe& from_inner, uid_t user,
                           gid_t group, bool user_namespace, const sigset_t& signals_before) {
    to_inner.write.reset();
    from_inner.read.reset();
    int result = 3;
    try {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // kill -9 of the outer process ends pid 1 and so everything
        Inside inside;
        inside.user_namespace = user_namespace;
        // An end of file instead of the number: the outer process died before the line above.
        const auto number = ::read(to_inner.read.get(), &inside.outer_pid, sizeof inside.outer_pid);
        if (number != sizeof inside.outer_pid) ::_exit(3);
        try {
            build_walls(user, group, user_namespace, inside);
        } catch (const SetupFailed& failure) {
            const auto text = failure.step() + '\0' + failure.cause() + '\0' + failure.remedy();
            if (::write(from_inner.write.get(), text.data(), text.size()) < 0) ::_exit(3);
            ::_exit(3);
        }
        from_inner.write.reset();
        Interruptions::note();  // before those that wait are let in
        ::sigprocmask(SIG_SETMASK, &signals_before, nullptr);
        result = body(inside);
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "wmlab: %s\n", failure.what());
    }
    std::fflush(nullptr);
    ::_exit(result);
}

// A shell of the lab may have left the terminal to a group that is gone.
class Terminal {
public:
    ~Terminal() {
        if (before_ > 0 && ::tcgetpgrp(STDIN_FILENO) != before_) ::tcsetpgrp(STDIN_FILENO, before_);
    }

private:
    pid_t before_ = ::tcgetpgrp(STDIN_FILENO);
};

// Passes on signals until the inner process has ended; its exit code.
int watch(pid_t inner, const sigset_t& signals) {
    while (true) {
        siginfo_t info{};
        if (::sigwaitinfo(&signals, &info) < 0) continue;
        if (info.si_signo == SIGTTOU) continue;
        if (info.si_signo != SIGCHLD) {
            // From the terminal the inner process, of the same group, has got it already.
            if (info.si_code <= 0) ::kill(inner, info.si_signo);
            continue;
        }
        int status = 0;
        if (::waitpid(inner, &status, WNOHANG) != inner) continue;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
}

pid_t clone_like_fork(unsigned long flags) {
    return static_cast<pid_t>(::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

}  // namespace

int in_sandbox(const std::function<int(const Inside&)>& body) {
    const auto user = ::geteuid();
    const auto group = ::getegid();
    Pipe to_inner, from_inner;
    std::fflush(nullptr);

    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTTOU);
    for (const auto number : forwarded) sigaddset(&signals, number);
    ::sigprocmask(SIG_BLOCK, &signals, &before);
    struct Restore {
        const sigset_t& mask;
        ~Restore() { ::sigprocmask(SIG_SETMASK, &mask, nullptr); }
    } restore{before};
    const Terminal terminal;

    // Root needs no user namespace; root without CAP_SYS_ADMIN (a container's) may be allowed one.
    bool user_namespace = user != 0;
    auto inner = clone_like_fork(CLONE_NEWPID | (user_namespace ? CLONE_NEWUSER : 0UL));
    if (inner < 0 && errno == EPERM && !user_namespace) {
        user_namespace = true;
        inner = clone_like_fork(CLONE_NEWPID | CLONE_NEWUSER);
    }
    if (inner < 0) {
        const auto error = errno;
        throw setup_failed(user_namespace ? "create a user namespace" : "create a process namespace", error,
                           remedy(user_namespace ? Privilege::user_namespace : Privilege::other_namespace, error));
    }
    if (inner == 0) be_inner(body, to_inner, from_inner, user, group, user_namespace, before);

    to_inner.read.reset();
    from_inner.write.reset();
    const auto number = inner;
    if (::write(to_inner.write.get(), &number, sizeof number) < 0) std::perror("wmlab: start the lab");
    const auto problem = read_all(from_inner.read.get());
    const auto result = watch(inner, signals);
    if (problem.empty()) return result;
    std::istringstream parts{problem};
    std::string step, cause, what_to_do;
    std::getline(parts, step, '\0');
    std::getline(parts, cause, '\0');
    std::getline(parts, what_to_do, '\0');
    throw SetupFailed{step, cause, what_to_do};
}

namespace {

std::string nsswitch_without_dns() {
    std::ifstream in{"/etc/nsswitch.conf"};
    std::string text, line;
    while (std::getline(in, line))
        if (!line.starts_with("hosts:")) text += line + "\n";
    return text + "hosts: files\n";
}

// The machine's accounts and these, where they are not among them, with numbers that are nobody's.
std::string with_accounts(const char* file, const std::vector<std::string>& names, const std::string& before,
                          const std::string& behind) {
    std::ifstream in{file};
    std::string text, line;
    std::set<std::string> known;
    while (std::getline(in, line)) {
        text += line + "\n";
        known.insert(line.substr(0, line.find(':')));
    }
    unsigned number = 59'000;
    for (const auto& name : names) {
        ++number;
        if (!known.insert(name).second) continue;
        const auto own = std::to_string(number);
        text += name + before + own + (std::string_view{file}.ends_with("passwd") ? ":" + own : std::string{}) +
                behind + "\n";
    }
    return text;
}

bool write_new(const std::string& path, const std::string& text) {
    std::ofstream out{path};
    out << text;
    return out.flush() && ::chmod(path.c_str(), 0644) == 0;  // whatever the user's umask
}

}  // namespace

void mount_private_names(const std::string& hosts, std::vector<std::string>& notes,
                         const std::vector<std::string>& users, const std::vector<std::string>& groups) {
    // The files are made in a tmpfs that is mounted somewhere for a moment; the bind mounts keep it alive.
    const std::string workshop = "/tmp";
    if (::mount("wmlab", workshop.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0) {
        notes.push_back("mounting is forbidden (" + std::string{std::strerror(errno)} +
                        "): host names do not resolve in programs of the lab");
        return;
    }
    struct File {
        const char* name;
        std::string text;
        bool needed;
    };
    std::vector<File> files = {File{"hosts", hosts, true}, File{"nsswitch.conf", nsswitch_without_dns(), false},
                               // programs that read this file by themselves are refused at once instead of waiting
                               File{"resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", false}};
    if (!users.empty())
        files.push_back({"passwd", with_accounts("/etc/passwd", users, ":x:", "::/nonexistent:/bin/false"), false});
    if (!groups.empty() || !users.empty()) {
        auto all = users;
        all.insert(all.end(), groups.begin(), groups.end());
        files.push_back({"group", with_accounts("/etc/group", all, ":x:", ":"), false});
    }
    for (const auto& [name, text, needed] : files) {
        const auto source = workshop + "/" + name, target = std::string{"/etc/"} + name;
        if (write_new(source, text) && ::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) == 0)
            continue;
        if (needed)
            notes.push_back(target + " cannot be replaced (" + std::strerror(errno) +
                            "): host names do not resolve in programs of the lab");
    }
    ::umount2(workshop.c_str(), MNT_DETACH);
    // A name service cache of the machine would answer instead of the private files.
    if (::access("/run/nscd/socket", F_OK) == 0) ::mount("wmlab", "/run/nscd", "tmpfs", MS_NOSUID | MS_NODEV, nullptr);
}

}  // namespace wmlab::lab
