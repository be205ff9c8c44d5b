// The encoder's program. Its flows (MSBD, HTTP, a stream alias by DCOM) are not part of this version; wmlab refuses to
// run them.
#include <iostream>

#include "common/process/program.hpp"

namespace {

using namespace wmlab;

std::unique_ptr<process::Simulator> make(process::Context&) {
    throw process::UsageError{"no flow of this version has an encoder: `wmlab list` shows what each flow needs"};
}

}  // namespace

int main(int argc, char** argv) {
    const process::Description description{
        "encoder_sim", "a Windows Media encoder; this version has no flow for it yet", "encoder_sim --help", {}, {}};
    return process::run(description, argc, argv, make);
}
