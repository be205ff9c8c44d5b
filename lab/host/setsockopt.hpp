#pragma once
namespace wmlab::lab {
void link_setsockopt();  // refer to it and the program has the setsockopt of setsockopt.cpp
}
