// What one host does for `wmlab alg`, as questions and answers: the kit asks the hand of each host to open sockets, to
// send, and to say what arrived. A hand in this process is asked directly (hand_sockets.hpp); one on another machine by
// lines over a pipe, a JSON object each. Pure: no sockets in here.
//   hand -> wmlab   `hello` once, then an answer to each question
//   wmlab -> hand   questions, one at a time
// The end of the input ends the hand at once.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/alg/announcements.hpp"

namespace wmlab::lab {

inline constexpr unsigned hand_protocol = 1;
// What is longer, or asks for more, is refused.
inline constexpr std::size_t hand_line_max = 256U << 10, hand_list_max = 256, hand_text_max = 256, hand_connection_max = 15;
inline constexpr std::chrono::milliseconds hand_patience_max{60'000};

struct HandQuestion {
    enum class What {
        begin,    // the host, called `text`, has this address
        bind,     // a round of packets begins: open `places`
        send,     // its `packets`; datagrams say `text #NUMBER`
        look,     // until all that are `wanted` have arrived, or the patience is over
        end,      // what has arrived by now; the round is over
        listen,   // for `connection`, at `port`
        connect,  // the same at the other end, to address and port: under way
        accept,   // it has come, within the patience
        say,      // bytes on it; over UDP to address and port. `again`: keep its packet
        hear,     // that many bytes came within the patience; over UDP in one datagram
        again,    // the packet that was kept, which ends with these bytes, once more
        close,
        refused,  // whether a connection to address and port is refused
    };
    struct Place {
        scenario::Protocol protocol = scenario::Protocol::udp;
        std::uint16_t port = 0;
        bool operator==(const Place&) const = default;
    };
    struct Packet {
        unsigned number = 0;
        scenario::Protocol protocol = scenario::Protocol::udp;
        std::uint16_t from_port = 0, to_port = 0;
        scenario::Ipv4 to;
        bool operator==(const Packet&) const = default;
    };
    What what = What::begin;
    unsigned connection = 0;
    scenario::Protocol protocol = scenario::Protocol::tcp;
    scenario::Ipv4 address;
    std::uint16_t port = 0;
    std::string text;
    std::vector<Place> places;
    std::vector<Packet> packets;
    std::vector<unsigned> wanted;
    Octets bytes;
    std::size_t size = 0;
    bool again = false;
    std::chrono::milliseconds patience{0};
    bool operator==(const HandQuestion&) const = default;
};

struct HandAnswer {
    std::string step, cause;  // what it could not do; empty: it could
    bool yes = false;         // accepted, said, heard, refused, sent once more
    scenario::Ipv4 address;   // of the other end; of `connect` its own
    std::uint16_t port = 0;
    std::vector<unsigned> arrived;                       // of `look` and `end`
    std::vector<std::pair<unsigned, std::string>> kept;  // of `send`: what did not leave, and why
    std::string note;                                    // why there is no packet to send once more
    bool operator==(const HandAnswer&) const = default;
};

struct HandHello {
    unsigned protocol = hand_protocol;
    std::string version, place;  // place: the same for two hands only where their sockets are in one network
    bool operator==(const HandHello&) const = default;
};

std::string hand_line(const HandHello& hello);  // without its end
std::string hand_line(unsigned number, const HandQuestion& question);
std::string hand_line(unsigned number, const HandAnswer& answer);

template <class Message>
struct HandMessage {
    unsigned number = 0;
    Message message;
    std::string problem;  // why it is none: "port is no number from 0 to 65535"; empty: it is one
};
HandMessage<HandQuestion> hand_question(std::string_view line);
HandMessage<HandAnswer> hand_answer(std::string_view line);
HandMessage<HandHello> hand_hello(std::string_view line);
// "hello", "question", "answer"; empty: none of them, as what a login shell says.
std::string hand_kind(std::string_view line);

// Lines out of pieces. Once a line is too long there are no more.
class HandLines {
public:
    void add(std::string_view piece);
    std::optional<std::string> next();
    bool too_long() const { return too_long_; }

private:
    std::string text_;
    std::size_t looked_ = 0;
    bool too_long_ = false;
};

}  // namespace wmlab::lab
