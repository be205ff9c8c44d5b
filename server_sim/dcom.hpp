// DCOM: endpoint mapper, object resolver and activation on TCP and UDP 135, and simulated processes (media service,
// administrators, alias objects) with one TCP and UDP port each out of the reserved range.
#pragma once
#include "server_sim/server.hpp"

namespace wmlab::server_sim {

std::unique_ptr<Service> make_dcom(Server& server);  // null: no flow needs it, and no option asks for it

// `--reserved-ports` or `--registry` as a registry key; nothing: neither was given. Throws process::UsageError and
// process::EnvironmentError.
std::optional<std::string> registry_export(const process::Context& context, unsigned version);
bool dcom_wanted(const process::Context& context);

}  // namespace wmlab::server_sim
