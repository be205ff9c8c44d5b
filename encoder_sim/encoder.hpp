// The encoder process: one live stream (or, of a scenario, the contents of its flows), served to any number of servers
// by MSBD and over HTTP. Sessions and services are those of common/serving.
#pragma once
#include <memory>

#include "common/process/program.hpp"

namespace wmlab::encoder_sim {

boost::program_options::options_description options();
std::unique_ptr<process::Simulator> make(process::Context& context);

}  // namespace wmlab::encoder_sim
