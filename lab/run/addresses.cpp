#include "lab/run/addresses.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <set>

#include "common/evidence/fields.hpp"
#include "common/net/own_addresses.hpp"
#include "common/scenario/catalogue.hpp"
#include "lab/host/interruption.hpp"

namespace wmlab::lab {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds answer_limit{20};
constexpr std::chrono::milliseconds look_again{100};
constexpr std::size_t noise_max = 4096;

struct Question {
    const scenario::Host* host = nullptr;
    std::string program, prefix, noise;
    std::shared_ptr<Process> process;
    std::optional<net::OwnAddresses> answer;
    bool over = false;
    std::string why;  // it cannot be asked
};

// One that the host needs anyway.
std::string program_of(const scenario::Scenario& scenario, const std::string& host) {
    for (const auto& flow : scenario::instances(scenario))
        for (const auto end : {scenario::End::from, scenario::End::to}) {
            const auto program = scenario::program_at(scenario, flow, end);
            if ((end == scenario::End::from ? flow.from : flow.to) == host && program != scenario::Program::none) return std::string{scenario::text(program)};
        }
    return "client_sim";
}

// Where its packets go: the firewall's addresses in the other zones.
std::vector<std::string> places_to_ask_about(const scenario::Scenario& scenario, const scenario::Host& host) {
    std::vector<std::string> places;
    for (const auto& zone : scenario.zones)
        if (zone.name != host.zone && places.size() < 8) places.push_back(zone.gateway.text());
    return places;
}

std::string trimmed(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
    return text;
}

void ask(Launcher& launcher, const scenario::Scenario& scenario, Question& question) {
    Start start;
    start.host = question.host->name;
    start.argv = {question.program, "--own-addresses"};
    for (auto& place : places_to_ask_about(scenario, *question.host)) start.argv.push_back(std::move(place));
    start.line = [&question](std::string_view line) {  // a login shell may say something of its own
        if (!question.answer) question.answer = net::own_addresses_from(line);
    };
    start.noise = [&question](std::string_view part) {
        question.noise += part;
        if (question.noise.size() > noise_max) question.noise.erase(0, question.noise.size() - noise_max);
    };
    start.ended = [&question](const Ending&) { question.over = true; };
    try {
        question.process = launcher.start(std::move(start));
        question.process->close_input();
    } catch (const SetupFailed& failure) {
        question.over = true;
        question.why = failure.what();
    }
}

// Empty: it is known.
std::string judge_answer(const scenario::Scenario& scenario, const Question& question, scenario::Addresses& known) {
    if (!question.why.empty()) return question.why;
    if (!question.answer) {
        const auto said = trimmed(question.noise);
        if (!question.over) return fmt::format("nothing comes back after {} s{}{}", answer_limit.count(), said.empty() ? "" : ": ", said);
        const auto& ending = question.process->ending();
        return !said.empty() ? said : ending && !ending->ok() ? ending->text() : "it says something else than its addresses: install the same version there";
    }
    std::string why;
    const auto address = net::address_in(*question.answer, *scenario.zone(question.host->zone), why);
    if (!address) return why;
    const auto same = std::ranges::find_if(known, [&](const auto& other) { return other.second == *address; });
    const auto* const other = same != known.end() ? scenario.host(same->first) : scenario.host_at(*address);
    if (other != nullptr) return fmt::format("its address {} is that of host {}, too", address->text(), other->name);
    if (*address == scenario.zone(question.host->zone)->gateway)
        return fmt::format("its address {} is the firewall's own in zone {}", address->text(), question.host->zone);
    known[question.host->name] = *address;
    return {};
}

}  // namespace

bool asks_for_addresses(const scenario::Scenario& scenario) { return std::ranges::any_of(scenario.hosts, &scenario::Host::asked); }

AskedAddresses ask_for_addresses(const scenario::Scenario& scenario, const Setting& setting) {
    boost::asio::io_context io;
    std::vector<Question> questions;
    for (const auto& host : scenario.hosts) {
        if (!host.asked) continue;
        auto& question = questions.emplace_back();
        question.host = &host, question.program = program_of(scenario, host.name);
    }
    Launcher launcher{io};
    for (auto& question : questions) {
        const auto& prefix = setting.launched.find(question.host->name)->second;
        question.prefix = fmt::format("{}", fmt::join(prefix, " "));
        launcher.place(question.host->name, prefix, setting.machine.get());
        ask(launcher, scenario, question);
    }
    const auto limit = steady_clock::now() + answer_limit;
    while (std::ranges::any_of(questions, [](const Question& question) { return !question.over; }) && steady_clock::now() < limit) {
        io.run_for(look_again);
        io.restart();
        Interruptions::check();
    }
    AskedAddresses asked;
    for (const auto& question : questions) {
        const auto why = judge_answer(scenario, question, asked.known);
        if (why.empty()) continue;
        if (question.process && !question.over) question.process->signal(SIGKILL);
        asked.unknown.emplace(question.host->name,
                              SetupFailed{fmt::format("ask {} for its address by `{}`", question.host->name, question.prefix), why,
                                          question.answer ? "" : fmt::format("try it by hand: `{} {} --own-addresses`", question.prefix, question.program)});
    }
    return asked;
}

ScenarioText with_addresses(ScenarioText text, Setting& setting) {
    if (!asks_for_addresses(text.scenario)) return text;
    auto asked = ask_for_addresses(text.scenario, setting);
    setting.away = std::move(asked.unknown), setting.asked = asked.known;
    if (asked.known.empty()) return text;
    auto loaded = scenario::load(text.original.empty() ? text.yaml : text.original, text.scenario.file.string(), text.directory, scenario::Files::not_checked,
                                 {}, asked.known);
    if (!loaded.ok()) throw SetupFailed{"use the addresses that the hosts have", scenario::explain(loaded.problems)};
    text.yaml = std::move(loaded.expanded);
    loaded.scenario.firewalls = std::move(text.scenario.firewalls);  // the command line may have given them other rulesets
    text.scenario = std::move(loaded.scenario);
    return text;
}

scenario::Addresses addresses_in(const std::vector<evidence::Event>& events) {
    scenario::Addresses addresses;
    for (const auto& event : events) {
        if (event.event != evidence::What::lab_up) continue;
        const auto* const all = evidence::object_field(event, field::addresses);
        if (all == nullptr) continue;
        for (const auto& [host, value] : *all)
            if (const auto* const text = value.if_string())
                if (const auto address = scenario::Ipv4::from(std::string_view{text->data(), text->size()}))
                    addresses[std::string{host.data(), host.size()}] = *address;
    }
    return addresses;
}

}  // namespace wmlab::lab
