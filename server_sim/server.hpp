// The server process: what it serves, pulls from others and multicasts. Sessions, publishing points and the services that
// the encoder has too are those of common/serving.
#pragma once
#include "common/serving/serving.hpp"

namespace wmlab::server_sim {

using namespace serving;

std::vector<MakeService> services();  // services.cpp

boost::program_options::options_description options();
std::unique_ptr<process::Simulator> make(process::Context& context);

}  // namespace wmlab::server_sim
