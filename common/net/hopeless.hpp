// What is known to get no answer however often it is tried: whoever watches the way (the lab, by the kernel's trace)
// says so, and who waits for the answer stops waiting, as if its deadline had come. One thread.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace wmlab::net {

struct Lost {  // packets with these addresses, as their sender has them
    std::string protocol, local, remote;  // "tcp", "10.20.0.10:40112", "10.10.0.10:1755"
};

// Somebody who waits, for as long as it lives.
class Waiting {
public:
    // For something from `remote`. `local` is asked once, when something between the two is lost: a socket may get its address late.
    Waiting(std::string protocol, std::string remote, std::function<std::string()> local, std::function<void()> give_up);
    ~Waiting();
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

private:
    friend void tell(const Lost& lost);
    std::multimap<std::string, Waiting*>::iterator place_;
    std::function<std::string()> local_;
    std::function<void()> give_up_;
    std::string known_;  // the local address, once it is
};

// Ends the waits of those whose question is lost, and of those to whom the answer is.
void tell(const Lost& lost);

}  // namespace wmlab::net
