// The time-outs of the firewall's connection tracking while flows with a pause (`idle`) are played: read, and in the built-in lab set
// shorter, so that the pause takes seconds. What was done, and which connections the kernel forgets, goes into the journal.
#pragma once
#include <deque>
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/network/forgotten.hpp"
#include "lab/run/lab.hpp"
#include "lab/run/pace.hpp"

namespace wmlab::lab {

class Haste {
public:
    Haste(Lab& lab, Recorder& recorder) : lab_{lab}, recorder_{recorder} {}

    // Before the flows of a wave begin. How many times faster pauses go than they should; 1 where none of the flows has one.
    double begin(const scenario::Scenario& scenario, const std::vector<scenario::FlowInstance>& flows, std::size_t wave);
    void end();  // the time-outs are as they were

private:
    struct Setting {
        std::string box, path, before;
        std::chrono::seconds real{0};
    };
    std::vector<Setting> read_settings() const;
    bool set(const std::vector<Setting>& settings, const Pace& pace);
    void restore();
    void listen();
    void note(const std::vector<Setting>& settings, const Pace& pace, const std::string& real_time);

    Lab& lab_;
    Recorder& recorder_;
    std::size_t wave_ = 0;
    std::vector<Setting> changed_;
    std::deque<ForgetfulnessWatch> watches_;
};

}  // namespace wmlab::lab
