#include "lab/run/haste.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>

#include "common/bytes/read_file.hpp"
#include "common/evidence/fields.hpp"
#include "lab/firewall/kernel_rules.hpp"
#include "lab/network/surroundings.hpp"

namespace wmlab::lab {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view folder = "net/netfilter/";

std::string without_quoted(const std::string& text) {
    std::string bare;
    bool quoted = false;
    for (const char c : text) {
        if (c == '"')
            quoted = !quoted;
        else if (!quoted)
            bare += c;
    }
    return bare;
}

// Rules that keep time themselves (elements of sets, policies of their own for connections, lists of recent addresses): nothing of that
// can be set shorter.
bool keeps_time(const std::string& rules) {
    constexpr std::array<std::string_view, 5> words{"timeout", "recent", "hashlimit", "meta hour", "meta time"};
    const auto bare = without_quoted(rules);
    return std::ranges::any_of(words, [&](std::string_view word) { return bare.find(word) != std::string::npos; });
}

bool keeps_time(const std::filesystem::path& file) {
    const auto text = bytes::read_file(file, ruleset_size_max);
    return text && keeps_time(*text);
}

// Why the pause is played at its full length; empty: it need not be.
std::string why_real_time(const Lab& lab, const scenario::Scenario& scenario) {
    for (const auto& box : lab.boxes) {
        if (box.ruleset.empty()) continue;
        if (keeps_time(list_rules(lab.network.firewall(box.name())))) return box.ruleset.filename().string() + " has time-outs of its own";
    }
    for (const auto& event : scenario.events) {
        if (event.kind == scenario::Incident::Kind::sysctl && event.subject.find("timeout") != std::string::npos)
            return "an event sets " + event.subject.substr(event.subject.rfind('/') + 1);
        if (event.kind == scenario::Incident::Kind::reload && keeps_time(event.ruleset)) return event.ruleset.filename().string() + " has time-outs of its own";
    }
    return {};
}

}  // namespace

std::vector<Haste::Setting> Haste::read_settings() const {
    std::vector<Setting> settings;
    for (const auto& box : lab_.boxes)
        for (const auto name : idle_time_outs()) {
            auto path = std::string{folder} + std::string{name};
            auto before = setting_at(lab_.network.firewall(box.name()), path);
            long value = 0;
            const auto [end, problem] = std::from_chars(before.data(), before.data() + before.size(), value);
            if (problem != std::errc{} || value <= 0) continue;  // this kernel has none, or tracks nothing yet
            settings.push_back({box.name(), std::move(path), std::move(before), std::chrono::seconds{value}});
        }
    return settings;
}

bool Haste::set(const std::vector<Setting>& settings, const Pace& pace) {
    for (std::size_t i = 0; i < settings.size(); ++i) {
        const auto& one = settings[i];
        if (!set_setting(lab_.network.firewall(one.box), one.path, std::to_string(pace.time_outs[i].played.count()))) return false;
        changed_.push_back(one);
    }
    return true;
}

void Haste::listen() {
    for (const auto& box : lab_.boxes)
        watches_.emplace_back(lab_.io, lab_.network.firewall(box.name()), [this, name = box.name()](const ForgottenConnection& one) {
            boost::json::object fields;
            fields[field::protocol] = one.protocol;
            fields[field::source] = one.source;
            fields[field::destination] = one.destination;
            fields[field::replied] = one.replied;
            fields[field::assured] = one.assured;
            fields[field::wave] = wave_;
            if (lab_.boxes.size() > 1) fields[field::box] = name;
            recorder_.note(evidence::What::forgotten, {}, {}, std::move(fields));
        });
}

void Haste::note(const std::vector<Setting>& settings, const Pace& pace, const std::string& real_time) {
    boost::json::object fields;
    fields[field::wave] = wave_;
    fields[field::divisor] = pace.divisor;
    fields[field::heard] = !watches_.empty();
    if (!real_time.empty()) fields[field::real_time] = real_time;
    boost::json::array all;
    for (std::size_t i = 0; i < settings.size(); ++i) {
        boost::json::object one{
            {"name", pace.time_outs[i].name}, {field::real, pace.time_outs[i].real.count()}, {field::played, pace.time_outs[i].played.count()}};
        if (lab_.boxes.size() > 1) one[field::box] = settings[i].box;
        all.push_back(std::move(one));
    }
    fields[field::settings] = std::move(all);
    recorder_.note(evidence::What::time_outs, {}, {}, std::move(fields));
}

double Haste::begin(const scenario::Scenario& scenario, const std::vector<scenario::FlowInstance>& flows, std::size_t wave) {
    milliseconds idle{0}, play{0};
    for (const auto& flow : flows) {
        idle = std::max(idle, flow.flow->idle);
        play = std::max(play, flow.flow->play);
    }
    if (idle.count() == 0 || !lab_.setting.built_in()) return 1;
    wave_ = wave;
    const auto settings = read_settings();
    std::vector<TimeOut> real;
    for (const auto& one : settings) real.push_back({one.path.substr(folder.size()), one.real, one.real});
    auto real_time = why_real_time(lab_, scenario);
    auto wanted = real_time.empty() ? pace(idle, play, real) : Pace{idle, idle, 1, real};
    try {
        listen();
    } catch (const SetupFailed& failure) {
        lab_.notes.push_back(fmt::format("which connections the firewall forgets is not known: {}", failure.what()));
        watches_.clear();
    }
    if (wanted.divisor > 1 && !set(settings, wanted)) {
        real_time = fmt::format("the time-outs of the firewall cannot be set here: {}", std::strerror(errno));
        restore();
        wanted = {idle, idle, 1, real};
    }
    note(settings, wanted, real_time);
    return wanted.divisor;
}

void Haste::end() {
    restore();
    for (const auto& watch : watches_)
        if (watch.lost()) recorder_.note(evidence::What::forgotten, {}, {}, {{field::messages_lost, true}, {field::wave, wave_}});
    watches_.clear();
}

void Haste::restore() {
    for (auto at = changed_.rbegin(); at != changed_.rend(); ++at) set_setting(lab_.network.firewall(at->box), at->path, at->before);
    changed_.clear();
}

}  // namespace wmlab::lab
