#include "lab/commands/suggested.hpp"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "lab/host/descriptor.hpp"
#include "lab/host/error.hpp"
#include "lab/host/interruption.hpp"
#include "lab/rules/numbering.hpp"
#include "lab/rules/patch.hpp"
#include "lab/rules/suggestion.hpp"
#include "lab/rules/widening.hpp"

namespace wmlab::lab::commands {
namespace {

namespace fs = std::filesystem;

constexpr int rounds_max = 6;                     // one rule may uncover the next: the media leg shows only when control works
constexpr std::chrono::seconds by_turns_max{60};  // rules of a patch are left out by turns: so many as can be in this time
constexpr std::size_t at_a_time = 4;              // of them: trials wait more than they compute

// A rule of the patch.
struct Piece {
    fs::path file;      // the user's
    unsigned line = 0;  // of it, before which the rule goes
    rules::Dialect dialect = rules::Dialect::nft;
    std::string chain, command, bare;
    std::optional<rules::AcceptRule> accept;  // the same as `bare`, where it says only who may send what to whom
    std::optional<rules::TextEdit> widens;    // of the file, after those made before: instead of the rule, a value more in another's list
    std::size_t turn = 0;                     // of `widens`
    std::set<std::string> flows;
    std::set<std::string> narrower;  // what may stand for `bare` where that opens too much
    int round = 0;

    std::size_t number() const {  // of `insert 3`
        const auto blank = command.find(' ');
        return blank == std::string::npos ? 0 : std::stoul(command.substr(blank + 1));
    }
    // So many rules of its chain: nft counts them from 0, iptables from 1.
    std::size_t behind() const { return dialect == rules::Dialect::iptables && number() > 0 ? number() - 1 : number(); }
    void insert_behind(std::size_t rules) {
        command = rules == 0 ? "insert" : "insert " + std::to_string(dialect == rules::Dialect::iptables ? rules + 1 : rules);
    }
    std::string name_of_chain() const { return chain.substr(chain.rfind(' ') + 1); }
    bool same_place(const Piece& other) const {
        return file == other.file && line == other.line && chain == other.chain && command == other.command &&
               (number() == 0 || round == other.round);
    }
};

// Commands that put a rule at a number: the last place first, so that the numbers before it hold.
std::vector<Piece> in_order(std::vector<Piece> pieces) {
    std::ranges::stable_sort(pieces, [](const Piece& a, const Piece& b) {
        if (a.round != b.round) return a.round < b.round;
        return a.number() > b.number();
    });
    return pieces;
}

// A copy of the ruleset and of what it includes, in a folder of its own, with a patch's rules in it.
class RulesetCopy {
public:
    RulesetCopy(const fs::path& ruleset, const rules::IncludePath& include_path)
        : origin_{fs::absolute(ruleset).lexically_normal().parent_path()} {
        std::string name = (fs::temp_directory_path() / "wmlab-rules-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw setup_failed("make a folder for the scratch copy of the ruleset", errno);
        folder_ = name;
        for (const auto& file : rules::read_source(fs::absolute(ruleset), rules::read_from_disk, include_path).files) {
            const auto absolute = fs::absolute(file).lexically_normal();
            const auto inside = absolute.lexically_relative(origin_);
            if (inside.empty() || inside.string().starts_with("..")) continue;  // used where it is
            texts_[absolute] = rules::read_from_disk(file).value_or(std::string{});
            fs::create_directories((folder_ / inside).parent_path());
        }
        ruleset_ = folder_ / fs::absolute(ruleset).filename();
        write({});
    }
    ~RulesetCopy() {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }
    RulesetCopy(const RulesetCopy&) = delete;
    RulesetCopy& operator=(const RulesetCopy&) = delete;

    const fs::path& ruleset() const { return ruleset_; }
    const std::map<fs::path, std::string>& texts() const { return texts_; }  // as the user has them, by absolute path

    // The user's file and line of a place in it or in the copy; nothing: it is not copied.
    std::optional<std::pair<fs::path, unsigned>> place(const fs::path& file, unsigned line) const {
        auto absolute = fs::absolute(file).lexically_normal();
        const auto inside = absolute.lexically_relative(folder_);
        const bool copy = !inside.empty() && !inside.string().starts_with("..");
        if (copy) absolute = (origin_ / inside).lexically_normal();
        if (!texts_.contains(absolute) || line == 0) return std::nullopt;
        const auto found = written_.find(absolute);
        if (copy && found != written_.end()) {
            const auto& original = found->second.original;
            line = original[std::min<std::size_t>(line, original.size()) - 1];
        }
        return std::pair{absolute, line};
    }

    void write(const std::vector<Piece>& pieces) {
        std::map<fs::path, std::vector<rules::Put>> puts;
        std::map<fs::path, std::map<std::size_t, rules::TextEdit>> edits;  // by turn
        for (const auto& piece : in_order(pieces)) {
            if (piece.widens) {
                edits[piece.file].emplace(piece.turn, *piece.widens);
                continue;
            }
            if (piece.command != "section") {
                for (const auto& rule : lines_of(piece)) puts[piece.file].push_back({piece.line, rule});
                continue;
            }
            const auto same = [&](const Piece& other) {
                return other.command == "section" && other.chain == piece.chain;
            };
            if (!same(piece) || std::ranges::find_if(pieces, same)->bare != piece.bare)
                continue;  // all of it comes with the first
            std::vector<std::string> rules;
            for (const auto& other : pieces)
                if (same(other)) rules.push_back(other.bare);
            puts[piece.file].push_back({piece.line, rules::section_of(rules, piece.dialect, piece.chain)});
        }
        for (const auto& [file, text] : texts_) {
            auto edited = text;
            for (const auto& [turn, edit] : edits[file]) edited = rules::with_edit(std::move(edited), edit);
            written_[file] = rules::with_rules(edited, puts[file]);
            std::ofstream{folder_ / file.lexically_relative(origin_), std::ios::binary | std::ios::trunc}
                << written_[file].text;
        }
    }

    const std::string& text_of(const fs::path& file) const { return written_.at(file).text; }

    std::vector<std::string> lines_of(const Piece& piece) const {
        std::vector<std::string> bare{piece.bare};
        if (piece.accept)
            bare = piece.accept->text(piece.dialect, piece.name_of_chain(),
                                      rules::names_in(texts_.at(piece.file), piece.line));
        for (auto& line : bare) line = rules::as_command(line, piece.dialect, piece.chain, piece.command);
        return bare;
    }

private:
    fs::path origin_, folder_, ruleset_;
    std::map<fs::path, std::string> texts_;
    std::map<fs::path, rules::Patched> written_;
};

// What the report of a round suggests, without what is in the patch already.
std::vector<Piece> suggested_in(const Report& report, const RulesetCopy& scratch, const std::set<std::string>& wanted,
                                const std::vector<Piece>& had, int round) {
    std::vector<Piece> pieces;
    for (const auto& flow : report.flows) {
        if (!wanted.contains(flow.id)) continue;
        for (const auto& suggestion : flow.suggestions) {
            const auto place = scratch.place(suggestion.file, suggestion.line);
            if (!place) continue;
            Piece piece;
            std::tie(piece.file, piece.line) = *place;
            piece.dialect = suggestion.dialect == "iptables" ? rules::Dialect::iptables : rules::Dialect::nft;
            piece.chain = suggestion.chain, piece.command = suggestion.command, piece.bare = suggestion.bare;
            piece.accept = rules::AcceptRule::from(piece.bare, piece.dialect);
            piece.round = round;
            // In a table that an earlier round has added.
            const auto added = std::ranges::find_if(
                had, [&](const Piece& p) { return p.command == "section" && p.chain == piece.chain; });
            if (added != had.end()) piece.command = "section", piece.line = added->line;
            const auto same = std::ranges::find_if(
                pieces, [&](const Piece& p) { return p.same_place(piece) && p.bare == piece.bare; });
            auto& kept = same == pieces.end() ? pieces.emplace_back(std::move(piece)) : *same;
            kept.flows.insert(flow.id);
            if (!suggestion.narrower.empty()) kept.narrower.insert(suggestion.narrower);
        }
    }
    return pieces;
}

// Rules at one place that say the same of several hosts or ports become one.
std::vector<Piece> merged_pieces(const std::vector<Piece>& pieces) {
    std::vector<Piece> out;
    std::vector<bool> done(pieces.size());
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        if (done[i]) continue;
        if (!pieces[i].accept) {
            const auto same = std::ranges::find_if(
                out, [&](const Piece& p) { return p.same_place(pieces[i]) && p.bare == pieces[i].bare; });
            if (same == out.end()) {
                out.push_back(pieces[i]);
                continue;
            }
            same->flows.insert(pieces[i].flows.begin(), pieces[i].flows.end());
            same->narrower.insert(pieces[i].narrower.begin(), pieces[i].narrower.end());
            continue;
        }
        std::vector<std::size_t> together;
        std::vector<rules::AcceptRule> accepts;
        for (auto j = i; j < pieces.size(); ++j)
            if (!done[j] && pieces[j].accept && pieces[j].same_place(pieces[i])) {
                together.push_back(j);
                accepts.push_back(*pieces[j].accept);
                done[j] = true;
            }
        for (auto& rule : rules::merged(accepts)) {
            auto piece = pieces[i];
            piece.flows.clear();
            for (const auto j : together)  // those whose rule went into this one
                if (rule.covers(*pieces[j].accept)) piece.flows.insert(pieces[j].flows.begin(), pieces[j].flows.end());
            piece.accept = std::move(rule);
            piece.bare = piece.accept->text(piece.dialect, piece.name_of_chain()).front();
            out.push_back(std::move(piece));
        }
    }
    return out;
}

// `kept` with the numbers of its commands as they are when only these of `all` go in; in the order in which they do.
std::vector<Piece> renumbered(const std::vector<Piece>& all, std::vector<Piece> kept, const RulesetCopy& scratch) {
    const auto place_of = [](const Piece& piece) { return std::pair{piece.round, piece.behind()}; };
    std::map<std::pair<fs::path, std::string>, std::map<std::pair<int, std::size_t>, rules::Inserted>> chains;
    const auto count = [&](const std::vector<Piece>& pieces, std::size_t rules::Inserted::*rules) {
        for (const auto& piece : pieces)
            if (piece.command.starts_with("insert")) {
                auto& place = chains[{piece.file, piece.chain}][place_of(piece)];
                place.round = piece.round, place.behind = piece.behind();
                place.*rules += scratch.lines_of(piece).size();
            }
    };
    count(all, &rules::Inserted::had);
    count(kept, &rules::Inserted::has);
    kept = in_order(std::move(kept));
    for (auto& [chain, places] : chains) {
        std::vector<rules::Inserted> insertions;
        for (const auto& [place, inserted] : places) insertions.push_back(inserted);
        const auto numbers = rules::renumbered(insertions);
        for (auto& piece : kept)
            if (piece.command.starts_with("insert") && chain == std::pair{piece.file, piece.chain})
                for (std::size_t i = 0; auto& [place, inserted] : places) {
                    if (place == place_of(piece)) {
                        piece.insert_behind(numbers[i]);
                        break;
                    }
                    ++i;
                }
    }
    return kept;
}

// Rules for everybody as rules for the flows' sources alone.
std::vector<Piece> narrowed(const std::vector<Piece>& pieces, const RulesetCopy& scratch) {
    std::vector<Piece> narrow;
    for (const auto& piece : pieces) {
        if (piece.narrower.empty()) narrow.push_back(piece);
        for (const auto& bare : piece.narrower) {
            narrow.push_back(piece);
            narrow.back().bare = bare;
        }
    }
    return renumbered(pieces, std::move(narrow), scratch);
}

std::vector<Piece> without(const std::vector<Piece>& pieces, std::size_t left_out, const RulesetCopy& scratch) {
    auto rest = pieces;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(left_out));
    return renumbered(pieces, std::move(rest), scratch);
}

// Something that is tried in a process of its own, with labs of its own.
class Aside {
public:
    // `trial` says whether it went well. SetupFailed.
    explicit Aside(const std::function<bool()>& trial) : process_{::fork()} {
        if (process_ < 0) throw setup_failed("start a process to try a rule", errno);
        if (process_ > 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        int code = broke;
        try {
            Interruptions::note();
            code = trial() ? 0 : 1;
        } catch (...) {  // said where the same is tried without a process of its own
        }
        ::_exit(code);
    }
    Aside(Aside&& other) noexcept : process_{std::exchange(other.process_, -1)} {}
    ~Aside() { result(); }
    Aside& operator=(Aside&&) = delete;

    // Waits for it; who wants an end ends it, too. Nothing: it came to no end.
    std::optional<bool> result() {
        int status = broke << 8;
        if (process_ <= 0) return std::nullopt;
        const auto process = std::exchange(process_, -1);
        const Descriptor over{static_cast<int>(::syscall(SYS_pidfd_open, process, 0))};
        std::array<pollfd, 2> waits{pollfd{over.get(), POLLIN, 0}, pollfd{Interruptions::descriptor(), POLLIN, 0}};
        while (over && Interruptions::unanswered() == 0 && waits[0].revents == 0) ::poll(waits.data(), waits.size(), -1);
        if (Interruptions::unanswered() > 0) ::kill(process, SIGTERM);
        while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) == broke) return std::nullopt;
        return WEXITSTATUS(status) == 0;
    }

private:
    static constexpr int broke = 2;
    pid_t process_;
};

class Proof {
public:
    Proof(Report& report, const ScenarioText& text, const Inside& inside, const TrialOptions& options)
        : report_{report},
          text_{text},
          inside_{inside},
          again_{options},
          copy_{options.ruleset, text.scenario.firewall.include_path},
          origin_{options.ruleset} {
        again_.keep = nullptr;
        again_.after = nullptr;
        again_.coverage = false;
        again_.journals.clear();
        again_.captures.clear();
        again_.ruleset = copy_.ruleset();
        all_ = options.flows;
        if (all_.empty())
            for (const auto& flow : report.flows) all_.push_back(flow.id);
    }

    void run(const Opened& opened) {
        auto& patch = report_.patch.emplace();
        for (const auto& flow : report_.flows)
            if (!flow.suggestions.empty()) wanted_.insert(flow.id);
        if (wanted_.empty()) return;
        leave_what_passes_anyway(patch);
        const auto last = find_rules();
        for (const auto& id : wanted_)
            if (passed(last, id)) mended_.insert(id);
        prove_together(patch);
        patch.flows.assign(mended_.begin(), mended_.end());
        for (auto& flow : report_.flows)
            if (!flow.suggestions.empty()) flow.suggestion_proven = mended_.contains(flow.id);
        for (const auto& id : wanted_)
            if (!mended_.contains(id)) patch.notes.push_back(id + " does not pass with what was suggested: no rule was kept for it");
        if (opened && patch.proven) open_nothing_else(opened, patch);
        write_diff(patch);
    }

private:
    static bool passed(const Report& report, const std::string& id) {
        const auto flow = std::ranges::find(report.flows, id, &FlowResult::id);
        return flow != report.flows.end() && flow->as_expected;
    }

    // The control: what passes now without any change owes nothing to a rule.
    void leave_what_passes_anyway(Patch& patch) {
        const auto control = try_flows({}, wanted_);
        for (const auto& flow : control.flows)
            if (flow.as_expected && wanted_.erase(flow.id) > 0)
                patch.notes.push_back(flow.id +
                                      " passes without any change when it is tried again, without the flows that are as expected: no rule is credited with it");
    }

    // As few rules as are needed, and the whole with all flows. Rules of those that do not pass so are taken out again, which may be what others passed by.
    void prove_together(Patch& patch) {
        patch.proven = !mended_.empty();
        for (auto failed = true; failed && !mended_.empty();) {
            failed = false;
            keep_rules_of_mended();
            leave_out_by_turns();
            const auto whole = widen_rules();
            for (const auto& id : std::set<std::string>{mended_})
                if (!passed(whole, id)) {
                    failed = true;
                    mended_.erase(id);
                    patch.proven = false;
                    patch.notes.push_back(id + " passes with these rules by itself, and not beside the other flows");
                }
            if (failed) continue;
            for (const auto& flow : report_.flows)
                if (flow.as_expected && !passed(whole, flow.id)) {
                    patch.proven = false;
                    patch.notes.push_back(flow.id + " is no longer as expected with these rules");
                }
        }
        if (mended_.empty()) pieces_.clear();
    }

    void open_nothing_else(const Opened& opened, Patch& patch) {
        auto excess = opened_by(opened, pieces_);
        const auto more_than_answers = [](const std::vector<Excess>& all) { return !std::ranges::all_of(all, &Excess::answers); };
        for (auto& pieces : more_than_answers(excess) ? narrower_ways() : std::vector<std::vector<Piece>>{}) {
            auto less = opened_by(opened, pieces);
            if (more_than_answers(less) || !good(try_flows(pieces, {all_.begin(), all_.end()}))) continue;
            excess = std::move(less), pieces_ = std::move(pieces);
            break;
        }
        for (auto& one : excess) {
            patch.proven = patch.proven && one.answers;
            patch.notes.push_back(std::move(one.words));
        }
    }

    bool helps_mended(const Piece& piece) const {
        return std::ranges::any_of(piece.flows, [&](const auto& id) { return mended_.contains(id); });
    }

    // What was suggested for others stays away, also from the lists of rules that are kept.
    void keep_rules_of_mended() {
        std::vector<Piece> kept;
        std::ranges::copy_if(single_, std::back_inserter(kept), [&](const Piece& piece) { return helps_mended(piece); });
        pieces_ = renumbered(merged_pieces(single_), merged_pieces(kept), *scratch_);
    }

    // The same with rules that may open less: of their own instead of wider lists, for the flows' own sources.
    std::vector<std::vector<Piece>> narrower_ways() const {
        std::vector<std::vector<Piece>> ways;
        if (!as_rules_.empty()) ways.push_back(as_rules_);
        for (const auto* pieces : {&pieces_, &as_rules_})
            if (std::ranges::any_of(*pieces, [](const Piece& piece) { return !piece.narrower.empty(); })) ways.push_back(narrowed(*pieces, *scratch_));
        return ways;
    }

    std::vector<Excess> opened_by(const Opened& opened, const std::vector<Piece>& pieces) {
        scratch_->write(pieces);
        return opened(origin_, scratch_->ruleset());
    }

    Report try_flows(const std::vector<Piece>& pieces, const std::set<std::string>& flows) {
        scratch_->write(pieces);
        again_.ruleset = scratch_->ruleset();
        again_.flows.clear();
        for (const auto& id : all_)
            if (flows.contains(id)) again_.flows.push_back(id);
        auto trial = try_scenario(text_, inside_, again_);
        if (trial.interrupted) throw Interrupted{};
        return std::move(trial.report);
    }

    // Takes suggestions in until the flows pass or nothing new is suggested; the last report of them.
    Report find_rules() {
        auto last = report_;
        auto open = wanted_;
        std::map<std::string, FlowResult> ends;
        for (int round = 0; round < rounds_max && !open.empty(); ++round) {
            auto found = suggested_in(last, *scratch_, open, pieces_, round);
            std::erase_if(found, [&](const Piece& piece) {
                return std::ranges::any_of(pieces_, [&](const Piece& had) {
                    return had.chain == piece.chain && had.bare == piece.bare && had.line == piece.line;
                });
            });
            if (found.empty()) break;
            single_.insert(single_.end(), found.begin(), found.end());
            pieces_ = merged_pieces(single_);
            last = try_flows(pieces_, open);
            for (const auto& flow : last.flows) {
                ends[flow.id] = flow;
                if (flow.as_expected || flow.suggestions.empty()) open.erase(flow.id);
            }
        }
        Report all;
        for (auto& [id, flow] : ends) all.flows.push_back(std::move(flow));
        return all;
    }

    void leave_out_by_turns() {
        if (pieces_.size() < 2) return;  // the control has shown it
        const auto not_needed = [&](const std::vector<Piece>& pieces, std::size_t i) {
            std::set<std::string> flows;
            for (const auto& id : pieces[i].flows)
                if (mended_.contains(id)) flows.insert(id);
            again_.control = expect_less_than_pass(flows);  // else it is enough that a flow does not pass
            const auto done = try_flows(without(pieces, i, *scratch_), flows);
            again_.control = true;
            return std::ranges::all_of(flows, [&](const auto& id) { return passed(done, id); });
        };
        // Each by itself, several labs at a time; those that were not needed then one after the other, because without
        // one of them another may be.
        const auto until = std::chrono::steady_clock::now() + by_turns_max;
        std::vector<std::size_t> spare;
        for (std::size_t i = 0; i < pieces_.size(); i += at_a_time) {
            if (std::chrono::steady_clock::now() > until) {
                report_.patch->notes.push_back(
                    fmt::format("{} rules: only the first {} were left out by turns, for all of them that takes more than {} seconds", pieces_.size(), i,
                                by_turns_max.count()));
                break;
            }
            std::vector<Aside> trials;
            for (auto j = i; j < std::min(i + at_a_time, pieces_.size()); ++j)
                trials.emplace_back([&, j] {
                    RulesetCopy own{origin_, text_.scenario.firewall.include_path};
                    scratch_ = &own;
                    return not_needed(pieces_, j);
                });
            for (std::size_t j = 0; j < trials.size(); ++j) {
                auto spared = trials[j].result();
                if (!spared) spared = not_needed(pieces_, i + j);
                if (spared == true) spare.push_back(i + j);
            }
        }
        bool first = true;
        for (auto i = spare.rbegin(); i != spare.rend(); ++i) {
            if (first || not_needed(pieces_, *i)) pieces_ = without(pieces_, *i, *scratch_);
            first = false;
        }
    }

    bool expect_less_than_pass(const std::set<std::string>& flows) const {
        return std::ranges::any_of(
            report_.flows, [&](const FlowResult& flow) { return flows.contains(flow.id) && flow.expected.verdict.value_or(Verdict::pass) != Verdict::pass; });
    }

    // Where a rule of the user's lets just the rest through, its list gets one more value: what comes through is the same. The
    // report of all flows.
    Report widen_rules() {
        const std::set<std::string> all{all_.begin(), all_.end()};
        auto pieces = widened_pieces();
        if (std::ranges::any_of(pieces, [](const Piece& piece) { return piece.widens.has_value(); })) {
            auto whole = try_flows(pieces, all);
            if (good(whole)) {
                as_rules_ = std::exchange(pieces_, std::move(pieces));
                return whole;
            }
        }
        return try_flows(pieces_, all);
    }

    bool good(const Report& whole) const {
        return std::ranges::all_of(mended_, [&](const auto& id) { return passed(whole, id); }) &&
               std::ranges::all_of(report_.flows, [&](const auto& flow) { return !flow.as_expected || passed(whole, flow.id); });
    }

    // Each list that gets a value may make its rule the one that another value makes right: one after the other, until none is found.
    std::vector<Piece> widened_pieces() const {
        auto pieces = pieces_;
        auto texts = scratch_->texts();
        const auto source = rules::read_source(origin_, rules::read_from_disk, text_.scenario.firewall.include_path);
        std::size_t turn = 0;
        const auto widen = [&](Piece& piece) {
            if (!piece.accept || !piece.command.empty() || piece.widens) return false;
            std::vector<std::string_view> all;
            for (const auto& [file, text] : texts) all.push_back(text);
            for (const auto* rule : candidates(piece, source)) {
                const auto place = *scratch_->place(rule->file, rule->line);
                piece.widens = rules::widened(texts.at(piece.file), place.second, *piece.accept, piece.dialect, all, almost_matched(piece, place));
                if (!piece.widens) continue;
                piece.turn = ++turn;
                texts.at(piece.file) = rules::with_edit(std::move(texts.at(piece.file)), *piece.widens);
                return true;
            }
            return false;
        };
        for (bool found = true; found;) {
            found = false;
            for (auto& piece : pieces) found = widen(piece) || found;
        }
        return pieces;
    }

    // The rules whose lists may get what the piece lets through: those before it in its chain, the nearest first, and those of other chains of
    // its table that almost matched its flows.
    std::vector<const rules::Place*> candidates(const Piece& piece, const rules::Source& source) const {
        std::vector<const rules::Place*> found;
        for (const bool own : {true, false})
            for (const auto& [name, chain] : source.chains) {
                if (!chain.certain || (name.text() == piece.chain) != own) continue;
                if (!own && name.text().substr(0, name.text().rfind(' ')) != piece.chain.substr(0, piece.chain.rfind(' '))) continue;
                for (auto rule = chain.rules.rbegin(); rule != chain.rules.rend(); ++rule) {
                    const auto place = rule->alone ? scratch_->place(rule->file, rule->line) : std::nullopt;
                    if (!place || place->first != piece.file) continue;
                    if (own ? place->second < piece.line : almost_matched(piece, *place)) found.push_back(&*rule);
                }
            }
        return found;
    }

    bool almost_matched(const Piece& piece, const std::pair<fs::path, unsigned>& place) const {
        return std::ranges::any_of(report_.flows, [&](const FlowResult& flow) {
            return piece.flows.contains(flow.id) && flow.near_miss && scratch_->place(flow.near_miss->rule.file, flow.near_miss->rule.line) == place;
        });
    }

    void write_diff(Patch& patch) {
        scratch_->write(pieces_);
        // patch(1) takes no file outside of the folder it runs in.
        auto base = fs::current_path();
        const auto outside = [&](const fs::path& file) {
            return file.lexically_relative(base).string().starts_with("..");
        };
        for (const auto& [file, text] : scratch_->texts())
            if (outside(file)) {
                base = fs::absolute(origin_).lexically_normal().parent_path();
                patch.directory = base.string();
                break;
            }
        for (const auto& [file, text] : scratch_->texts())
            patch.diff += rules::unified_diff(file.lexically_relative(base).string(), text, scratch_->text_of(file));
        patch.rules = static_cast<unsigned>(pieces_.size());
    }

    Report& report_;
    const ScenarioText& text_;
    const Inside& inside_;
    TrialOptions again_;
    RulesetCopy copy_;
    RulesetCopy* scratch_ = &copy_;
    fs::path origin_;
    std::vector<std::string> all_;
    std::set<std::string> wanted_, mended_;
    std::vector<Piece> single_;    // as they were suggested, each for its flows
    std::vector<Piece> pieces_;    // the same, merged
    std::vector<Piece> as_rules_;  // the same without a wider list, where one is wider
};

}  // namespace

void prove_suggestions(Report& report, const ScenarioText& text, const Inside& inside, const TrialOptions& options,
                       const Opened& opened) {
    if (options.ruleset.empty()) return;
    try {
        Proof{report, text, inside, options}.run(opened);
    } catch (const Interrupted&) {
        report.patch.reset();
        for (auto& flow : report.flows) flow.suggestion_proven = false;
        throw;
    }
}

}  // namespace wmlab::lab::commands
