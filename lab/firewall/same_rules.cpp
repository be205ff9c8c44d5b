#include "lab/firewall/same_rules.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <regex>

#include "lab/firewall/kernel_rules.hpp"
#include "lab/firewall/loading.hpp"
#include "lab/host/error.hpp"
#include "lab/network/netlink.hpp"
#include "lab/network/sandbox.hpp"

namespace wmlab::lab {
namespace {

constexpr std::size_t interface_name_max = 15, scratch_links_max = 64;

std::string load_in_scratch(const std::filesystem::path& file, const std::set<std::string>& interfaces) {
    const auto scratch = Namespace::create("a second look at the rules");
    Links links{scratch};
    int index = 10;
    for (const auto& name : interfaces)
        if (!name.empty() && name.size() <= interface_name_max && index < 10 + static_cast<int>(scratch_links_max))
            links.add_bridge(name, index++);
    load_ruleset(scratch, file);
    return list_rules(scratch);
}

void write_all(int to, std::string_view text) {
    while (!text.empty()) {
        const auto put = ::write(to, text.data(), text.size());
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(put));
    }
}

std::string read_from_start(int from) {
    std::string text;
    char piece[1U << 16];
    ::lseek(from, 0, SEEK_SET);
    for (ssize_t got = 0; (got = ::read(from, piece, sizeof piece)) > 0;)
        text.append(piece, static_cast<std::size_t>(got));
    return text;
}

}  // namespace

std::set<std::string> interfaces_named(std::string_view listing) {
    static const std::regex name{R"re(\b(?:iif|oif|device) "([^"]{1,15})")re"};
    std::set<std::string> names;
    const std::string text{listing};
    for (auto it = std::sregex_iterator{text.begin(), text.end(), name}; it != std::sregex_iterator{}; ++it)
        if ((*it)[1] != "lo") names.insert((*it)[1]);
    return names;
}

std::string listing_of_file(const std::filesystem::path& file, const std::set<std::string>& interfaces) {
    if (::geteuid() == 0) return load_in_scratch(file, interfaces);
    const Descriptor answer{::memfd_create("listing", MFD_CLOEXEC)};
    if (!answer) throw setup_failed("compare the ruleset with the one that runs", errno);
    const auto code = in_sandbox([&](const Inside&) {
        try {
            write_all(answer.get(), load_in_scratch(file, interfaces));
            return 0;
        } catch (const std::exception& failure) {
            write_all(answer.get(), failure.what());
            return 1;
        }
    });
    auto text = read_from_start(answer.get());
    if (code != 0) throw SetupFailed{"compare the ruleset with the one that runs", text.empty() ? "no answer" : text};
    return text;
}

}  // namespace wmlab::lab
