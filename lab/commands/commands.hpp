// The commands of wmlab. Each takes the arguments behind its name and returns the exit code of the contract: 0 as
// expected, 1 not as expected, 2 usage or scenario error, 3 no lab, 4 inconclusive, 130 interrupted.
#pragma once
#include <span>
#include <string>

namespace wmlab::lab::commands {

using Arguments = std::span<const std::string>;

int run_command(Arguments arguments);
int init_command(Arguments arguments);
int judge_command(Arguments arguments);
int check_command(Arguments arguments);
int list_command(Arguments arguments);
int explain_command(Arguments arguments);
int rules_command(Arguments arguments);
int audit_command(Arguments arguments);
int alg_command(Arguments arguments);
int firewall_command(Arguments arguments);
int exec_command(Arguments arguments);
int doctor_command(Arguments arguments);
int replay_command(Arguments arguments);
int compare_command(Arguments arguments);
int history_command(Arguments arguments);
int demo_command(Arguments arguments);

}  // namespace wmlab::lab::commands
