#include "client_sim/client.hpp"

int main(int argc, char** argv) {
    using namespace wmlab;
    process::Description description{"client_sim",
                                     "a Windows Media player: receives, checks, counts and saves streams",
                                     "client_sim mmsu://HOST/NAME [--save FILE] [options]",
                                     client_sim::options(),
                                     {}};
    description.positional.add("url", 1);
    return process::run(description, argc, argv, client_sim::make);
}
