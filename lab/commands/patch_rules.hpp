// The rules of one change of a user's files: as a run suggests them, merged, in a scratch copy of the files.
#pragma once
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lab/firewall/ruleset_file.hpp"
#include "lab/rules/patch.hpp"
#include "lab/rules/source.hpp"
#include "lab/rules/suggestion.hpp"
#include "lab/rules/widening.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab::commands {

// A rule of the patch.
struct PatchRule {
    std::filesystem::path file;  // the user's
    unsigned line = 0;           // of it, before which the rule goes
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
    bool same_place(const PatchRule& other) const {
        return file == other.file && line == other.line && chain == other.chain && command == other.command && (number() == 0 || round == other.round);
    }
};

// A copy of the firewalls' rulesets and of what they include, in a folder of its own, with a patch's rules in it.
class RulesetCopy {
public:
    explicit RulesetCopy(const std::vector<BoxRules>& boxes);  // SetupFailed
    ~RulesetCopy();
    RulesetCopy(const RulesetCopy&) = delete;
    RulesetCopy& operator=(const RulesetCopy&) = delete;

    // The copy of a single firewall's; empty: there is none.
    std::filesystem::path ruleset() const { return rulesets_.empty() ? std::filesystem::path{} : rulesets_.begin()->second; }
    // The scenario of several firewalls with the copies in the place of their rulesets; of a single one as it is.
    scenario::Scenario with_copies(scenario::Scenario scenario) const;
    const std::map<std::filesystem::path, std::string>& texts() const { return texts_; }  // as the user has them, by absolute path

    // The user's file and line of a place in it or in the copy; nothing: it is not copied.
    std::optional<std::pair<std::filesystem::path, unsigned>> place(const std::filesystem::path& file, unsigned line) const;

    void write(const std::vector<PatchRule>& pieces);
    const std::string& text_of(const std::filesystem::path& file) const { return written_.at(file).text; }  // as written
    std::vector<std::string> lines_of(const PatchRule& piece) const;                                        // iptables may need several

private:
    std::filesystem::path folder_;
    std::map<std::string, std::filesystem::path> rulesets_;  // by firewall
    std::map<std::filesystem::path, std::string> texts_;
    std::map<std::filesystem::path, std::filesystem::path> originals_;  // by copy
    std::map<std::filesystem::path, rules::Patched> written_;
};

// What the report of a round suggests, without what is in the patch already.
std::vector<PatchRule> suggested_in(const Report& report, const RulesetCopy& scratch, const std::set<std::string>& wanted, const std::vector<PatchRule>& had,
                                    int round);

// Rules at one place that say the same of several hosts or ports become one.
std::vector<PatchRule> merged_pieces(const std::vector<PatchRule>& pieces);

// `kept` with the numbers of its commands as they are when only these of `all` go in; in the order in which they do.
std::vector<PatchRule> renumbered(const std::vector<PatchRule>& all, std::vector<PatchRule> kept, const RulesetCopy& scratch);

// Rules for everybody as rules for the flows' sources alone.
std::vector<PatchRule> narrowed(const std::vector<PatchRule>& pieces, const RulesetCopy& scratch);

std::vector<PatchRule> without(const std::vector<PatchRule>& pieces, std::size_t left_out, const RulesetCopy& scratch);

}  // namespace wmlab::lab::commands
