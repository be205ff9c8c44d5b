// Ctrl-C and SIGTERM where no event loop listens for them. The lab's inner process is the first of its process namespace:
// there the kernel ignores a signal that nobody handles.
#pragma once
#include <csignal>
#include <exception>

namespace wmlab::lab {

// The user wants an end: exit 130. Destructors have their turn.
class Interrupted : public std::exception {
public:
    const char* what() const noexcept override { return "interrupted"; }
};

// While one of these lives SIGINT, SIGTERM and SIGHUP are noted; check() throws once one has come. One at a time.
class Interruption {
public:
    Interruption();
    ~Interruption();
    Interruption(const Interruption&) = delete;
    Interruption& operator=(const Interruption&) = delete;
    static void check();  // Interrupted. Without one of these: nothing

private:
    struct sigaction before_[3];
};

}  // namespace wmlab::lab
