// A simulated Windows machine as DCOM sees it: processes with exactly one port each, their objects, the endpoint map,
// ping sets. No sockets and no clock: opening a port is a function given by the embedder, time is an argument.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/rpc/activation.hpp"
#include "common/rpc/epm.hpp"
#include "common/rpc/object_exporter.hpp"
#include "common/rpc/port_registry.hpp"
#include "common/rpc/wm_station.hpp"

namespace wmlab::rpc {

struct ComInterface {
    Guid iid, ipid;
    std::uint64_t references = 0;
};

struct ComObject {
    std::uint64_t oid = 0;
    Guid clsid;
    std::vector<ComInterface> interfaces;
    TimePoint pinged;  // or made
};

struct ComProcess {
    unsigned number = 0;  // from 1
    std::string name;     // "media service", "administrator", "alias object"
    std::uint16_t port = 0;
    std::uint64_t oxid = 0;
    Guid ipid_rem_unknown;
    bool stays = false;  // a service: does not end with its last object
    Guid causality;      // of the activation that started it
    std::vector<ComObject> objects;
    std::set<std::string> aliases;  // registered through its objects
};

struct MachineEvent {
    enum class What {
        process_started,   // its port is open already
        process_ended,     // close its port once pending answers are out
        alias_registered,  // the stream can be pulled from encoder:port by MSBD
        alias_removed
    };
    What what = What::process_started;
    unsigned process = 0;
    std::string name;
    std::uint16_t port = 0;
    Guid causality;
    std::string alias;
    Endpoint encoder;  // alias_registered only
    bool operator==(const MachineEvent&) const = default;
};

struct MachineOptions {
    std::vector<std::string> addresses;    // what string bindings and towers say; at least one
    ComVersion version;                    // below 5.6 there is no ServerAlive2 (NT4 is 5.4)
    bool udp = true;                       // bindings and towers for UDP as well
    DynamicPorts ports;                    // of processes that no pool of its own was given for
    std::uint32_t boot_time = 0x40BA4ACF;  // server_boot, not 0
    // Binds TCP and UDP of a port and says whether that worked; a port somebody else holds is skipped. Empty: always.
    std::function<bool(std::uint16_t)> open_port;
    // Where identifiers come from. Empty: the system's source of random numbers, since whoever can guess one can use
    // what it names without having been given it.
    enum class Numbered { process, object, ping_set };
    std::function<std::uint64_t(Numbered)> number;
    std::function<Guid(std::uint16_t port)> ipid;
};

class Machine {
public:
    static constexpr std::chrono::seconds ping_period{120};  // a client's; three missed pings end its objects
    static constexpr unsigned missed_pings_max = 3;
    static constexpr std::size_t objects_max = 4096;  // of a process
    static constexpr std::size_t all_objects_max = 16384, ping_sets_max = 256, lookups_max = 64;
    static constexpr std::size_t references_max = 256;  // of one RemAddRef, RemRelease or RemQueryInterface

    explicit Machine(MachineOptions options);

    // Processes activated by calls of this causality take their ports from here: one machine serves several test flows.
    void add_pool(const Guid& causality, DynamicPorts ports);
    // Starts the media service of the pool, as the system does at boot; false: there is no port for it.
    bool start_service(const Guid& causality = {});

    struct Activation {
        std::uint32_t hr = 0;
        std::string reason;  // why not, in words
        const ComProcess* process = nullptr;
        std::vector<std::uint32_t> results;                // for each IID
        std::vector<std::optional<StdObjRef>> references;  // for each IID
    };
    Activation activate(const Guid& clsid, const std::vector<Guid>& iids, const Guid& causality, TimePoint now);

    const std::deque<ComProcess>& processes() const { return processes_; }
    ComProcess* process_at(std::uint16_t port);
    const ComProcess* process_of(std::uint64_t oxid) const;

    // Object references. Each answers with an HRESULT.
    RemQueryInterface::Result query_interface(ComProcess& process, const Guid& ipid, const Guid& iid,
                                              std::uint32_t refs);
    std::uint32_t add_references(ComProcess& process, const RemInterfaceRef& reference);
    std::uint32_t release_references(ComProcess& process, const RemInterfaceRef& reference);
    void end_if_unused(std::uint16_t port);  // after releases; `process` references are gone then
    bool has_interface(const ComProcess& process, const Guid& ipid, const Guid& iid) const;

    std::uint32_t simple_ping(std::uint64_t setid, TimePoint now);
    ComplexPing::Out complex_ping(const ComplexPing::In& ping, TimePoint now);
    void expire(TimePoint now);  // runs down objects nobody pings; call about once a second

    std::uint32_t register_alias(ComProcess& process, const RegisterAlias::In& call);
    std::uint32_t unregister_alias(ComProcess& process, const std::string& alias);

    std::vector<ept_lookup::Entry> endpoint_map() const;
    // Continues a lookup, or starts one over `entries` for the nil handle.
    ept_lookup::Out lookup(const ept_lookup::In& in);
    void free_lookup(const Guid& handle) { lookups_.erase(handle); }

    DualStringArray resolver_bindings() const;                           // addresses without ports
    DualStringArray exporter_bindings(const ComProcess& process) const;  // "10.66.1.10[3001]"
    ObjRef::Standard reference(const StdObjRef& std) const { return {std, resolver_bindings()}; }
    const MachineOptions& options() const { return options_; }
    Guid random_guid();
    std::uint32_t next_association_group() { return ++associations_; }
    std::vector<MachineEvent> take_events() { return std::exchange(events_, {}); }

    struct Statistics {
        std::uint32_t calls_in = 0, calls_out = 0, packets_in = 0, packets_out = 0;
    } statistics;

private:
    struct Pool {
        DynamicPorts ports;
        unsigned service = 0;  // process number, 0: not running
    };
    struct PingSet {
        std::set<std::uint64_t> oids;
        TimePoint pinged;
    };
    struct Lookup {
        std::vector<ept_lookup::Entry> entries;
        std::size_t next = 0;
        std::uint64_t age = 0;
    };

    Pool& pool(const Guid& causality);
    ComProcess* start_process(std::string name, Pool& pool, const Guid& causality, std::string& reason);
    ComProcess* service(Pool& pool, const Guid& causality, std::string& reason);
    std::size_t object_count() const;
    void end_process(std::size_t index);
    std::unordered_map<std::uint64_t, ComObject*> objects();  // by OID, of all processes
    ComInterface* find_interface(ComProcess& process, const Guid& ipid, ComObject** object = nullptr);
    void event(MachineEvent::What what, const ComProcess& process);
    std::uint64_t random();
    std::uint64_t identifier(MachineOptions::Numbered what);  // never 0
    Guid ipid(std::uint16_t port);

    MachineOptions options_;
    std::vector<Pool> pools_;
    std::map<Guid, std::size_t> pool_of_;
    std::deque<ComProcess> processes_;
    std::map<std::uint64_t, PingSet> ping_sets_;
    std::map<Guid, Lookup> lookups_;
    std::vector<MachineEvent> events_;
    unsigned process_numbers_ = 0;
    std::random_device random_;
    std::uint32_t associations_ = 0x1893;
    std::uint64_t lookup_numbers_ = 0;
};

}  // namespace wmlab::rpc
