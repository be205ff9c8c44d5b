// Reads the `zones` of a scenario file. Internal to the loader.
#pragma once
#include "common/scenario/flow_reader.hpp"

namespace wmlab::scenario {

struct Sampled {  // an entry of a zone's `samples`
    const yaml::Node* at;
    std::string zone;
    Ipv4 address;
};

std::vector<Sampled> read_zones(ReadContext& context, const yaml::Node& node);
// Whose addresses the samples are. Hosts are there.
void check_samples(const ReadContext& context, const std::vector<Sampled>& samples);

}  // namespace wmlab::scenario
