#include "lab/alg/hand.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <limits>

#include "common/bytes/hex.hpp"
#include "lab/report/json_string.hpp"

namespace wmlab::lab {
namespace json = boost::json;
namespace {

using What = HandQuestion::What;

constexpr std::array<std::string_view, 13> question_names{"begin",  "bind", "send", "look",  "end",   "listen", "connect",
                                                          "accept", "say",  "hear", "again", "close", "refused"};

// Reads the members of a line; keeps the first problem. What is missing is empty.
class HandReader {
public:
    HandReader(std::string_view line, std::string_view kind) {
        boost::system::error_code wrong;
        const bool fits = line.size() <= hand_line_max;
        auto value = fits ? json::parse(view(line), wrong) : json::value{};
        if (!fits) fail("the line", fmt::format("is longer than {} bytes", hand_line_max));
        if (wrong || !value.is_object()) {
            fail("the line", "is no JSON object");
            return;
        }
        object_ = std::move(value.get_object());
        if (const auto named = text("hand", hand_text_max); problem_.empty() && named != kind) fail("hand", fmt::format("is not `{}`", kind));
    }

    std::uint64_t number(std::string_view key, std::uint64_t most) { return number(object_, key, most); }
    std::uint16_t port(std::string_view key) { return static_cast<std::uint16_t>(number(key, 65535)); }
    bool flag(std::string_view key) {
        const auto* value = object_.if_contains(view(key));
        if (value == nullptr) return false;
        if (!value->is_bool()) fail(key, "is not true or false");
        return value->is_bool() && value->get_bool();
    }
    std::string text(std::string_view key, std::size_t most) { return text(object_, key, most); }
    scenario::Ipv4 address(std::string_view key) { return address(object_, key); }
    scenario::Protocol protocol(std::string_view key) { return protocol(object_, key); }
    Octets bytes(std::string_view key) {
        auto got = bytes::from_hex(text(key, hand_line_max));
        if (!got) fail(key, "is no hexadecimal text");
        return got.value_or(Octets{});
    }
    template <class Each>
    void list(std::string_view key, const Each& each) {
        const auto* value = object_.if_contains(view(key));
        if (value == nullptr) return;
        if (!value->is_array() || value->get_array().size() > hand_list_max) return fail(key, fmt::format("is no list of at most {}", hand_list_max));
        for (const auto& entry : value->get_array()) each(entry);
    }
    template <class Each>
    void objects(std::string_view key, const Each& each) {
        list(key, [&](const json::value& entry) {
            if (entry.is_object()) return each(entry.get_object());
            fail(key, "has an entry that is no object");
        });
    }
    std::uint64_t number(const json::object& object, std::string_view key, std::uint64_t most) {
        const auto* value = object.if_contains(view(key));
        return value == nullptr ? 0 : number_in(*value, key, most);
    }
    std::uint64_t number_in(const json::value& value, std::string_view key, std::uint64_t most) {
        const auto got = value.is_uint64()                            ? value.get_uint64()
                         : value.is_int64() && value.get_int64() >= 0 ? static_cast<std::uint64_t>(value.get_int64())
                                                                      : most + 1;
        if (got <= most) return got;
        fail(key, fmt::format("is no number from 0 to {}", most));
        return 0;
    }
    std::string text(const json::object& object, std::string_view key, std::size_t most) {
        const auto* value = object.if_contains(view(key));
        if (value == nullptr) return {};
        if (!value->is_string() || value->get_string().size() > most) {
            fail(key, fmt::format("is no text of at most {} bytes", most));
            return {};
        }
        return std::string{value->get_string()};
    }
    scenario::Ipv4 address(const json::object& object, std::string_view key) {
        const auto word = text(object, key, hand_text_max);
        if (word.empty()) return {};
        const auto got = scenario::Ipv4::from(word);
        if (!got) fail(key, "is no IPv4 address");
        return got.value_or(scenario::Ipv4{});
    }
    scenario::Protocol protocol(const json::object& object, std::string_view key) {
        const auto word = text(object, key, hand_text_max);
        if (word != "udp" && word != "tcp" && !word.empty()) fail(key, "is not `tcp` or `udp`");
        return word == "udp" ? scenario::Protocol::udp : scenario::Protocol::tcp;
    }
    void fail(std::string_view key, std::string_view what) {
        if (problem_.empty()) problem_ = fmt::format("{} {}", key, what);
    }
    template <class Message>
    HandMessage<Message> finish(Message message) {
        HandMessage<Message> read;
        read.number = static_cast<unsigned>(number("number", std::numeric_limits<unsigned>::max()));
        if (problem_.empty()) read.message = std::move(message);
        read.problem = problem_;
        return read;
    }

private:
    json::object object_;
    std::string problem_;
};

// Only what is not empty.
class HandWriter {
public:
    HandWriter(std::string_view kind, unsigned number) { object_["hand"] = string(kind), object_["number"] = number; }
    void put(std::string_view key, std::uint64_t number) {
        if (number != 0) object_[view(key)] = number;
    }
    void put(std::string_view key, const std::string& words) {
        if (!words.empty()) object_[view(key)] = string(words);
    }
    void put(std::string_view key, json::array list) {
        if (!list.empty()) object_[view(key)] = std::move(list);
    }
    void put(std::string_view key, scenario::Ipv4 address) {
        if (address.value != 0) put(key, address.text());
    }
    void put(std::string_view key, scenario::Protocol protocol) { put(key, std::string{scenario::text(protocol)}); }
    void flag(std::string_view key, bool set) {
        if (set) object_[view(key)] = true;
    }
    std::string line() const { return json::serialize(object_); }

private:
    json::object object_;
};

// Also once a character that was cut in two has been replaced.
std::string no_longer_than(const std::string& words, std::size_t most) {
    constexpr std::size_t of_a_cut_character = 16;
    auto text = std::string{valid_utf8(words)};
    if (text.size() > most - of_a_cut_character) text.resize(most - of_a_cut_character);
    return text;
}

}  // namespace

std::string hand_line(const HandHello& hello) {
    HandWriter out{"hello", 0};
    out.put("protocol", std::uint64_t{hello.protocol});
    out.put("version", hello.version);
    out.put("place", hello.place);
    return out.line();
}

std::string hand_line(unsigned number, const HandQuestion& question) {
    HandWriter out{"question", number};
    out.put("what", std::string{question_names.at(static_cast<std::size_t>(question.what))});
    out.put("connection", std::uint64_t{question.connection});
    out.put("protocol", question.protocol);
    out.put("address", question.address);
    out.put("port", std::uint64_t{question.port});
    out.put("text", question.text);
    json::array places, packets, wanted;
    for (const auto& place : question.places) places.push_back(json::object{{"protocol", string(scenario::text(place.protocol))}, {"port", place.port}});
    for (const auto& packet : question.packets)
        packets.push_back(json::object{{"number", packet.number},
                                       {"protocol", string(scenario::text(packet.protocol))},
                                       {"from_port", packet.from_port},
                                       {"to_port", packet.to_port},
                                       {"to", string(packet.to.text())}});
    for (const auto one : question.wanted) wanted.emplace_back(one);
    out.put("places", std::move(places));
    out.put("packets", std::move(packets));
    out.put("wanted", std::move(wanted));
    out.put("bytes", bytes::hex(question.bytes));
    out.put("size", std::uint64_t{question.size});
    out.flag("again", question.again);
    out.put("patience", static_cast<std::uint64_t>(question.patience.count()));
    return out.line();
}

std::string hand_line(unsigned number, const HandAnswer& answer) {
    HandWriter out{"answer", number};
    out.put("step", no_longer_than(answer.step, 2 * hand_text_max));
    out.put("cause", no_longer_than(answer.cause, 2 * hand_text_max));
    out.flag("yes", answer.yes);
    out.put("address", answer.address);
    out.put("port", std::uint64_t{answer.port});
    json::array arrived, kept;
    for (const auto one : answer.arrived) arrived.emplace_back(one);
    for (const auto& [packet, why] : answer.kept) kept.push_back(json::object{{"packet", packet}, {"why", string(no_longer_than(why, hand_text_max))}});
    out.put("arrived", std::move(arrived));
    out.put("kept", std::move(kept));
    out.put("note", no_longer_than(answer.note, hand_text_max));
    return out.line();
}

HandMessage<HandQuestion> hand_question(std::string_view line) {
    HandReader in{line, "question"};
    HandQuestion question;
    const auto name = in.text("what", hand_text_max);
    const auto found = std::ranges::find(question_names, name);
    if (found == question_names.end()) {
        in.fail("what", "is no question");
    } else {
        question.what = static_cast<What>(found - question_names.begin());
    }
    question.connection = static_cast<unsigned>(in.number("connection", hand_connection_max));
    question.protocol = in.protocol("protocol");
    question.address = in.address("address");
    question.port = in.port("port");
    question.text = in.text("text", hand_text_max);
    in.objects("places", [&](const json::object& entry) {
        question.places.push_back({in.protocol(entry, "protocol"), static_cast<std::uint16_t>(in.number(entry, "port", 65535))});
    });
    in.objects("packets", [&](const json::object& entry) {
        HandQuestion::Packet packet;
        packet.number = static_cast<unsigned>(in.number(entry, "number", hand_list_max));
        packet.protocol = in.protocol(entry, "protocol");
        packet.from_port = static_cast<std::uint16_t>(in.number(entry, "from_port", 65535));
        packet.to_port = static_cast<std::uint16_t>(in.number(entry, "to_port", 65535));
        packet.to = in.address(entry, "to");
        question.packets.push_back(packet);
    });
    in.list("wanted", [&](const json::value& entry) { question.wanted.push_back(static_cast<unsigned>(in.number_in(entry, "wanted", hand_list_max))); });
    question.bytes = in.bytes("bytes");
    question.size = in.number("size", hand_line_max);
    question.again = in.flag("again");
    question.patience = std::chrono::milliseconds{in.number("patience", static_cast<std::uint64_t>(hand_patience_max.count()))};
    return in.finish(std::move(question));
}

HandMessage<HandAnswer> hand_answer(std::string_view line) {
    HandReader in{line, "answer"};
    HandAnswer answer;
    answer.step = in.text("step", 2 * hand_text_max);
    answer.cause = in.text("cause", 2 * hand_text_max);
    answer.yes = in.flag("yes");
    answer.address = in.address("address");
    answer.port = in.port("port");
    in.list("arrived", [&](const json::value& entry) { answer.arrived.push_back(static_cast<unsigned>(in.number_in(entry, "arrived", hand_list_max))); });
    in.objects("kept", [&](const json::object& entry) {
        answer.kept.emplace_back(static_cast<unsigned>(in.number(entry, "packet", hand_list_max)), in.text(entry, "why", hand_text_max));
    });
    answer.note = in.text("note", hand_text_max);
    return in.finish(std::move(answer));
}

HandMessage<HandHello> hand_hello(std::string_view line) {
    HandReader in{line, "hello"};
    HandHello hello;
    hello.protocol = static_cast<unsigned>(in.number("protocol", 1'000'000));
    hello.version = in.text("version", hand_text_max);
    hello.place = in.text("place", hand_text_max);
    return in.finish(std::move(hello));
}

std::string hand_kind(std::string_view line) {
    boost::system::error_code wrong;
    if (line.size() > hand_line_max) return {};
    const auto value = json::parse(view(line), wrong);
    const auto* object = wrong ? nullptr : value.if_object();
    const auto* kind = object != nullptr ? object->if_contains("hand") : nullptr;
    return kind != nullptr && kind->is_string() ? std::string{kind->get_string()} : std::string{};
}

void HandLines::add(std::string_view piece) {
    if (!too_long_) text_ += piece;
}

std::optional<std::string> HandLines::next() {
    const auto end = too_long_ ? std::string::npos : text_.find('\n', looked_);
    if (end == std::string::npos || end > hand_line_max) {
        looked_ = text_.size();
        if (end != std::string::npos || text_.size() > hand_line_max) too_long_ = true, text_.clear(), looked_ = 0;
        return std::nullopt;
    }
    auto line = text_.substr(0, end);
    text_.erase(0, end + 1);
    looked_ = 0;
    return line;
}

}  // namespace wmlab::lab
