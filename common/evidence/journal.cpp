#include "common/evidence/journal.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <iostream>
#include <limits>

#include "common/bytes/utf16.hpp"
#include "common/evidence/fields.hpp"

namespace wmlab::evidence {
namespace json = boost::json;
namespace {

constexpr std::size_t problems_max = 100;
constexpr std::size_t endless = std::size_t{256} << 20;  // of one line: what comes is no journal
constexpr std::int64_t monotonic_max = std::int64_t{1} << 60;  // ns, 36 years: differences can be reckoned with
constexpr std::array<std::string_view, 9> own_fields = {"time", "monotonic", "host",  "process", "flow",
                                                        "leg",  "event",     "local", "remote"};
bool is_own(std::string_view key) { return std::ranges::find(own_fields, key) != own_fields.end(); }

bool is_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}
std::string clean(std::string_view text) {
    return is_ascii(text) ? std::string{text} : bytes::to_utf8(bytes::to_utf16(text));
}

json::value clean(const json::value& value) {
    if (const auto* text = value.if_string()) return json::value(clean(std::string_view{text->data(), text->size()}));
    if (const auto* list = value.if_array()) {
        json::array cleaned;
        cleaned.reserve(list->size());
        for (const auto& item : *list) cleaned.push_back(clean(item));
        return cleaned;
    }
    if (const auto* object = value.if_object()) {
        json::object cleaned;
        for (const auto& [key, item] : *object) cleaned[clean(std::string_view{key.data(), key.size()})] = clean(item);
        return cleaned;
    }
    return value;
}

}  // namespace

Clock Clock::system() {
    using namespace std::chrono;
    return {[] { return sys_time<nanoseconds>{time_point_cast<nanoseconds>(system_clock::now())}; },
            [] { return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()); }};
}

std::string to_line(const Event& event) {
    json::object line;
    line["time"] = text(event.utc);
    line["monotonic"] = event.monotonic.count();
    line["host"] = clean(event.host);
    line["process"] = clean(event.process);
    if (!event.flow.empty()) line["flow"] = clean(event.flow);
    if (!event.leg.empty()) line["leg"] = clean(event.leg);
    line["event"] = json::string_view{text(event.event).data(), text(event.event).size()};
    if (!event.local.empty()) line["local"] = clean(event.local);
    if (!event.remote.empty()) line["remote"] = clean(event.remote);
    for (const auto& [key, value] : event.fields) {
        const std::string_view name{key.data(), key.size()};
        if (!is_own(name)) line[clean(name)] = clean(value);
    }
    return json::serialize(line);
}

Journal::Journal(std::string host, std::string process, Sink sink, Clock clock)
    : host_{std::move(host)}, process_{std::move(process)}, sink_{std::move(sink)}, clock_{std::move(clock)} {}

void Journal::write(Event event) {
    if (!sink_) return;
    if (event.utc.time_since_epoch().count() == 0) event.utc = clock_.utc();
    if (event.monotonic.count() == 0) event.monotonic = clock_.monotonic();
    if (event.host.empty()) event.host = host_;
    if (event.process.empty()) event.process = process_;
    if (event.event == What::stopped && lost_ > 0) event.fields[field::lost] = lost_;
    if (event.event == What::stopped) event.fields[field::lines] = written_ + 1;
    try {
        sink_(to_line(event) + '\n');
        ++written_;
    } catch (const std::exception& failure) {
        if (lost_++ > 0) return;
        const auto complaint = std::string{"the journal cannot be written, evidence is being lost: "} + failure.what();
        if (complaints_) {
            complaints_(complaint);
        } else {
            std::cerr << complaint << std::endl;
        }
    }
}

std::optional<Event> event_from_line(std::string_view line, std::string& problem) {
    problem.clear();
    const auto refuse = [&](std::string why) -> std::optional<Event> {
        problem = std::move(why);
        return std::nullopt;
    };
    json::error_code error;
    auto value = json::parse(json::string_view{line.data(), line.size()}, error);
    auto* object = error ? nullptr : value.if_object();
    if (object == nullptr) return refuse("not a JSON object");
    std::string wrong;  // the first field that is not text
    const auto text_of = [&](std::string_view key) -> std::string {
        const auto* field = object->if_contains(json::string_view{key.data(), key.size()});
        if (field == nullptr) return {};
        if (const auto* text = field->if_string()) return {text->data(), text->size()};
        if (wrong.empty()) wrong = key;
        return {};
    };
    const auto word = text_of("event");
    if (word.empty()) return refuse("no `event`");
    const auto what = what_from(word);
    if (!what) return std::nullopt;
    Event event;
    event.event = *what;
    event.host = text_of("host");
    event.process = text_of("process");
    event.flow = text_of("flow");
    event.leg = text_of("leg");
    event.local = text_of("local");
    event.remote = text_of("remote");
    const auto time = time_from(text_of("time"));
    if (!wrong.empty()) return refuse('`' + wrong + "` is not text");
    if (!time) return refuse("`time` is not a UTC time");
    if (event.host.empty()) return refuse("no `host`");
    if (event.process.empty()) return refuse("no `process`");
    event.utc = *time;
    const auto* monotonic = object->if_contains("monotonic");
    json::error_code range;
    const auto ticks = monotonic != nullptr ? monotonic->to_number<std::int64_t>(range) : 0;
    if (monotonic == nullptr || range) return refuse("`monotonic` is not a number");
    if (ticks > monotonic_max || ticks < -monotonic_max) return refuse("`monotonic` is out of range");
    event.monotonic = std::chrono::nanoseconds{ticks};
    for (const auto field : own_fields) object->erase(json::string_view{field.data(), field.size()});
    event.fields = std::move(*object);
    return event;
}

ReadJournal read_journal(std::istream& in, std::string_view name) {
    ReadJournal journal;
    std::string line;
    std::size_t number = 0;
    const auto complain = [&](const std::string& problem) {
        if (journal.problems.size() < problems_max)
            journal.problems.push_back(std::string{name} + ':' + std::to_string(number) + ": " + problem);
    };
    auto* buffer = in.rdbuf();
    bool more = buffer != nullptr;
    while (more) {
        // One line, of which no more than line_size_max is kept.
        line.clear();
        ++number;
        bool too_long = false;
        std::size_t over = 0;
        int c = 0;
        while ((c = buffer->sbumpc()) != std::char_traits<char>::eof() && c != '\n') {
            if (line.size() < line_size_max) {
                line += static_cast<char>(c);
            } else {
                too_long = true;
                if (++over > endless) break;
            }
        }
        more = c == '\n';
        if (line.ends_with('\r')) line.pop_back();
        std::string_view text = line;
        if (number == 1 && text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
        if (text.empty()) continue;
        std::string problem;
        auto event = too_long ? std::nullopt : event_from_line(text, problem);
        if (event) {
            journal.events.push_back(std::move(*event));
        } else if (!too_long && problem.empty()) {
            ++journal.unknown;
        } else if (!more) {
            journal.truncated = true;
        } else if (too_long) {
            complain("longer than " + std::to_string(line_size_max) + " bytes");
        } else {
            complain(problem);
        }
    }
    return journal;
}

}  // namespace wmlab::evidence
