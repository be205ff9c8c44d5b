#include "lab/network/sandbox.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "lab/network/network.hpp"
#include "lab/programs/launcher.hpp"
#include "tests/catch.hpp"
#include "tests/lab/in_lab.hpp"
#include "tests/lab/sockets.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace wmlab::lab::tests;

namespace {

std::string inode_of(const char* what) { return std::filesystem::read_symlink(what).string(); }  // "pid:[4026531836]"

// How many processes of the machine are in the pid namespace, or hold one of its network namespaces.
int processes_in(const std::string& pid_namespace) {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc"}) {
        std::error_code gone;
        if (std::filesystem::read_symlink(entry.path() / "ns/pid", gone).string() == pid_namespace && !gone) ++count;
    }
    return count;
}

std::string interfaces_here() {
    std::string names;
    auto* const list = ::if_nameindex();
    for (auto* at = list; at->if_index != 0; ++at) names += std::string{at->if_name} + " ";
    ::if_freenameindex(list);
    return names;
}

// From here on this process and its children may not do that.
void forbid(unsigned system_call) {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, system_call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{std::size(program), program};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        throw std::runtime_error{std::strerror(errno)};
}

template <class Condition>
bool within_seconds(int seconds, Condition condition) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{seconds};
    while (!condition()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        ::poll(nullptr, 0, 2);
    }
    return true;
}

// A lab with a network and a program that would run for ever, in a process of its own that this test may end.
struct LongLab {
    pid_t outer = -1;
    struct Shared {
        volatile int program;  // its number inside, 0 until it runs
        char pid_namespace[64];
    }* shared = nullptr;

    explicit LongLab(As who) {
        shared = static_cast<Shared*>(
            ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        std::fflush(nullptr);
        outer = ::fork();
        if (outer != 0) return;
        if (who == As::user && ::geteuid() == 0) {
            if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0) ::_exit(99);
            ::prctl(PR_SET_DUMPABLE, 1);
        }
        int code = 9;
        try {
            code = in_sandbox([this](const Inside&) {
                boost::asio::io_context io;
                const Network network{two_zones()};
                Launcher launcher{io};
                launcher.place("media", network.host("media"));
                bool over = false;
                Start start;
                start.host = "media";
                start.argv = {"sh", "-c", "sleep 1000 & sleep 1000"};
                start.ended = [&](const Ending&) { over = true; };
                const auto process = launcher.start(start);
                inode_of("/proc/self/ns/pid").copy(shared->pid_namespace, sizeof shared->pid_namespace - 1);
                shared->program = process->pid();
                boost::asio::signal_set signals{io, SIGINT, SIGTERM};
                signals.async_wait([&](boost::system::error_code, int) { process->signal(SIGTERM); });
                while (!over) io.run_one();
                return 42;
            });
        } catch (const std::exception&) {
        }
        ::_exit(code);
    }
    ~LongLab() {
        ::kill(outer, SIGKILL);
        ::waitpid(outer, nullptr, 0);
    }
    bool runs() const {
        return within_seconds(20, [&] { return shared->program != 0; });
    }
    int wait() const {
        int status = 0;
        ::waitpid(outer, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
};

}  // namespace

TEST_CASE("what the body returns is what the caller gets, and inside it is the first process and root", "[lab]") {
    const auto who = GENERATE(As::root, As::user);
    INFO(name(who));
    const auto outcome = in_lab(who, [](const Inside& inside) {
        return std::to_string(::getpid()) + " " + std::to_string(::getuid()) + (inside.mounts ? " mounts" : "");
    });
    CHECK(outcome.text == "1 0 mounts");
}

TEST_CASE("a lab leaves no process and no namespace behind", "[lab]") {
    struct Row {
        std::string name;
        int signal;
        bool to_outer;
        int code;
    };
    const auto row = GENERATE(values<Row>({
        {"after SIGTERM, which the runner takes as the wish to end", SIGTERM, true, 42},
        {"after SIGINT", SIGINT, true, 42},
        {"after kill -9 of the process the user started", SIGKILL, true, 128 + SIGKILL},
    }));
    const auto who = GENERATE(As::root, As::user);
    DYNAMIC_SECTION(row.name << " " << name(who)) {
        const auto interfaces_before = interfaces_here();
        const LongLab lab{who};
        REQUIRE(lab.runs());
        const std::string pids = lab.shared->pid_namespace;
        CHECK(within_seconds(20, [&] { return processes_in(pids) == 4; }));  // pid 1, the shell, two sleeps
        ::kill(lab.outer, row.signal);
        CHECK(lab.wait() == row.code);
        CHECK(within_seconds(20, [&] { return processes_in(pids) == 0; }));
        CHECK(interfaces_here() == interfaces_before);
    }
}

TEST_CASE("two labs with the same addresses stand side by side", "[lab]") {
    const LongLab other{As::root};
    REQUIRE(other.runs());
    const auto outcome = in_lab(As::user, [](const Inside&) {
        const Network network{two_zones()};
        Socket listener{network.host("media"), SOCK_STREAM};
        listener.bind("10.10.0.10", 80).listen();
        Socket client{network.host("player"), SOCK_STREAM};
        return std::to_string(client.connect("10.10.0.10", 80));
    });
    CHECK(outcome.text == "0");
}

TEST_CASE("host names of the scenario resolve for every program, without DNS", "[lab]") {
    const auto who = GENERATE(As::root, As::user);
    INFO(name(who));
    const auto outcome = in_lab(who, [](const Inside&) {
        std::vector<std::string> notes;
        mount_private_names(hosts_file(two_zones()), notes);
        const Network network{two_zones()};
        std::string text;
        for (const auto* host : {"media", "player", "no-such-host"})
            text += run_tool(network.host("player"), {"getent", "hosts", host}).output;
        for (const auto& note : notes) text += note + "\n";
        return text;
    });
    CHECK(outcome.text == "10.10.0.10      media\n10.20.0.10      player\n");
    std::ifstream hosts{"/etc/hosts"};
    std::ostringstream machine;
    machine << hosts.rdbuf();
    CHECK(machine.str().find("10.10.0.10") == std::string::npos);
}

TEST_CASE("where mounting is forbidden the lab works all the same and says what is missing", "[lab]") {
    const auto who = GENERATE(As::root, As::user);
    INFO(name(who));
    const auto outcome = in_lab(
        who,
        [](const Inside& inside) {
            const Network network{two_zones()};
            Socket listener{network.host("media"), SOCK_STREAM};
            listener.bind("10.10.0.10", 80).listen();
            Socket client{network.host("player"), SOCK_STREAM};
            std::string text =
                std::to_string(client.connect("10.10.0.10", 80)) + (inside.mounts ? " mounts" : " no mounts");
            text += run_tool(network.host("player"), {"ip", "-4", "-o", "addr", "show", "eth0"}).ending.ok()
                        ? " programs run"
                        : "";
            for (const auto& note : inside.notes) text += "\n" + note;
            return text;
        },
        [] { forbid(SYS_mount); });
    INFO(outcome.text);
    CHECK(outcome.text.starts_with("0 no mounts programs run\n"));
    CHECK(outcome.text.find("host names do not resolve") != std::string::npos);
}

TEST_CASE("where namespaces are forbidden the step, the kernel's words and what helps are said", "[lab]") {
    struct Row {
        std::string name;
        As who;
        unsigned forbidden;
        std::string step;
    };
    const auto row = GENERATE(values<Row>({
        {"clone, as in a container's default profile", As::user, SYS_clone, "cannot create a user namespace"},
        {"unshare", As::user, SYS_unshare, "cannot create a network namespace"},
        {"unshare, for root", As::root, SYS_unshare, "cannot create a network namespace"},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto outcome = in_lab(
            row.who, [](const Inside&) { return std::string{"it stands"}; }, [&] { forbid(row.forbidden); });
        INFO(outcome.text);
        CHECK(outcome.code == 3);
        CHECK(outcome.text.starts_with(row.step + ": Operation not permitted\n"));
        CHECK(outcome.text.find("--security-opt seccomp=unconfined") != std::string::npos);
    }
}

TEST_CASE("private names are readable for programs that gave up root, whatever the user's umask", "[lab]") {
    const auto outcome = in_lab(As::root, [](const Inside&) {
        ::umask(077);
        std::vector<std::string> notes;
        mount_private_names(hosts_file(two_zones()), notes);
        struct stat info {};
        ::stat("/etc/hosts", &info);
        return std::to_string(info.st_mode & 0777);
    });
    CHECK(outcome.text == std::to_string(0644));
}
