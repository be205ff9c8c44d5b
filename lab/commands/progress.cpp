#include "lab/commands/progress.hpp"

#include <spdlog/fmt/fmt.h>

#include <iostream>

#include "common/evidence/fields.hpp"

namespace wmlab::lab::commands {
namespace {

constexpr std::size_t names_max = 40;  // characters of flow names on the line

}  // namespace

void Progress::see(const evidence::Event& event) {
    switch (event.event) {
        case evidence::What::lab_up: {
            if (true_field(event, field::control) && !control_) {
                control_ = true;
                running_.clear();
                ended_.clear();
            }
            break;
        }
        case evidence::What::flow_started:
            if (!ended_.contains(event.flow)) running_.insert(event.flow);
            break;
        case evidence::What::flow_ended:
            running_.erase(event.flow);
            ended_.insert(event.flow);
            break;
        default:
            return;
    }
    draw();
}

void Progress::draw() {
    if (!shown_) return;
    std::string names;
    for (const auto& flow : running_) {
        if (names.size() + flow.size() > names_max) {
            names += " ...";
            break;
        }
        names += " " + flow;
    }
    std::cerr << (control_ ? fmt::format("\r\033[K{} flows again with the firewall open{}{}",
                                         ended_.size() + running_.size(), names.empty() ? "" : ":", names)
                           : fmt::format("\r\033[K{} of {} flows{}{}", ended_.size(), flows_, names.empty() ? "" : ":",
                                         names))
              << std::flush;
}

void Progress::clear() {
    if (shown_) std::cerr << "\r\033[K" << std::flush;
}

void Progress::say(const std::string& sentence) {
    clear();
    std::cerr << "wmlab: " << sentence << std::endl;
    if (!running_.empty()) draw();
}

}  // namespace wmlab::lab::commands
