// wmlab list: print the flows of a scenario, and the legs and ports each needs.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <iostream>
#include <set>

#include "common/scenario/catalogue.hpp"
#include "common/scenario/waves.hpp"
#include "lab/commands/options.hpp"

namespace wmlab::lab::commands {
namespace {

namespace json = boost::json;
namespace po = boost::program_options;

std::string text_of(scenario::Ipv4 address) { return address.value == 0 ? "auto" : address.text(); }  // not asked for yet

std::string place(const scenario::Scenario& scenario, const std::string& name, scenario::Ipv4 address,
                  const scenario::PortList& ports) {
    std::string words = scenario.host(name) != nullptr ? fmt::format("{} {}", name, text_of(address)) : text_of(address);
    if (!ports.empty()) words += ":" + scenario::text(ports);
    return words;
}

json::object place_object(const std::string& name, scenario::Ipv4 address, const scenario::PortList& ports) {
    return {{"host", name}, {"address", text_of(address)}, {"ports", scenario::text(ports)}};
}

json::value as_json(const scenario::Scenario& scenario) {
    json::array flows;
    for (const auto& instance : scenario::instances(scenario)) {
        json::array legs;
        for (const auto& leg : scenario::legs(scenario, instance)) {
            legs.push_back(json::object{
                {"name", leg.name},
                {"protocol", std::string{scenario::text(leg.protocol)}},
                {"optional", leg.optional},
                {"source", place_object(leg.source, leg.source_address, leg.source_ports)},
                {"destination", place_object(leg.destination, leg.destination_address, leg.destination_ports)}});
        }
        flows.push_back(json::object{{"id", instance.id},
                                     {"type", std::string{scenario::spec(instance.flow->type).name}},
                                     {"from", instance.from},
                                     {"to", instance.to},
                                     {"line", instance.flow->line},
                                     {"legs", std::move(legs)}});
    }
    return json::object{{"schema", "wmlab.list/1"}, {"scenario", scenario.name}, {"flows", std::move(flows)}};
}

void print_table(const scenario::Scenario& scenario) {
    std::vector<std::array<std::string, 6>> rows{{"flow", "type", "leg", "protocol", "from", "to"}};
    for (const auto& instance : scenario::instances(scenario)) {
        bool first = true;
        const auto legs = scenario::legs(scenario, instance);
        const std::string type{scenario::spec(instance.flow->type).name};
        if (legs.empty()) rows.push_back({instance.id, type, "-", "", instance.from, instance.to});
        for (const auto& leg : legs) {
            rows.push_back({first ? instance.id : "", first ? type : "", leg.name + (leg.optional ? " (optional)" : ""),
                            std::string{scenario::text(leg.protocol)},
                            place(scenario, leg.source, leg.source_address, leg.source_ports),
                            place(scenario, leg.destination, leg.destination_address, leg.destination_ports)});
            first = false;
        }
    }
    std::array<std::size_t, 6> widths{};
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
        line.erase(line.find_last_not_of(' ') + 1);
        std::cout << line << '\n';
    }
}

void print_names(const scenario::Scenario& scenario, const std::string& of) {
    std::set<std::string> names;
    if (of == "flows")
        for (const auto& flow : scenario::instances(scenario)) names.insert(flow.id);
    if (of == "hosts")
        for (const auto& host : scenario.hosts) names.insert(host.name);
    if (of == "zones")
        for (const auto& zone : scenario.zones) names.insert(zone.name);
    if (of == "tags")
        for (const auto& flow : scenario.flows) names.insert(flow.tags.begin(), flow.tags.end());
    for (const auto& name : names) std::cout << name << '\n';
}

}  // namespace

int list_command(Arguments arguments) {
    Usage usage{"list",
                "SCENARIO...",
                "Prints the flows of a scenario, and for each leg its protocol, addresses and ports.",
                {},
                ""};
    usage.options.add_options()(
        "waves", "for starting the simulators by hand: one line for each wave of flows that can run at the same time, written as their --flow options")(
        "opened-by", po::value<std::string>()->value_name("HOST"),
        "with --waves: only the flows whose end is written in this host's journal: those that it opens, and multicasts that it plays")(
        "without", po::value<std::vector<std::string>>()->composing()->value_name("TYPE"), "with --waves: leave out flows of this type; repeatable")(
        "json", "as JSON (schema wmlab.list/1), one document for each scenario")("names", po::value<std::string>()->value_name("flows|hosts|zones|tags"),
                                                                                 "print only these names, one on each line, for shell completion and scripts");
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    const auto files = words(*values);
    if (files.empty()) throw UsageError{"list: which scenario?"};
    const auto opener = values->contains("opened-by") ? (*values)["opened-by"].as<std::string>() : std::string{};
    if (!opener.empty() && !values->contains("waves")) throw UsageError{"list: --opened-by goes with --waves"};
    const auto names = values->contains("names") ? (*values)["names"].as<std::string>() : std::string{};
    if (!names.empty() && names != "flows" && names != "hosts" && names != "zones" && names != "tags")
        throw UsageError{fmt::format("list: --names takes flows, hosts, zones or tags, not `{}`", names)};
    const auto wanted = only_option(*values);
    bool good = true;
    for (const auto& file : files) {
        const auto scenario = read_scenario(file, scenario::Files::not_checked);
        good = good && scenario;
        if (!scenario) continue;
        if (!names.empty()) {
            print_names(*scenario, names);
        } else if (values->contains("waves")) {
            auto flows = scenario::instances(*scenario);
            if (wanted) std::erase_if(flows, [&](const auto& flow) { return !wanted(flow); });
            for (const auto& wave : scenario::waves(*scenario, flows)) {
                std::string line;
                for (const auto& flow : wave)
                    if (opener.empty() ||
                        opener == (scenario::telling_end(*flow.flow) == scenario::End::to ? flow.to : flow.from))
                        line += fmt::format("{}--flow {}", line.empty() ? "" : " ", flow.id);
                std::cout << line << '\n';
            }
        } else if (values->contains("json")) {
            std::cout << json::serialize(as_json(*scenario)) << '\n';
        } else {
            if (files.size() > 1) std::cout << fmt::format("{}\n", scenario->name);
            print_table(*scenario);
        }
    }
    return good ? 0 : 2;
}

}  // namespace wmlab::lab::commands
