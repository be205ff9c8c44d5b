#include "lab/commands/bundle.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "lab/commands/evidence_json.hpp"
#include "lab/host/error.hpp"
#include "lab/report/json_parts.hpp"
#include "lab/report/json_string.hpp"
#include "lab/report/report.hpp"
#include "lab/rules/json_fields.hpp"
#include "lab/rules/source.hpp"
#include "lab/run/identity.hpp"

namespace wmlab::lab::commands {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::string_view schema = "wmlab.bundle/2", manifest_name = "manifest.json", seal_words = "wmlab sha256:";
constexpr std::size_t seal_size = 13 + 64;          // the zip file's comment: the hash of all that stands before it
constexpr std::uint64_t unpacked_max = 4ULL << 30;  // a stranger's zip bomb ends here
const std::string comment_place = "the seal at its end";

std::string read_all(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    std::ostringstream text;
    text << in.rdbuf();
    if (!in) throw SetupFailed{"read " + file.string(), std::strerror(errno)};
    return std::move(text).str();
}

// Members under a name in front, in order of their names.
void add_folder(std::map<std::string, std::string>& members, const fs::path& folder, const std::string& as) {
    std::error_code none;
    for (fs::recursive_directory_iterator at{folder, none}, end; !none && at != end; at.increment(none))
        if (at->is_regular_file())
            members[as + at->path().lexically_relative(folder).generic_string()] = read_all(at->path());
}

// All of the evidence that is neither a journal nor a log, by the name of its member.
std::map<std::string, json::object> evidence_files(const RunEvidence& evidence, const scenario::Scenario& scenario, const Identity& identity) {
    std::map<std::string, json::object> files;
    const auto add = [&](std::string_view name, json::object object) { files[std::string{name}] = std::move(object); };
    add(identity_member, identity_json(identity));
    add(places_member, places_json(scenario));
    add(run_member, trial_json(evidence.run));
    if (evidence.baseline) add(baseline_member, trial_json(*evidence.baseline));
    if (evidence.again) {
        add(again_before_member, trial_json(evidence.again->before));
        add(again_after_member, trial_json(evidence.again->after));
    }
    if (evidence.swept) add(swept_member, swept_json(*evidence.swept));
    if (evidence.live) add(live_member, live_json(*evidence.live));
    if (evidence.proof) add(proof_member, proof_json(*evidence.proof));
    return files;
}

using Archive = std::unique_ptr<archive, int (*)(archive*)>;

void write_zip(const fs::path& file, const std::map<std::string, std::string>& members) {
    const auto failed = [&](archive* zip) {
        const char* const why = archive_error_string(zip);
        return SetupFailed{"write the bundle " + file.string(), why != nullptr ? why : "unknown error"};
    };
    {
        const Archive zip{archive_write_new(), archive_write_free};
        if (archive_write_set_format_zip(zip.get()) != ARCHIVE_OK ||
            archive_write_open_filename(zip.get(), file.c_str()) != ARCHIVE_OK)
            throw failed(zip.get());
        for (const auto& [name, bytes] : members) {
            const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry{archive_entry_new(),
                                                                                 archive_entry_free};
            archive_entry_set_pathname(entry.get(), name.c_str());
            archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes.size()));
            archive_entry_set_filetype(entry.get(), AE_IFREG);
            archive_entry_set_perm(entry.get(), 0644);
            if (archive_write_header(zip.get(), entry.get()) != ARCHIVE_OK ||
                archive_write_data(zip.get(), bytes.data(), bytes.size()) != static_cast<la_ssize_t>(bytes.size()))
                throw failed(zip.get());
        }
        if (archive_write_close(zip.get()) != ARCHIVE_OK) throw failed(zip.get());
    }
    // The seal: the end record of a zip file closes with the length of a comment, and the comment.
    auto bytes = read_all(file);
    bytes[bytes.size() - 2] = static_cast<char>(seal_size);
    bytes[bytes.size() - 1] = 0;
    const auto seal = std::string{seal_words} + sha256(bytes);
    std::ofstream out{file, std::ios::binary | std::ios::trunc};
    if (!(out << bytes << seal << std::flush))
        throw SetupFailed{"write the bundle " + file.string(), std::strerror(errno)};
}

[[noreturn]] void changed(const fs::path& file, const std::string& member, std::string_view how) {
    throw BundleRefused{fmt::format("{}: {} {}: it is not judged", file.string(), member, how)};
}

// A name that stays inside of whatever folder it is put into.
bool is_inside(const std::string& name) {
    const fs::path path{name};
    return !name.empty() && path.is_relative() && std::ranges::find(path, fs::path{".."}) == path.end();
}

std::map<std::string, std::string> read_zip(const fs::path& file, const std::string& bytes) {
    std::map<std::string, std::string> members;
    const Archive zip{archive_read_new(), archive_read_free};
    archive_read_support_format_zip_seekable(zip.get());
    if (archive_read_open_memory(zip.get(), bytes.data(), bytes.size()) != ARCHIVE_OK)
        changed(file, "the archive's table of contents", "cannot be read");
    std::uint64_t total = 0;
    std::string last;
    for (;;) {
        archive_entry* entry = nullptr;
        const int got = archive_read_next_header(zip.get(), &entry);
        if (got == ARCHIVE_EOF) break;
        if (got != ARCHIVE_OK) changed(file, last.empty() ? "the archive's table of contents" : "the archive behind " + last, "cannot be read");
        const char* const name = archive_entry_pathname(entry);
        if (name == nullptr || !is_inside(name) || members.contains(name) || archive_entry_filetype(entry) != AE_IFREG)
            changed(file, fmt::format("a member named `{}`", name == nullptr ? "" : name), "has no place in a bundle");
        last = name;
        auto& data = members[last];
        std::array<char, 1 << 16> part{};
        for (la_ssize_t size = 0; (size = archive_read_data(zip.get(), part.data(), part.size())) != 0;) {
            if (size < 0) changed(file, last, "was changed");
            data.append(part.data(), static_cast<std::size_t>(size));
            if ((total += static_cast<std::uint64_t>(size)) > unpacked_max) changed(file, last, "is too large");
        }
    }
    return members;
}

}  // namespace

BundleWriter::BundleWriter(fs::path file) : file_{std::move(file)} {
    std::string name = (fs::temp_directory_path() / "wmlab-bundle-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw setup_failed("make a folder for what the bundle will hold", errno);
    folder_ = name;
}

BundleWriter::~BundleWriter() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

void BundleWriter::copy_to(const fs::path& journals_too, const fs::path& captures_too) const {
    for (const auto& [from, to] : {std::pair{journals(), journals_too}, std::pair{captures(), captures_too}}) {
        if (to.empty() || !fs::exists(from)) continue;
        fs::create_directories(to);
        fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    }
}

void BundleWriter::write(const ScenarioText& text, const RunEvidence& evidence, const Report& report) const {
    std::map<std::string, std::string> members;
    members["scenario.yaml"] = text.yaml;
    std::map<std::string, std::string> known;  // members by the file's name
    for (const auto& flow : text.scenario.flows) {  // to be looked at: its ports are among the evidence
        if (flow.registry.empty()) continue;
        auto& member = known[flow.registry.string()];
        if (!member.empty()) continue;
        member = fmt::format("files/{}-{}", known.size(), flow.registry.filename().string());
        members[member] = read_all(flow.registry);
    }
    json::array rulesets;
    const auto add_rulesets = [&](const TrialEvidence& trial, bool baseline) {
        for (const auto& ruleset : trial.rulesets)
            for (const auto& source : rules::read_source(ruleset).files) {
                std::error_code ignored;
                if (!fs::is_regular_file(source, ignored)) continue;
                auto& member = known[source.string()];
                if (member.empty()) {
                    member = fmt::format("rulesets/{}-{}", known.size(), source.filename().string());
                    members[member] = read_all(source);
                }
                rulesets.push_back(json::object{{"member", string(member)}, {"name", string(source.string())}, {"baseline", baseline}});
            }
    };
    add_rulesets(evidence.run, false);
    if (evidence.baseline) add_rulesets(*evidence.baseline, true);
    add_folder(members, journals(), "journals/");
    add_folder(members, captures(), "captures/");
    for (auto& [name, object] : evidence_files(evidence, text.scenario, report.identity)) members[name] = json::serialize(object) + "\n";
    for (auto& [name, log] : evidence.run.device_logs) members[log_member(name)] = log.text;
    for (const auto& renderer : renderers())
        if (renderer.name == "json") members["report.json"] = renderer.render(report, {});

    json::object manifest{
        {"schema", string(schema)}, {"scenario", string(text.scenario.file.string())}, {"rulesets", std::move(rulesets)}};
    json::object hashes;
    for (const auto& [name, bytes] : members) hashes[string(name)] = string(sha256(bytes));
    manifest["members"] = std::move(hashes);
    members[std::string{manifest_name}] = json::serialize(manifest) + "\n";
    write_zip(file_, members);
}

std::string log_member(const std::string& box) { return fmt::format("logs/{}.log", box); }

const std::string& Bundle::member(const std::string& name) const {
    const auto found = members.find(name);
    if (found == members.end()) throw BundleRefused{name + " is missing in the bundle"};
    return found->second;
}

bool is_bundle(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    std::array<char, 4> head{};
    return in.read(head.data(), head.size()) && std::string_view{head.data(), head.size()} == "PK\x03\x04";
}

Bundle read_bundle(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    if (!in) throw BundleRefused{fmt::format("{}: {}", file.string(), std::strerror(errno))};
    std::ostringstream all;
    all << in.rdbuf();
    const auto bytes = std::move(all).str();
    constexpr std::size_t least = 22;  // of a zip file
    if (bytes.size() < least + seal_size)
        throw BundleRefused{file.string() + ": this is no bundle, or it was cut short"};
    const auto end = bytes.size() - seal_size;
    const bool sealed = bytes.substr(end) == std::string{seal_words} + sha256({bytes.data(), end});
    Bundle bundle{read_zip(file, bytes)};
    const auto found = bundle.members.find(std::string{manifest_name});
    if (found == bundle.members.end())
        throw BundleRefused{file.string() + ": this is no bundle: it has no manifest.json"};
    boost::system::error_code failure;
    const auto value = json::parse(found->second, failure);
    const auto* const hashes = failure || !value.is_object() ? nullptr : rules::object_at(value.get_object(), "members");
    if (hashes == nullptr) changed(file, std::string{manifest_name}, "was changed");
    if (rules::text_at(value.get_object(), "schema") != schema) {
        if (!sealed) changed(file, std::string{manifest_name}, "was changed");
        throw BundleRefused{fmt::format("{}: its manifest is of another kind than {}", file.string(), schema)};
    }
    for (const auto& [key, _] : *hashes) {
        const std::string name{key.data(), key.size()};
        if (!bundle.has(name)) changed(file, name, "is missing");
        if (rules::text_at(*hashes, name) != sha256(bundle.member(name))) changed(file, name, "was changed");
    }
    for (const auto& [name, _] : bundle.members)
        if (name != manifest_name && !hashes->contains({name.data(), name.size()})) changed(file, name, "was added");
    if (!sealed) changed(file, "manifest.json, the archive's own tables or its seal", "was changed");
    return bundle;
}

}  // namespace wmlab::lab::commands
