// Network namespaces held by descriptor: no names under /run, no mounts; each ends with its last descriptor.
#pragma once
#include <string>
#include <vector>

#include "lab/host/descriptor.hpp"

namespace wmlab::lab {

class Namespace {
public:
    static Namespace create(const std::string& what_for);  // the calling thread stays where it is; SetupFailed
    static Namespace current();
    int fd() const { return fd_.get(); }

private:
    explicit Namespace(Descriptor fd) : fd_{std::move(fd)} {}
    Descriptor fd_;
};

// Whether the calling thread is in that network namespace, which an ordinary user may not enter then.
// Async-signal-safe.
bool is_here(int network_namespace);

// The calling thread is in `place` for as long as this lives. Sockets made meanwhile stay there for good.
class Entered {
public:
    explicit Entered(const Namespace& place);
    ~Entered();
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;

private:
    Namespace home_;
};

std::vector<std::string> interfaces_in(const Namespace& place);  // without lo; empty where they cannot be listed

}  // namespace wmlab::lab
