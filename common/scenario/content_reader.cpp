#include "common/scenario/content_reader.hpp"

#include "common/scenario/options.hpp"
#include "common/scenario/sections.hpp"
#include "common/scenario/values.hpp"

namespace wmlab::scenario {
namespace {

using yaml::Node;

constexpr std::size_t contents_max = 1'000;

class ContentReader {
public:
    explicit ContentReader(ReadContext& context) : context_{context}, scenario_{context.scenario}, problems_{context.problems} {}

    void read(const Node& node) {
        MapReader section{node, "`content`", problems_, "like lecture: { synthetic: audio }"};
        context_.contents_known = node.is(Node::Kind::map);
        for (const auto& [key, value] : node.entries) {
            if (!check_name(problems_, key, "content") || scenario_.content(key.text) != nullptr) continue;
            if (scenario_.contents.size() == contents_max) {
                problems_.add(key, "more than " + std::to_string(contents_max) + " contents:");
                return;
            }
            read_content(key, value);
        }
    }

private:
    void read_content(const Node& key, const Node& value) {
        MapReader map{value, "content " + ticked(key.text), problems_, "like { synthetic: audio } or { file: lecture.wmv }"};
        Content content;
        content.name = key.text;
        const auto* synthetic = map.find("synthetic");
        const auto* file = map.find("file");
        const auto* bitrate = map.find("bitrate");
        const auto* duration = map.find("duration");
        if (value.is(Node::Kind::map) && (synthetic == nullptr) == (file == nullptr))
            problems_.add(value.at, {}, map.owner() + (file == nullptr ? " has neither `synthetic` nor `file`" : " has both `synthetic` and `file`"));
        if (synthetic != nullptr) {
            const auto given = map.text(*synthetic, "synthetic");
            if (given && *given != "audio") problems_.add(*synthetic, "unknown synthetic content", problems_.did_you_mean(*given, {"audio"}));
        }
        if (file != nullptr) {
            content.kind = Content::Kind::file;
            if (const auto given = map.text(*file, "file")) content.file = read_path(context_, *file, *given, "content file");
            for (const auto* other : {bitrate, duration})
                if (other != nullptr && synthetic == nullptr) problems_.add(*other, "the file itself says its bitrate and duration:", "remove it");
        }
        if (bitrate != nullptr) {
            if (const auto given = map.text(*bitrate, "bitrate")) {
                const auto rate = bitrate_from(*given);
                if (!rate) {
                    problems_.add(*bitrate, "not a bitrate:", "like 64k or 1.5M");
                } else if (*rate < bitrate_min || *rate > bitrate_max) {
                    const bool thousands = *rate >= bitrate_min / 1000 && *rate <= bitrate_max / 1000;
                    problems_.add(*bitrate, "`bitrate` is outside of 8k to 20M:", thousands ? "did you mean " + ticked(*given + "k") + '?' : std::string{});
                } else {
                    content.bitrate = *rate;
                }
            }
        }
        if (duration != nullptr) {
            if (const auto given = map.text(*duration, "duration")) {
                const auto length = duration_from(*given);
                if (!length || *length < milliseconds{1000} || *length > play_max) {
                    problems_.add(*duration, "not a duration from 1s to 24h:", "leave it out for a live stream");
                } else {
                    content.duration = *length;
                }
            }
        }
        map.finish();
        scenario_.contents.push_back(std::move(content));
    }

    ReadContext& context_;
    Scenario& scenario_;
    Problems& problems_;
};

}  // namespace

void read_contents(ReadContext& context, const yaml::Node& node) { ContentReader{context}.read(node); }

}  // namespace wmlab::scenario
