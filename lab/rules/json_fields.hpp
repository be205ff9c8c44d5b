// Members of JSON objects that may be missing or of another kind: then empty, 0, null.
#pragma once
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
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

// Calls `each` with the key and value of every member of every object in `value`.
template <class Each>
void each_member(const boost::json::value& value, const Each& each) {
    if (const auto* list = value.if_array())
        for (const auto& item : *list) each_member(item, each);
    if (const auto* object = value.if_object())
        for (const auto& [key, item] : *object) {
            each(std::string_view{key.data(), key.size()}, item);
            each_member(item, each);
        }
}
template <class Each>
void each_member(const boost::json::array& list, const Each& each) {
    for (const auto& item : list) each_member(item, each);
}

}  // namespace wmlab::lab::rules
