#include <boost/json.hpp>
#include <fstream>
#include <set>
#include <sstream>

#include "common/scenario/catalogue.hpp"
#include "common/scenario/options.hpp"
#include "tests/catch.hpp"

using namespace wmlab::scenario;
namespace json = boost::json;

namespace {

std::string contents_of(const std::string& file) {
    std::ifstream in{std::string{WMLAB_SOURCE_DIR} + '/' + file};
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

std::set<std::string> words(const json::value& list) {
    std::set<std::string> all;
    for (const auto& word : list.as_array()) all.insert(word.as_string().c_str());
    return all;
}

template <class Names>
std::set<std::string> set_of(const Names& names) {
    return {names.begin(), names.end()};
}

}  // namespace

TEST_CASE("scenarios/schema.json knows the catalogue's types, options, legs and words", "[scenario]") {
    const auto schema = json::parse(contents_of("scenarios/schema.json"));
    const auto& defs = schema.at("$defs").as_object();
    CHECK(words(defs.at("verdict").at("enum")) == set_of(verdict_names));
    CHECK(words(defs.at("cause").at("enum")) == set_of(cause_names));
    std::set<std::string> types;
    for (const auto& type : catalogue()) {
        const std::string name{type.name};
        INFO(name);
        types.insert(name);
        const auto* flow = defs.if_contains("flow-" + name);
        REQUIRE(flow != nullptr);
        CHECK(flow->at("description").as_string() == json::string_view{type.summary.data(), type.summary.size()});
        std::set<std::string> options;
        for (const auto& [key, value] : flow->at("properties").as_object()) options.insert(key);
        CHECK(options == set_of(flow_options_of(type.type)));

        Flow with_proxy;
        with_proxy.type = type.type;
        std::set<std::string> legs;
        for (const auto& leg : leg_specs(with_proxy)) legs.insert(std::string{leg.name});
        if (flow_option("proxy")->taken_by(type.type)) legs.insert("proxy");
        const auto& leg = flow->at("properties").at("expect").at("oneOf").as_array().at(1).at("properties").at("leg");
        CHECK((leg.is_object() ? words(leg.at("enum")) : std::set<std::string>{}) == legs);
    }
    CHECK(words(defs.at("flow").at("properties").at("type").at("enum")) == types);
}
