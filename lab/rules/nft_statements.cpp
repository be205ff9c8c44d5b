#include "lab/rules/nft_statements.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "lab/rules/source_reader.hpp"

namespace wmlab::lab::rules {

Statement Cutter::next(bool in_chain) {
    statement_ = {};
    while (at_ < text_.size()) {
        const char c = text_[at_++];
        if (quoted_) {
            put(c);
            if (c == '"') quoted_ = false;
            if (c == '\n') next_line();
        } else if (c == '"') {
            put(c);
            quoted_ = true;
        } else if (c == '#') {
            while (at_ < text_.size() && text_[at_] != '\n') ++at_;
        } else if (c == '\\' && continues()) {
            skip_to_next_line();
        } else if (c == '{' && depth_ == 0 && !in_chain && opens_block()) {
            finish_word();
            fresh_line_ = false;
            return end(Statement::End::block_opens);
        } else if (c == '{') {
            if (depth_ == 0) finish_word();
            ++depth_;
            put(c);
        } else if (c == '}' && depth_ > 0) {
            put(c);
            if (--depth_ == 0) finish_word();
        } else if (c == '}') {
            return end(closes_block() ? Statement::End::block_closes : Statement::End::statement);
        } else if (c == '\n' || c == ';') {
            if (ends_at(c)) return end(Statement::End::statement);
        } else if (!is_blank(c)) {
            put(c);
        } else if (depth_ == 0) {
            finish_word();
        } else {
            put(' ');
        }
    }
    quoted_ = false;
    depth_ = 0;
    finish_word();
    return end(Statement::End::file);
}

// False: `chain x { accept }`, where the brace is a statement of its own.
bool Cutter::closes_block() {
    finish_word();
    if (!statement_.words.empty()) {
        --at_;
        return false;
    }
    statement_.line = line_;
    statement_.alone = fresh_line_;
    fresh_line_ = false;
    return true;
}

bool Cutter::ends_at(char c) {
    if (depth_ == 0) finish_word();
    const auto line = line_;
    if (c == '\n') next_line();
    if (depth_ > 0) {
        put(' ');
        return false;
    }
    if (statement_.words.empty()) return false;
    statement_.end_line = line;
    return true;
}

void Cutter::skip_to_next_line() {
    while (text_[at_++] != '\n') {
    }
    next_line();
    if (depth_ == 0) finish_word();
}

void Cutter::next_line() {
    ++line_;
    fresh_line_ = true;
}

void Cutter::put(char c) {
    if (word_.empty()) word_line_ = line_;
    if (word_.empty() && statement_.words.empty()) statement_.alone = fresh_line_;
    fresh_line_ = false;
    word_.push_back(c);
}

void Cutter::finish_word() {
    if (word_.empty()) return;
    if (statement_.words.empty()) statement_.line = word_line_;
    statement_.words.push_back(std::exchange(word_, {}));
}

bool Cutter::continues() const {
    auto i = at_;
    while (i < text_.size() && is_blank(text_[i])) ++i;
    return i < text_.size() && text_[i] == '\n';
}

bool Cutter::opens_block() const {
    auto words = statement_.words;
    if (!word_.empty()) words.push_back(word_);
    if (words.empty()) return true;
    const std::size_t first = words[0] == "add" || words[0] == "create" || words[0] == "insert" || words[0] == "replace" ? 1 : 0;
    if (first >= words.size()) return false;
    static const std::set<std::string, std::less<>> blocks = {"table",   "chain", "set",   "map",     "flowtable", "ct",
                                                              "counter", "quota", "limit", "secmark", "synproxy",  "meter"};
    return blocks.contains(words[first]);
}

Statement Cutter::end(Statement::End how) {
    statement_.end = how;
    if (statement_.end_line == 0) statement_.end_line = line_;
    for (const auto& word : statement_.words) {
        if (!statement_.text.empty()) statement_.text.push_back(' ');
        std::string folded;  // blanks inside { ... } folded
        for (const char c : word)
            if (!(is_blank(c) && !folded.empty() && is_blank(folded.back()))) folded.push_back(c);
        statement_.text += folded;
    }
    return std::exchange(statement_, {});
}

}  // namespace wmlab::lab::rules
