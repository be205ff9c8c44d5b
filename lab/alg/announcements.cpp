#include "lab/alg/announcements.hpp"

#include "common/mms/connect.hpp"
#include "common/mms/connect_funnel.hpp"
#include "common/mms/framing.hpp"
#include "common/mms/open_file.hpp"
#include "common/mms/start_playing.hpp"
#include "common/msbd/message.hpp"
#include "common/rpc/datagram.hpp"
#include "common/rpc/epm.hpp"
#include "common/rpc/identifiers.hpp"
#include "common/rpc/pdu.hpp"

namespace wmlab::lab {
namespace {

using Wish = Announcement::Wish;
using Then = Announcement::Then;
using Segment = Announcement::Segment;

constexpr std::uint16_t mms_port = 1755, mapper_port = 135, http_port = 80, msbd_port = 7007;
constexpr std::uint16_t first_mms = 2000, first_mapper = 3001, first_mapper_udp = 3301, first_msbd = 3601,
                        step = 10;  // ports beside the announced one are tried too

Octets joined(Octets first, const Octets& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

std::vector<Segment> cut(const Octets& bytes, bool by_client, std::size_t parts) {
    std::vector<Segment> segments;
    for (std::size_t i = 0; i < parts; ++i) {
        const auto from = bytes.size() * i / parts, to = bytes.size() * (i + 1) / parts;
        segments.push_back({by_client, Octets{bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.begin() + static_cast<std::ptrdiff_t>(to)}, false});
    }
    return segments;
}

// The player's side of a control connection.
class Player {
public:
    explicit Player(scenario::Ipv4 address) : address_{address} {}

    Octets connect() {
        mms::LinkViewerToMacConnect message;
        message.subscriberName = u"NSPlayer/4.1.0.3928; {3300AD50-2C39-46C0-AE0A-AC7B8159E203}; Host: server";
        return framer_.frame(message.serialise());
    }
    Octets funnel(scenario::Ipv4 address, unsigned port, std::u16string_view protocol = u"UDP") {
        mms::LinkViewerToMacConnectFunnel message;
        message.funnelName = u"\\\\";
        for (const char c : address.text()) message.funnelName += static_cast<char16_t>(c);
        message.funnelName += u"\\" + std::u16string{protocol} + u"\\";
        for (const char c : std::to_string(port)) message.funnelName += static_cast<char16_t>(c);
        return framer_.frame(message.serialise());
    }
    Octets funnel(unsigned port) { return funnel(address_, port); }
    Octets start() { return framer_.frame(mms::LinkViewerToMacStartPlaying{}.serialise()); }
    Octets open_file(std::u16string name) {
        mms::LinkViewerToMacOpenFile message;
        message.fileName = std::move(name);
        return framer_.frame(message.serialise());
    }

private:
    scenario::Ipv4 address_;
    mms::Framer framer_;
};

std::vector<Announcement> mms_announcements(const AlgParties& parties) {
    std::vector<Announcement> all;
    std::uint16_t next = first_mms;
    const auto add = [&](std::string id, std::string what, Wish wish, const auto& say, std::uint16_t port = 0) -> Announcement& {
        Announcement one{std::move(id), std::move(what), Announces::mms, wish, port != 0 ? port : next, mms_port, {}, false, Then::nothing};
        next = static_cast<std::uint16_t>(next + step);
        Player player{parties.client};
        one.segments.push_back({true, player.connect(), false});
        say(one, player);
        return all.emplace_back(std::move(one));
    };
    const auto plainly = [](Announcement& one, Player& player) { one.segments.push_back({true, player.funnel(one.port), false}); };

    add("correct", "as the specification has it", Wish::opens, plainly);
    for (const std::size_t parts : {2U, 3U})
        add("split-" + std::to_string(parts), "split over " + std::string{parts == 2 ? "two" : "three"} + " segments", Wish::opens, [&](auto& one, auto& player) {
            for (auto& segment : cut(player.funnel(one.port), true, parts)) one.segments.push_back(std::move(segment));
        });
    add("joined", "in one segment with the message before it", Wish::opens, [&](auto& one, auto& player) {
        Player fresh{parties.client};
        one.segments.clear();
        auto first = fresh.connect();
        one.segments.push_back({true, joined(std::move(first), fresh.funnel(one.port)), false});
        static_cast<void>(player);
    });
    add("retransmitted", "its segment sent twice", Wish::opens, [&](auto& one, auto& player) { one.segments.push_back({true, player.funnel(one.port), true}); });
    add("lower-case", "with `udp` in lower case", Wish::opens,
        [&](auto& one, auto& player) { one.segments.push_back({true, player.funnel(parties.client, one.port, u"udp"), false}); });
    add("idle", "and nothing sent for a while", Wish::opens, plainly).then = Then::idle;
    add("kept", "and packets of the stream for longer than that", Wish::opens, plainly).then = Then::kept;
    add("another-player", "naming the address of another player", Wish::stays, [&](auto& one, auto& player) {
        one.segments.push_back({true, player.funnel(parties.other, one.port), false});
    }).names_foreign = true;
    add("below-1024", "naming a port below 1024", Wish::stays, plainly, 1023);
    add("above-5000", "naming a port above 5000", Wish::stays, plainly, 6001);
    add("late", "after the stream began", Wish::may_open, [&](auto& one, auto& player) {
        one.segments.push_back({true, player.funnel(static_cast<unsigned>(one.port + 5)), false});
        one.segments.push_back({true, player.start(), false});
        one.segments.push_back({true, player.funnel(one.port), false});
    });
    add("again", "a second one with another port", Wish::may_open, [&](auto& one, auto& player) {
        one.segments.push_back({true, player.funnel(static_cast<unsigned>(one.port + 5)), false});
        one.segments.push_back({true, player.funnel(one.port), false});
    });
    add("elsewhere", "on a connection to port 80", Wish::stays, plainly).control_port = http_port;
    add("inside", "inside the name of a file", Wish::stays, [&](auto& one, auto& player) {
        Player other{parties.client};
        const auto packet = other.funnel(one.port);
        std::u16string name;
        for (std::size_t i = 0; i + 1 < packet.size(); i += 2)
            name += static_cast<char16_t>(std::to_integer<unsigned>(packet[i]) | std::to_integer<unsigned>(packet[i + 1]) << 8);
        for (auto& c : name)
            if (c == 0) c = u'x';
        one.segments.push_back({true, player.open_file(u"x" + std::u16string{u"\\\\"} + name), false});
    });
    add("text", "its name alone, in no message", Wish::stays, [&](auto& one, auto& player) {
        const auto packet = player.funnel(one.port);
        one.segments.push_back({true, Octets{packet.begin() + 60, packet.end()}, false});
    });
    add("wrong-length", "in a packet whose length field is wrong", Wish::stays, [&](auto& one, auto& player) {
        auto packet = player.funnel(one.port);
        packet[8] = std::byte{0xFF}, packet[9] = std::byte{0xFF};  // messageLength
        one.segments.push_back({true, std::move(packet), false});
    });
    add("by-server", "said by the server", Wish::stays, [&](auto& one, auto& player) { one.segments.push_back({false, player.funnel(one.port), false}); });
    add("after-close", "and a while after the control connection was closed", Wish::stays, plainly).then = Then::close;
    return all;
}

rpc::Octets bind_pdu() {
    rpc::Pdu pdu;
    pdu.header.PTYPE = rpc::PduType::bind;
    pdu.header.call_id = 1;
    rpc::Bind bind;
    bind.elements.push_back({0, rpc::SyntaxId{}, {rpc::syntax::NDR}});
    pdu.body = bind;
    return pdu.serialise();
}

constexpr std::uint32_t not_registered = 0x16C9A0D6;  // ept_s_not_registered

// The mapper's answer: the server listens on this port, at this address.
rpc::Octets answer(std::uint16_t port, scenario::Ipv4 address, std::uint32_t status, std::uint8_t protocol) {
    rpc::ept_map::Out out;
    rpc::Tower tower;
    tower.protocol = protocol;
    tower.port = port;
    tower.address = address.value;
    out.towers.push_back(tower);
    out.status = status;
    return out.serialise();
}

rpc::Octets question(std::uint8_t protocol) {
    rpc::ept_map::In in;
    in.map_tower = rpc::Tower{};
    in.map_tower->protocol = protocol;
    return in.serialise();
}

rpc::Octets map_response(std::uint16_t port, scenario::Ipv4 address, std::uint32_t status = 0) {
    return rpc::response_pdus({0, 0, 0, answer(port, address, status, rpc::protseq::ncacn_ip_tcp)}, 2, 5840);
}

rpc::Octets map_request() { return rpc::request_pdus({0, 0, rpc::ept_map::opnum, std::nullopt, question(rpc::protseq::ncacn_ip_tcp)}, 2, 5840); }

std::vector<Announcement> mapper_announcements(const AlgParties& parties) {
    std::vector<Announcement> all;
    std::uint16_t next = first_mapper;
    const auto add = [&](std::string id, std::string what, Wish wish, const auto& say, bool asked = true) -> Announcement& {
        Announcement one{"mapper-" + std::move(id), "the mapper's answer " + std::move(what), Announces::mapper, wish, next, mapper_port, {}, false, Then::nothing};
        next = static_cast<std::uint16_t>(next + step);
        if (asked) {
            one.segments.push_back({true, bind_pdu(), false});
            one.segments.push_back({true, map_request(), false});
        }
        say(one);
        return all.emplace_back(std::move(one));
    };
    const auto plainly = [&](auto& one) { one.segments.push_back({false, map_response(one.port, parties.server), false}); };
    add("correct", "as the specification has it", Wish::opens, plainly);
    for (const std::size_t parts : {2U, 3U})
        add("split-" + std::to_string(parts), "split over " + std::string{parts == 2 ? "two" : "three"} + " segments", Wish::opens, [&](auto& one) {
            for (auto& segment : cut(map_response(one.port, parties.server), false, parts)) one.segments.push_back(std::move(segment));
        });
    add("retransmitted", "sent twice", Wish::opens, [&](auto& one) { one.segments.push_back({false, map_response(one.port, parties.server), true}); });
    add("idle", "and nothing sent for a while", Wish::opens, plainly).then = Then::idle;
    add("foreign", "naming another host", Wish::stays, [&](auto& one) {
        one.segments.push_back({false, map_response(one.port, parties.stranger), false});
    }).names_foreign = true;
    add("not-found", "saying that there is nothing", Wish::stays, [&](auto& one) {
        one.segments.push_back({false, map_response(one.port, parties.server, not_registered), false});
    });
    add("unasked", "to nobody's question", Wish::stays, plainly, false);
    add("elsewhere", "on a connection to port 80", Wish::stays, plainly).control_port = http_port;
    add("by-client", "said by the client", Wish::stays, [&](auto& one) { one.segments.push_back({true, map_response(one.port, parties.server), false}); });
    add("after-close", "and a while after the connection was closed", Wish::may_open, plainly).then = Then::close;
    return all;
}

// Of one conversation: the same activity, sequence number and interface in question and answer.
rpc::Datagram call(rpc::PduType type, std::uint16_t port) {
    rpc::Datagram call;
    call.ptype = type;
    call.flags1 = rpc::pf1::idempotent;
    call.if_id = rpc::interface::epm.uuid;
    call.if_vers_major = rpc::interface::epm.major;
    call.act_id = rpc::Guid::named("wmlab alg " + std::to_string(port));
    call.opnum = rpc::ept_map::opnum;
    call.server_boot = type == rpc::PduType::request ? 0 : 1;
    return call;
}

Octets map_question(std::uint16_t port) {
    auto asked = call(rpc::PduType::request, port);
    asked.body = question(rpc::protseq::ncadg_ip_udp);
    return asked.serialise();
}

// In one datagram, or in two fragments, the first of which ends within the floor that names the port.
std::vector<Octets> map_answer(std::uint16_t port, scenario::Ipv4 address, std::uint32_t status = 0, bool fragments = false) {
    const auto stub = answer(port, address, status, rpc::protseq::ncadg_ip_udp);
    constexpr std::ptrdiff_t behind_the_cut = 16;
    const auto cut = stub.end() - behind_the_cut;
    auto told = call(rpc::PduType::response, port);
    if (!fragments) {
        told.body = stub;
        return {told.serialise()};
    }
    auto rest = told;
    told.flags1 = rest.flags1 = static_cast<std::uint8_t>(told.flags1 | rpc::pf1::frag | rpc::pf1::nofack);
    rest.flags1 = static_cast<std::uint8_t>(rest.flags1 | rpc::pf1::lastfrag);
    rest.fragnum = 1;
    told.body.assign(stub.begin(), cut);
    rest.body.assign(cut, stub.end());
    return {told.serialise(), rest.serialise()};
}

std::vector<Announcement> datagram_announcements(const AlgParties& parties) {
    std::vector<Announcement> all;
    std::uint16_t next = first_mapper_udp;
    const auto add = [&](std::string id, std::string what, Wish wish, const auto& say, bool asked = true) -> Announcement& {
        Announcement one{"mapper-udp-" + std::move(id),
                         "the mapper's answer over UDP " + std::move(what),
                         Announces::mapper_udp,
                         wish,
                         next,
                         mapper_port,
                         {},
                         false,
                         Then::nothing};
        next = static_cast<std::uint16_t>(next + step);
        if (asked) one.segments.push_back({true, map_question(one.port), false});
        say(one);
        return all.emplace_back(std::move(one));
    };
    const auto answers = [&](Announcement& one, scenario::Ipv4 address, std::uint32_t status, bool fragments, bool again, bool by_client) {
        for (auto& part : map_answer(one.port, address, status, fragments)) one.segments.push_back({by_client, std::move(part), again});
    };
    const auto plainly = [&](Announcement& one) { answers(one, parties.server, 0, false, false, false); };
    add("correct", "as the specification has it", Wish::opens, plainly);
    add("fragments", "in two fragments", Wish::opens, [&](Announcement& one) { answers(one, parties.server, 0, true, false, false); });
    add("retransmitted", "sent twice", Wish::opens, [&](Announcement& one) { answers(one, parties.server, 0, false, true, false); });
    add("idle", "and nothing sent for a while", Wish::opens, plainly).then = Then::idle;
    add("kept", "and packets of the call for longer than that", Wish::opens, plainly).then = Then::kept;
    add("foreign", "naming another host", Wish::stays, [&](Announcement& one) { answers(one, parties.stranger, 0, false, false, false); }).names_foreign = true;
    add("not-found", "saying that there is nothing", Wish::stays,
        [&](Announcement& one) { answers(one, parties.server, not_registered, false, false, false); });
    add("unasked", "to nobody's question", Wish::stays, plainly, false);
    add("by-client", "said by the client", Wish::stays, [&](Announcement& one) { answers(one, parties.server, 0, false, false, true); });
    return all;
}

std::vector<Announcement> msbd_announcements() {
    msbd::MSB_MSG_REQ_CONNECT request;
    std::vector<Announcement> all;
    std::uint16_t next = first_msbd;
    const auto add = [&](std::string id, std::string what) -> Announcement& {
        Announcement one{"msbd-" + std::move(id), std::move(what), Announces::msbd, Wish::stays, next, msbd_port, {}, false, Then::nothing};
        next = static_cast<std::uint16_t>(next + step);
        return all.emplace_back(std::move(one));
    };
    add("connected", "a connection to 7007 that asks for a stream: the fallback ports stay shut").segments.push_back({true, msbd::serialise(request), false});
    add("refused", "7007 is refused, so that the stream is on a fallback port that nobody announces").refused = true;
    return all;
}

}  // namespace

std::string_view text(Announces kind) {
    constexpr std::string_view names[] = {"mms", "mapper", "mapper-udp", "msbd"};
    return names[static_cast<std::size_t>(kind)];
}

std::vector<Announcement> announcements(const AlgParties& parties, Announces kind) {
    switch (kind) {
        case Announces::mms:
            return mms_announcements(parties);
        case Announces::mapper:
            return mapper_announcements(parties);
        case Announces::mapper_udp:
            return datagram_announcements(parties);
        case Announces::msbd:
            break;
    }
    return msbd_announcements();
}

Announcement marker(const AlgParties& parties, Announces kind, unsigned number) {
    const auto port = static_cast<std::uint16_t>(4001 + number % 900);  // the list's own are below
    Announcement one{"marker", "", kind, Wish::opens, port, kind == Announces::mms ? mms_port : mapper_port, {}, false, Then::nothing};
    if (kind == Announces::mms) {
        Player player{parties.client};
        one.segments.push_back({true, player.connect(), false});
        one.segments.push_back({true, player.funnel(port), false});
    } else if (kind == Announces::mapper_udp) {
        one.segments.push_back({true, map_question(port), false});
        one.segments.push_back({false, map_answer(port, parties.server).front(), false});
    } else {
        one.segments.push_back({true, bind_pdu(), false});
        one.segments.push_back({true, map_request(), false});
        one.segments.push_back({false, map_response(port, parties.server), false});
    }
    return one;
}

}  // namespace wmlab::lab
