#include "lab/explain/pages.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

#include "common/scenario/values.hpp"

namespace wmlab::lab {
namespace {

constexpr std::array<Page, 23> all_pages{{
    {"dropped", true, "Packets were dropped silently.",
     "Something between the hosts threw packets away and told nobody. The sender sees silence until its own patience ends. A firewall whose policy is `drop` does this; so does a missing route back.",
     "The sending host's interface shows the packets leaving, the other host's interface shows none of them arriving, although the port there was bound and its process was running. The direction says which packets: `from->to` for the request, "
     "`to->from` for the answer or the media. Where the far wire was not watched, the direction may be unknown.",
     "Look at the rule the report names, or capture on both sides of the firewall: the packet is seen on one side only. For `to->from` of a TCP leg look for a missing `ct state established,related accept`; for media over UDP remember that it is a "
     "new connection from the server and needs a rule of its own. A multicast flow stops at `join` where the router never took in the player's IGMP report (its input chain must let IGMP in), and at `media` for want of a route for "
     "the group, for a rule in the way to the player's zone, or for a time to live that ends before it.",
     "Accept the leg: protocol, source, destination and port are in the report, and `wmlab rules SCENARIO` prints rules that let exactly the scenario through. Place the rule before the one that dropped."},
    {"rejected", true, "A device on the way answered with ICMP.",
     "A firewall or router refused the packet and said so with an ICMP message. The report gives its type, code and sender. Code 0 "
     "or 1 from a router may also mean that it has no route, or that the host does not answer ARP (then it comes after a second or more).",
     "The ICMP message in the sender's error queue or on its wire, sent by an address that is not the far host's; or in the far host's name while the far host's wire shows that it sent none.",
     "Codes 3/9, 3/10 and 3/13 are administrative: a rule. 3/0 and 3/1: look at routes and at whether the host is up. 3/2 and 3/3 from the firewall: a `reject` rule. Linux limits how many ICMP errors it sends: later packets of the same rule look dropped.",
     "Accept the leg before the rejecting rule, or mend the route."},
    {"reset", true, "A device on the way tore the TCP connection down.",
     "A RST (or the end of the connection) arrived that the other host never sent. Firewalls do this with `reject with tcp reset`; intrusion prevention systems do it in the middle of a connection.",
     "The far host's wire shows no RST going out, or the far program was listening all the time, or the RST's time to live differs from that of the host's other packets.",
     "Compare the time to live of the RST with that of the SYN-ACK. If the reset comes after some messages, look for an inspection of the protocol rather than for a port rule.",
     "Accept the leg; switch off the inspection that does not know the protocol."},
    {"refused", true, "The host itself refused.",
     "The packet arrived and the host, not the firewall, said no: a RST or an ICMP port-unreachable of its own. The firewall is not to blame, so the verdict is `failed` and never `blocked`.",
     "The host's own wire shows the packet coming in and the RST or ICMP message going out, while its listener is in the journal.",
     "Look for a host firewall, a listener bound to another address, or a full backlog on that host (`ss -ltn`).",
     "Mend the host. No rule of the firewall under test will help."},
    {"translated", true, "Address translation broke it.",
     "The two ends see different addresses for the same connection, and the protocol carries addresses inside its messages or opens connections back. DCOM's object references name the server's own address; MMS over UDP sends media to the address "
     "the control connection came from; a port forward may lead to a port where nobody listens.",
     "The address one end connected from or to is not the address the other end saw, and the packets that followed went to an address behind which the other host is not.",
     "Compare source and destination in the leg with what the other end saw (`source_seen`, `destination_seen` in the JSON report).",
     "Route instead of translating between these hosts. DCOM does not survive translation at all; media over UDP needs a gateway that understands MMS, otherwise use TCP or HTTP."},
    {"starved", true, "It began, then silence.",
     "The connection opened and data flowed, then it stopped although both ends were still there. Usual reasons are a connection tracking entry that timed out, a rate limit, an inspection that gave up, or a route that changed.",
     "One end sent messages or packets that the other never received, both journals reach their end, and neither end closed of its own will.",
     "Note after how long and after how many packets it stops. If it is always the same time, look for a time-out; if a share of the packets is missing, look for a rate limit.",
     "Lengthen the time-out above the longest idle period of the session, or lift the limit to the stream's bit rate and bursts."},
    {"proxy-denied", true, "The web proxy said no.", "The proxy answered the player with an HTTP error of its own; the request never went on to the server.",
     "The player received the status, and the server's journal knows nothing of the request.",
     "403: the proxy's access list or its list of safe ports. 407: it wants a user name. The explanation has the proxy's own words.",
     "Allow the server's address and port 80 in the proxy, or let the player go directly."},
    {"modified", true, "What arrived is not what was sent.",
     "Packets or the ASF header were changed on the way, in what they carry or in their own headers (the TCP window, what is acknowledged). The media may even play, but a device rewrote it.",
     "The checksum of a packet at the receiver differs from the checksum that the sender recorded for the same packet; of headers, the kernel's trace names the rule that wrote into them.",
     "Look for a gateway that rewrites HTTP or ASF, a caching proxy with older content, broken checksum offload, or a rule with `set`.",
     "Take the stream out of that inspection."},
    {"exhausted", true, "No port was left in the reserved range.",
     "Every DCOM process needs one port of the reserved range for itself. The range had fewer ports than processes, so the activation failed at the server. The firewall is not to blame: the verdict is `failed`.",
     "The server answered the activation with an error and recorded that the range is used up.",
     "Count the processes (`processes` in the scenario) and the ports (`reserved_ports` or the registry export).",
     "Reserve more ports on the server and open the same range in the firewall."},
    {"no-journal", false, "A process that takes part left no journal.", "Nothing is known about one side, so nothing can be said about the path between them.",
     "No line of that host names this flow.",
     "Was the simulator started on that host, with the same scenario? Was its journal among the files given to `wmlab judge`?",
     "Start it, or add its journal."},
    {"not-ready", false, "A process never said that it is ready.", "It ended or hung before its ports were bound.",
     "`started` without `ready`, or a `fatal` event with the reason.",
     "Read the process's messages: usually a port is taken, a file is missing, or a permission is lacking.", "Remove the obstacle and run again."},
    {"process-died", false, "A process ended without having been told to.",
     "A simulator or a `run:` program was killed or crashed. Its silence says nothing about the firewall.",
     "`process-died` by the runner, with exit status or signal.", "Look at the signal: 9 is a kill (out of memory?), 6 or 11 a crash.",
     "Run again; report a crash."},
    {"journal-incomplete", false, "Lines or the end of a journal are missing.", "Evidence was lost, so what is absent proves nothing.",
     "No `stopped` line, fewer lines than it counts, or lines that could not be read.", "Was the disk full? Was the file copied before the process had ended?",
     "Collect the journal again after the process has ended, or run again."},
    {"not-listening", false, "The port was not bound at the far end.",
     "A server that does not listen looks like a firewall that blocks. It is never reported as one.",
     "No `listening` for the port, or `listen-failed` with the program that holds it.", "`ss -lntup` on that host.", "Free the port, or correct the scenario."},
    {"not-tried", false, "The leg was never used.", "The player did not get as far as this leg, or did not need it.",
     "No event of this leg at the end that opens it.", "Look at the legs before it.", "Nothing to mend here."},
    {"no-outcome", false, "How it ended is not recorded.",
     "The end that opened the flow began and did not record how it ended, or one end left no account of its media.",
     "A beginning without an end in the journal.", "Was the run interrupted? Was the deadline of the flow too short for the machine?",
     "Run again with a longer `deadline`."},
    {"not-sent", false, "Nothing left the sending host.",
     "The host itself held the packets back. Usual reasons are a local firewall, a missing route, or a wrong address.",
     "The host's own wire shows none of the packets.", "`ip route get ADDRESS` and the host's own rules.", "Mend the host's network, then run again."},
    {"host-silent", false, "Packets arrived at the host and it did not answer.",
     "They reached the far interface, so the firewall let them through; the host or its program did not take them.",
     "The far wire shows the packets, the far journal does not.",
     "A host firewall, reverse path filtering, a full socket buffer, or a host too busy to answer in time.", "Mend the host, or give it a longer `deadline`."},
    {"control-failed", false, "It does not work with the firewall open either.",
     "The positive control failed: the same hosts and processes cannot do this even without any rule. So the rules are not to blame, or at least not alone.",
     "The verdict of the same flow in a lab whose firewall forwards everything.", "Read the explanation: it says what happened with the firewall open.",
     "Mend the scenario or the host first."},
    {"control-missing", false, "The flow was not run with the firewall open.",
     "A lab with an open firewall was built for proof, but this flow was not run in it.", "No event of the flow in the control run.",
     "Was the run interrupted?", "Run again."},
    {"lab-broken", false, "The lab could not be built, or broke down.", "The runner could not build or keep the hosts and the firewall.",
     "A `fatal` event of the runner.", "`wmlab doctor` says what this machine allows.", "Do what `wmlab doctor` says, then run again."},
    {"contradiction", false, "What the two ends say does not fit together.",
     "The evidence of one end contradicts that of the other: journals of different runs, or content out of a cache.",
     "Media that arrived and was not sent in this session, or counts that cannot both be true.",
     "Are all journals of the same run? Does a proxy answer from its cache?", "Collect the journals of one run; keep caches out of the way."},
    {"overloaded", false, "The machine, not the firewall, was the limit.",
     "The packets came to the far wire and the program could not take them, or a load fell short while no packet of it was lost in the firewall and the machine had no time left.",
     "No packet was lost between the wires; in the journals of a load the event loops were late, the processors busy, or packets were skipped.",
     "What `loads` of the JSON report says of the machine; run with fewer players, or a longer `ramp`.",
     "Play the load with other machines (`--launch`), with fewer players, or when the machine has nothing else to do."},
}};

std::string wrapped(std::string_view text, std::string_view indent) {
    std::string out{indent};
    std::size_t column = indent.size();
    while (!text.empty()) {
        const auto word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(text.size(), word.size() + 1));
        if (column + word.size() > 78 && column > indent.size()) {
            out += "\n";
            out += indent;
            column = indent.size();
        }
        if (column > indent.size()) {
            out += ' ';
            ++column;
        }
        out += word;
        column += word.size();
    }
    return out;
}

}  // namespace

std::span<const Page> pages() { return all_pages; }

const Page* page(std::string_view code) {
    const auto found = std::ranges::find(all_pages, code, &Page::code);
    return found == all_pages.end() ? nullptr : &*found;
}

std::string nearest_code(std::string_view mistyped) {
    const auto nearest = std::ranges::min_element(
        all_pages, {}, [&](const Page& candidate) { return scenario::edit_distance(candidate.code, mistyped); });
    const auto far = scenario::edit_distance(nearest->code, mistyped);
    return far <= std::max<std::size_t>(2, mistyped.size() / 3) ? std::string{nearest->code} : std::string{};
}

std::string page_text(const Page& page) {
    std::string text = fmt::format("{}: {}\n", page.code, page.sentence);
    text += page.cause ? "A cause: it is the `cause` of a leg and of its flow.\n"
                       : "A reason for the verdict `inconclusive`: nothing is said about the firewall.\n";
    for (const auto& [title, body] :
         {std::pair{"What it means", page.meaning}, std::pair{"What proves it", page.evidence},
          std::pair{"How to check it", page.check}, std::pair{"How to mend it", page.mend}}) {
        text += fmt::format("\n{}\n{}\n", title, wrapped(body, "  "));
    }
    return text;
}

std::string pages_list() {
    std::string text;
    for (const bool cause : {true, false}) {
        text += cause ? "Causes of a blocked, degraded or failed flow\n" : "\nReasons for an inconclusive flow\n";
        for (const auto& entry : all_pages) {
            if (entry.cause == cause) text += fmt::format("  {:<20}{}\n", entry.code, entry.sentence);
        }
    }
    return text + "\n`wmlab explain CODE` says what one means, how to check it and how to mend it.\n";
}

std::string pages_markdown() {
    std::string text =
        "# Causes and reasons\n\nThe words a report uses to say why. `wmlab explain CODE` prints the same pages.\n";
    for (const bool cause : {true, false}) {
        text +=
            cause ? "\n## Causes of a blocked, degraded or failed flow\n" : "\n## Reasons for an inconclusive flow\n";
        for (const auto& entry : all_pages) {
            if (entry.cause != cause) continue;
            text += fmt::format(
                "\n### {}\n\n**{}**\n\n{}\n\n*What proves it.* {}\n\n*How to check it.* {}\n\n*How to mend it.* {}\n",
                entry.code, entry.sentence, entry.meaning, entry.evidence, entry.check, entry.mend);
        }
    }
    return text;
}

}  // namespace wmlab::lab
