// What of a run can be drawn, beyond the verdicts: who sent what to whom, where the hosts are, the ruleset's own text.
// Made from the evidence by picture_of() (lab/run/picture.hpp), drawn by the html report. Plain data.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lab/verdict/report.hpp"

namespace wmlab::lab {

struct Step {  // one arrow of a flow's ladder
    enum class Kind { message, packets, media, note } kind = Kind::message;
    double at = 0;         // milliseconds since the flow's first step
    std::string from, to;  // hosts; `to` empty: it concerns `from` alone
    std::string label;     // "LinkViewerToMacConnect", "SYN", "41 packets of media"
    std::uint64_t count = 1;
    bool arrived = true;  // false: it left `from` and never came to `to`
};

struct Ladder {
    std::vector<Step> steps;
    std::uint64_t left_out = 0;       // further steps, for brevity
    std::vector<std::uint32_t> lost;  // numbers of media packets that did not arrive, where the player told
    std::uint64_t media = 0;          // packets of media sent
    double longest_gap = 0;           // ms
};

struct PictureHost {
    std::string name, address;
    bool program = false;  // a real program, such as a proxy
};
struct PictureZone {
    std::string name, subnet;
    std::vector<PictureHost> hosts;
};

struct PictureBox {  // one of several firewalls
    std::string name;
    std::vector<std::string> zones;  // on its sides
};

struct RulesetText {
    std::string file;
    std::vector<std::string> lines;
};

struct Picture {
    std::vector<PictureZone> zones;
    std::vector<PictureBox> boxes{};        // empty: a single firewall with a side in every zone
    std::vector<RulesetText> rulesets;      // the file and what it includes
    std::map<std::string, Ladder> ladders;  // by flow
    const PictureZone* zone_of(const std::string& host) const;
};

}  // namespace wmlab::lab
