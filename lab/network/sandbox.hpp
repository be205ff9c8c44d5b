// The walls around a lab: user (for an ordinary user), mount, pid and network namespaces. Everything the lab starts
// ends with it, whatever ends it: success, failure, Ctrl-C, or kill -9 of the process the user started.
#pragma once
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace wmlab::lab {

struct Inside {
    pid_t outer_pid = 0;             // of the process that runs `body`, as seen by whoever started wmlab
    bool user_namespace = false;     // an ordinary user's lab
    bool mounts = false;             // private files can be mounted (host names resolve for every program)
    std::vector<std::string> notes;  // what this system did not allow, as sentences
};

// Runs `body` as the first process of new namespaces and returns what it returns (as exit code: 0-255), 128+N where it
// was ended by signal N. SIGINT, SIGTERM and SIGHUP sent to the caller reach it. SetupFailed where the system forbids
// namespaces. The caller must have one thread only.
int in_sandbox(const std::function<int(const Inside&)>& body);

// Private /etc/hosts, /etc/nsswitch.conf and /etc/resolv.conf: the lab's names resolve for every program, nothing waits
// for DNS. `hosts` is the text of the hosts file. Adds to `notes` what could not be done.
// `users`, `groups`: accounts to be known besides the machine's, by name.
void mount_private_names(const std::string& hosts, std::vector<std::string>& notes,
                         const std::vector<std::string>& users = {}, const std::vector<std::string>& groups = {});

}  // namespace wmlab::lab
