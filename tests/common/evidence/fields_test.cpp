#include "common/evidence/fields.hpp"

#include <boost/json/parse.hpp>
#include <limits>

#include "tests/catch.hpp"

using namespace wmlab::evidence;
namespace field = wmlab::evidence::field;

namespace {

Event with(std::string_view json) {
    Event event;
    event.fields = boost::json::parse({json.data(), json.size()}).as_object();
    return event;
}

}  // namespace

TEST_CASE("a field that is missing or of another kind reads as nothing", "[evidence]") {
    const std::string value = GENERATE(as<std::string>{}, "null", "true", "[1]", "{\"a\":1}", "\"x\"", "7", "-1", "1.5", "1e300");
    INFO(value);
    const auto event = with("{\"port\":" + value + ",\"error\":" + value + ",\"control\":" + value + ",\"flows\":" + value + ",\"rule\":" + value + "}");
    CHECK(text_field(event, field::error) == (value == "\"x\"" ? "x" : ""));
    CHECK(true_field(event, field::control) == (value == "true"));
    CHECK((list_field(event, field::flows) != nullptr) == (value == "[1]"));
    CHECK((object_field(event, field::rule) != nullptr) == (value.front() == '{'));
    CHECK(port_field(event, field::port).value_or(0) == (value == "7" ? 7 : 0));
    CHECK(whole_field(event, field::port).has_value() == (value == "7"));
    CHECK(number_field(event, field::port).has_value() == (value == "7" || value == "-1" || value == "1.5" || value == "1e300"));
    CHECK(word_field(event, field::error) == (value == "\"x\"" ? "x" : value == "7" ? "7" : ""));
    const auto empty = with("{}");
    CHECK(text_field(empty, field::error).empty());
    CHECK(word_field(empty, field::error).empty());
    CHECK_FALSE(has_field(empty, field::port));
    CHECK(has_field(event, field::port));
}

TEST_CASE("a port is from 1 to 65535", "[evidence]") {
    CHECK_FALSE(port_field(with("{\"port\":0}"), field::port));
    CHECK(port_field(with("{\"port\":65535}"), field::port) == 65535);
    CHECK_FALSE(port_field(with("{\"port\":65536}"), field::port));
}

TEST_CASE("a failure is read as it was written", "[evidence]") {
    const auto failure = GENERATE(values<Failure>({
        {"timeout", "", 3000.0, {}},
        {"refused", "ECONNREFUSED", 1.0, {}},
        {"unreachable", "EHOSTUNREACH", 12.0, Failure::Icmp{3, 13, "10.20.0.1"}},
        {"other", "End of file", {}, {}},
    }));
    Event event;
    CHECK_FALSE(read_failure(event));
    event.fields[field::failure] = to_json(failure);
    CHECK(read_failure(event) == failure);
}

TEST_CASE("a failure of another version reads as far as it can be", "[evidence]") {
    CHECK_FALSE(read_failure(with("{\"failure\":\"refused\"}")));
    const auto odd = read_failure(with("{\"failure\":{\"kind\":7,\"waited\":\"long\",\"icmp\":{\"type\":300,\"code\":13}}}"));
    REQUIRE(odd);
    CHECK(odd->kind.empty());
    CHECK_FALSE(odd->waited);
    CHECK(odd->icmp == Failure::Icmp{3, 13, ""});
}
