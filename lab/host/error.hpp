// What can end the set-up of a lab. Each kind has the exit code the user sees; commands catch them once.
#pragma once
#include <stdexcept>
#include <string>

namespace wmlab::lab {

// The machine does not allow or does not have something: exit 3, with what to do about it.
class SetupFailed : public std::runtime_error {
public:
    SetupFailed(std::string step, std::string cause, std::string remedy = {});
    const std::string& step() const { return step_; }      // "create a network namespace"
    const std::string& cause() const { return cause_; }    // "Operation not permitted"
    const std::string& remedy() const { return remedy_; }  // a sentence (remedy.hpp); may be empty

private:
    std::string step_, cause_, remedy_;
};
SetupFailed setup_failed(std::string step, int error, std::string remedy = {});  // the cause from an error number

// nft (or iptables-restore) refuses the user's file: exit 2; what() is its own message with file and line.
class RulesetRefused : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace wmlab::lab
