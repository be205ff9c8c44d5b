#include "encoder_sim/encoder.hpp"

int main(int argc, char** argv) {
    using namespace wmlab;
    process::Description description{"encoder_sim",
                                     "a Windows Media encoder: sends a live stream to the servers that pull it, by MSBD and over HTTP",
                                     "encoder_sim [--file lecture.wmv] [--msbd-port 7007] [options]",
                                     encoder_sim::options(),
                                     {}};
    description.positional.add("content", -1);
    return process::run(description, argc, argv, encoder_sim::make);
}
