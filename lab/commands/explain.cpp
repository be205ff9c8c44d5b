// wmlab explain: what a cause or a reason means, how to check it, how to mend it.
#include <spdlog/fmt/fmt.h>

#include <iostream>

#include "lab/commands/options.hpp"
#include "lab/explain/pages.hpp"

namespace wmlab::lab::commands {

int explain_command(Arguments arguments) {
    const Usage usage{
        "explain",
        "[CODE...]",
        "Says say what a cause or reason of a report means, what proves it, how to check it and how to mend it. Without CODE: all of them in one line each.",
        {},
        ""};
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    const auto codes = words(*values);
    if (codes.empty()) std::cout << pages_list();
    bool first = true;
    for (const auto& code : codes) {
        const auto* found = page(code);
        if (found == nullptr) {
            const auto near = nearest_code(code);
            throw UsageError{near.empty() ? fmt::format("explain: no such code `{}`; `wmlab explain` lists them", code)
                                          : fmt::format("explain: no such code `{}`, did you mean `{}`?", code, near)};
        }
        std::cout << (first ? "" : "\n") << page_text(*found);
        first = false;
    }
    return 0;
}

}  // namespace wmlab::lab::commands
