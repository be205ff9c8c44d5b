#include "lab/commands/watch.hpp"

#include <poll.h>
#include <signal.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <optional>

#include "common/scenario/files.hpp"
#include "common/scenario/loader.hpp"
#include "lab/commands/options.hpp"
#include "lab/host/descriptor.hpp"
#include "lab/host/error.hpp"
#include "lab/rules/source.hpp"

namespace wmlab::lab::commands {
namespace {

namespace fs = std::filesystem;
namespace js = boost::json;
using std::chrono::milliseconds;

constexpr milliseconds quiet_time{100}, burst_max{1000};  // a save is several events, a checkout many files
constexpr unsigned links_max = 40;

using Texts = std::map<std::string, std::optional<std::string>>;  // by canonical name; nothing: it is not there

std::string canonical(const fs::path& file) {
    std::error_code failure;
    auto name = fs::weakly_canonical(file, failure);
    return failure ? fs::absolute(file).lexically_normal().string() : name.string();
}

struct Seen {
    std::set<std::string> files;     // as they were named
    std::set<std::string> folders;   // in which new files count, besides those of the files
};

void see_ruleset(const fs::path& file, const rules::IncludePath& include_path, Seen& seen) {
    seen.files.insert(file.string());
    const auto source = rules::read_source(file, rules::read_from_disk, include_path);
    for (const auto& one : source.files) seen.files.insert(one.string());
    for (const auto& include : source.includes) {
        const auto folder = fs::path{include.pattern}.parent_path();
        seen.folders.insert((file.parent_path() / folder).string());  // an absolute one stays what it is
        seen.folders.insert((fs::path{include.place.file}.parent_path() / folder).string());
        for (const auto& base : include_path) seen.folders.insert((base / folder.relative_path()).string());
    }
}

// What there is to wait for. Of a scenario that cannot be read now what it named before counts on.
Seen look(const WatchWish& wish, const Seen& before) {
    Seen seen;
    bool all_read = true;
    try {
        for (const auto& file : wish.scenarios()) {
            for (const auto& one : scenario::files_read_for(file)) seen.files.insert(one.string());
            seen.folders.insert(fs::absolute(file).parent_path().string());
            const auto loaded = scenario::load_file(file, wish.scenarios_ruleset ? scenario::Files::checked : scenario::Files::other_ruleset);
            all_read = all_read && loaded.ok();
            auto include_path = loaded.scenario.firewall.include_path;
            for (const auto& box : loaded.scenario.firewalls) include_path.insert(include_path.end(), box.include_path.begin(), box.include_path.end());
            for (const auto& one : scenario::registries_of(loaded.scenario)) seen.files.insert(one.string());
            for (const auto& one : scenario::rulesets_of(loaded.scenario))
                if (wish.scenarios_ruleset || one != loaded.scenario.firewall.ruleset) see_ruleset(one, include_path, seen);
            for (const auto& one : wish.rulesets) see_ruleset(one, include_path, seen);
        }
    } catch (const std::exception&) {  // a folder without scenarios, a file that went away: the run says so
        all_read = false;
    }
    if (!all_read) {
        seen.files.insert(before.files.begin(), before.files.end());
        seen.folders.insert(before.folders.begin(), before.folders.end());
    }
    return seen;
}

Texts read(const Seen& seen) {
    Texts texts;
    for (const auto& file : seen.files) {
        std::error_code none;
        texts[canonical(file)] = fs::is_regular_file(file, none) ? rules::read_from_disk(file) : std::nullopt;
    }
    return texts;
}

// The folders by whose entries it is decided what a path leads to: its own, and those of the links on the way. Of what is
// not there the nearest that is.
void add_folders(fs::path path, std::set<std::string>& folders, unsigned links = 0) {
    path = fs::absolute(path).lexically_normal();
    std::error_code none;
    fs::path prefix;
    for (const auto& part : path) {
        prefix /= part;
        if (links < links_max && fs::is_symlink(prefix, none)) {
            folders.insert(prefix.parent_path().string());
            add_folders(prefix.parent_path() / fs::read_symlink(prefix, none), folders, links + 1);
        }
    }
    auto folder = path.parent_path();
    while (!fs::is_directory(folder, none) && folder.has_relative_path()) folder = folder.parent_path();
    folders.insert(folder.string());
}

Descriptor wait_for_changes(const Seen& seen) {
    Descriptor inotify{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
    if (inotify.get() < 0) throw setup_failed("watch files", errno, "fs.inotify.max_user_instances limits how many may be watching");
    std::set<std::string> folders;
    for (const auto& file : seen.files) add_folders(file, folders);
    for (const auto& folder : seen.folders) add_folders(fs::path{folder} / "any", folders);
    constexpr std::uint32_t events = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;
    for (const auto& folder : folders)
        if (::inotify_add_watch(inotify.get(), folder.c_str(), events | IN_ONLYDIR) < 0 && errno != ENOENT && errno != ENOTDIR)
            throw setup_failed("watch " + folder, errno, "fs.inotify.max_user_watches limits how many folders may be watched");
    return inotify;
}

bool drained(int descriptor) {  // true: something was there
    std::array<char, 16'384> bytes{};
    bool any = false;
    while (::read(descriptor, bytes.data(), bytes.size()) > 0) any = true;
    return any;
}

// Until nothing has come for a moment: what belongs together is one change.
void let_it_settle(int inotify) {
    const auto end = std::chrono::steady_clock::now() + burst_max;
    do {
        drained(inotify);
        pollfd more{inotify, POLLIN, 0};
        if (::poll(&more, 1, static_cast<int>(quiet_time.count())) <= 0) return;
    } while (std::chrono::steady_clock::now() < end);
}

class Signals {
public:
    Signals() {
        sigset_t ours;
        sigemptyset(&ours);
        for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&ours, number);
        ::sigprocmask(SIG_BLOCK, &ours, &before_);
        descriptor_ = Descriptor{::signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK)};
        if (descriptor_.get() < 0) throw setup_failed("wait for signals", errno);
    }
    ~Signals() { give_back(); }
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;
    void give_back() const { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
    int descriptor() const { return descriptor_.get(); }

    // The end that the user asked for: its signal, and whether the terminal has told our children, too.
    struct End {
        int number = 0;
        bool from_terminal = false;
    };
    std::optional<End> take() const {
        std::optional<End> end;
        signalfd_siginfo info{};
        while (::read(descriptor_.get(), &info, sizeof info) == sizeof info)
            if (info.ssi_signo != SIGCHLD) end = End{static_cast<int>(info.ssi_signo), info.ssi_code == SI_KERNEL};
        return end;
    }

private:
    sigset_t before_{};
    Descriptor descriptor_;
};

std::string word_at(const js::object& object, std::string_view key) {
    const auto* const value = object.if_contains({key.data(), key.size()});
    return value != nullptr && value->is_string() ? std::string{value->get_string().c_str(), value->get_string().size()} : std::string{};
}
unsigned number_of(const js::object& object, std::string_view key) {
    const auto* const value = object.if_contains({key.data(), key.size()});
    boost::system::error_code none;
    return value == nullptr ? 0 : value->to_number<unsigned>(none);
}
js::string of_text(std::string_view text) { return js::string(text.data(), text.size()); }

// What the run told; of scenarios that came to nothing, nothing.
std::map<std::string, Covered> told(int result) {
    std::string lines;
    std::array<char, 65'536> bytes{};
    for (off_t at = 0;;) {
        const auto size = ::pread(result, bytes.data(), bytes.size(), at);
        if (size <= 0) break;
        lines.append(bytes.data(), static_cast<std::size_t>(size));
        at += size;
    }
    std::map<std::string, Covered> all;
    while (!lines.empty()) {
        const auto end = std::min(lines.find('\n'), lines.size());
        boost::system::error_code failure;
        const auto value = js::parse(js::string_view{lines.data(), end}, failure);
        lines.erase(0, std::min(end + 1, lines.size()));
        if (failure || !value.is_object()) continue;
        const auto& of = value.get_object();
        Covered covered;
        covered.scenario = canonical(word_at(of, "scenario"));
        for (const auto& entry : of.at("flows").as_array()) {
            const auto& flow = entry.as_object();
            covered.flows.push_back({word_at(flow, "id"), number_of(flow, "line"), flow.at("as_expected").as_bool()});
        }
        for (const auto& entry : of.at("rules").as_array()) {
            const auto& rule = entry.as_object();
            RuleUse use;
            use.rule = {canonical(word_at(rule, "file")), number_of(rule, "line"), word_at(rule, "text"), word_at(rule, "chain")};
            for (const auto& flow : rule.at("flows").as_array()) use.flows.emplace_back(flow.as_string().c_str());
            covered.uses.push_back(std::move(use));
        }
        all[word_at(of, "scenario")] = std::move(covered);
    }
    return all;
}

std::string some(const std::vector<std::string>& names) {
    constexpr std::size_t most = 4;
    const auto shown = std::vector<std::string>(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(most, names.size())));
    return fmt::format("{}{}", fmt::join(shown, ", "), names.size() > most ? fmt::format(" and {} more", names.size() - most) : "");
}

class Watch {
public:
    explicit Watch(const WatchWish& wish) : wish_{wish} {}

    int run() {
        for (;;) {
            seen_ = look(wish_, seen_);
            inotify_ = wait_for_changes(seen_);  // before the files are read: what happens from here on is noticed
            const auto now = read(seen_);
            if (!ran_ || *ran_ != now) {
                if (!runs(now)) return 130;
                continue;
            }
            if (told_ != now.size()) say(fmt::format("waiting for a change of {}; Ctrl-C ends", named(now)));
            told_ = now.size();
            std::array<pollfd, 2> waits{pollfd{inotify_.get(), POLLIN, 0}, pollfd{signals_.descriptor(), POLLIN, 0}};
            if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) throw setup_failed("wait for a change", errno);
            if (signals_.take()) return 130;
            let_it_settle(inotify_.get());
        }
    }

private:
    static void say(const std::string& sentence) { std::cerr << "wmlab: " << sentence << '\n' << std::flush; }
    static std::string named(const Texts& texts) {
        std::vector<std::string> names;
        for (const auto& [file, _] : texts) names.push_back(fs::path{file}.filename().string());
        return some(names);
    }

    // What is different from the texts of a run.
    static std::vector<Edit> edits(const Texts& before, const Texts& now) {
        std::vector<Edit> found;
        for (const auto& [file, text] : now) {
            const auto old = before.find(file);
            if (old == before.end() || old->second != text)
                found.push_back({file, old == before.end() ? std::string{} : old->second.value_or(std::string{}), text.value_or(std::string{})});
        }
        for (const auto& [file, text] : before)
            if (!now.contains(file)) found.push_back({file, text.value_or(std::string{}), {}});
        return found;
    }

    // False: the user has ended it.
    bool runs(const Texts& now) {
        const bool first = !ran_;
        told_ = 0;
        if (!first) {
            std::vector<std::string> names;
            for (const auto& edit : edits(*ran_, now))
                names.push_back(fmt::format("{}:{}", fs::path{edit.file}.filename().string(), changed_lines(edit.before, edit.after).first));
            say(fmt::format("changed: {}", some(names)));
        }
        ran_ = now;
        Turn turn;
        std::vector<std::string> ids;
        for (const auto& [scenario, covered] : covered_) {
            const auto flows = touched(edits(judged_, now), covered);
            if (!flows) {
                turn.only.clear();
                break;
            }
            turn.only[scenario] = *flows;
            for (const auto& flow : covered.flows) turn.known[scenario].insert(flow.id);
            ids.insert(ids.end(), flows->begin(), flows->end());
        }
        if (turn.narrowed()) {
            say(fmt::format("first what the edit touches or was not as expected: {}", some(ids)));
            if (const auto going_on = one_run(turn, now); going_on != Then::all) return going_on == Then::again;
            say("and now all flows");
        }
        return one_run({}, now) != Then::end;
    }

    enum class Then { all, again, end };

    // A run of its own process, until it ends, something changes, or the user ends it.
    Then one_run(Turn turn, const Texts& now) {
        const Descriptor result{::memfd_create("wmlab-watch", MFD_CLOEXEC)};
        if (result.get() < 0) throw setup_failed("make a file for what a run comes to", errno);
        turn.result = result.get();
        std::cout << std::flush;
        const auto parent = ::getpid();
        const auto child = ::fork();
        if (child < 0) throw setup_failed("start a run", errno);
        if (child == 0) run_and_exit(turn, parent);
        bool changed = false;
        std::optional<Signals::End> end;
        int status = 0;
        for (;;) {
            if (::waitpid(child, &status, WNOHANG) == child) break;
            std::array<pollfd, 2> waits{pollfd{signals_.descriptor(), POLLIN, 0}, pollfd{changed ? -1 : inotify_.get(), POLLIN, 0}};
            if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) throw setup_failed("wait for a run", errno);
            if (const auto asked = signals_.take(); asked && !end) {
                end = asked;
                if (!end->from_terminal) ::kill(child, end->number);
            }
            if (changed || end || (waits[1].revents & POLLIN) == 0) continue;
            let_it_settle(inotify_.get());
            changed = read(look(wish_, seen_)) != now;
            if (changed) ::kill(child, SIGINT);
        }
        if (end) return Then::end;
        if (changed) return Then::again;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 130) return Then::end;
        if (!turn.narrowed())
            if (auto covered = told(result.get()); !covered.empty()) covered_ = std::move(covered), judged_ = now;
        return Then::all;
    }

    [[noreturn]] void run_and_exit(const Turn& turn, pid_t parent) {
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (::getppid() != parent) ::_exit(130);
        signals_.give_back();
        inotify_ = Descriptor{};
        int code = 3;
        try {
            code = wish_.run(turn);
        } catch (const UsageError& error) {
            std::cerr << "wmlab: " << error.what() << '\n';
            code = 2;
        } catch (const RulesetRefused& refused) {
            std::cerr << "wmlab: " << refused.what() << '\n';
            code = 2;
        } catch (const std::exception& error) {
            std::cerr << "wmlab: " << error.what() << '\n';
        }
        std::cout << std::flush;
        ::_exit(code);
    }

    const WatchWish& wish_;
    const Signals signals_;
    Seen seen_;
    Descriptor inotify_;
    std::optional<Texts> ran_;                // what the last run was started for
    std::map<std::string, Covered> covered_;  // of the last whole run of all flows
    Texts judged_;                            // and its files
    std::size_t told_ = 0;
};

}  // namespace

bool Turn::wants(const std::string& scenario, const std::string& flow) const {
    if (!narrowed()) return true;
    const auto chosen = only.find(scenario), before = known.find(scenario);
    return (chosen != only.end() && chosen->second.contains(flow)) || before == known.end() || !before->second.contains(flow);
}

void Turn::tell(const std::string& scenario, const Report& report, const std::vector<RuleUse>& uses) const {
    js::array flows, rules;
    for (const auto& flow : report.flows)
        flows.push_back(js::object{{"id", of_text(flow.id)}, {"line", flow.line}, {"as_expected", flow.as_expected}});
    for (const auto& use : uses) {
        js::array needing;
        for (const auto& flow : use.flows) needing.emplace_back(of_text(flow));
        rules.push_back(js::object{{"file", of_text(use.rule.file)}, {"line", use.rule.line}, {"text", of_text(use.rule.text)},
                                   {"chain", of_text(use.rule.chain)}, {"flows", std::move(needing)}});
    }
    const auto line = js::serialize(js::object{{"scenario", of_text(scenario)}, {"flows", std::move(flows)}, {"rules", std::move(rules)}}) + "\n";
    for (std::string_view rest = line; !rest.empty();) {
        const auto size = ::write(result, rest.data(), rest.size());
        if (size <= 0) return;  // without it the next run is of all flows at once
        rest.remove_prefix(static_cast<std::size_t>(size));
    }
}

int watch(const WatchWish& wish) { return Watch{wish}.run(); }

}  // namespace wmlab::lab::commands
