#include "lab/commands/suggested.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "lab/commands/patch_rules.hpp"
#include "lab/host/aside.hpp"
#include "lab/host/interruption.hpp"

namespace wmlab::lab::commands {
namespace {

namespace fs = std::filesystem;

constexpr int rounds_max = 6;                     // one rule may uncover the next: the media leg shows only when control works
constexpr std::chrono::seconds by_turns_max{60};  // rules of a patch are left out by turns: so many as can be in this time
constexpr std::size_t at_a_time = 4;              // of them: trials wait more than they compute

// That all of these files are below.
fs::path common_folder(const std::map<fs::path, std::string>& files) {
    auto folder = files.begin()->first.parent_path();
    const auto below = [&](const auto& file) { return !file.first.lexically_relative(folder).string().starts_with(".."); };
    while (folder.has_relative_path() && !std::ranges::all_of(files, below)) folder = folder.parent_path();
    return folder;
}

class Prover {
public:
    Prover(Report& report, const ScenarioText& text, const Inside& inside, const TrialOptions& options)
        : report_{report}, text_{text}, inside_{inside}, again_{options}, boxes_{rules_of_boxes(text.scenario, options.ruleset)}, copy_{boxes_} {
        again_.keep = nullptr;
        again_.after = nullptr;
        again_.coverage = false;
        again_.journals.clear();
        again_.captures.clear();
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
        for (auto& pieces : more_than_answers(excess) ? narrower_ways() : std::vector<std::vector<PatchRule>>{}) {
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

    bool helps_mended(const PatchRule& piece) const {
        return std::ranges::any_of(piece.flows, [&](const auto& id) { return mended_.contains(id); });
    }

    // What was suggested for others stays away, also from the lists of rules that are kept.
    void keep_rules_of_mended() {
        std::vector<PatchRule> kept;
        std::ranges::copy_if(single_, std::back_inserter(kept), [&](const PatchRule& piece) { return helps_mended(piece); });
        pieces_ = renumbered(merged_pieces(single_), merged_pieces(kept), *scratch_);
    }

    // The same with rules that may open less: of their own instead of wider lists, for the flows' own sources.
    std::vector<std::vector<PatchRule>> narrower_ways() const {
        std::vector<std::vector<PatchRule>> ways;
        if (!as_rules_.empty()) ways.push_back(as_rules_);
        for (const auto* pieces : {&pieces_, &as_rules_})
            if (std::ranges::any_of(*pieces, [](const PatchRule& piece) { return !piece.narrower.empty(); })) ways.push_back(narrowed(*pieces, *scratch_));
        return ways;
    }

    std::vector<Excess> opened_by(const Opened& opened, const std::vector<PatchRule>& pieces) {
        scratch_->write(pieces);
        return opened(*scratch_);
    }

    Report try_flows(const std::vector<PatchRule>& pieces, const std::set<std::string>& flows) {
        scratch_->write(pieces);
        again_.ruleset = scratch_->ruleset();
        again_.flows.clear();
        for (const auto& id : all_)
            if (flows.contains(id)) again_.flows.push_back(id);
        auto text = text_;
        text.scenario = scratch_->with_copies(std::move(text.scenario));
        auto trial = try_scenario(text, inside_, again_);
        if (trial.interrupted) throw Interrupted{};
        return std::move(trial.report);
    }

    // Takes suggestions in until the flows pass or nothing new is suggested; the last report of them.
    Report find_rules() {
        auto last = report_;
        auto open = wanted_;
        std::map<std::string, FlowResult> ends;
        for (int round = 0; round < rounds_max * static_cast<int>(boxes_.size()) && !open.empty(); ++round) {
            auto found = suggested_in(last, *scratch_, open, pieces_, round);
            std::erase_if(found, [&](const PatchRule& piece) {
                return std::ranges::any_of(pieces_, [&](const PatchRule& had) {
                    return had.file == piece.file && had.chain == piece.chain && had.bare == piece.bare && had.line == piece.line;
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
        const auto not_needed = [&](const std::vector<PatchRule>& pieces, std::size_t i) {
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
                    RulesetCopy own{boxes_};
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
        if (std::ranges::any_of(pieces, [](const PatchRule& piece) { return piece.widens.has_value(); })) {
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
    std::vector<PatchRule> widened_pieces() const {
        auto pieces = pieces_;
        auto texts = scratch_->texts();
        std::vector<rules::Source> sources;
        for (const auto& box : boxes_)
            if (!box.ruleset.empty()) sources.push_back(rules::read_source(box.ruleset, rules::read_from_disk, box.view.firewall.include_path));
        std::size_t turn = 0;
        const auto widen = [&](PatchRule& piece) {
            if (!piece.accept || !piece.command.empty() || piece.widens) return false;
            std::vector<std::string_view> all;
            for (const auto& [file, text] : texts) all.push_back(text);
            for (const auto* rule : candidates(piece, sources)) {
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
    std::vector<const rules::Place*> candidates(const PatchRule& piece, const std::vector<rules::Source>& sources) const {
        std::vector<const rules::Place*> found;
        for (const auto& source : sources)
            for (const bool own : {true, false})
                for (const auto& [name, chain] : source.chains)
                    if (chain.certain && (name.text() == piece.chain) == own) add_candidates(piece, name.text(), chain.rules, found);
        return found;
    }

    template <class Rules>
    void add_candidates(const PatchRule& piece, const std::string& chain, const Rules& rules, std::vector<const rules::Place*>& found) const {
        const bool own = chain == piece.chain;
        if (!own && chain.substr(0, chain.rfind(' ')) != piece.chain.substr(0, piece.chain.rfind(' '))) return;
        for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) {
            const auto place = rule->alone ? scratch_->place(rule->file, rule->line) : std::nullopt;
            if (!place || place->first != piece.file) continue;
            if (own ? place->second < piece.line : almost_matched(piece, *place)) found.push_back(&*rule);
        }
    }

    bool almost_matched(const PatchRule& piece, const std::pair<fs::path, unsigned>& place) const {
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
                base = common_folder(scratch_->texts());
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
    const std::vector<BoxRules> boxes_;
    RulesetCopy copy_;
    RulesetCopy* scratch_ = &copy_;
    std::vector<std::string> all_;
    std::set<std::string> wanted_, mended_;
    std::vector<PatchRule> single_;    // as they were suggested, each for its flows
    std::vector<PatchRule> pieces_;    // the same, merged
    std::vector<PatchRule> as_rules_;  // the same without a wider list, where one is wider
};

}  // namespace

void prove_suggestions(Report& report, const ScenarioText& text, const Inside& inside, const TrialOptions& options,
                       const Opened& opened) {
    if (all_open(rules_of_boxes(text.scenario, options.ruleset))) return;
    try {
        Prover{report, text, inside, options}.run(opened);
    } catch (const Interrupted&) {
        report.patch.reset();
        for (auto& flow : report.flows) flow.suggestion_proven = false;
        throw;
    }
}

}  // namespace wmlab::lab::commands
