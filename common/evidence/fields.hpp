// What events of the journal can have besides who, when and where (docs/journal.md): every field's name and kind, written here once. Who writes or reads a
// field names it by these constants, so that a misspelt one, or a number read as text, does not compile. The journal is JSON on the outside, and may come from
// another version: a field that is missing or of another kind reads as nothing.
#pragma once
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/evidence/event.hpp"

namespace wmlab::evidence {

enum class FieldKind { text, number, flag, list, object };

template <FieldKind>
struct Field {
    std::string_view name;
    constexpr operator boost::json::string_view() const { return {name.data(), name.size()}; }
};
using Text = Field<FieldKind::text>;
using Number = Field<FieldKind::number>;
using Flag = Field<FieldKind::flag>;  // absent where it is not true
using List = Field<FieldKind::list>;
using Object = Field<FieldKind::object>;

namespace field {

// a process, the runner
inline constexpr Text version{"version"}, error{"error"}, holder{"holder"}, instead_of{"instead_of"}, taken{"taken"}, taken_by{"taken_by"}, token{"token"},
    reason{"reason"};
inline constexpr Number pid{"pid"}, lines{"lines"}, lost{"lost"}, wave{"wave"};
inline constexpr List flows{"flows"}, notes{"notes"}, routes{"routes"};
inline constexpr Text kind{"kind"}, file{"file"}, dialect{"dialect"}, box{"box"}, zone{"zone"}, group{"group"}, reporter{"reporter"};
inline constexpr Flag control{"control"};
inline constexpr Text program{"program"}, unreachable{"unreachable"}, output{"output"};
inline constexpr Number exit{"exit"}, signal{"signal"};
inline constexpr Flag stopping{"stopping"}, too_long{"too_long"};
inline constexpr Number round_trip{"round_trip"}, utc_ahead{"utc_ahead"}, monotonic_ahead{"monotonic_ahead"};
inline constexpr Number igmp_version{"igmp_version"};

// of an entry of `routes`
inline constexpr Text from{"from"};
inline constexpr List to{"to"};

// what happened by the scenario's `events:`
inline constexpr Number incident{"incident"}, began{"began"}, ended{"ended"};
inline constexpr Text what{"what"}, problem{"problem"};
inline constexpr Flag gap_in_rules{"gap"};

// a flow
inline constexpr Text type{"type"}, url{"url"}, target{"target"}, transport{"transport"}, outcome{"outcome"}, alias{"alias"};
inline constexpr Number attempt{"attempt"}, hr{"hr"}, processes{"processes"};

// a connection
inline constexpr Text protocol{"protocol"}, by{"by"};
inline constexpr Number milliseconds{"milliseconds"}, connection{"connection"};
inline constexpr Object addresses{"addresses"}, failure{"failure"}, icmp{"icmp"};
inline constexpr Number waited{"waited"}, icmp_type{"type"}, icmp_code{"code"};

// messages
inline constexpr Text message{"message"}, pdu{"pdu"}, unreadable{"field"}, head{"head"}, exhausted{"exhausted"};
inline constexpr Number bytes{"bytes"}, offset{"offset"}, status{"status"};
inline constexpr Flag other_version{"other_version"};

// media
inline constexpr Number packets{"packets"}, duplicates{"duplicates"}, damaged{"damaged"}, longest_gap{"longest_gap"}, last_gap{"last_gap"}, foreign{"foreign"},
    late{"late"}, largest_delay{"largest_delay"}, resend_requests{"resend_requests"}, recovered{"recovered"}, stray{"stray"}, datagrams{"datagrams"},
    unsent{"unsent"}, icmp_errors{"icmp_errors"}, skipped{"skipped"}, first_send{"first_send"}, last_send{"last_send"}, gap{"gap"}, delay{"delay"};
inline constexpr List digests{"digests"}, lost_numbers{"lost"}, sequences{"sequences"};
inline constexpr Text digest{"digest"}, header_digest{"header_digest"}, why{"why"};
inline constexpr Flag estimated{"estimated"}, on_purpose{"on_purpose"};

// a second of a load
inline constexpr Number seconds{"seconds"}, cpu{"cpu"}, busy{"busy"}, processors{"processors"}, gaps{"gaps"}, jitter{"jitter"};
inline constexpr List loads{"loads"};
inline constexpr Text load{"load"};

// a stream that pauses, and the connections that the firewall forgot meanwhile
inline constexpr Number lasts{"lasts"}, divisor{"divisor"}, real{"real"}, played{"played"};
inline constexpr Flag heard{"heard"}, replied{"replied"}, assured{"assured"};
inline constexpr Text real_time{"real_time"};
inline constexpr List settings{"settings"};

// probes
inline constexpr Number port{"port"};
inline constexpr Text ports{"ports"}, nonce{"nonce"};

// wire
inline constexpr Text direction{"direction"}, source{"source"}, destination{"destination"}, sender{"sender"}, quotes{"quotes"}, each{"each"};
inline constexpr Number ttl{"ttl"}, first{"first"}, last{"last"}, dropped{"dropped"};
inline constexpr List joins{"joins"}, leaves{"leaves"};

// trace
inline constexpr Text fate{"fate"}, in{"in"}, out{"out"}, state{"state"};
inline constexpr Object rule{"rule"}, before{"before"}, near_miss{"near_miss"}, nat_near_miss{"nat_near_miss"}, as{"as"}, nat_destination{"nat_destination"},
    nat_source{"nat_source"}, places{"places"};
inline constexpr Flag policy{"policy"}, fragment{"fragment"}, own{"own"}, reset{"reset"}, contradicted{"contradicted"}, asks{"asks"}, general{"general"},
    tracks{"tracks"}, changed{"changed"}, messages_lost{"lost"};
inline constexpr Number untraced{"untraced"};
inline constexpr List changes{"changes"}, rules{"rules"}, steps{"steps"};

// of a rule, or of a place for one
inline constexpr Number line{"line"};
inline constexpr Text text{"text"}, chain{"chain"}, via{"via"}, differs{"differs"}, hook{"hook"}, command{"command"};

}  // namespace field

using Fields = boost::json::object;

std::string_view text_field(const Fields& fields, Text name);
std::optional<double> number_field(const Fields& fields, Number name);
// A whole number; a negative one, a fraction or one beyond 64 bits reads as nothing.
std::optional<std::uint64_t> whole_field(const Fields& fields, Number name);
std::optional<std::uint16_t> port_field(const Fields& fields, Number name);
bool true_field(const Fields& fields, Flag name);
const boost::json::array* list_field(const Fields& fields, List name);       // nullptr: none
const boost::json::object* object_field(const Fields& fields, Object name);  // nullptr: none
// Text, or a whole number in digits: what some journals have one way and some the other.
std::string word_field(const Fields& fields, Text name);
std::optional<std::uint64_t> whole_number(const boost::json::value& value);
std::string_view text_in(const boost::json::value& value);  // empty: it is no text

inline std::string_view text_field(const Event& event, Text name) { return text_field(event.fields, name); }
inline std::optional<double> number_field(const Event& event, Number name) { return number_field(event.fields, name); }
inline std::optional<std::uint64_t> whole_field(const Event& event, Number name) { return whole_field(event.fields, name); }
inline std::optional<std::uint16_t> port_field(const Event& event, Number name) { return port_field(event.fields, name); }
inline bool true_field(const Event& event, Flag name) { return true_field(event.fields, name); }
inline const boost::json::array* list_field(const Event& event, List name) { return list_field(event.fields, name); }
inline const boost::json::object* object_field(const Event& event, Object name) { return object_field(event.fields, name); }
inline std::string word_field(const Event& event, Text name) { return word_field(event.fields, name); }
template <FieldKind kind>
bool has_field(const Event& event, Field<kind> name) {
    return event.fields.contains(name);
}

// The field `failure`: why an exchange did not work, as the end that tried it saw it.
struct Failure {
    struct Icmp {
        unsigned type = 3, code = 0;
        std::string from;
        bool operator==(const Icmp&) const = default;
    };
    std::string kind, error;       // "timeout", "ETIMEDOUT"
    std::optional<double> waited;  // ms
    std::optional<Icmp> icmp;
    bool operator==(const Failure&) const = default;
};
Fields to_json(const Failure& failure);
std::optional<Failure> read_failure(const Event& event);

// What `wire` and `trace` call an IP protocol: "tcp", "udp", "icmp", "igmp"; others "ip-47".
std::string protocol_name(unsigned number);

// What `malformed` names as the field where a datagram came from a stranger.
inline constexpr std::string_view source_address = "source address";

}  // namespace wmlab::evidence

namespace wmlab {
namespace field = evidence::field;
}
