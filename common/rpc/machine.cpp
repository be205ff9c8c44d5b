#include "common/rpc/machine.hpp"

#include <algorithm>
#include <array>
#include <numeric>

namespace wmlab::rpc {
namespace {

struct ClassSpec {
    const Guid& clsid;
    std::string_view process;
    bool service;  // all activations share the process; otherwise each starts its own (REGCLS_SINGLEUSE)
};
const std::array<ClassSpec, 3>& classes() {
    static const std::array<ClassSpec, 3> table{{
        {guid::CLSID_SimWMService, "media service", true},
        {guid::CLSID_SimWMStation, "alias object", false},
        {guid::CLSID_SimWMAdministrator, "administrator", false},
    }};
    return table;
}

constexpr std::uint32_t references_given = 5;  // as Windows does: spares clients a RemAddRef
constexpr std::size_t aliases_max = 256;

bool is_supported(const Guid& iid) { return iid == interface::IUnknown.uuid || iid == interface::ISimWMStation.uuid; }

bool matches(const SyntaxId& registered, const SyntaxId& asked, ept_lookup::Versions option) {
    if (registered.uuid != asked.uuid) return false;
    const auto version = std::pair{registered.major, registered.minor}, wanted = std::pair{asked.major, asked.minor};
    switch (option) {
        case ept_lookup::Versions::all:
            return true;
        case ept_lookup::Versions::compatible:
            return version.first == wanted.first && version.second >= wanted.second;
        case ept_lookup::Versions::exact:
            return version == wanted;
        case ept_lookup::Versions::major_only:
            return version.first == wanted.first;
        case ept_lookup::Versions::upto:
            return version <= wanted;
    }
    return false;
}

}  // namespace

Machine::Machine(MachineOptions options) : options_{std::move(options)} { pools_.push_back({options_.ports, 0}); }

void Machine::add_pool(const Guid& causality, DynamicPorts ports) {
    const auto same = std::find_if(pools_.begin(), pools_.end(), [&](const Pool& one) { return one.ports == ports; });
    pool_of_[causality] = static_cast<std::size_t>(same - pools_.begin());
    if (same == pools_.end()) pools_.push_back({std::move(ports), 0});
}

Machine::Pool& Machine::pool(const Guid& causality) {
    const auto found = pool_of_.find(causality);
    return pools_[found == pool_of_.end() ? 0 : found->second];
}

void Machine::event(MachineEvent::What what, const ComProcess& process) {
    MachineEvent event;
    event.what = what;
    event.process = process.number;
    event.name = process.name;
    event.port = process.port;
    event.causality = process.causality;
    events_.push_back(std::move(event));
}

std::uint64_t Machine::random() { return std::uint64_t{random_()} << 32 | random_(); }

std::uint64_t Machine::identifier(MachineOptions::Numbered what) {
    for (;;)
        if (const auto number = options_.number ? options_.number(what) : random(); number != 0) return number;
}

Guid Machine::ipid(std::uint16_t port) { return options_.ipid ? options_.ipid(port) : random_guid(); }

Guid Machine::random_guid() {
    bytes::Writer out;
    out.u64(random());
    out.u64(random());
    std::array<std::byte, 16> wire{};
    std::copy_n(out.bytes().begin(), 16, wire.begin());
    wire[7] = (wire[7] & std::byte{0x0F}) | std::byte{0x40};  // as UUIDs of random numbers are marked (RFC 4122)
    wire[8] = (wire[8] & std::byte{0x3F}) | std::byte{0x80};
    return Guid::from_wire(wire);
}

ComProcess* Machine::start_process(std::string name, Pool& from, const Guid& causality, std::string& reason) {
    if (!from.ports.invalid.empty()) {
        reason = "no process gets a port: " + from.ports.invalid;
        return nullptr;
    }
    for (const auto& range : from.ports.ranges) {
        for (unsigned number = range.first; number <= range.last; ++number) {
            const auto port = static_cast<std::uint16_t>(number);
            if (process_at(port) != nullptr) continue;
            if (options_.open_port && !options_.open_port(port)) continue;
            ComProcess process;
            process.number = ++process_numbers_;
            process.name = std::move(name);
            process.port = port;
            process.oxid = identifier(MachineOptions::Numbered::process);
            process.ipid_rem_unknown = ipid(port);
            process.causality = causality;
            processes_.push_back(std::move(process));
            event(MachineEvent::What::process_started, processes_.back());
            return &processes_.back();
        }
    }
    reason = "no port is left in " + text(from.ports.ranges) + " (" + std::to_string(processes_.size()) +
             " processes are running)";
    return nullptr;
}

bool Machine::start_service(const Guid& causality) {
    std::string reason;
    return service(pool(causality), causality, reason) != nullptr;
}

ComProcess* Machine::service(Pool& from, const Guid& causality, std::string& reason) {
    const auto running = std::find_if(processes_.begin(), processes_.end(),
                                      [&](const ComProcess& one) { return one.number == from.service; });
    if (running != processes_.end()) return &*running;
    auto* process = start_process("media service", from, causality, reason);
    if (process == nullptr) return nullptr;
    process->stays = true;
    from.service = process->number;
    return process;
}

Machine::Activation Machine::activate(const Guid& clsid, const std::vector<Guid>& iids, const Guid& causality,
                                      TimePoint now) {
    Activation answer;
    const auto& table = classes();
    const auto known = std::find_if(table.begin(), table.end(), [&](const auto& row) { return row.clsid == clsid; });
    if (known == table.end()) {
        answer.hr = status::REGDB_E_CLASSNOTREG;
        answer.reason = "no such class";
        return answer;
    }
    if (std::none_of(iids.begin(), iids.end(), is_supported)) {
        // No process is started for an object nobody could call.
        answer.results.assign(iids.size(), status::E_NOINTERFACE);
        answer.references.resize(iids.size());
        answer.reason = "the class has no such interface";
        return answer;
    }
    auto* process = known->service
                        ? service(pool(causality), causality, answer.reason)
                        : start_process(std::string{known->process}, pool(causality), causality, answer.reason);
    if (process != nullptr && (process->objects.size() >= objects_max || object_count() >= all_objects_max)) {
        if (process->objects.empty()) end_if_unused(process->port);
        process = nullptr;
        answer.reason = "there are too many objects";
    }
    if (process == nullptr) {
        answer.hr = status::RPC_S_OUT_OF_RESOURCES;
        return answer;
    }
    ComObject object;
    object.oid = identifier(MachineOptions::Numbered::object);
    object.clsid = clsid;
    object.pinged = now;
    for (const auto& iid : iids) {
        if (!is_supported(iid)) {
            answer.results.push_back(status::E_NOINTERFACE);
            answer.references.emplace_back();
            continue;
        }
        ComInterface made{iid, ipid(process->port), references_given};
        answer.results.push_back(0);
        answer.references.push_back(StdObjRef{0, references_given, process->oxid, object.oid, made.ipid});
        object.interfaces.push_back(made);
    }
    process->objects.push_back(std::move(object));
    answer.process = process;
    return answer;
}

ComProcess* Machine::process_at(std::uint16_t port) {
    const auto found =
        std::find_if(processes_.begin(), processes_.end(), [&](const ComProcess& one) { return one.port == port; });
    return found == processes_.end() ? nullptr : &*found;
}

const ComProcess* Machine::process_of(std::uint64_t oxid) const {
    const auto found =
        std::find_if(processes_.begin(), processes_.end(), [&](const ComProcess& one) { return one.oxid == oxid; });
    return found == processes_.end() ? nullptr : &*found;
}

void Machine::end_process(std::size_t index) {
    const auto process = std::move(processes_[index]);
    processes_.erase(processes_.begin() + static_cast<std::ptrdiff_t>(index));
    for (const auto& alias : process.aliases) {
        event(MachineEvent::What::alias_removed, process);
        events_.back().alias = alias;
    }
    event(MachineEvent::What::process_ended, process);
}

void Machine::end_if_unused(std::uint16_t port) {
    const auto found =
        std::find_if(processes_.begin(), processes_.end(), [&](const ComProcess& one) { return one.port == port; });
    if (found != processes_.end() && !found->stays && found->objects.empty())
        end_process(static_cast<std::size_t>(found - processes_.begin()));
}

ComInterface* Machine::find_interface(ComProcess& process, const Guid& wanted, ComObject** owner) {
    for (auto& object : process.objects) {
        for (auto& one : object.interfaces) {
            if (one.ipid != wanted) continue;
            if (owner != nullptr) *owner = &object;
            return &one;
        }
    }
    return nullptr;
}

bool Machine::has_interface(const ComProcess& process, const Guid& wanted, const Guid& iid) const {
    for (const auto& object : process.objects) {
        for (const auto& one : object.interfaces) {
            if (one.ipid == wanted) return one.iid == iid;
        }
    }
    return false;
}

RemQueryInterface::Result Machine::query_interface(ComProcess& process, const Guid& from, const Guid& iid,
                                                   std::uint32_t refs) {
    ComObject* object = nullptr;
    if (find_interface(process, from, &object) == nullptr) return {status::RPC_E_DISCONNECTED, {}};
    if (!is_supported(iid)) return {status::E_NOINTERFACE, {}};
    auto found = std::find_if(object->interfaces.begin(), object->interfaces.end(),
                              [&](const ComInterface& one) { return one.iid == iid; });
    if (found == object->interfaces.end())
        found = object->interfaces.insert(found, ComInterface{iid, ipid(process.port), 0});
    found->references += refs;
    return {0, StdObjRef{0, refs, process.oxid, object->oid, found->ipid}};
}

std::uint32_t Machine::add_references(ComProcess& process, const RemInterfaceRef& reference) {
    auto* one = find_interface(process, reference.ipid);
    if (one == nullptr) return status::CO_E_OBJNOTREG;
    one->references += std::uint64_t{reference.cPublicRefs} + reference.cPrivateRefs;
    return 0;
}

std::uint32_t Machine::release_references(ComProcess& process, const RemInterfaceRef& reference) {
    ComObject* object = nullptr;
    auto* one = find_interface(process, reference.ipid, &object);
    if (one == nullptr) return status::CO_E_OBJNOTREG;
    const auto given_back = std::uint64_t{reference.cPublicRefs} + reference.cPrivateRefs;
    one->references -= std::min(one->references, given_back);
    std::erase_if(object->interfaces, [](const ComInterface& any) { return any.references == 0; });
    std::erase_if(process.objects, [](const ComObject& any) { return any.interfaces.empty(); });
    return 0;
}

std::unordered_map<std::uint64_t, ComObject*> Machine::objects() {
    std::unordered_map<std::uint64_t, ComObject*> all;
    for (auto& process : processes_)
        for (auto& object : process.objects) all.emplace(object.oid, &object);
    return all;
}

std::size_t Machine::object_count() const {
    return std::accumulate(processes_.begin(), processes_.end(), std::size_t{0},
                           [](std::size_t sum, const ComProcess& one) { return sum + one.objects.size(); });
}

std::uint32_t Machine::simple_ping(std::uint64_t setid, TimePoint now) {
    const auto found = ping_sets_.find(setid);
    if (found == ping_sets_.end()) return status::OR_INVALID_SET;
    found->second.pinged = now;
    const auto all = objects();
    std::erase_if(found->second.oids, [&](std::uint64_t oid) { return !all.contains(oid); });
    for (const auto oid : found->second.oids) all.at(oid)->pinged = now;
    return 0;
}

ComplexPing::Out Machine::complex_ping(const ComplexPing::In& ping, TimePoint now) {
    ComplexPing::Out answer;
    auto setid = ping.setid;
    if (setid == 0) {
        if (ping_sets_.size() >= ping_sets_max) {
            answer.status = status::RPC_S_OUT_OF_RESOURCES & 0xFFFF;  // this interface answers with Win32 codes
            return answer;
        }
        do setid = identifier(MachineOptions::Numbered::ping_set);
        while (ping_sets_.contains(setid));
        ping_sets_[setid] = {};
    } else if (!ping_sets_.contains(setid)) {
        answer.setid = setid;
        answer.status = status::OR_INVALID_SET;
        return answer;
    }
    answer.setid = setid;
    auto& set = ping_sets_[setid];
    const auto all = objects();
    for (const auto oid : ping.add) {
        if (!all.contains(oid))
            answer.status = status::OR_INVALID_OID;
        else
            set.oids.insert(oid);
    }
    for (const auto oid : ping.remove) set.oids.erase(oid);
    simple_ping(setid, now);
    return answer;
}

void Machine::expire(TimePoint now) {
    const auto patience = ping_period * missed_pings_max;
    std::erase_if(ping_sets_, [&](const auto& set) { return now - set.second.pinged >= patience; });
    for (std::size_t i = processes_.size(); i-- > 0;) {
        auto& process = processes_[i];
        std::erase_if(process.objects, [&](const ComObject& object) { return now - object.pinged >= patience; });
        if (process.objects.empty() && !process.stays) end_process(i);
    }
}

std::uint32_t Machine::register_alias(ComProcess& process, const RegisterAlias::In& call) {
    if (call.alias.empty() || call.address.empty() || call.port == 0 || process.aliases.size() >= aliases_max)
        return status::E_INVALIDARG;
    process.aliases.insert(call.alias);
    event(MachineEvent::What::alias_registered, process);
    events_.back().causality = call.orpcthis.cid;
    events_.back().alias = call.alias;
    events_.back().encoder = {call.address, call.port};
    return 0;
}

std::uint32_t Machine::unregister_alias(ComProcess& process, const std::string& alias) {
    if (process.aliases.erase(alias) == 0) return status::E_INVALIDARG;
    event(MachineEvent::What::alias_removed, process);
    events_.back().alias = alias;
    return 0;
}

DualStringArray Machine::resolver_bindings() const {
    DualStringArray array;
    for (const auto& address : options_.addresses) array.string_bindings.push_back({protseq::ncacn_ip_tcp, address});
    if (options_.udp) {
        for (const auto& address : options_.addresses)
            array.string_bindings.push_back({protseq::ncadg_ip_udp, address});
    }
    array.security_bindings.push_back({});
    return array;
}

DualStringArray Machine::exporter_bindings(const ComProcess& process) const {
    auto array = resolver_bindings();
    for (auto& binding : array.string_bindings)
        binding.aNetworkAddr = Endpoint{binding.aNetworkAddr, process.port}.text();
    return array;
}

std::vector<ept_lookup::Entry> Machine::endpoint_map() const {
    std::vector<ept_lookup::Entry> entries;
    const auto add = [&](const SyntaxId& interface, std::uint16_t port, const std::string& annotation) {
        for (const auto& address : options_.addresses) {
            const auto number = address_from(address).value_or(0);
            entries.push_back({{}, Tower{interface, syntax::NDR, protseq::ncacn_ip_tcp, port, number}, annotation});
            if (options_.udp)
                entries.push_back({{}, Tower{interface, syntax::NDR, protseq::ncadg_ip_udp, port, number}, annotation});
        }
    };
    for (const auto& process : processes_)
        add(interface::SimWMProcess, process.port,
            "Windows Media: " + process.name + " (simulated process " + std::to_string(process.number) + ")");
    add(interface::IObjectExporter, mapper_port, "");
    add(interface::IActivation, mapper_port, "");
    if (options_.version.minor >= 6) add(interface::IRemoteSCMActivator, mapper_port, "");
    return entries;
}

ept_lookup::Out Machine::lookup(const ept_lookup::In& in) {
    ept_lookup::Out answer;
    answer.max_ents = std::min(in.max_ents, ept_lookup::max_ents_max);
    Lookup work;
    if (in.entry_handle == Guid{}) {
        work.entries = endpoint_map();
        const bool by_interface =
            in.inquiry_type == ept_lookup::Inquiry::by_interface || in.inquiry_type == ept_lookup::Inquiry::both;
        const bool by_object =
            in.inquiry_type == ept_lookup::Inquiry::by_object || in.inquiry_type == ept_lookup::Inquiry::both;
        std::erase_if(work.entries, [&](const ept_lookup::Entry& entry) {
            return (by_interface &&
                    !(in.interface && entry.tower && matches(entry.tower->interface, *in.interface, in.vers_option))) ||
                   (by_object && entry.object != in.object.value_or(Guid{}));
        });
    } else if (const auto found = lookups_.find(in.entry_handle); found != lookups_.end()) {
        work = std::move(found->second);
        lookups_.erase(found);
    }
    const auto count = std::min<std::size_t>(answer.max_ents, work.entries.size() - work.next);
    const auto begin = work.entries.begin() + static_cast<std::ptrdiff_t>(work.next);
    answer.entries.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
    work.next += count;
    if (answer.entries.empty()) {
        answer.status = status::ept_s_not_registered;
        return answer;
    }
    // A full answer keeps its handle even when nothing is left: Samba's rpcclient loops for ever otherwise.
    if (count == answer.max_ents) {
        if (lookups_.size() >= lookups_max) {
            const auto oldest = std::min_element(lookups_.begin(), lookups_.end(), [](const auto& a, const auto& b) {
                return a.second.age < b.second.age;
            });
            lookups_.erase(oldest);
        }
        work.age = ++lookup_numbers_;
        answer.entry_handle = random_guid();
        lookups_[answer.entry_handle] = std::move(work);
    }
    return answer;
}

}  // namespace wmlab::rpc
