#include "lab/run/identity.hpp"

#include <openssl/evp.h>
#include <spdlog/fmt/fmt.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <regex>

#include "common/evidence/journal.hpp"
#include "lab/rules/source.hpp"
#include "lab/verdict/version.hpp"

namespace wmlab::lab {
namespace {

class Sha256 {
public:
    Sha256() : context_{EVP_MD_CTX_new(), EVP_MD_CTX_free} {
        if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
            throw std::runtime_error{"libcrypto has no SHA-256"};
    }
    void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
    std::string hex() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned size = 0;
        EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
        std::string text;
        for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
        return text;
    }

private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

// The version that a program says it is; empty where it is not installed.
std::string version_of(const char* program) {
    const auto command = fmt::format("PATH=$PATH:/usr/sbin:/sbin exec {} --version 2>/dev/null </dev/null", program);
    const std::unique_ptr<FILE, int (*)(FILE*)> said{::popen(command.c_str(), "re"), ::pclose};
    std::array<char, 256> line{};
    if (!said || std::fgets(line.data(), line.size(), said.get()) == nullptr) return {};
    const std::string text{line.data()};
    static const std::regex number{R"(v?([0-9]+\.[0-9.]+[^ \n]*)( \([a-z_]+\))?)"};
    std::smatch found;
    return std::regex_search(text, found, number) ? found[1].str() + found[2].str() : std::string{};
}

std::string machine_of(const utsname& system) {
    std::string words = system.machine;
    if (std::filesystem::exists("/.dockerenv") || std::filesystem::exists("/run/.containerenv")) {
        words += ", container";
    } else {
        std::ifstream cpu{"/proc/cpuinfo"};
        const std::string text{std::istreambuf_iterator<char>{cpu}, {}};
        if (text.find(" hypervisor") != std::string::npos) words += ", virtual machine";
    }
    return words;
}

}  // namespace

std::string sha256(std::string_view bytes) {
    Sha256 sum;
    sum.add(bytes);
    return sum.hex();
}

std::optional<std::string> sha256_of(const std::filesystem::path& file) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(file, ignored)) return std::nullopt;  // a pipe is read once only
    std::ifstream in{file, std::ios::binary};
    if (!in) return std::nullopt;
    Sha256 sum;
    std::array<char, 1 << 16> part{};
    while (in.read(part.data(), part.size()), in.gcount() > 0)
        sum.add({part.data(), static_cast<std::size_t>(in.gcount())});
    return sum.hex();
}

Identity identity_of(const scenario::Scenario& scenario, std::string_view yaml, std::string_view lab) {
    Identity identity;
    const auto now = evidence::text(std::chrono::system_clock::now());
    identity.when = now.substr(0, 19) + "Z";
    identity.version = version();
    identity.commit = commit();
    utsname system{};
    if (::uname(&system) == 0) {
        identity.kernel = system.release;
        identity.machine = machine_of(system);
    }
    identity.nft = version_of("nft");
    identity.iptables = version_of("iptables-nft");
    identity.lab = lab;
    identity.scenario = Hashed{scenario.file.string(), sha256(yaml)};
    for (const auto& content : scenario.contents) {
        if (content.kind != scenario::Content::Kind::file) {
            identity.contents.push_back({content.name, sha256(fmt::format("synthetic audio {} {}", content.bitrate,
                                                                          content.duration.count()))});
        } else if (auto sum = sha256_of(content.file)) {
            identity.contents.push_back({content.name, std::move(*sum)});
        }
    }
    return identity;
}

void add_ruleset(Identity& identity, const std::filesystem::path& ruleset) {
    if (ruleset.empty()) return;
    for (const auto& file : rules::read_source(ruleset).files) {
        const auto name = file.string();
        if (std::ranges::find(identity.rulesets, name, &Hashed::name) != identity.rulesets.end()) continue;
        if (auto sum = sha256_of(file)) identity.rulesets.push_back({name, std::move(*sum)});
    }
}

}  // namespace wmlab::lab
