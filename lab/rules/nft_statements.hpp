// Text in the nftables language, cut into statements.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace wmlab::lab::rules {

// One statement: its words, the line it starts in and what ended it.
struct Statement {
    std::vector<std::string> words;  // quotes kept, anonymous { ... } as one word
    std::string text;
    unsigned line = 0;
    bool alone = true;  // the first on its line
    enum class End { statement, block_opens, block_closes, file } end = End::file;
    unsigned end_line = 0;
};

// A `{` that belongs to a set or a map inside a rule stays within its statement; one that opens a block (table, chain,
// set, ...) ends it.
class Cutter {
public:
    explicit Cutter(std::string_view text) : text_{text} {}

    // `in_chain`: statements are rules, so every brace belongs to the statement.
    Statement next(bool in_chain);

private:
    bool continues() const;  // a backslash with nothing but blanks behind it
    bool opens_block() const;
    bool closes_block();
    bool ends_at(char c);
    void skip_to_next_line();
    void next_line();
    void put(char c);
    void finish_word();
    Statement end(Statement::End how);

    std::string_view text_;
    std::size_t at_ = 0;
    unsigned line_ = 1, word_line_ = 1;
    bool fresh_line_ = true;
    // of the statement that is being read
    Statement statement_;
    std::string word_;
    int depth_ = 0;  // of braces
    bool quoted_ = false;
};

}  // namespace wmlab::lab::rules
