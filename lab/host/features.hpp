// What this kernel and these tools lack of what a ruleset asks for. Kernels say "No such file or directory" to a rule
// with a feature they do not have and to one with a mistake; a trial of the feature alone tells the two apart.
#pragma once
#include <string>
#include <string_view>

namespace wmlab::lab {

// `message` is nft's, with the lines it is about. To be called in the firewall's namespace. A sentence: what is lacking
// and what to do; empty: nothing that this knows.
std::string lacking_feature(const std::string& message);

// The same for what iptables-nft-restore says.
std::string lacking_extension(const std::string& message);
// What is wrong with the form of a whole ruleset file that was refused, and how to get one that loads: line ends of
// Windows, a shell script, JSON. Empty: nothing of the kind.
std::string wrong_form(std::string_view ruleset);
// The line where chains without a name (`jump {`) stand three deep in each other, of which libnftables 1.0.6 does not
// say that they are too deep: it ends the process. 0: nowhere.
unsigned too_deep(std::string_view ruleset);
// What else may be behind what it says about the file.
std::string hint_about(const std::string& message);

}  // namespace wmlab::lab
