// The zones of an attached device: cards that may be used, the device that answers, and no way around it.
#pragma once
#include <string>
#include <vector>

#include "lab/network/network.hpp"
#include "lab/network/setting.hpp"

namespace wmlab::lab {

// Brings the card up where it is down. SetupFailed: it does not exist, is a port of a bridge, or is in use (has an
// address); the last is a note where the setting forces it.
int examine_card(const Setting& setting, const std::string& zone, const std::string& card,
                 std::vector<std::string>& notes);

// Once the hosts are up: the device must answer on every card, and no packet may get from one zone to another except
// through it. Proved with packets: a broadcast, and a datagram that must not survive a router. SetupFailed (a note
// where the setting forces it).
void prove_attachment(const scenario::Scenario& scenario, const Setting& setting, const Network& network,
                      std::vector<std::string>& notes);

}  // namespace wmlab::lab
