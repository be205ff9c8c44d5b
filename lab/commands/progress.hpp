// One line on the terminal that says how far the flows are, rewritten as events come; nothing where there is no
// terminal.
#pragma once
#include <cstddef>
#include <set>
#include <string>

#include "common/evidence/event.hpp"

namespace wmlab::lab::commands {

class Progress {
public:
    Progress(bool shown, std::size_t flows) : shown_{shown}, flows_{flows} {}
    void see(const evidence::Event& event);
    void say(const std::string& sentence);  // a line of its own, on standard error, shown or not
    void clear();

private:
    void draw();
    bool shown_, control_ = false;
    std::size_t flows_;
    std::set<std::string> running_, ended_;
};

}  // namespace wmlab::lab::commands
