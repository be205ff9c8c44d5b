#include "lab/host/remedy.hpp"

#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <optional>

namespace wmlab::lab {
namespace {

std::optional<std::string> kernel_setting(const char* path) {
    std::ifstream in{std::string{"/proc/sys/"} + path};
    std::string value;
    if (!(in >> value)) return std::nullopt;
    return value;
}

bool set_to(const char* path, const char* value) { return kernel_setting(path) == value; }

constexpr const char* apparmor =
    "AppArmor restricts user namespaces on this system to programs with a profile: install the package of wmlab, which brings one (for a wmlab that stands "
    "elsewhere put its path into a copy of /usr/share/wmlab/apparmor/wmlab under /etc/apparmor.d and run `apparmor_parser -r` on it), or run wmlab as root, or lift "
    "the restriction for the whole machine: `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`";
constexpr const char* container =
    "in a container start it with `--security-opt seccomp=unconfined`, or with `--cap-add SYS_ADMIN --cap-add NET_ADMIN` and root inside, or with `--privileged`; elsewhere run wmlab as root";

}  // namespace

std::string remedy(Privilege what, int error) {
    const bool forbidden = error == EPERM || error == EACCES;
    switch (what) {
        case Privilege::user_namespace:
            if (error == ENOSPC || set_to("user/max_user_namespaces", "0"))
                return "raise the limit as root: `sysctl -w user.max_user_namespaces=10000`, or run wmlab as root";
            if (error == EINVAL) return "the kernel is built without user namespaces: run wmlab as root";
            if (set_to("kernel/unprivileged_userns_clone", "0"))
                return "allow it as root: `sysctl -w kernel.unprivileged_userns_clone=1`, or run wmlab as root";
            if (set_to("kernel/apparmor_restrict_unprivileged_userns", "1")) return apparmor;
            return container;
        case Privilege::id_maps:
            if (set_to("kernel/apparmor_restrict_unprivileged_userns", "1")) return apparmor;
            return forbidden ? container : "";
        case Privilege::other_namespace:
            if (error == ENOSPC)
                return "raise the limits as root: `sysctl -w user.max_net_namespaces=10000 user.max_mnt_namespaces=10000 user.max_pid_namespaces=10000`";
            if (set_to("kernel/apparmor_restrict_unprivileged_userns", "1")) return apparmor;
            return container;
        case Privilege::mount:
            return "host names will not resolve in programs of the lab; use addresses, or allow mounting (in a container: `--security-opt apparmor=unconfined`, or `--privileged`)";
        case Privilege::link:
            if (error == EOPNOTSUPP)
                return "the kernel lacks veth or bridge, or may not load the module for an ordinary user: run `modprobe -a veth bridge` as root";
            return forbidden ? container : "";
        case Privilege::ruleset:
            if (error == EOPNOTSUPP || error == EPROTONOSUPPORT || error == ENOENT)
                return "the kernel lacks nf_tables, or may not load the module for an ordinary user: run `modprobe nf_tables` as root";
            return forbidden ? container : "";
        case Privilege::packet_capture:
            if (error == EAFNOSUPPORT) return "the kernel lacks packet sockets: run `modprobe af_packet` as root";
            return forbidden ? std::string{"in a container add `--cap-add NET_RAW`; "} + container : "";
        case Privilege::low_port:
            return forbidden ? "in a container add `--cap-add NET_BIND_SERVICE`; elsewhere run wmlab as root" : "";
        case Privilege::trace:
            if (error == EPROTONOSUPPORT || error == ENOENT)
                return "the kernel lacks nfnetlink or nf_tables: run `modprobe nf_tables` as root; without the trace verdicts name no rule";
            return "without the trace verdicts name no rule; everything else works";
        case Privilege::setting:
            return "in a container mount /proc/sys writable (`--privileged`)";
    }
    return {};
}

}  // namespace wmlab::lab
