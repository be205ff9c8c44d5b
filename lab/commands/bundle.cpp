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
#include <set>
#include <sstream>

#include "common/evidence/clocks.hpp"
#include "common/evidence/journal.hpp"
#include "lab/commands/description.hpp"
#include "lab/host/error.hpp"
#include "lab/rules/attribution.hpp"
#include "lab/rules/coverage.hpp"
#include "lab/rules/source.hpp"
#include "lab/run/identity.hpp"
#include "lab/verdict/comparison.hpp"
#include "lab/verdict/expectation.hpp"

namespace wmlab::lab::commands {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::string_view schema = "wmlab.bundle/1", manifest_name = "manifest.json", seal_words = "wmlab sha256:";
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

json::string text_json(std::string_view text) { return json::string(json::string_view(text.data(), text.size())); }

json::array strings_json(const std::vector<std::string>& list) {
    json::array array;
    for (const auto& entry : list) array.emplace_back(text_json(entry));
    return array;
}

json::object kept_json(const Kept& kept) {
    return {{"ruleset", text_json(kept.how.ruleset)},
            {"control", kept.how.control_run},
            {"seconds", kept.how.seconds},
            {"problems", strings_json(kept.how.problems)},
            {"notes", strings_json(kept.notes)},
            {"coverage", kept.coverage}};
}

std::string at_text(const json::object& object, std::string_view key) {
    const auto* const value = object.if_contains({key.data(), key.size()});
    return value != nullptr && value->is_string() ? std::string{value->get_string().c_str(), value->get_string().size()}
                                                  : std::string{};
}
bool at_true(const json::object& object, std::string_view key) {
    const auto* const value = object.if_contains({key.data(), key.size()});
    return value != nullptr && value->is_bool() && value->get_bool();
}
const json::object* at_object(const json::object& object, std::string_view key) {
    const auto* const value = object.if_contains({key.data(), key.size()});
    return value == nullptr ? nullptr : value->if_object();
}
std::vector<std::string> at_strings(const json::object& object, std::string_view key) {
    std::vector<std::string> list;
    const auto* const value = object.if_contains({key.data(), key.size()});
    if (value == nullptr || !value->is_array()) return list;
    for (const auto& entry : value->get_array())
        if (entry.is_string()) list.emplace_back(entry.get_string().c_str(), entry.get_string().size());
    return list;
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
        changed(file, "its table of contents", "cannot be read");
    std::uint64_t total = 0;
    std::string last = "its beginning";
    for (;;) {
        archive_entry* entry = nullptr;
        const int got = archive_read_next_header(zip.get(), &entry);
        if (got == ARCHIVE_EOF) break;
        if (got != ARCHIVE_OK) changed(file, "what follows " + last, "cannot be read");
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

Identity identity_from(const json::object& report) {
    Identity identity;
    const auto* const object = at_object(report, "identity");
    if (object == nullptr) return identity;
    identity.when = at_text(*object, "when");
    if (const auto* const self = at_object(*object, "wmlab")) {
        identity.version = at_text(*self, "version");
        identity.commit = at_text(*self, "commit");
    }
    identity.kernel = at_text(*object, "kernel");
    identity.nft = at_text(*object, "nft");
    identity.iptables = at_text(*object, "iptables");
    identity.machine = at_text(*object, "machine");
    identity.lab = at_text(*object, "lab");
    const auto hashed = [](const json::object& entry) {
        return Hashed{at_text(entry, "name"), at_text(entry, "sha256")};
    };
    if (const auto* const scenario = at_object(*object, "scenario")) identity.scenario = hashed(*scenario);
    for (const auto& [key, list] :
         {std::pair{"rulesets", &identity.rulesets}, std::pair{"contents", &identity.contents}})
        if (const auto* const array = object->if_contains(key); array != nullptr && array->is_array())
            for (const auto& entry : array->get_array())
                if (entry.is_object()) list->push_back(hashed(entry.get_object()));
    return identity;
}

std::vector<evidence::Event> events_in(const Bundle& bundle, const std::string& folder) {
    std::vector<evidence::Event> events;
    for (const auto& [name, bytes] : bundle.members) {
        if (!name.starts_with(folder) || name.find('/', folder.size()) != std::string::npos ||
            !name.ends_with(".jsonl"))
            continue;
        std::istringstream in{bytes};
        auto journal = evidence::read_journal(in, name);
        std::ranges::move(journal.events, std::back_inserter(events));
    }
    evidence::align_clocks(events);
    return events;
}

Report judged_again(const Bundle& bundle, const scenario::Scenario& scenario, const json::object& kept,
                    const std::vector<std::string>& flows, const std::string& folder,
                    std::vector<evidence::Event>& events) {
    events = events_in(bundle, folder);
    const std::set<std::string> chosen(flows.begin(), flows.end());
    JudgeOptions how;
    how.control_run = at_true(kept, "control");
    how.ruleset = at_text(kept, "ruleset");
    if (const auto* const seconds = kept.if_contains("seconds"); seconds != nullptr && seconds->is_number())
        how.seconds = seconds->to_number<double>();
    how.problems = at_strings(kept, "problems");
    how.only = [&](const scenario::FlowInstance& flow) { return chosen.empty() || chosen.contains(flow.id); };
    auto report = judge(scenario, events, events_in(bundle, folder + "control/"), how);
    rules::attribute(report, scenario, events);
    hold_against_expectations(report);  // of rules, too
    if (at_true(kept, "coverage")) report.coverage = rules::coverage(report, events);
    const auto notes = at_strings(kept, "notes");
    report.notes.insert(report.notes.end(), notes.begin(), notes.end());
    return report;
}

// A folder of our own, gone with the object.
class Folder {
public:
    Folder() {
        std::string name = (fs::temp_directory_path() / "wmlab-replay-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw setup_failed("make a folder for the scenario's files", errno);
        path = name;
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    fs::path path;
};

json::object parsed(const Bundle& bundle, const std::string& name) {
    boost::system::error_code failure;
    auto value = json::parse(bundle.member(name), failure);
    if (failure || !value.is_object()) throw BundleRefused{name + " is not a JSON object"};
    return std::move(value.get_object());
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

void BundleWriter::write(const ScenarioText& text, const Report& report) const {
    std::map<std::string, std::string> members;
    members["scenario.yaml"] = text.yaml;
    for (const auto& flow : text.scenario.flows) {
        const auto near = flow.registry.lexically_relative(text.directory);
        if (!flow.registry.empty() && is_inside(near.generic_string()))
            members["files/" + near.generic_string()] = read_all(flow.registry);
    }
    json::array rulesets;
    std::set<std::string> known;
    for (const auto* kept : {&run, &baseline}) {
        for (const auto& ruleset : kept->rulesets)
            for (const auto& source : rules::read_source(ruleset).files) {
                std::error_code ignored;
                if (!fs::is_regular_file(source, ignored) || !known.insert(source.string()).second) continue;
                const auto member = fmt::format("rulesets/{}-{}", known.size(), source.filename().string());
                members[member] = read_all(source);
                rulesets.push_back(json::object{
                    {"member", text_json(member)}, {"name", text_json(source.string())}, {"baseline", kept == &baseline}});
            }
    }
    add_folder(members, journals(), "journals/");
    add_folder(members, captures(), "captures/");
    for (const auto& renderer : renderers())
        if (renderer.name == "json") members["report.json"] = renderer.render(report, {});

    json::array lines;  // of the user's file: scenario.yaml may be made of it
    for (const auto& flow : text.scenario.flows) lines.emplace_back(flow.line);
    json::object proven;
    for (const auto& flow : report.flows)
        if (flow.suggestion_proven) proven[text_json(flow.id)] = *flow.suggestion_proven;
    json::object manifest{
        {"schema", text_json(schema)},
        {"scenario", text_json(text.scenario.file.string())},
        {"flows", strings_json(flows)},
        {"lines", std::move(lines)},
        {"run", kept_json(run)},
        {"baseline", baseline.rulesets.empty() ? json::value(nullptr) : json::value(kept_json(baseline))},
        {"proven", std::move(proven)},
        {"rulesets", std::move(rulesets)}};
    json::object hashes;
    for (const auto& [name, bytes] : members) hashes[text_json(name)] = text_json(sha256(bytes));
    manifest["members"] = std::move(hashes);
    members[std::string{manifest_name}] = json::serialize(manifest) + "\n";
    write_zip(file_, members);
}

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
    const auto* const hashes = failure || !value.is_object() ? nullptr : at_object(value.get_object(), "members");
    if (hashes == nullptr) changed(file, std::string{manifest_name}, "was changed");
    if (at_text(value.get_object(), "schema") != schema) {
        if (!sealed) changed(file, std::string{manifest_name}, "was changed");
        throw BundleRefused{fmt::format("{}: its manifest is of another kind than {}", file.string(), schema)};
    }
    for (const auto& [key, _] : *hashes) {
        const std::string name{key.data(), key.size()};
        if (!bundle.has(name)) changed(file, name, "is missing");
        if (at_text(*hashes, name) != sha256(bundle.member(name))) changed(file, name, "was changed");
    }
    for (const auto& [name, _] : bundle.members)
        if (name != manifest_name && !hashes->contains({name.data(), name.size()})) changed(file, name, "was added");
    if (!sealed) changed(file, "manifest.json, the archive's own tables or its seal", "was changed");
    return bundle;
}

namespace {

double at_seconds(const json::object& object, std::string_view key) {
    const auto* const number = object.if_contains(key);
    boost::system::error_code none;
    return number == nullptr ? 0 : number->to_number<double>(none);
}

std::optional<RuleRef> at_rule(const json::object& object, std::string_view key) {
    const auto* const of = at_object(object, key);
    if (of == nullptr) return std::nullopt;
    RuleRef rule{at_text(*of, "file"), static_cast<unsigned>(at_seconds(*of, "line")), at_text(*of, "text"), at_text(*of, "chain")};
    rule.via = at_text(*of, "via");
    rule.box = at_text(*of, "box");
    return rule;
}

std::vector<Opened> at_openings(const json::object& object, std::string_view key) {
    std::vector<Opened> all;
    const auto* const list = object.if_contains(key);
    if (list == nullptr || !list->is_array()) return all;
    for (const auto& entry : list->get_array()) {
        if (!entry.is_object()) continue;
        const auto& of = entry.get_object();
        Opened opened;
        opened.family = at_text(of, "family"), opened.hook = at_text(of, "hook");
        opened.from_zone = at_text(of, "from_zone"), opened.to_zone = at_text(of, "to_zone");
        opened.from = at_strings(of, "from"), opened.to = at_strings(of, "to");
        opened.protocol = at_text(of, "protocol");
        for (const auto& range : at_strings(of, "ports"))
            if (const auto ports = scenario::PortRange::from(range)) opened.ports.push_back(*ports);
        opened.condition = at_text(of, "condition"), opened.leads_to = at_text(of, "leads_to");
        opened.rule = at_rule(of, "rule"), opened.translated_by = at_rule(of, "translated_by"), opened.other = at_rule(of, "other_side");
        opened.flows = at_strings(of, "flows");
        opened.proven = at_true(of, "proven");
        opened.accepted = at_text(of, "accepted");
        all.push_back(std::move(opened));
    }
    return all;
}

// What was measured and is not judged from evidence: the sweep of both rulesets, flows that were run again, the patch
// that was tried, the time it took. It is taken from the report of the run.
void take_measured(const json::object& recorded, Report& report) {
    if (const auto* const summary = at_object(recorded, "summary")) report.summary.seconds = at_seconds(*summary, "seconds");
    if (const auto* const of = at_object(recorded, "patch")) {
        auto& patch = report.patch.emplace();
        patch.diff = at_text(*of, "diff"), patch.directory = at_text(*of, "directory");
        patch.rules = static_cast<unsigned>(at_seconds(*of, "rules"));
        patch.proven = at_true(*of, "proven");
        patch.flows = at_strings(*of, "flows"), patch.notes = at_strings(*of, "notes");
    }
    const auto* const of = at_object(recorded, "baseline");
    if (of == nullptr || !report.baseline) return;
    auto& comparison = *report.baseline;
    comparison.opened = at_openings(*of, "opened"), comparison.closed = at_openings(*of, "closed");
    comparison.tried = at_strings(*of, "tried"), comparison.not_tried = at_strings(*of, "not_tried"), comparison.notes = at_strings(*of, "notes");
    comparison.seconds = at_seconds(*of, "seconds");
    const auto* const flows = of->if_contains("flows");
    if (flows == nullptr || !flows->is_array()) return;
    for (const auto& entry : flows->get_array()) {
        if (!entry.is_object() || at_text(entry.get_object(), "note").empty()) continue;
        const auto& was = entry.get_object();
        for (auto& flow : comparison.flows) {
            if (flow.id != at_text(was, "id")) continue;
            flow.note = at_text(was, "note");
            flow.differences = at_strings(was, "differences");
            if (at_text(was, "change") == text(Change::unchanged)) flow.change = Change::unchanged;
        }
    }
}

}  // namespace

Report judge_again(const Bundle& bundle) {
    const auto manifest = parsed(bundle, std::string{manifest_name});
    const Folder folder;
    for (const auto& [name, bytes] : bundle.members) {
        if (!name.starts_with("files/")) continue;
        const auto path = folder.path / name.substr(6);
        fs::create_directories(path.parent_path());
        std::ofstream{path, std::ios::binary} << bytes;
    }
    ScenarioText text;
    text.yaml = bundle.member("scenario.yaml");
    text.directory = folder.path;
    auto loaded = scenario::load(text.yaml, at_text(manifest, "scenario"), folder.path, false);
    if (!loaded.ok())
        throw BundleRefused{"its scenario is not good for this version:\n" + scenario::explain(loaded.problems)};
    text.scenario = std::move(loaded.scenario);
    if (const auto* const lines = manifest.if_contains("lines"); lines != nullptr && lines->is_array())
        for (std::size_t i = 0; i < lines->get_array().size() && i < text.scenario.flows.size(); ++i)
            if (const auto* const line = lines->get_array()[i].if_int64(); line != nullptr && *line > 0)
                text.scenario.flows[i].line = static_cast<unsigned>(*line);
    const auto flows = at_strings(manifest, "flows");
    const auto* const kept = at_object(manifest, "run");
    if (kept == nullptr) throw BundleRefused{"its manifest says nothing of the run"};
    std::vector<evidence::Event> events;
    auto report = judged_again(bundle, text.scenario, *kept, flows, "journals/", events);

    std::vector<RulesetText> rulesets;
    if (const auto* const list = manifest.if_contains("rulesets"); list != nullptr && list->is_array())
        for (const auto& entry : list->get_array())
            if (entry.is_object() && !at_true(entry.get_object(), "baseline"))
                rulesets.push_back(
                    text_of(at_text(entry.get_object(), "name"), bundle.member(at_text(entry.get_object(), "member"))));
    describe(report, text, events, std::move(rulesets), identity_from(parsed(bundle, "report.json")));
    if (const auto* const before = at_object(manifest, "baseline")) {
        std::vector<evidence::Event> ignored;
        report.baseline =
            compare(judged_again(bundle, text.scenario, *before, flows, "journals/baseline/", ignored), report);
    }
    take_measured(parsed(bundle, "report.json"), report);
    if (const auto* const proven = at_object(manifest, "proven"))
        for (auto& flow : report.flows)
            if (proven->contains({flow.id.data(), flow.id.size()})) flow.suggestion_proven = at_true(*proven, flow.id);
    return report;
}

}  // namespace wmlab::lab::commands
