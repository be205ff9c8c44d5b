#include "lab/commands/patch_rules.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>
#include <tuple>

#include "lab/host/error.hpp"
#include "lab/rules/numbering.hpp"

namespace wmlab::lab::commands {
namespace {

namespace fs = std::filesystem;

// Commands that put a rule at a number: the last place first, so that the numbers before it hold.
std::vector<PatchRule> in_order(std::vector<PatchRule> pieces) {
    std::ranges::stable_sort(pieces, [](const PatchRule& a, const PatchRule& b) {
        if (a.round != b.round) return a.round < b.round;
        return a.number() > b.number();
    });
    return pieces;
}

}  // namespace

RulesetCopy::RulesetCopy(const std::vector<BoxRules>& boxes) {
    std::string name = (fs::temp_directory_path() / "wmlab-rules-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw setup_failed("make a folder for the scratch copy of the ruleset", errno);
    folder_ = fs::path{name}.lexically_normal();
    std::map<fs::path, fs::path> folders;  // of the copies, by the rulesets' own
    for (const auto& box : boxes) {
        if (box.ruleset.empty()) continue;
        const auto origin = fs::absolute(box.ruleset).lexically_normal().parent_path();
        const auto folder = folders.emplace(origin, folder_ / std::to_string(folders.size())).first->second;
        for (const auto& file : rules::read_source(fs::absolute(box.ruleset), rules::read_from_disk, box.view.firewall.include_path).files) {
            const auto absolute = fs::absolute(file).lexically_normal();
            const auto inside = absolute.lexically_relative(origin);
            if (inside.empty() || inside.string().starts_with("..")) continue;  // used where it is
            texts_[absolute] = rules::read_from_disk(file).value_or(std::string{});
            originals_[folder / inside] = absolute;
            fs::create_directories((folder / inside).parent_path());
        }
        rulesets_[box.name()] = folder / fs::absolute(box.ruleset).filename();
    }
    write({});
}

scenario::Scenario RulesetCopy::with_copies(scenario::Scenario scenario) const {
    for (auto& box : scenario.firewalls)
        if (const auto copy = rulesets_.find(box.name); copy != rulesets_.end()) box.ruleset = copy->second;
    return scenario;
}

RulesetCopy::~RulesetCopy() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

std::optional<std::pair<fs::path, unsigned>> RulesetCopy::place(const fs::path& file, unsigned line) const {
    auto absolute = fs::absolute(file).lexically_normal();
    const auto original = originals_.find(absolute);
    const bool copy = original != originals_.end();
    if (copy) absolute = original->second;
    if (!texts_.contains(absolute) || line == 0) return std::nullopt;
    const auto found = written_.find(absolute);
    if (copy && found != written_.end()) {
        const auto& lines = found->second.original;
        line = lines[std::min<std::size_t>(line, lines.size()) - 1];
    }
    return std::pair{absolute, line};
}

void RulesetCopy::write(const std::vector<PatchRule>& pieces) {
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
        const auto same = [&](const PatchRule& other) { return other.command == "section" && other.file == piece.file && other.chain == piece.chain; };
        if (!same(piece) || std::ranges::find_if(pieces, same)->bare != piece.bare) continue;  // all of it comes with the first
        std::vector<std::string> rules;
        for (const auto& other : pieces)
            if (same(other)) rules.push_back(other.bare);
        puts[piece.file].push_back({piece.line, rules::section_of(rules, piece.dialect, piece.chain)});
    }
    for (const auto& [file, text] : texts_) {
        auto edited = text;
        for (const auto& [turn, edit] : edits[file]) edited = rules::with_edit(std::move(edited), edit);
        written_[file] = rules::with_rules(edited, puts[file]);
    }
    for (const auto& [copy, file] : originals_) std::ofstream{copy, std::ios::binary | std::ios::trunc} << written_[file].text;
}

std::vector<std::string> RulesetCopy::lines_of(const PatchRule& piece) const {
    std::vector<std::string> bare{piece.bare};
    if (piece.accept) bare = piece.accept->text(piece.dialect, piece.name_of_chain(), rules::names_in(texts_.at(piece.file), piece.line));
    for (auto& line : bare) line = rules::as_command(line, piece.dialect, piece.chain, piece.command);
    return bare;
}

std::vector<PatchRule> suggested_in(const Report& report, const RulesetCopy& scratch, const std::set<std::string>& wanted, const std::vector<PatchRule>& had,
                                    int round) {
    std::vector<PatchRule> pieces;
    for (const auto& flow : report.flows) {
        if (!wanted.contains(flow.id)) continue;
        for (const auto& suggestion : flow.suggestions) {
            const auto place = scratch.place(suggestion.file, suggestion.line);
            if (!place) continue;
            PatchRule piece;
            std::tie(piece.file, piece.line) = *place;
            piece.dialect = suggestion.dialect == "iptables" ? rules::Dialect::iptables : rules::Dialect::nft;
            piece.chain = suggestion.chain, piece.command = suggestion.command, piece.bare = suggestion.bare;
            piece.accept = rules::AcceptRule::from(piece.bare, piece.dialect);
            piece.round = round;
            // In a table that an earlier round has added.
            const auto added =
                std::ranges::find_if(had, [&](const PatchRule& p) { return p.command == "section" && p.file == piece.file && p.chain == piece.chain; });
            if (added != had.end()) piece.command = "section", piece.line = added->line;
            const auto same = std::ranges::find_if(pieces, [&](const PatchRule& p) { return p.same_place(piece) && p.bare == piece.bare; });
            auto& kept = same == pieces.end() ? pieces.emplace_back(std::move(piece)) : *same;
            kept.flows.insert(flow.id);
            if (!suggestion.narrower.empty()) kept.narrower.insert(suggestion.narrower);
        }
    }
    return pieces;
}

std::vector<PatchRule> merged_pieces(const std::vector<PatchRule>& pieces) {
    std::vector<PatchRule> out;
    std::vector<bool> done(pieces.size());
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        if (done[i]) continue;
        if (!pieces[i].accept) {
            const auto same = std::ranges::find_if(out, [&](const PatchRule& p) { return p.same_place(pieces[i]) && p.bare == pieces[i].bare; });
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

std::vector<PatchRule> renumbered(const std::vector<PatchRule>& all, std::vector<PatchRule> kept, const RulesetCopy& scratch) {
    const auto place_of = [](const PatchRule& piece) { return std::pair{piece.round, piece.behind()}; };
    std::map<std::pair<fs::path, std::string>, std::map<std::pair<int, std::size_t>, rules::Inserted>> chains;
    const auto count = [&](const std::vector<PatchRule>& pieces, std::size_t rules::Inserted::*rules) {
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

std::vector<PatchRule> narrowed(const std::vector<PatchRule>& pieces, const RulesetCopy& scratch) {
    std::vector<PatchRule> narrow;
    for (const auto& piece : pieces) {
        if (piece.narrower.empty()) narrow.push_back(piece);
        for (const auto& bare : piece.narrower) {
            narrow.push_back(piece);
            narrow.back().bare = bare;
        }
    }
    return renumbered(pieces, std::move(narrow), scratch);
}

std::vector<PatchRule> without(const std::vector<PatchRule>& pieces, std::size_t left_out, const RulesetCopy& scratch) {
    auto rest = pieces;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(left_out));
    return renumbered(pieces, std::move(rest), scratch);
}

}  // namespace wmlab::lab::commands
