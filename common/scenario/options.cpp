#include "common/scenario/options.hpp"

#include <algorithm>
#include <string>

#include "common/scenario/catalogue.hpp"

namespace wmlab::scenario {
namespace {

const std::vector<OptionSpec>& table() {
    using enum FlowType;
    static const std::vector<FlowType> with_media{mms_udp, mms_tcp,           http,      mms_auto,
                                                  msbd,    http_distribution, multicast, encoder_alias};
    static const std::vector<OptionSpec> options{
        {"id", {}},
        {"type", {}},
        {"from", {}},
        {"to", {}},
        {"expect", {}},
        {"deadline", {}},
        {"tags", {}},
        {"content", with_media},
        {"play", with_media},
        {"idle", {mms_udp, mms_tcp}},
        {"max_loss", with_media},
        {"count", {mms_udp, mms_tcp, http, mms_auto, msbd, http_distribution, command}},
        {"load", {mms_udp, mms_tcp, http, mms_auto}},
        {"client_ports", {mms_udp, mms_auto}},
        {"port", {http, msbd, http_distribution, multicast}},
        {"proxy", {http, mms_auto}},
        {"source", {msbd, http_distribution}},
        {"group", {multicast}},
        {"ttl", {multicast}},
        {"igmp_version", {multicast}},
        {"processes", {dcom}},
        {"transport", {dcom}},
        {"reserved_ports", {dcom, encoder_alias}},
        {"registry", {dcom, encoder_alias}},
        {"alias", {encoder_alias}},
        {"msbd_port", {encoder_alias}},
        {"protocol", {probe}},
        {"ports", {probe}},
        {"run", {command}},
    };
    return options;
}

}  // namespace

bool OptionSpec::taken_by(FlowType type) const {
    return types.empty() || std::ranges::find(types, type) != types.end();
}

std::span<const OptionSpec> flow_options() { return table(); }

const OptionSpec* flow_option(std::string_view name) {
    const auto found = std::ranges::find(table(), name, &OptionSpec::name);
    return found == table().end() ? nullptr : &*found;
}

std::vector<std::string_view> flow_options_of(FlowType type) {
    std::vector<std::string_view> names;
    for (const auto& option : table())
        if (option.taken_by(type)) names.push_back(option.name);
    return names;
}

std::string types_text(const OptionSpec& option) {
    std::string text;
    for (std::size_t i = 0; i < option.types.size(); ++i) {
        if (i > 0) text += i + 1 == option.types.size() ? " and " : ", ";
        text += '`' + std::string{spec(option.types[i]).name} + '`';
    }
    return text;
}

}  // namespace wmlab::scenario
