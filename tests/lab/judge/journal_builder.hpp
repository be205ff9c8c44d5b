// Writes the journals of made-up runs tersely: processes with their beginning and end, connections as both ends and
// both wires see them, media with its digests. A test tells the usual story and then what went differently.
#pragma once
#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/evidence/event.hpp"
#include "common/scenario/loader.hpp"

namespace wmlab::lab {

using evidence::Event;
using evidence::What;
using Fields = boost::json::object;

// What happens to the packets of one direction.
enum class Fate { arrives, lost };

class Story {
public:
    explicit Story(const std::string& flows) : Story{flows, {}} {}
    Story(const std::string& flows, const std::string& hosts);

    const scenario::Scenario& scenario() const { return scenario_; }
    std::string address(std::string_view host, unsigned port = 0) const;

    // One line.
    Event& add(const std::string& host, What what, Fields fields = {});
    Event& on(const std::string& host, const std::string& flow, const std::string& leg, What what, Fields fields = {});

    // A process that takes part in flows, with listeners; its end is written by events().
    void process(const std::string& host, const std::string& program, std::vector<std::string> flows);
    void listening(const std::string& host, const std::string& protocol, unsigned port, const std::string& leg = {});
    void kill(const std::string& host, int signal = 9);  // no `stopped`; the runner noticed
    void lab(Fields fields = {});                        // the runner's lab-up

    // Wires. Sources and destinations are "10.20.0.10:40000".
    void wire(const std::string& host, const std::string& way, const std::string& protocol, const std::string& kind,
              const std::string& source, const std::string& destination, unsigned packets = 1, Fields more = {});
    void tcp_wire(const std::string& host, const std::string& way, const std::string& kind, const std::string& source,
                  const std::string& destination, unsigned packets = 1, unsigned ttl = 63);
    void crosses(const std::string& from, const std::string& to, const std::string& protocol, const std::string& kind,
                 const std::string& source, const std::string& destination, unsigned packets,
                 Fate fate = Fate::arrives);
    // The same, each packet by itself: when it left (ms, of events()'s monotonic clock), and whether it arrived, a millisecond later.
    struct Packet {
        double at = 0;
        Fate fate = Fate::arrives;
        std::string kind = "udp";
        unsigned bytes = 200;
    };
    void passes(const std::string& from, const std::string& to, const std::string& protocol, const std::string& source, const std::string& destination,
                const std::vector<Packet>& packets);
    void blind(const std::string& host) { watched_.erase(host); }  // nobody watched this host's wire
    void watch(const std::string& host) { watched_.insert(host); }

    // A TCP connection opened by `from` that both ends see as open, with `messages` each way. Returns its local
    // address.
    struct Connection {
        std::string flow, leg, from, to, local, remote;
        unsigned number = 0;
    };
    Connection connect(const std::string& flow, const std::string& leg, const std::string& from, const std::string& to,
                       unsigned port);
    void talk(const Connection& connection, unsigned messages = 3, Fate there = Fate::arrives,
              Fate back = Fate::arrives);
    void close(const Connection& connection);
    // An attempt that fails at the opening end after `waited` ms; `failure` as in the journal.
    Connection fail(const std::string& flow, const std::string& leg, const std::string& from, const std::string& to,
                    unsigned port, Fields failure);
    static Fields timeout(double waited = 3000);
    static Fields refused();
    static Fields unreachable(unsigned code, const std::string& sender, const std::string& error = "EHOSTUNREACH");

    // Media of a flow: packets 0..count-1 sent, those in `received` arrived (all when empty and `all`).
    struct Stream {
        std::string flow, sender, receiver, source, destination, leg;
        unsigned sent = 40;
        std::set<unsigned> missing = {};  // sent and not received
        std::set<unsigned> altered = {};  // arrived with another checksum
        double longest_gap = 30;
        bool none() const { return missing.size() >= sent; }
    };
    void media(const Stream& stream);
    void started(const std::string& host, const std::string& flow, const std::string& type,
                 const std::string& transport);
    void ended(const std::string& host, const std::string& flow, const std::string& outcome,
               const std::string& transport, const std::string& reason = {}, Fields more = {});

    void skip_ports(unsigned count) { next_port_ += count; }
    std::vector<Event> events() const;  // with the ends of processes and the totals of wires

private:
    Event& put(const std::string& host, const std::string& process, What what, Fields fields);
    scenario::Scenario scenario_;
    std::vector<Event> events_;
    std::map<std::string, std::string> programs_;  // of hosts
    std::set<std::string> killed_, watched_;
    std::int64_t now_ = 1'000'000'000;
    unsigned next_port_ = 40000, next_connection_ = 1, next_packet_ = 1;
};

// Whole sessions that go well; each leg can be told to fail instead by writing it by hand.
std::string mms_flow(const std::string& id, const std::string& type);
void mms_processes(Story& story, const std::vector<std::string>& flows);
void mms_tcp_session(Story& story, const std::string& flow);
struct UdpSession {
    unsigned sent = 40;
    std::set<unsigned> missing = {};
    Fate resend = Fate::arrives;
    bool ask_again = true;
    double longest_gap = 30;
    std::string outcome = "worked";
    unsigned sink = 1217;  // the player's port
};
void mms_udp_session(Story& story, const std::string& flow, const UdpSession& session = {});

}  // namespace wmlab::lab
