#include "common/scenario/csv.hpp"

#include <algorithm>
#include <set>

namespace wmlab::scenario {
namespace {

struct Broken {
    unsigned line;
    std::string what;
};

class CsvReader {
public:
    explicit CsvReader(std::string_view text) : text_{text} {
        if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
        const auto head = text_.substr(0, text_.find('\n'));
        separator_ = head.find(',') == std::string_view::npos && head.find(';') != std::string_view::npos ? ';' : ',';
    }

    Csv read() {
        while (!text_.empty()) {
            auto row = read_row();
            if (!anything_ || (row.fields.front().starts_with('#') && !csv_.head.empty())) continue;
            if (csv_.head.empty())
                take_head(row);
            else if (row.fields.size() != csv_.head.size())
                throw Broken{row.line, std::to_string(row.fields.size()) + " fields where the head has " + std::to_string(csv_.head.size())};
            else
                csv_.rows.push_back(std::move(row));
        }
        if (csv_.head.empty()) throw Broken{1, "no head line"};
        return std::move(csv_);
    }

private:
    Csv::Row read_row() {
        Csv::Row row;
        row.line = line_;
        anything_ = false;
        for (bool ended = false; !ended;) {
            auto field = quoted(row.line);
            const auto end = std::min(text_.find_first_of(std::string{separator_} + "\n"), text_.size());
            field += trimmed(text_.substr(0, end));
            anything_ = anything_ || !field.empty() || (end < text_.size() && text_[end] == separator_);
            row.fields.push_back(std::move(field));
            ended = end >= text_.size() || text_[end] == '\n';
            text_.remove_prefix(std::min(end + 1, text_.size()));
        }
        ++line_;
        return row;
    }

    // What stands in quotation marks at the beginning of a field; two of them are one.
    std::string quoted(unsigned row_line) {
        std::string field;
        if (!text_.starts_with('"')) return field;
        text_.remove_prefix(1);
        anything_ = true;
        for (;;) {
            const auto quote = text_.find('"');
            if (quote == std::string_view::npos) throw Broken{row_line, "a quotation mark that is not closed"};
            field += text_.substr(0, quote);
            line_ += static_cast<unsigned>(std::ranges::count(text_.substr(0, quote), '\n'));
            text_.remove_prefix(quote + 1);
            if (!text_.starts_with('"')) return field;
            field += '"';
            text_.remove_prefix(1);
        }
    }

    static std::string_view trimmed(std::string_view rest) {
        if (rest.ends_with('\r')) rest.remove_suffix(1);
        while (rest.starts_with(' ')) rest.remove_prefix(1);
        while (rest.ends_with(' ')) rest.remove_suffix(1);
        return rest;
    }

    void take_head(const Csv::Row& row) {
        csv_.head = row.fields;
        std::set<std::string> known;
        for (const auto& name : csv_.head) {
            if (name.empty()) throw Broken{row.line, "a column without a name"};
            if (!known.insert(name).second) throw Broken{row.line, "two columns with the name `" + name + "`"};
        }
    }

    std::string_view text_;
    char separator_ = ',';
    Csv csv_;
    unsigned line_ = 1;
    bool anything_ = false;  // the row is not blank
};

}  // namespace

Csv read_csv(std::string_view text) {
    try {
        return CsvReader{text}.read();
    } catch (const Broken& broken) {
        Csv csv;
        csv.problem = broken.what;
        csv.problem_line = broken.line;
        return csv;
    }
}

}  // namespace wmlab::scenario
