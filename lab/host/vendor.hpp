// Rules of other firewalls, given as a ruleset: what they are and what can be done with them. By content.
#pragma once
#include <string>
#include <string_view>

namespace wmlab::lab {

// A clause for the user, such as "it is the configuration of a Cisco ASA, ..."; empty: it is not known as such.
std::string vendor_form(std::string_view ruleset);

}  // namespace wmlab::lab
