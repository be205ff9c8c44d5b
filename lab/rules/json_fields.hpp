// Members of JSON objects that may be missing or of another kind: then empty, 0, null.
#pragma once
#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace wmlab::lab::rules {

inline std::string text_at(const boost::json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value && value->is_string() ? std::string{value->get_string()} : std::string{};
}

inline std::int64_t number_at(const boost::json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    if (!value) return 0;
    if (value->is_uint64()) return static_cast<std::int64_t>(value->get_uint64());
    return value->is_int64() ? value->get_int64() : 0;
}

inline const boost::json::object* object_at(const boost::json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value ? value->if_object() : nullptr;
}

}  // namespace wmlab::lab::rules
