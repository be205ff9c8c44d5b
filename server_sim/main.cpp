#include "server_sim/server.hpp"

int main(int argc, char** argv) {
    using namespace wmlab;
    process::Description description{"server_sim",
                                     "a Windows Media server: serves files and synthetic streams over the real protocols on the real ports",
                                     "server_sim --content lecture.wmv [--content synthetic:128k] [options]",
                                     server_sim::options(),
                                     {}};
    description.positional.add("content", -1);
    return process::run(description, argc, argv, server_sim::make);
}
