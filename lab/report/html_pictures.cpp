// Topology and ladders as SVG: no library, nothing that has to be fetched.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <set>

#include "lab/report/html_parts.hpp"

namespace wmlab::lab {
namespace {

constexpr int ladder_width = 300, ladder_head = 26, ladder_row = 22;

std::string short_name(std::string_view name, std::size_t most) {
    return xml_escaped(name.size() <= most ? std::string{name} : std::string{name.substr(0, most - 1)} + "~");
}

struct Tally {
    unsigned good = 0, bad = 0, unsure = 0;
    void add(const FlowResult& flow) { ++(state_of(flow) == "good" ? good : state_of(flow) == "bad" ? bad : unsure); }
    std::string words() const {
        std::string text;
        if (good > 0) text += fmt::format("✓ {}", good);
        if (bad > 0) text += fmt::format("{}✗ {}", text.empty() ? "" : "  ", bad);
        if (unsure > 0) text += fmt::format("{}? {}", text.empty() ? "" : "  ", unsure);
        return text;
    }
};

// The columns of a ladder: the opening end, the firewall, hosts in between, the other end.
std::vector<std::string> columns_of(const FlowResult& flow, const Ladder& ladder, const Picture& picture) {
    std::vector<std::string> columns{flow.from};
    std::set<std::string> known{flow.from, flow.to};
    const auto* const here = picture.zone_of(flow.from);
    if (here != picture.zone_of(flow.to) || here == nullptr) columns.emplace_back();  // the firewall
    for (const auto& step : ladder.steps)
        for (const auto* host : {&step.from, &step.to})
            if (!host->empty() && known.insert(*host).second) columns.push_back(*host);
    if (flow.to != flow.from) columns.push_back(flow.to);
    return columns;
}

}  // namespace

std::string Shapes::use(const std::string& shape) {
    const auto [at, fresh] = known_.emplace(shape, known_.size());
    if (fresh) bytes_ += shape.size();
    return fmt::format("s{}", at->second);
}

std::string Shapes::definitions() const {
    if (known_.empty()) return {};
    std::string out = "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>";
    for (const auto& [shape, number] : known_) out += fmt::format("<g id=\"s{}\">{}</g>", number, shape);
    return out + "</defs></svg>\n";
}

std::string topology_svg(const Report& report, const Picture& picture) {
    constexpr int width = 640, box_width = 215, line = 16, gap = 14;
    std::map<std::string, Tally> ways;  // by zone: flows that come from or go to it
    for (const auto& flow : report.flows) {
        std::set<std::string> zones;
        for (const auto* host : {&flow.from, &flow.to})
            if (const auto* zone = picture.zone_of(*host)) zones.insert(zone->name);
        for (const auto& zone : zones) ways[zone].add(flow);
    }
    constexpr std::size_t hosts_max = 12;  // of a zone; the others are counted
    int left = 10, right = 10;
    std::string boxes, lines;
    struct Placed {
        int x, middle;
        std::string zone;
    };
    std::vector<Placed> placed;
    for (const auto& zone : picture.zones) {
        const bool at_left = left <= right;
        auto& top = at_left ? left : right;
        const auto shown = std::min(zone.hosts.size(), hosts_max);
        const int height = 26 + static_cast<int>(shown + (zone.hosts.size() > shown ? 1 : 0)) * line + 6;
        const int x = at_left ? 5 : width - box_width - 5;
        boxes += fmt::format(
            "<rect class=\"box\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\"/><text x=\"{}\" y=\"{}\" "
            "font-weight=\"600\">{} <tspan class=\"d\">{}</tspan></text>",
            x, top, box_width, height, x + 10, top + 18, short_name(zone.name, 14), xml_escaped(zone.subnet));
        for (std::size_t i = 0; i < shown; ++i) {
            const auto& host = zone.hosts[i];
            boxes += fmt::format("<text x=\"{}\" y=\"{}\">{} {} <tspan class=\"d\">{}</tspan></text>", x + 14,
                                 top + 36 + static_cast<int>(i) * line, host.program ? "◆" : "●",
                                 short_name(host.name, 16), xml_escaped(host.address));
        }
        if (zone.hosts.size() > shown)
            boxes += fmt::format("<text class=\"d\" x=\"{}\" y=\"{}\">and {} more hosts</text>", x + 14,
                                 top + 36 + static_cast<int>(shown) * line, zone.hosts.size() - shown);
        placed.push_back({at_left ? x + box_width : x, top + height / 2, zone.name});
        top += height + gap;
    }
    constexpr int wall_height = 40, between_walls = 16;
    const auto walls = static_cast<int>(std::max<std::size_t>(picture.boxes.size(), 1));
    const int height = std::max({left, right, 70, walls * (wall_height + between_walls) + between_walls});
    const auto middle_of = [&](int wall) { return height * (2 * wall + 1) / (2 * walls); };
    std::string label, firewalls;
    for (int wall = 0; wall < walls; ++wall) {
        const auto name = picture.boxes.empty() ? std::string{"firewall"} : short_name(picture.boxes[static_cast<std::size_t>(wall)].name, 11);
        firewalls += fmt::format("<rect class=\"fw\" x=\"{}\" y=\"{}\" width=\"90\" height=\"{}\" rx=\"4\"/><text class=\"h\" x=\"{}\" y=\"{}\">{}</text>",
                                 width / 2 - 45, middle_of(wall) - wall_height / 2, wall_height, width / 2, middle_of(wall) + 5, name);
    }
    for (const auto& [x, y, zone] : placed) {
        const auto& tally = ways[zone];
        const bool at_left = x < width / 2;
        const int end = at_left ? width / 2 - 45 : width / 2 + 45;
        for (int wall = 0; wall < walls; ++wall)
            if (picture.boxes.empty() ||
                std::ranges::find(picture.boxes[static_cast<std::size_t>(wall)].zones, zone) != picture.boxes[static_cast<std::size_t>(wall)].zones.end())
                lines += fmt::format("<path class=\"{}\" d=\"M{} {}L{} {}\"/>", tally.bad > 0 ? "b" : tally.good > 0 ? "a" : "v", x, y, end, middle_of(wall));
        lines += fmt::format("<text class=\"m\" x=\"{}\" y=\"{}\">{}</text>", at_left ? x + 24 : x - 24, y - 6,
                             tally.words());
        label += fmt::format("{}{}: {}", label.empty() ? "" : "; ", zone, tally.words());
    }
    return fmt::format(
        "<svg class=\"top\" viewBox=\"0 0 {0} {1}\" role=\"img\" aria-label=\"The zones around the firewall{5}, and flows of each: {2}\">{3}{4}{6}</svg>\n",
        width, height, xml_escaped(label), lines, boxes, picture.boxes.empty() ? "" : "s", firewalls);
}

std::string ladder_html(const FlowResult& flow, const Ladder& ladder, const Picture& picture, Shapes& shapes) {
    if (ladder.steps.empty()) return {};
    const auto columns = columns_of(flow, ladder, picture);
    const auto spread = static_cast<int>(std::max<std::size_t>(columns.size() - 1, 1));
    const auto x_of = [&](std::string_view host) {
        const auto at = std::ranges::find(columns, host) - columns.begin();
        return 40 + static_cast<int>(at) * (ladder_width - 80) / spread;
    };
    const auto wall = std::ranges::find(columns, std::string{}) != columns.end() ? x_of("") : -1;
    std::string rule;
    if (flow.rule && !flow.rule->file.empty()) rule = fmt::format(" {}:{}", flow.rule->file, flow.rule->line);

    std::string came, lost, labels, times, crosses;
    int y = ladder_head + 14;
    for (const auto& step : ladder.steps) {
        const int from = x_of(step.from);
        const int aim = step.to.empty() ? from : x_of(step.to);
        const int to = step.arrived ? aim : wall >= 0 && wall != from ? wall : (from + aim) / 2;
        const int head = to > from ? -5 : 5;
        auto& path = step.arrived ? came : lost;
        path += fmt::format("M{} {}H{}", from, y, to);
        if (step.arrived) path += fmt::format("m{} -3L{} {}l{} 3", head, to, y, head);
        const auto label = step.label + (step.count > 1 ? "  ×n" : "");
        labels += fmt::format("<text class=\"m\" x=\"{}\" y=\"{}\">{}</text>",
                              std::clamp((from + aim) / 2, 60, ladder_width - 60), y - 4, short_name(label, 40));
        if (!step.arrived) {
            crosses += fmt::format("<text class=\"m x\" x=\"{}\" y=\"{}\">✗</text>", to, y + 4);
        }
        times += fmt::format("{:.1f}{}\n", step.at, step.count > 1 ? fmt::format(" ×{}", step.count) : std::string{});
        y += ladder_row;
    }
    const int height = y - 4;
    const auto wall_name = picture.boxes.empty() ? std::string{"firewall"} : flow.box.empty() ? std::string{"firewalls"} : short_name(flow.box, 14);
    std::string posts, heads;
    for (const auto& column : columns) posts += fmt::format("M{} {}V{}", x_of(column), ladder_head - 4, height);
    for (const auto& column : columns)
        heads += fmt::format("<text class=\"h\" x=\"{}\" y=\"14\">{}</text>", std::clamp(x_of(column), 34, ladder_width - 34),
                             column.empty() ? wall_name : short_name(column, 14));
    const auto shape = shapes.use(
        fmt::format("<path class=\"v\" d=\"{}\"/><path class=\"a\" d=\"{}\"/><path class=\"b\" d=\"{}\"/>{}{}", posts,
                    came, lost, labels, crosses));
    const auto count = ladder.steps.size();
    std::string out = fmt::format(
        "<div class=\"lad\" tabindex=\"0\" role=\"group\" aria-label=\"ladder of {0}\"><pre>{1}</pre><svg width=\"{2}\" height=\"{3}\" role=\"img\" "
        "aria-label=\"{4} step{5} between {6} and {7}\">{8}<use href=\"#{9}\"/></svg></div>\n",
        xml_escaped(flow.id), times, ladder_width, height, count, count == 1 ? "" : "s", xml_escaped(flow.from),
        xml_escaped(flow.to), heads, shape);
    if (!lost.empty())
        out += fmt::format("<p>✗ broken off{}: left its host and never arrived{}.</p>\n",
                           wall < 0                                    ? std::string{}
                           : picture.boxes.empty() || flow.box.empty() ? std::string{" at the firewall"}
                                                                       : " at firewall " + xml_escaped(flow.box),
                           rule.empty() ? "" : ", stopped by" + xml_escaped(rule));
    if (ladder.left_out > 0)
        out += fmt::format("<p class=\"dim\">{} further steps in the middle are left out.</p>\n", ladder.left_out);
    if (!ladder.lost.empty() && ladder.media > 0) {
        std::set<std::uint64_t> ticks;
        for (const auto number : ladder.lost)
            ticks.insert(std::min<std::uint64_t>(number, ladder.media) * (ladder_width - 2) / ladder.media);
        std::string path;
        for (const auto tick : ticks) path += fmt::format("M{} 0v14", tick + 1);
        out += fmt::format(
            "<p>Lost packets of media, by their number of {0}:<br><svg width=\"{1}\" height=\"14\" role=\"img\" aria-label=\"{2} of {0} packets lost\"><rect class=\"bar\" width=\"{1}\" height=\"14\"/><path class=\"gap\" d=\"{3}\"/></svg></p>\n",
            ladder.media, ladder_width, ladder.lost.size(), path);
    }
    if (ladder.longest_gap > 0)
        out += fmt::format("<p class=\"dim\">longest gap in the media: {:.0f} ms</p>\n", ladder.longest_gap);
    return out;
}

}  // namespace wmlab::lab
