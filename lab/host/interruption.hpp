// The end that a user asks for: Ctrl-C (SIGINT), SIGTERM, SIGHUP. Whatever is going on then learns of it, and what begins afterwards does,
// too: a request is never lost between two steps. The lab's inner process is the first of its process namespace, where the kernel ignores
// a signal that nobody handles (pid_namespaces(7)).
#pragma once
#include <exception>

namespace wmlab::lab {

// The user wants an end: exit 130. Destructors have their turn.
class Interrupted : public std::exception {
public:
    const char* what() const noexcept override { return "interrupted"; }
};

// Those that this process has got.
class Interruptions {
public:
    static void note();        // from now on, for the rest of the process; again: nothing. A child process calls it for its own. SetupFailed
    static int unanswered();   // how many; 0 without note()
    static int last_signal();  // the number of the last one; 0: none yet
    static void answer();      // those so far have had their effect: what was only waiting for them is over
    static void check();       // Interrupted, where one is unanswered
    static int descriptor();   // readable from one on, until forget_wake(); -1 without note()
    static void forget_wake();
};

}  // namespace wmlab::lab
