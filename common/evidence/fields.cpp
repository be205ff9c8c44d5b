#include "common/evidence/fields.hpp"

#include <netinet/in.h>

#include <cmath>

namespace wmlab::evidence {
namespace {

std::optional<double> number_in(const boost::json::value* value) {
    if (value == nullptr || !value->is_number()) return std::nullopt;
    return value->to_number<double>();
}

}  // namespace

std::string_view text_in(const boost::json::value& value) {
    const auto* text = value.if_string();
    return text == nullptr ? std::string_view{} : std::string_view{*text};
}

std::optional<std::uint64_t> whole_number(const boost::json::value& value) {
    constexpr auto most = std::uint64_t{1} << 53;
    if (!value.is_number()) return std::nullopt;
    if (value.is_double()) {
        const auto number = value.get_double();
        if (!(number >= 0) || number > static_cast<double>(most) || number != std::floor(number)) return std::nullopt;
        return static_cast<std::uint64_t>(number);
    }
    boost::system::error_code wrong;
    const auto number = value.to_number<std::uint64_t>(wrong);
    return wrong ? std::nullopt : std::optional{number};
}

std::string_view text_field(const Fields& fields, Text name) {
    const auto* value = fields.if_contains(name);
    return value == nullptr ? std::string_view{} : text_in(*value);
}

std::optional<double> number_field(const Fields& fields, Number name) { return number_in(fields.if_contains(name)); }

std::optional<std::uint64_t> whole_field(const Fields& fields, Number name) {
    const auto* value = fields.if_contains(name);
    return value == nullptr ? std::nullopt : whole_number(*value);
}

std::optional<std::uint16_t> port_field(const Fields& fields, Number name) {
    const auto number = whole_field(fields, name);
    if (!number || *number == 0 || *number > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(*number);
}

bool true_field(const Fields& fields, Flag name) {
    const auto* value = fields.if_contains(name);
    return value != nullptr && value->is_bool() && value->get_bool();
}

const boost::json::array* list_field(const Fields& fields, List name) {
    const auto* value = fields.if_contains(name);
    return value == nullptr ? nullptr : value->if_array();
}

const boost::json::object* object_field(const Fields& fields, Object name) {
    const auto* value = fields.if_contains(name);
    return value == nullptr ? nullptr : value->if_object();
}

std::string word_field(const Fields& fields, Text name) {
    const auto* value = fields.if_contains(name);
    if (value == nullptr) return {};
    const auto number = whole_number(*value);
    return number ? std::to_string(*number) : std::string{text_in(*value)};
}

Fields to_json(const Failure& failure) {
    Fields out;
    out[field::kind] = failure.kind;
    if (!failure.error.empty()) out[field::error] = failure.error;
    if (failure.waited) out[field::waited] = static_cast<std::int64_t>(*failure.waited);
    if (failure.icmp)
        out[field::icmp] = Fields{{field::icmp_type, failure.icmp->type}, {field::icmp_code, failure.icmp->code}, {field::from, failure.icmp->from}};
    return out;
}

std::optional<Failure> read_failure(const Event& event) {
    const auto* told = object_field(event, field::failure);
    if (told == nullptr) return std::nullopt;
    Failure failure;
    failure.kind = text_field(*told, field::kind);
    failure.error = text_field(*told, field::error);
    failure.waited = number_field(*told, field::waited);
    if (const auto* icmp = object_field(*told, field::icmp)) {
        const auto octet = [&](Number name, unsigned otherwise) {
            const auto number = whole_field(*icmp, name);
            return number && *number <= 255 ? static_cast<unsigned>(*number) : otherwise;
        };
        failure.icmp = Failure::Icmp{octet(field::icmp_type, 3), octet(field::icmp_code, 0), std::string{text_field(*icmp, field::from)}};
    }
    return failure;
}

std::string protocol_name(unsigned number) {
    switch (number) {
        case IPPROTO_TCP:
            return "tcp";
        case IPPROTO_UDP:
            return "udp";
        case IPPROTO_ICMP:
            return "icmp";
        case IPPROTO_IGMP:
            return "igmp";
        default:
            return "ip-" + std::to_string(number);
    }
}

}  // namespace wmlab::evidence
