#include "tests/lab/judge/journal_builder.hpp"

#include <spdlog/fmt/fmt.h>

#include <stdexcept>

namespace wmlab::lab {
namespace {

constexpr std::string_view usual_hosts = R"(
hosts:
  media:  { zone: inside,  address: 10.10.0.10 }
  player: { zone: outside, address: 10.20.0.10 }
  studio: { zone: outside, address: 10.20.0.11 }
  edge:   { zone: outside, address: 10.20.0.12 }
  proxy:  { zone: outside, address: 10.20.0.13, run: [tinyproxy, -d] }
)";

std::uint64_t checksum(unsigned packet) { return 0x1000'0000U + packet * 7919U; }

}  // namespace

Story::Story(const std::string& flows, const std::string& hosts) {
    const std::string yaml = std::string{R"(version: 1
name: a story
zones:
  inside:  { subnet: 10.10.0.0/24, interface: inside }
  outside: { subnet: 10.20.0.0/24, interface: outside }
)"} + (hosts.empty() ? std::string{usual_hosts} : hosts) +
                             R"(content:
  lecture: { synthetic: audio, bitrate: 64k }
defaults: { deadline: 3s, play: 1s, content: lecture }
flows:
)" + flows;
    auto loaded = scenario::load(yaml, "story.yaml", ".", scenario::Files::not_checked);
    if (!loaded.ok()) throw std::runtime_error{scenario::explain(loaded.problems)};
    scenario_ = std::move(loaded.scenario);
    for (const auto& host : scenario_.hosts) watched_.insert(host.name);
}

std::string Story::address(std::string_view host, unsigned port) const {
    const auto* found = scenario_.host(host);
    if (found == nullptr) throw std::runtime_error{"no host " + std::string{host}};
    return port == 0 ? found->address.text() : found->address.text() + ":" + std::to_string(port);
}

Event& Story::put(const std::string& host, const std::string& process, What what, Fields fields) {
    Event event;
    now_ += 1'000'000;
    event.monotonic = std::chrono::nanoseconds{now_};
    event.utc = std::chrono::sys_time<std::chrono::nanoseconds>{std::chrono::seconds{1'800'000'000} + event.monotonic};
    event.host = host;
    event.process = process;
    event.event = what;
    event.fields = std::move(fields);
    return events_.emplace_back(std::move(event));
}

Event& Story::add(const std::string& host, What what, Fields fields) {
    const auto program = programs_.find(host);
    return put(host, program == programs_.end() ? "wmlab" : program->second, what, std::move(fields));
}

Event& Story::on(const std::string& host, const std::string& flow, const std::string& leg, What what, Fields fields) {
    auto& event = add(host, what, std::move(fields));
    event.flow = flow;
    event.leg = leg;
    return event;
}

void Story::process(const std::string& host, const std::string& program, std::vector<std::string> flows) {
    programs_[host] = program;
    boost::json::array ids;
    for (auto& flow : flows) ids.emplace_back(flow);
    add(host, What::started, {{"version", "0"}, {"pid", 100 + programs_.size()}, {"flows", ids}});
    add(host, What::ready);
}

void Story::listening(const std::string& host, const std::string& protocol, unsigned port, const std::string& leg) {
    auto& event = add(host, What::listening, {{"protocol", protocol}});
    event.local = address(host, port);
    event.leg = leg;
}

void Story::kill(const std::string& host, int signal) {
    put(host, "wmlab", What::process_died, {{"program", programs_.at(host)}, {"signal", signal}});
    killed_.insert(host);
}

void Story::lab(Fields fields) { put("wmlab", "wmlab", What::lab_up, std::move(fields)); }

void Story::wire(const std::string& host, const std::string& way, const std::string& protocol, const std::string& kind,
                 const std::string& source, const std::string& destination, unsigned packets, Fields more) {
    more["direction"] = way;
    more["protocol"] = protocol;
    more["kind"] = kind;
    more["source"] = source;
    more["destination"] = destination;
    more["packets"] = packets;
    if (!more.contains("bytes")) more["bytes"] = packets * 60;
    if (watched_.contains(host)) put(host, "wmlab", What::wire, std::move(more));
}

void Story::tcp_wire(const std::string& host, const std::string& way, const std::string& kind,
                     const std::string& source, const std::string& destination, unsigned packets, unsigned ttl) {
    wire(host, way, "tcp", kind, source, destination, packets, {{"ttl", ttl}});
}

void Story::crosses(const std::string& from, const std::string& to, const std::string& protocol,
                    const std::string& kind, const std::string& source, const std::string& destination,
                    unsigned packets, Fate fate) {
    wire(from, "out", protocol, kind, source, destination, packets, {{"ttl", 64}});
    if (fate == Fate::arrives) wire(to, "in", protocol, kind, source, destination, packets, {{"ttl", 63}});
}

void Story::passes(const std::string& from, const std::string& to, const std::string& protocol, const std::string& source, const std::string& destination,
                   const std::vector<Packet>& packets) {
    std::map<std::string, std::vector<std::pair<Packet, unsigned>>> kinds;
    for (const auto& packet : packets) kinds[packet.kind].emplace_back(packet, next_packet_++);
    for (const auto& [kind, all] : kinds) {
        const auto line = [&](const std::string& host, const std::string& way, double late, bool all_of_them) {
            std::string each;
            unsigned count = 0;
            std::int64_t first = -1;
            for (const auto& [packet, number] : all) {
                if (!all_of_them && packet.fate == Fate::lost) continue;
                const auto at = static_cast<std::int64_t>((packet.at + late) * 1000);  // microseconds
                if (first < 0) first = at;
                each += fmt::format("{}{:x}:{:x}:{:x}:{:x}@{}", each.empty() ? "" : " ", number, protocol == "tcp" ? number * 1000 : 0, packet.bytes, number,
                                    at - first);
                ++count;
            }
            if (count > 0) wire(host, way, protocol, kind, source, destination, count, {{"ttl", 63}, {"each", each}, {"first", first * 1000}});
        };
        line(from, "out", 0, true);
        line(to, "in", 1, false);
    }
}

Story::Connection Story::connect(const std::string& flow, const std::string& leg, const std::string& from,
                                 const std::string& to, unsigned port) {
    Connection connection{flow, leg, from, to, address(from, next_port_++), address(to, port), next_connection_++};
    on(from, flow, leg, What::connecting, {{"protocol", "tcp"}}).remote = connection.remote;
    auto& connected = on(from, flow, leg, What::connected, {{"milliseconds", 0.4}});
    connected.local = connection.local;
    connected.remote = connection.remote;
    if (programs_.contains(to)) {
        auto& accepted = add(to, What::accepted, {{"connection", connection.number}});
        accepted.local = connection.remote;
        accepted.remote = connection.local;
    }
    crosses(from, to, "tcp", "syn", connection.local, connection.remote, 1);
    crosses(to, from, "tcp", "syn-ack", connection.remote, connection.local, 1);
    crosses(from, to, "tcp", "ack", connection.local, connection.remote, 1);
    return connection;
}

void Story::talk(const Connection& connection, unsigned messages, Fate there, Fate back) {
    const auto line = [&](const std::string& host, What what, unsigned n) {
        const bool opener = host == connection.from;
        auto& event = on(host, opener ? connection.flow : std::string{}, connection.leg, what,
                         {{"message", "Message" + std::to_string(n)}, {"bytes", 100}});
        if (opener) {
            event.local = connection.local;
            event.remote = connection.remote;
        } else {
            event.fields["connection"] = connection.number;
            event.flow = connection.flow;
        }
    };
    for (unsigned n = 0; n < messages; ++n) {
        line(connection.from, What::sent, n);
        if (there == Fate::lost) break;
        if (programs_.contains(connection.to)) {
            line(connection.to, What::received, n);
            line(connection.to, What::sent, n);
        }
        if (back == Fate::lost) break;
        line(connection.from, What::received, n);
    }
    const unsigned copies = there == Fate::lost || back == Fate::lost ? 5 : messages;
    crosses(connection.from, connection.to, "tcp", "data", connection.local, connection.remote, copies, there);
    if (there == Fate::arrives) {
        crosses(connection.to, connection.from, "tcp", "data", connection.remote, connection.local, copies, back);
    }
}

void Story::close(const Connection& connection) {
    auto& own =
        on(connection.from, connection.flow, connection.leg, What::closed, {{"by", "self"}, {"reason", "finished"}});
    own.local = connection.local;
    own.remote = connection.remote;
    if (programs_.contains(connection.to)) {
        on(connection.to, connection.flow, connection.leg, What::closed,
           {{"by", "peer"}, {"reason", "closed"}, {"connection", connection.number}});
    }
    crosses(connection.from, connection.to, "tcp", "fin", connection.local, connection.remote, 1);
    crosses(connection.to, connection.from, "tcp", "fin", connection.remote, connection.local, 1);
}

Story::Connection Story::fail(const std::string& flow, const std::string& leg, const std::string& from,
                              const std::string& to, unsigned port, Fields failure) {
    Connection connection{flow, leg, from, to, address(from, next_port_++), address(to, port), 0};
    on(from, flow, leg, What::connecting, {{"protocol", "tcp"}}).remote = connection.remote;
    auto& failed = on(from, flow, leg, What::connect_failed, {{"failure", std::move(failure)}});
    failed.local = connection.local;
    failed.remote = connection.remote;
    return connection;
}

Fields Story::timeout(double waited) { return {{"kind", "timeout"}, {"error", "ETIMEDOUT"}, {"waited", waited}}; }
Fields Story::refused() { return {{"kind", "refused"}, {"error", "ECONNREFUSED"}, {"waited", 0.3}}; }
Fields Story::unreachable(unsigned code, const std::string& sender, const std::string& error) {
    return {{"kind", "unreachable"},
            {"error", error},
            {"waited", 0.4},
            {"icmp", Fields{{"type", 3}, {"code", code}, {"from", sender}}}};
}

void Story::media(const Stream& stream) {
    boost::json::array sent, received;
    std::uint64_t sum_sent = 0, sum_received = 0;
    for (unsigned packet = 0; packet < stream.sent; ++packet) {
        sent.push_back(boost::json::array{packet, checksum(packet)});
        sum_sent += checksum(packet);
        if (stream.missing.contains(packet)) continue;
        const auto sum = checksum(packet) + (stream.altered.contains(packet) ? 1 : 0);
        received.push_back(boost::json::array{packet, sum});
        sum_received += sum;
    }
    const auto arrived = received.size();
    auto& start = on(stream.sender, stream.flow, stream.leg, What::media_started);
    start.local = stream.source;
    start.remote = stream.destination;
    if (arrived > 0) {
        auto& first = on(stream.receiver, stream.flow, stream.leg, What::media_started);
        first.local = stream.destination;
        first.remote = stream.source;
    }
    auto& there = on(stream.sender, stream.flow, stream.leg, What::media_ended,
                     {{"packets", stream.sent},
                      {"bytes", stream.sent * 200},
                      {"digests", sent},
                      {"digest", std::to_string(sum_sent)},
                      {"header_digest", 77},
                      {"first_send", now_ - 1'000'000'000},
                      {"last_send", now_}});
    there.local = stream.source;
    there.remote = stream.destination;
    auto& here = on(stream.receiver, stream.flow, stream.leg, What::media_ended,
                    {{"packets", arrived},
                     {"bytes", arrived * 200},
                     {"digests", received},
                     {"digest", std::to_string(sum_received)},
                     {"header_digest", 77},
                     {"duplicates", 0},
                     {"damaged", 0},
                     {"longest_gap", stream.longest_gap}});
    if (arrived == 0) here.fields.erase("header_digest");
    here.local = stream.destination;
    here.remote = stream.source;
}

void Story::started(const std::string& host, const std::string& flow, const std::string& type,
                    const std::string& transport) {
    on(host, flow, "", What::flow_started, {{"type", type}, {"transport", transport}, {"attempt", 1}});
}

void Story::ended(const std::string& host, const std::string& flow, const std::string& outcome,
                  const std::string& transport, const std::string& reason, Fields more) {
    more["outcome"] = outcome;
    more["transport"] = transport;
    more["reason"] = reason;
    on(host, flow, "", What::flow_ended, std::move(more));
}

std::vector<Event> Story::events() const {
    Story whole = *this;
    for (const auto& [host, program] : programs_) {
        if (killed_.contains(host)) continue;
        std::size_t lines = 1;
        for (const auto& event : events_) lines += event.host == host && event.process == program;
        whole.put(host, program, What::stopped, {{"reason", "stop"}, {"lines", lines}});
    }
    for (const auto& host : watched_) {
        std::uint64_t packets = 0;
        for (const auto& event : events_) {
            if (event.event == What::wire && event.host == host)
                packets += event.fields.at("packets").to_number<std::uint64_t>();
        }
        whole.put(host, "wmlab", What::wire, {{"kind", "total"}, {"packets", packets}, {"dropped", 0}});
    }
    return whole.events_;
}

std::string mms_flow(const std::string& id, const std::string& type) {
    return "  - { id: " + id + ", type: " + type + ", from: player, to: media }\n";
}

void mms_processes(Story& story, const std::vector<std::string>& flows) {
    story.process("media", "server_sim", flows);
    story.listening("media", "tcp", 1755, "control");
    story.listening("media", "udp", 1755, "resend");
    story.process("player", "client_sim", flows);
}

void mms_tcp_session(Story& story, const std::string& flow) {
    story.started("player", flow, "mms-tcp", "tcp");
    const auto control = story.connect(flow, "control", "player", "media", 1755);
    story.talk(control);
    story.media({flow, "media", "player", control.remote, control.local, "control", 40, {}, {}, 30});
    story.close(control);
    story.ended("player", flow, "worked", "tcp");
}

void mms_udp_session(Story& story, const std::string& flow, const UdpSession& session) {
    story.started("player", flow, "mms-udp", "udp");
    const auto control = story.connect(flow, "control", "player", "media", 1755);
    const auto here = story.address("player", session.sink), there = story.address("media", 1755);
    story.on("player", flow, "media", What::announced, {{"protocol", "udp"}}).local = here;
    story.talk(control);
    Story::Stream stream{flow,    "media",      "player",        there, here,
                         "media", session.sent, session.missing, {},    session.longest_gap};
    story.media(stream);
    const auto arrived = session.sent - static_cast<unsigned>(session.missing.size());
    story.wire("media", "out", "udp", "udp", there, here, session.sent);
    if (arrived > 0) story.wire("player", "in", "udp", "udp", there, here, arrived);
    if (session.ask_again && arrived > 0) {
        auto& asked =
            story.on("player", flow, "resend", What::resend_requested, {{"sequences", boost::json::array{3}}});
        asked.local = here;
        asked.remote = there;
        story.crosses("player", "media", "udp", "udp", here, there, 1, session.resend);
        if (session.resend == Fate::arrives) {
            auto& got =
                story.on("media", flow, "resend", What::resend_answered, {{"sequences", boost::json::array{3}}});
            got.local = there;
            got.remote = here;
            story.on("player", flow, "resend", What::resend_answered, {{"sequences", boost::json::array{3}}});
        }
    }
    story.close(control);
    story.ended("player", flow, session.outcome, "udp");
}

}  // namespace wmlab::lab
