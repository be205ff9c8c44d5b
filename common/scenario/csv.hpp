// Tables in text: a head line, then rows of as many fields.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace wmlab::scenario {

// A table with a head line, separated by commas, or by semicolons where the head has no comma.
struct Csv {
    struct Row {
        std::vector<std::string> fields;
        unsigned line = 0;  // of the file, from 1
    };
    std::vector<std::string> head;
    std::vector<Row> rows;
    std::string problem;  // empty: it is one
    unsigned problem_line = 0;
};
Csv read_csv(std::string_view text);

}  // namespace wmlab::scenario
