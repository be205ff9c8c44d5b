// Packet captures as pcapng files (draft-ietf-opsawg-pcapng): one per host and per interface of the firewall. Written
// while the lab runs; afterwards the packets of each leg get the flow and its verdict as a comment.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "lab/capture/wire.hpp"

namespace wmlab::lab {

struct Report;

class Captures {
public:
    // `player.pcapng`, `firewall.outside.pcapng` ... in the directory, which is made; files of an earlier run are
    // replaced. SetupFailed where one cannot be written.
    Captures(std::filesystem::path directory, const std::vector<Tap>& taps);
    ~Captures();
    Captures(const Captures&) = delete;
    Captures& operator=(const Captures&) = delete;

    void write(const CapturedFrame& frame);  // on the witness's thread
    // After the last write: what could not be written (a full disk), a sentence each.
    std::vector<std::string> close();

private:
    struct File;
    std::vector<std::unique_ptr<File>> files_;
};

std::string capture_name(const Tap& tap);

// Rewrites the directory's captures: each packet whose addresses belong to a leg of the report says so in a comment,
// "unicast-udp, media: blocked: dropped (to->from)". Returns what could not be done; such a file stays as it was.
std::vector<std::string> comment_captures(const std::filesystem::path& directory, const Report& report);

}  // namespace wmlab::lab
