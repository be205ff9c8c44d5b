#include "lab/rules/widening.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>

namespace wmlab::lab::rules {
namespace {

constexpr unsigned lines_max = 200;  // of a rule with lists

enum class Part { sources, destinations, ports };

struct Token {
    std::string_view word;
    std::size_t offset = 0;  // in the text
    std::size_t end() const { return offset + word.size(); }
};

bool blank(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool in_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.' || c == '/' || c == '\\'; }

// Words, quoted texts, and braces and commas by themselves; without comments.
std::vector<Token> tokens_of(std::string_view text, std::size_t from, std::size_t to) {
    std::vector<Token> tokens;
    for (auto at = from; at < to;) {
        if (blank(text[at])) {
            ++at;
            continue;
        }
        if (text[at] == '#') {
            at = std::min(text.find('\n', at), to);
            continue;
        }
        auto end = at + 1;
        if (text[at] == '"') {
            while (end < to && text[end] != '"') ++end;
            end = std::min(end + 1, to);
        } else if (std::string_view{"{},;"}.find(text[at]) == std::string_view::npos) {
            while (end < to && !blank(text[end]) && std::string_view{"{},;\"#"}.find(text[end]) == std::string_view::npos) ++end;
        }
        tokens.push_back({text.substr(at, end - at), at});
        at = end;
    }
    return tokens;
}

std::pair<std::size_t, std::size_t> line_at(std::string_view text, unsigned line) {
    std::size_t from = 0;
    for (unsigned number = 1; number < line; ++number) {
        from = text.find('\n', from);
        if (from == std::string_view::npos) return {text.size(), text.size()};
        ++from;
    }
    return {from, std::min(text.find('\n', from), text.size())};
}

// The words of the rule on this line, and of those behind it as far as a list of its goes on.
std::vector<Token> rule_at(std::string_view text, unsigned line, Dialect dialect) {
    for (auto last = line;; ++last) {
        const auto to = line_at(text, last).second;
        auto tokens = tokens_of(text, line_at(text, line).first, to);
        const auto open = std::ranges::count(tokens, "{", &Token::word) - std::ranges::count(tokens, "}", &Token::word);
        if (open <= 0 || to >= text.size() || last - line > lines_max || dialect == Dialect::iptables) return tokens;
    }
}

// Where a word stands by itself: "@hosts", not "@hosts2".
std::vector<std::size_t> mentions(std::string_view text, std::string_view word) {
    std::vector<std::size_t> all;
    for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
        const auto end = at + word.size();
        const bool before = at > 0 && (in_name(text[at - 1]) || text[at - 1] == '@' || text[at - 1] == '$');
        if (!before && (end == text.size() || !in_name(text[end]))) all.push_back(at);
    }
    return all;
}

struct List {  // what is between braces
    std::size_t from = 0, to = 0;
};

std::optional<List> braces_at(std::string_view text, std::size_t at) {
    while (at < text.size() && blank(text[at])) ++at;
    if (at >= text.size() || text[at] != '{') return std::nullopt;
    for (auto end = text.find_first_of("{}#\"", at + 1); end != std::string_view::npos; end = text.find_first_of("{}#\"", end)) {
        if (text[end] == '}') return List{at + 1, end};
        if (text[end] != '#') return std::nullopt;  // something within that is no value
        end = text.find('\n', end);
        if (end == std::string_view::npos) break;
    }
    return std::nullopt;
}

struct Definition {
    List list;
    bool intervals = true;  // it takes ranges and networks
};

// The values of a named list: `set hosts { ... elements = { ... } }`, `define HOSTS = { ... }`. Nothing: it is not made so, or twice,
// or takes no value more.
std::optional<Definition> definition_of(std::string_view text, std::string_view reference) {
    const std::string name{reference.substr(1)};
    const bool set = reference.front() == '@';
    auto places = mentions(text, set ? "set " + name : "define " + name);
    std::erase_if(places, [&](std::size_t place) {  // in a comment
        const auto newline = place == 0 ? std::string_view::npos : text.rfind('\n', place - 1);
        const auto begin = newline == std::string_view::npos ? 0 : newline + 1;
        return text.substr(begin, place - begin).find('#') != std::string_view::npos;
    });
    if (places.size() != 1) return std::nullopt;
    const auto behind_name = places[0] + (set ? 4 : 7) + name.size();
    if (!set) {
        const auto equals = text.find_first_not_of(" \t", behind_name);
        const auto list = equals != std::string_view::npos && text[equals] == '=' ? braces_at(text, equals + 1) : std::nullopt;
        return list ? std::optional{Definition{*list}} : std::nullopt;
    }
    Definition definition;
    const auto tokens = tokens_of(text, behind_name, text.size());
    if (tokens.empty() || tokens[0].word != "{") return std::nullopt;
    definition.intervals = false;
    bool elements = false;
    for (std::size_t i = 1; i < tokens.size(); ++i) {
        const auto word = tokens[i].word;
        if (word == "}") return elements ? std::optional{definition} : std::nullopt;
        definition.intervals = definition.intervals || word == "interval";
        // It may be full, or lose its values, or get others from packets.
        if (word == "size" || word == "timeout" || word == "dynamic" || word == "{") return std::nullopt;
        if (word != "elements") continue;
        const auto list = i + 2 < tokens.size() && tokens[i + 1].word == "=" ? braces_at(text, tokens[i + 2].offset) : std::nullopt;
        if (!list || elements) return std::nullopt;
        elements = true;
        definition.list = *list;
        while (i < tokens.size() && tokens[i].offset < list->to) ++i;  // on the brace behind it
    }
    return std::nullopt;
}

// One rule as AcceptRule::from() reads it, and where its lists stand.
struct Reading {
    AcceptRule rule;
    struct Operand {
        std::optional<List> list;  // empty: one value
        Token value, keyword;      // of one value
        bool own = true;           // false: of a definition
        bool intervals = true;     // it takes ranges and networks
        std::string reference;
    };
    std::map<Part, Operand> operands;
};

class NftReader {
public:
    NftReader(std::string_view text, std::vector<Token> tokens, const AcceptRule::Names& names) : text_{text}, tokens_{std::move(tokens)} {
        for (const auto& [value, name] : names) values_.emplace(name, value);
    }

    std::optional<Reading> read() {
        for (at_ = 0; at_ < tokens_.size(); ++at_) {
            const auto word = tokens_[at_].word;
            if (word == ";" && at_ + 1 == tokens_.size()) break;
            if (skipped()) continue;
            if (word == "saddr")
                operand(Part::sources);
            else if (word == "daddr")
                operand(Part::destinations);
            else if (word == "sport" || word == "dport")
                operand(Part::ports);
            else
                normal_ += std::string{value_of(word)} + " ";
            if (failed_) return std::nullopt;
        }
        const auto rule = AcceptRule::from(normal_, Dialect::nft);
        if (!rule) return std::nullopt;
        reading_.rule = *rule;
        return reading_;
    }

private:
    std::string_view next(std::size_t ahead = 1) const { return at_ + ahead < tokens_.size() ? tokens_[at_ + ahead].word : std::string_view{}; }

    // What asks no packet for anything, or for what every packet that opens a connection is.
    bool skipped() {
        const auto word = tokens_[at_].word;
        if (word == "counter") {
            if (next() == "packets" && next(3) == "bytes") at_ += 4;
            return true;
        }
        if (word == "comment" || (word == "log" && next() == "prefix")) {
            at_ += word == "log" ? 2 : 1;
            return true;
        }
        if (word == "ct" && next() == "state" && next(2) == "new") {
            at_ += 2;
            return true;
        }
        return false;
    }

    std::string_view value_of(std::string_view word) const {
        const auto found = values_.find(word);
        return found == values_.end() ? word : std::string_view{found->second};
    }

    void operand(Part part) {
        normal_ += std::string{tokens_[at_].word} + " ";
        Reading::Operand operand;
        operand.keyword = tokens_[at_];
        const auto word = next();
        if (word == "{") {
            std::size_t end = at_ + 2;
            while (end < tokens_.size() && tokens_[end].word != "}") ++end;
            if (end == tokens_.size()) return fail();
            operand.list = List{tokens_[at_ + 1].end(), tokens_[end].offset};
            at_ = end;
        } else if (!word.empty() && (word.front() == '@' || (word.front() == '$' && !values_.contains(word)))) {
            const auto definition = definition_of(text_, word);
            if (!definition) return fail();
            operand.list = definition->list, operand.intervals = definition->intervals;
            operand.own = false, operand.reference = word;
            ++at_;
        } else {
            operand.value = tokens_[std::min(at_ + 1, tokens_.size() - 1)];
            ++at_;
        }
        if (!operand.list) {
            normal_ += std::string{value_of(word)} + " ";
        } else {
            normal_ += "{ ";
            for (const auto& token : tokens_of(text_, operand.list->from, operand.list->to)) normal_ += std::string{value_of(token.word)} + " ";
            normal_ += "} ";
        }
        reading_.operands[part] = operand;
    }
    void fail() { failed_ = true; }

    std::string_view text_;
    std::vector<Token> tokens_;
    std::map<std::string, std::string, std::less<>> values_;
    std::size_t at_ = 0;
    std::string normal_;
    bool failed_ = false;
    Reading reading_;
};

std::optional<Reading> read_iptables(const std::vector<Token>& tokens) {
    Reading reading;
    std::string normal;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const auto word = tokens[i].word;
        const auto next = [&](std::size_t ahead) { return i + ahead < tokens.size() ? tokens[i + ahead].word : std::string_view{}; };
        if (word == "-m" && (next(1) == "comment" || ((next(1) == "conntrack" || next(1) == "state") && next(3) == "NEW"))) {
            i += 3;
            continue;
        }
        normal += std::string{word} + (next(1) == "," || word == "," ? "" : " ");
        if (word.starts_with("--dport") || word.starts_with("--sport")) {
            auto last = i + 1;
            while (last + 2 < tokens.size() && tokens[last + 1].word == ",") last += 2;
            if (last >= tokens.size()) return std::nullopt;
            auto& operand = reading.operands[Part::ports];
            operand.keyword = tokens[i], operand.value = tokens[i + 1];
            if (word.ends_with("s")) operand.list = List{tokens[i + 1].offset, tokens[last].end()};
        }
    }
    const auto rule = AcceptRule::from(normal, Dialect::iptables);
    if (!rule) return std::nullopt;
    reading.rule = *rule;
    return reading;
}

// The one list in which the two differ. Nothing: in none or in several, or they are not two halves of one rule.
std::optional<Part> part_that_differs(const AcceptRule& rule, AcceptRule more, bool same_ways) {
    if (rule.ports.empty() || more.ports.empty()) return std::nullopt;
    if (same_ways && more.in.empty()) more.in = rule.in;
    if (same_ways && more.out.empty()) more.out = rule.out;
    if (rule.out.empty() && !more.destinations.empty()) more.out.clear();  // the routes say by which it goes there
    const auto both = merged({rule, more});
    if (both.size() != 1 || both[0] == rule) return std::nullopt;
    std::vector<Part> parts;
    if (both[0].sources != rule.sources) parts.push_back(Part::sources);
    if (both[0].destinations != rule.destinations) parts.push_back(Part::destinations);
    if (both[0].ports != rule.ports) parts.push_back(Part::ports);
    return parts.size() == 1 ? std::optional{parts[0]} : std::nullopt;
}

// What `more` has and the rule has not, as the file writes it. Nothing: some of it overlaps what is there.
std::optional<std::vector<std::string>> missing(const AcceptRule& rule, const AcceptRule& more, Part part, Dialect dialect, const AcceptRule::Names& names) {
    std::vector<std::string> words;
    if (part == Part::ports) {
        for (const auto& range : more.ports) {
            const auto overlaps = [&](const scenario::PortRange& other) { return other.first <= range.last && range.first <= other.last; };
            const auto holds = [&](const scenario::PortRange& other) { return other.first <= range.first && range.last <= other.last; };
            if (std::ranges::any_of(rule.ports, holds)) continue;
            if (std::ranges::any_of(rule.ports, overlaps)) return std::nullopt;
            auto word = range.text();
            if (dialect == Dialect::iptables) std::ranges::replace(word, '-', ':');
            words.push_back(word);
        }
        return words;
    }
    const auto& has = part == Part::sources ? rule.sources : rule.destinations;
    for (const auto& net : part == Part::sources ? more.sources : more.destinations) {
        if (std::ranges::any_of(has, [&](const auto& other) { return other.contains(net.network) && other.prefix <= net.prefix; })) continue;
        if (std::ranges::any_of(has, [&](const auto& other) { return net.contains(other.network); })) return std::nullopt;
        const auto text = net.prefix == 32 ? net.network.text() : net.text();
        const auto name = names.find(text);
        words.push_back(name == names.end() ? text : name->second);
    }
    return words;
}

std::string joined(const std::vector<std::string>& words, std::string_view by) {
    std::string all;
    for (const auto& word : words) all += (all.empty() ? std::string_view{} : by), all += word;
    return all;
}

TextEdit nft_edit(std::string_view text, const Reading::Operand& operand, const std::vector<std::string>& words) {
    if (!operand.list) return {operand.value.offset, operand.value.word.size(), "{ " + std::string{operand.value.word} + ", " + joined(words, ", ") + " }"};
    const auto values = tokens_of(text, operand.list->from, operand.list->to);
    if (values.empty()) return {operand.list->from, 0, " " + joined(words, ", ")};
    return {values.back().end(), 0, (values.back().word == "," ? " " : ", ") + joined(words, ", ")};
}

std::optional<TextEdit> iptables_edit(std::string_view text, const Reading::Operand& operand, const std::vector<std::string>& words) {
    auto all = words;
    if (!operand.list) all.emplace_back(operand.value.word);
    for (const auto& token : operand.list ? tokens_of(text, operand.list->from, operand.list->to) : std::vector<Token>{})
        if (token.word != ",") all.emplace_back(token.word);
    std::size_t used = 0;
    for (const auto& word : all) used += word.find(':') == std::string::npos ? 1 : 2;
    if (used > multiport_max) return std::nullopt;  // more than one match can hold
    if (operand.list) return TextEdit{operand.list->to, 0, "," + joined(words, ",")};
    return TextEdit{operand.keyword.offset, operand.value.end() - operand.keyword.offset,
                    "-m multiport " + std::string{operand.keyword.word} + "s " + std::string{operand.value.word} + "," + joined(words, ",")};
}

}  // namespace

std::optional<TextEdit> widened(const std::string& text, unsigned line, const AcceptRule& more, Dialect dialect, const std::vector<std::string_view>& all,
                                bool same_ways) {
    const auto tokens = rule_at(text, line, dialect);
    const std::string_view verdict = dialect == Dialect::nft ? "accept" : "ACCEPT";
    if (std::ranges::find(tokens, verdict, &Token::word) == tokens.end()) return std::nullopt;
    const auto names = dialect == Dialect::nft ? names_in(text, line) : AcceptRule::Names{};
    const auto reading = dialect == Dialect::nft ? NftReader{text, tokens, names}.read() : read_iptables(tokens);
    if (!reading) return std::nullopt;
    const auto part = part_that_differs(reading->rule, more, same_ways);
    if (!part || !reading->operands.contains(*part)) return std::nullopt;
    const auto& operand = reading->operands.at(*part);
    const auto words = missing(reading->rule, more, *part, dialect, names);
    if (!words || words->empty()) return std::nullopt;
    if (dialect == Dialect::iptables) return iptables_edit(text, operand, *words);
    if (!operand.intervals && std::ranges::any_of(*words, [](const auto& word) { return word.find_first_of("-/") != std::string::npos; })) return std::nullopt;
    if (!operand.own) {  // others that use the list would let more through too
        std::size_t uses = 0;
        for (const auto& each : all) uses += mentions(each, operand.reference).size();
        if (uses != 1) return std::nullopt;
    }
    return nft_edit(text, operand, *words);
}

std::string with_edit(std::string text, const TextEdit& edit) { return text.replace(edit.offset, edit.length, edit.text); }

}  // namespace wmlab::lab::rules
