// The hands of all hosts (hand.hpp): of those that are here, sockets of this process in their namespaces; of those on
// other machines (`launch`), a wmlab there, brought by the pipe where it is not installed. One thread, that of the lab.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lab/alg/hand.hpp"
#include "lab/run/lab.hpp"

struct pollfd;

namespace wmlab::lab {

class Hand {
public:
    Hand() = default;
    virtual ~Hand() = default;
    Hand(const Hand&) = delete;
    Hand& operator=(const Hand&) = delete;
    virtual void ask(HandQuestion question) = 0;
    virtual std::optional<HandAnswer> answer() = 0;  // once; nothing: not yet
    virtual void wait_for(std::vector<pollfd>&) const {}
    virtual bool here() const { return true; }
    virtual std::string broken() const { return {}; }                                           // why it does not act any more; empty: it does
    virtual std::chrono::milliseconds latency() const { return std::chrono::milliseconds{0}; }  // of question and answer
};

struct HandLimits {
    std::chrono::milliseconds start{20'000}, carry{180'000}, answer{10'000};  // the last beyond what a question takes
};

class Hands {
public:
    // Of all hosts of the scenario. Returns when each has begun, or is known not to: broken().
    Hands(Lab& lab, const scenario::Scenario& scenario, const HandLimits& limits = {});
    ~Hands();
    Hands(const Hands&) = delete;
    Hands& operator=(const Hands&) = delete;

    Hand* of(const std::string& host) const;  // null: no host of the scenario

    struct Asked {
        Hand* hand = nullptr;
        HandQuestion question;
    };
    // All of them at once, each of another hand. SetupFailed: one could not.
    std::vector<HandAnswer> ask(std::vector<Asked> asked);
    HandAnswer ask(Hand* hand, HandQuestion question);
    // Without waiting for an answer.
    static void tell(Hand* hand, HandQuestion question);

private:
    Lab& lab_;
    std::map<std::string, std::unique_ptr<Hand>> hands_;
};

}  // namespace wmlab::lab
