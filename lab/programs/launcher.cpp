#include "lab/programs/launcher.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>

#include "lab/host/error.hpp"
#include "lab/programs/confinement.hpp"

namespace wmlab::lab {
namespace asio = boost::asio;
namespace {

using boost::system::error_code;

constexpr std::size_t line_max = 16U << 20;
constexpr std::chrono::milliseconds output_after_end{500};  // how long children of a program may hold its output open

struct ProgramPipe {
    Descriptor read, write;
    ProgramPipe() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw setup_failed("make a pipe", errno);
        read = above_standard(ends[0]);
        write = above_standard(ends[1]);
    }

private:
    static Descriptor above_standard(int fd) {  // 0 to 2 may be free in a caller without standard streams
        if (fd > STDERR_FILENO) return Descriptor{fd};
        const Descriptor low{fd};
        return Descriptor{::fcntl(fd, F_DUPFD_CLOEXEC, 3)};
    }
};

// All that the child does between fork and exec: system calls only, since other threads may hold locks.
struct Spawn {
    std::string program;
    std::vector<char*> argv;
    const char* directory = nullptr;
    const char* host_name = nullptr;
    const Confinement* confinement = nullptr;
    std::string_view names;
    int place = -1, in = -1, out = -1, err = -1;  // -1: as the caller
    bool own_group = true, own_session = false;

    pid_t run() const;

private:
    [[noreturn]] void child(int report) const;
};

struct ChildFailure {
    int step = 0, error = 0;
};
constexpr std::array child_steps = {"enter the host's namespace", "enter the directory", "connect the standard streams",
                                    "confine the program", "start the program"};

void Spawn::child(int report) const {
    const auto fail = [&](int step) {
        const ChildFailure failure{step, errno};
        if (::write(report, &failure, sizeof failure) < 0) ::_exit(126);
        ::_exit(127);
    };
    for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);  // and SIGPIPE, which the runner ignores
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (own_session) {
        ::setsid();  // without a terminal to ask on
    } else if (own_group) {
        ::setpgid(0, 0);
    }
    if (place >= 0 && !is_here(place) && ::setns(place, CLONE_NEWNET) != 0) fail(0);
    if (host_name != nullptr && ::unshare(CLONE_NEWUTS) == 0 && ::sethostname(host_name, std::strlen(host_name)) != 0) {
        // a nicety
    }
    if (directory != nullptr && ::chdir(directory) != 0) fail(1);
    for (const auto& [from, to] : {std::pair{in, STDIN_FILENO}, {out, STDOUT_FILENO}, {err, STDERR_FILENO}})
        if (from >= 0 && ::dup2(from, to) < 0) fail(2);
    if (!names.empty() && !see_hosts(names.data(), names.size())) {
        // said by mount_private_names() where mounting is not allowed
    }
    if (confinement != nullptr && !confinement->enter()) fail(3);
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execv(program.c_str(), argv.data());
    fail(4);
    ::_exit(127);
}

pid_t Spawn::run() const {
    ProgramPipe report;
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);  // no handler of ours may run in the child
    const auto pid = ::fork();
    const auto error = errno;
    if (pid == 0) child(report.write.get());
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    const auto what = [&](const char* step) { return std::string{step} + " (" + argv.front() + ")"; };
    if (pid < 0) throw setup_failed(what("start a process"), error);
    report.write.reset();
    ChildFailure failure;
    ssize_t got = 0;
    while ((got = ::read(report.read.get(), &failure, sizeof failure)) < 0 && errno == EINTR) {
    }
    if (got != sizeof failure) return pid;
    ::waitpid(pid, nullptr, 0);
    throw setup_failed(what(child_steps[static_cast<std::size_t>(failure.step)]), failure.error,
                       failure.error == ENOENT ? "is it installed?"
                       : failure.error == EACCES && confinement != nullptr
                           ? "programs of a scenario run as nobody: may everybody run it? --trust runs it as you"
                           : "");
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> result;
    for (auto& word : words) result.push_back(word.data());
    result.push_back(nullptr);
    return result;
}

Ending ending_of(int status) {
    return WIFSIGNALED(status) ? Ending{0, WTERMSIG(status)} : Ending{WEXITSTATUS(status), 0};
}

// Also by whoever is neither the owner nor of the group.
bool everybody_may_run(const std::filesystem::path& file) {
    struct stat status{};
    constexpr mode_t by_others = S_IXOTH;
    std::error_code ignored;
    for (auto part = std::filesystem::canonical(file, ignored); !part.empty(); part = part.parent_path()) {
        if (::stat(part.c_str(), &status) != 0 || (status.st_mode & by_others) == 0) return false;
        if (part == part.root_path()) return true;
    }
    return false;
}

std::string program_file(const std::string& name, bool for_nobody = false) {
    if (name.find('/') != std::string::npos) return name;  // relative to the program's directory, as exec takes it
    // As a shell does of its user, nobody passes over what it may not run: root's PATH may begin with a place of root's own.
    auto file = for_nobody ? find_program(name, everybody_may_run) : find_program(name);
    if (file.empty()) file = find_program(name);
    if (file.empty()) throw setup_failed("start " + name, ENOENT, "is it installed?");
    return file.string();
}

class LocalProcess : public Process, public std::enable_shared_from_this<LocalProcess> {
public:
    LocalProcess(asio::io_context& io, Start start)
        : start_{std::move(start)}, in_{io}, out_{io}, err_{io}, timer_{io} {}

    void launch(const Namespace* place, const std::vector<std::string>& prefix) {
        auto words = prefix;
        words.insert(words.end(), start_.argv.begin(), start_.argv.end());
        if (words.empty()) throw SetupFailed{"start a program on " + start_.host, "no program given"};
        Spawn spawn;
        const bool confined = start_.confined && place != nullptr && prefix.empty();
        spawn.program = program_file(words.front(), confined && Confinement::runs_as_nobody());
        spawn.argv = pointers(words);
        const auto directory = start_.directory.string();
        if (!directory.empty()) spawn.directory = directory.c_str();
        if (place != nullptr && prefix.empty()) spawn.names = start_.names;
        std::optional<Confinement> confinement;
        if (confined)
            spawn.confinement = &confinement.emplace(start_.directory, spawn.program);
        if (place != nullptr) {
            spawn.place = place->fd();
            if (prefix.empty()) spawn.host_name = start_.host.c_str();
        }
        spawn.own_session = !prefix.empty() && !start_.terminal;
        if (start_.terminal) {
            spawn.own_group = false;
            pid_ = spawn.run();
            own_group_ = false;
            return;
        }
        ProgramPipe in, out, err;
        spawn.in = in.read.get();
        spawn.out = out.write.get();
        spawn.err = err.write.get();
        pid_ = spawn.run();
        in_.assign(in.write.release());
        out_.assign(out.read.release());
        err_.assign(err.read.release());
        open_ = 2;
        auto self = shared_from_this();
        read(out_, out_buffer_, [self](std::string_view part) { self->output(part); });
        read(err_, err_buffer_, [self](std::string_view part) {
            if (self->start_.noise) self->start_.noise(part);
        });
    }

    pid_t pid() const override { return pid_; }
    const std::optional<Ending>& ending() const override { return told_ ? ending_ : nothing_; }

    void write(std::string text) override {
        if (!in_.is_open()) return;
        queue_.push_back(std::move(text));
        if (queue_.size() == 1) write_next();
    }

    void close_input() override {
        close_wanted_ = true;
        if (queue_.empty()) close_in();
    }

    void signal(int number) override {
        if (!ending_) ::kill(own_group_ ? -pid_ : pid_, number);
    }

    void reaped(int status) {
        ending_ = ending_of(status);
        // what it left behind must not outlive it, but its last output is worth a moment
        if (open_ == 0) return tell();
        timer_.expires_after(output_after_end);
        timer_.async_wait([self = shared_from_this()](error_code failure) {
            if (failure) return;
            ::kill(-self->pid_, SIGKILL);
            self->tell();
        });
    }

private:
    template <class Each>
    void read(asio::posix::stream_descriptor& from, std::array<char, 65536>& buffer, Each each) {
        from.async_read_some(asio::buffer(buffer), [this, self = shared_from_this(), &from, &buffer, each](
                                                       error_code failure, std::size_t size) {
            if (size != 0) each(std::string_view{buffer.data(), size});
            if (!failure) return read(from, buffer, each);
            error_code ignored;
            from.close(ignored);
            if (--open_ == 0 && ending_) tell();
        });
    }

    void output(std::string_view part) {
        if (!start_.line) {
            if (start_.noise) start_.noise(part);
            return;
        }
        for (auto end = part.find('\n'); end != std::string_view::npos; end = part.find('\n')) {
            line_ += part.substr(0, end);
            part.remove_prefix(end + 1);
            const auto line = std::exchange(line_, {});
            start_.line(line);
        }
        if (line_.size() + part.size() <= line_max) line_ += part;
    }

    void tell() {
        if (std::exchange(told_, true)) return;
        timer_.cancel();
        close_in();
        if (!line_.empty() && start_.line) start_.line(std::exchange(line_, {}));
        if (start_.ended) start_.ended(*ending_);
    }

    void write_next() {
        asio::async_write(in_, asio::buffer(queue_.front()),
                          [self = shared_from_this()](error_code failure, std::size_t) {
                              if (failure) return self->close_in();
                              self->queue_.pop_front();
                              if (!self->queue_.empty()) return self->write_next();
                              if (self->close_wanted_) self->close_in();
                          });
    }

    void close_in() {
        error_code ignored;
        if (in_.is_open()) in_.close(ignored);
    }

    Start start_;
    asio::posix::stream_descriptor in_, out_, err_;
    asio::steady_timer timer_;
    std::array<char, 65536> out_buffer_{}, err_buffer_{};
    std::string line_;
    std::deque<std::string> queue_;
    bool close_wanted_ = false, own_group_ = true, told_ = false;
    int open_ = 0;  // outputs not at their end
    pid_t pid_ = -1;
    std::optional<Ending> ending_;
    const std::optional<Ending> nothing_;
};

}  // namespace

std::string Ending::text() const {
    if (signal == 0) return "exit status " + std::to_string(code);
    return "signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

struct Launcher::Parts {
    struct Place {
        const Namespace* net = nullptr;
        std::vector<std::string> prefix;
    };
    explicit Parts(asio::io_context& context) : io{context}, children{context, SIGCHLD} {
        ::signal(SIGPIPE, SIG_IGN);  // a program that ends while it is written to is no reason to end
        wait();
    }

    asio::io_context& io;
    asio::signal_set children;
    std::map<std::string, Place, std::less<>> places;
    std::vector<std::shared_ptr<LocalProcess>> started;

    // Of every launcher of this process: whoever reaps an ending tells the right one.
    static std::map<pid_t, std::shared_ptr<LocalProcess>>& running() {
        static std::map<pid_t, std::shared_ptr<LocalProcess>> all;
        return all;
    }

    void wait() {
        children.async_wait([this](error_code failure, int) {
            if (failure) return;
            reap();
            wait();
        });
    }

    void reap() {
        if (::getpid() == 1) {  // orphans are ours too
            int status = 0;
            for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) ended(pid, status);
            return;
        }
        std::vector<std::pair<pid_t, int>> over;
        for (const auto& [pid, process] : running()) {
            int status = 0;
            if (::waitpid(pid, &status, WNOHANG) == pid) over.emplace_back(pid, status);
        }
        for (const auto& [pid, status] : over) ended(pid, status);
    }

    void ended(pid_t pid, int status) {
        const auto found = running().find(pid);
        if (found == running().end()) return;
        const auto process = found->second;
        running().erase(found);
        process->reaped(status);
    }
};

Launcher::Launcher(asio::io_context& io) : parts_{std::make_unique<Parts>(io)} {}

Launcher::~Launcher() {
    for (const auto& process : parts_->started) {
        if (Parts::running().erase(process->pid()) == 0) continue;
        process->signal(SIGKILL);
        ::waitpid(process->pid(), nullptr, 0);
    }
}

void Launcher::place(std::string host, const Namespace& net) { parts_->places[std::move(host)] = {&net, {}}; }
void Launcher::place(std::string host, std::vector<std::string> prefix, const Namespace* from) {
    ::setenv("SSH_ASKPASS_REQUIRE", "never", 0);  // no window that asks, either
    parts_->places[std::move(host)] = {from, std::move(prefix)};
}

std::shared_ptr<Process> Launcher::start(Start start) {
    const auto found = parts_->places.find(start.host);
    if (found == parts_->places.end()) throw SetupFailed{"start a program", "no host " + start.host};
    auto process = std::make_shared<LocalProcess>(parts_->io, std::move(start));
    process->launch(found->second.net, found->second.prefix);
    Parts::running().emplace(process->pid(), process);
    parts_->started.push_back(process);
    return process;
}

ToolResult run_tool(const Namespace& place, const std::vector<std::string>& argv, std::string_view input) {
    auto words = argv;
    Spawn spawn;
    spawn.program = program_file(words.front());
    spawn.argv = pointers(words);
    spawn.place = place.fd();
    // The input from a file in memory: no pipe can fill up on either side.
    const Descriptor in{::memfd_create("input", MFD_CLOEXEC)};
    for (auto rest = input; !rest.empty();) {
        const auto written = ::write(in.get(), rest.data(), rest.size());
        if (written < 0) throw setup_failed("pass input to " + argv.front(), errno);
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
    ::lseek(in.get(), 0, SEEK_SET);
    ProgramPipe out;
    spawn.in = in.get();
    spawn.out = spawn.err = out.write.get();
    const auto pid = spawn.run();
    out.write.reset();
    ToolResult result;
    std::array<char, 4096> part{};
    for (ssize_t got = 0; (got = ::read(out.read.get(), part.data(), part.size())) != 0;) {
        if (got > 0) result.output.append(part.data(), static_cast<std::size_t>(got));
        if (got < 0 && errno != EINTR) break;
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    result.ending = ending_of(status);
    return result;
}

std::filesystem::path find_program(std::string_view name, bool (*fits)(const std::filesystem::path&)) {
    const char* const path = std::getenv("PATH");
    const auto directories = std::string{path == nullptr ? "/usr/bin:/bin" : path} + ":/usr/sbin:/sbin";
    for (std::size_t at = 0; at < directories.size();) {
        const auto end = std::min(directories.find(':', at), directories.size());
        auto file = std::filesystem::path{directories.substr(at, end - at)} / name;
        at = end + 1;
        std::error_code ignored;
        if (::access(file.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(file, ignored) &&
            (fits == nullptr || fits(file)))
            return file;
    }
    return {};
}

namespace {

std::filesystem::path own_program() {
    std::error_code ignored;
    return std::filesystem::read_symlink("/proc/self/exe", ignored);
}
// Asked before main(): inside the sandbox /proc may be another process namespace's and say nothing about this one.
const std::filesystem::path own_file = own_program();

}  // namespace

std::filesystem::path find_simulator(std::string_view name) {
    if (!own_file.empty()) {
        auto beside = own_file.parent_path() / name;
        if (::access(beside.c_str(), X_OK) == 0) return beside;
    }
    return find_program(name);
}

}  // namespace wmlab::lab
