#include "lab/rules/limits.hpp"

#include <map>

#include "lab/rules/json_fields.hpp"

namespace wmlab::lab::rules {
namespace {

double seconds_of(const std::string& unit) {
    static const std::map<std::string, double> seconds{{"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}, {"week", 604800}};
    const auto found = seconds.find(unit);
    return found == seconds.end() ? 1 : found->second;
}

double factor_of(const std::string& unit) { return unit == "kbytes" ? 1024 : unit == "mbytes" ? 1024 * 1024 : 1; }

}  // namespace

std::vector<Limit> limits_of(const Rule& rule) {
    std::vector<Limit> all;
    each_member(rule.expr, [&](std::string_view key, const boost::json::value& value) {
        const auto* body = value.if_object();
        if (body == nullptr) return;
        const auto number = [&](std::string_view name) { return static_cast<double>(number_at(*body, name)); };
        if (key == "limit") {
            const auto unit = text_at(*body, "rate_unit");
            const bool bytes = !unit.empty() && unit != "packets";
            all.push_back({bytes ? Limit::Sort::bytes : Limit::Sort::packets, number("rate") * factor_of(unit) / seconds_of(text_at(*body, "per")),
                           number("burst") * factor_of(text_at(*body, "burst_unit"))});
        }
        if (key == "ct count") all.push_back({Limit::Sort::connections, number("val"), 0});
    });
    return all;
}

}  // namespace wmlab::lab::rules
