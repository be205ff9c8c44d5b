// A bundle: one zip file with all that a report rests on - scenario, rulesets, journals, captures, what was measured besides,
// the report - by which anybody can judge again, without the machines. Every member is hashed in its manifest, and the whole by its
// comment: a changed byte is refused by name. Nothing of it is run or believed when it is read.
#pragma once
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "lab/commands/run_evidence.hpp"
#include "lab/run/lab.hpp"

namespace wmlab::lab::commands {

struct BundleRefused : std::runtime_error {  // exit 2
    using std::runtime_error::runtime_error;
};

class BundleWriter {
public:
    // Folders for journals and captures of the run to come, which are gone with this object. SetupFailed.
    explicit BundleWriter(std::filesystem::path file);
    ~BundleWriter();
    BundleWriter(const BundleWriter&) = delete;
    BundleWriter& operator=(const BundleWriter&) = delete;

    // What the user wants to have in a folder of his own too (--journal, --pcap); empty: nothing.
    void copy_to(const std::filesystem::path& journals, const std::filesystem::path& captures) const;
    std::filesystem::path journals() const { return folder_ / "journals"; }
    std::filesystem::path captures() const { return folder_ / "captures"; }

    // Puts all together. SetupFailed.
    void write(const ScenarioText& text, const RunEvidence& evidence, const Report& report) const;

private:
    std::filesystem::path file_, folder_;
};

struct Bundle {
    std::map<std::string, std::string> members;  // by name: what is in them
    const std::string& member(const std::string& name) const;
    bool has(const std::string& name) const { return members.contains(name); }
};
// Verifies everything. BundleRefused: it is none, or something in it was changed.
Bundle read_bundle(const std::filesystem::path& file);
bool is_bundle(const std::filesystem::path& file);  // begins as a zip file does

// Where what was measured is in it.
inline constexpr std::string_view identity_member = "evidence/identity.json", places_member = "evidence/scenario.json", run_member = "evidence/run.json",
                                  baseline_member = "evidence/baseline.json", again_before_member = "evidence/again-before.json",
                                  again_after_member = "evidence/again-after.json", swept_member = "evidence/swept.json",
                                  live_member = "evidence/live.json", proof_member = "evidence/proof.json";
std::string log_member(const std::string& box);  // what its device logged

// Judges what is in it once more. What the run measured is read from files of its own (`evidence/`), and nothing from the
// report that is in it.
Report judge_again(const Bundle& bundle);

}  // namespace wmlab::lab::commands
