#include "common/rpc/dcom_client.hpp"

#include <algorithm>
#include <utility>

#include "common/rpc/epm.hpp"
#include "common/rpc/object_exporter.hpp"
#include "common/rpc/wm_station.hpp"

namespace wmlab::rpc {
namespace {

constexpr std::chrono::seconds ping_period{120};

}  // namespace

// --- what the embedder tells us ---

DcomActions DcomClient::start(TimePoint now) {
    now_ = now;
    mapper_ = open({plan_.server, plan_.mapper}, "mapper");
    server_version_ = plan_.version;
    ask_alive();
    return std::exchange(actions_, {});
}

DcomActions DcomClient::connected(unsigned channel, TimePoint now) {
    now_ = now;
    if (const auto found = channels_.find(channel); found != channels_.end()) {
        found->second.connected = true;
        if (call_ && call_channel_ == channel) begin_call();
    }
    return std::exchange(actions_, {});
}

DcomActions DcomClient::received(unsigned channel, Bytes octets, TimePoint now) {
    now_ = now;
    if (const auto found = channels_.find(channel); found != channels_.end()) {
        auto& one = found->second;
        take(channel, one.tcp ? one.tcp->receive(octets) : one.udp->receive(octets, now));
    }
    return std::exchange(actions_, {});
}

DcomActions DcomClient::failed(unsigned channel, const std::string& reason, TimePoint now) {
    now_ = now;
    const auto found = channels_.find(channel);
    if (found == channels_.end()) return {};
    auto& one = found->second;
    if (call_ && call_channel_ == channel && !one.connected) {
        call_.reset();
        const auto then = std::exchange(then_, nullptr);
        (this->*then)({CallOutcome::Kind::broken, {}, {}, 0, reason});
    } else {
        take(channel, one.tcp ? one.tcp->lost(reason) : one.udp->lost(reason));
    }
    return std::exchange(actions_, {});
}

DcomActions DcomClient::release(TimePoint now) {
    now_ = now;
    if (std::exchange(holding_, false) && !call_) release_next();
    return std::exchange(actions_, {});
}

std::optional<TimePoint> DcomClient::deadline() const {
    std::optional<TimePoint> earliest = holding_ ? next_ping_ : std::nullopt;
    for (const auto& [number, channel] : channels_) {
        if (!channel.udp || !channel.udp->deadline()) continue;
        if (!earliest || *channel.udp->deadline() < *earliest) earliest = channel.udp->deadline();
    }
    return earliest;
}

DcomActions DcomClient::expire(TimePoint now) {
    now_ = now;
    std::vector<unsigned> numbers;
    for (const auto& [number, channel] : channels_) {
        if (channel.udp) numbers.push_back(number);
    }
    for (const auto number : numbers) {
        const auto found = channels_.find(number);
        if (found == channels_.end()) continue;
        auto output = found->second.udp->expire(now);
        if (output.outcome) actions_.push_back(DcomGaveUp{number});
        take(number, std::move(output));
    }
    if (holding_ && !call_ && next_ping_ && now >= *next_ping_) ping();
    return std::exchange(actions_, {});
}

// --- channels and calls ---

unsigned DcomClient::open(Endpoint to, std::string leg) {
    const auto number = ++channel_numbers_;
    Channel channel;
    channel.to = to;
    channel.leg = leg;
    if (plan_.udp)
        channel.udp = std::make_unique<DatagramClient>(
            Guid::named("activity " + plan_.causality.text() + " " + to.text() + " " + std::to_string(number)),
            plan_.patience);
    else
        channel.tcp = std::make_unique<ClientConnection>();
    channels_.emplace(number, std::move(channel));
    actions_.push_back(DcomConnect{number, std::move(leg), std::move(to)});
    return number;
}

void DcomClient::close(unsigned channel) {
    if (channels_.erase(channel) != 0) actions_.push_back(DcomClose{channel});
}

void DcomClient::call(unsigned channel, ClientCall call, Then then) {
    call.causality = plan_.causality;
    call_ = std::move(call);
    call_channel_ = channel;
    then_ = then;
    if (channels_.at(channel).connected) begin_call();
}

void DcomClient::begin_call() {
    auto& channel = channels_.at(call_channel_);
    take(call_channel_, channel.tcp ? channel.tcp->call(*call_) : channel.udp->call(*call_, now_));
}

void DcomClient::take(unsigned channel, ClientOutput output) {
    for (auto& octets : output.send) actions_.push_back(DcomSend{channel, std::move(octets)});
    for (auto& note : output.notes) actions_.push_back(DcomNote{channel, std::move(note)});
    if (!output.outcome || !call_ || channel != call_channel_) return;
    call_.reset();
    const auto then = std::exchange(then_, nullptr);
    (this->*then)(*output.outcome);
}

// --- the visit ---

void DcomClient::ask_alive() {
    const auto opnum = server_version_.minor >= 6 ? ServerAlive2::opnum : ServerAlive::opnum;
    call(mapper_, {interface::IObjectExporter, opnum, {}, {}, {}}, &DcomClient::alive);
}

void DcomClient::alive(const CallOutcome& outcome) {
    if (outcome.kind == CallOutcome::Kind::faulted && server_version_.minor >= 6) {
        server_version_.minor = 1;  // MS-DCOM 3.2.4.1.1.1: a server without ServerAlive2 counts as 5.1
        return ask_alive();
    }
    if (outcome.kind != CallOutcome::Kind::answered) return fail("mapper", outcome);
    if (server_version_.minor >= 6) {
        const auto answer = ServerAlive2::Out::parse(outcome.stub, outcome.order);
        if (!answer) return fail("mapper", "ServerAlive2: " + answer.error().text(), status::RPC_S_CALL_FAILED);
        server_version_.minor = std::min(server_version_.minor, answer->version.minor);
    }
    ept_map::In in;
    in.object = Guid{};  // nil, but present: as Windows and impacket send it
    in.map_tower =
        Tower{interface::IObjectExporter, syntax::NDR, plan_.udp ? protseq::ncadg_ip_udp : protseq::ncacn_ip_tcp, 0, 0};
    call(mapper_, {interface::epm, ept_map::opnum, {}, in.serialise(), {}}, &DcomClient::mapped);
}

// Windows does not register its resolver: "not registered" is as good an answer as a tower.
void DcomClient::mapped(const CallOutcome& outcome) {
    if (outcome.kind != CallOutcome::Kind::answered) return fail("mapper", outcome);
    if (const auto answer = ept_map::Out::parse(outcome.stub, outcome.order); !answer)
        return fail("mapper", "ept_map: " + answer.error().text(), status::RPC_S_CALL_FAILED);
    activate();
}

void DcomClient::activate() {
    // The first object is the media service's own; every other one starts a process. An alias has one for itself.
    const auto& clsid = plan_.alias        ? guid::CLSID_SimWMStation
                        : objects_.empty() ? guid::CLSID_SimWMService
                                           : guid::CLSID_SimWMAdministrator;
    const std::uint16_t protseq = plan_.udp ? protseq::ncadg_ip_udp : protseq::ncacn_ip_tcp;
    const OrpcThis orpcthis{server_version_, 0, plan_.causality};
    if (server_version_.minor >= 6) {
        const RemoteCreateInstance::In in{orpcthis, clsid, {interface::ISimWMStation.uuid}, {protseq}};
        return call(mapper_, {interface::IRemoteSCMActivator, RemoteCreateInstance::opnum, {}, in.serialise(), {}},
                    &DcomClient::activated);
    }
    RemoteActivation::In in;
    in.orpcthis = orpcthis;
    in.clsid = clsid;
    in.iids = {interface::ISimWMStation.uuid};
    in.protseqs = {protseq};
    call(mapper_, {interface::IActivation, RemoteActivation::opnum, {}, in.serialise(), {}}, &DcomClient::activated);
}

void DcomClient::activated(const CallOutcome& outcome) {
    if (outcome.kind != CallOutcome::Kind::answered) return fail("mapper", outcome);
    if (server_version_.minor >= 6) {
        const auto answer = RemoteCreateInstance::Out::parse(outcome.stub, outcome.order);
        if (!answer) return fail("mapper", "RemoteCreateInstance: " + answer.error().text(), status::RPC_S_CALL_FAILED);
        if (answer->status != 0 || !answer->activated)
            return activation_failed(answer->status != 0 ? answer->status : status::E_NOINTERFACE);
        const auto& made = *answer->activated;
        if (made.results.empty() || made.results[0] != 0 || made.interfaces.empty())
            return activation_failed(made.results.empty() ? status::E_NOINTERFACE : made.results[0]);
        return take_activation(made.oxid, made.bindings, made.ipid_rem_unknown, made.interfaces[0]);
    }
    const auto answer = RemoteActivation::Out::parse(outcome.stub, outcome.order);
    if (!answer) return fail("mapper", "RemoteActivation: " + answer.error().text(), status::RPC_S_CALL_FAILED);
    if (answer->status != 0 || answer->hr != 0 || answer->results.empty() || answer->results[0] != 0)
        return activation_failed(answer->status != 0       ? answer->status
                                 : answer->hr != 0         ? answer->hr
                                 : answer->results.empty() ? status::E_NOINTERFACE
                                                           : answer->results[0]);
    take_activation(answer->oxid, answer->bindings.value_or(DualStringArray{}), answer->ipid_rem_unknown,
                    answer->interfaces.empty() ? std::nullopt : answer->interfaces[0]);
}

void DcomClient::activation_failed(std::uint32_t hr) {
    const auto process = objects_.size() + 1;
    std::string reason = "activation of process " + std::to_string(process) + " failed: " + status_text(hr);
    if (hr == status::RPC_S_OUT_OF_RESOURCES) reason += " (the server has no port left for another process)";
    fail("mapper", std::move(reason), hr);
}

void DcomClient::take_activation(std::uint64_t oxid, const DualStringArray& bindings, const Guid& ipid_rem_unknown,
                                 const std::optional<ObjRef>& reference) {
    const auto* standard = reference ? std::get_if<ObjRef::Standard>(&reference->body) : nullptr;
    if (standard == nullptr || standard->std.oxid != oxid)
        return fail("mapper", "the activation returned no reference to its object", status::RPC_E_INVALID_OBJREF);
    Object object;
    object.std = standard->std;
    object.ipid_rem_unknown = ipid_rem_unknown;
    const auto wanted = plan_.udp ? protseq::ncadg_ip_udp : protseq::ncacn_ip_tcp;
    for (const auto& binding : bindings.string_bindings) {
        const auto endpoint = binding.endpoint();
        if (binding.wTowerId == wanted && endpoint && endpoint->port != 0) object.bindings.push_back(*endpoint);
    }
    last_bindings_ = text(bindings);
    // The note of the answer says what the reference holds: with a translated path this is the whole explanation.
    for (auto action = actions_.rbegin(); action != actions_.rend(); ++action) {
        auto* note = std::get_if<DcomNote>(&*action);
        if (note == nullptr || note->note.what != Note::What::received) continue;
        note->note.fields.emplace_back("bindings", last_bindings_);
        note->note.fields.emplace_back("dialled", plan_.server);
        break;
    }
    objects_.push_back(std::move(object));
    if (objects_.size() < plan_.processes && !plan_.alias) return activate();
    ping();
}

void DcomClient::ping() {
    if (ping_set_ != 0 && !releasing_)
        return call(mapper_,
                    {interface::IObjectExporter, SimplePing::opnum, {}, SimplePing::In{ping_set_}.serialise(), {}},
                    &DcomClient::pinged);
    ComplexPing::In in;
    in.setid = ping_set_;
    in.sequence = ++ping_sequence_;
    for (const auto& object : objects_) (releasing_ ? in.remove : in.add).push_back(object.std.oid);
    call(mapper_, {interface::IObjectExporter, ComplexPing::opnum, {}, in.serialise(), {}}, &DcomClient::pinged);
}

void DcomClient::pinged(const CallOutcome& outcome) {
    if (releasing_) return end();
    if (outcome.kind != CallOutcome::Kind::answered) return fail("mapper", outcome);
    next_ping_ = now_ + ping_period;
    if (ping_set_ != 0) {
        if (!holding_) release_next();  // release() was called while the ping was out
        return;
    }
    const auto answer = ComplexPing::Out::parse(outcome.stub, outcome.order);
    if (!answer) return fail("mapper", "ComplexPing: " + answer.error().text(), status::RPC_S_CALL_FAILED);
    if (answer->status != 0) return fail("mapper", "ComplexPing: " + status_text(answer->status), answer->status);
    ping_set_ = answer->setid;
    object_ = 0;
    reach_object();
}

// Tries the object's next binding (MS-DCOM 3.2.4.1.2.1): never the address that was dialled, always the one in the
// reference.
void DcomClient::reach_object() {
    auto& object = objects_[object_];
    if (object.tried >= object.bindings.size()) {
        const bool none = object.bindings.empty();
        return object_unreachable(none ? "the reference names no address of this protocol (" + last_bindings_ + ")"
                                       : "");
    }
    object.channel = open(object.bindings[object.tried++], "object");
    const OrpcThis orpcthis{server_version_, 0, plan_.causality};
    ClientCall request{interface::ISimWMStation, QueryState::opnum, object.std.ipid, {}, {}};
    if (plan_.alias) {
        request.opnum = RegisterAlias::opnum;
        request.stub =
            RegisterAlias::In{orpcthis, plan_.alias->alias, plan_.alias->encoder.host, plan_.alias->encoder.port}
                .serialise();
    } else {
        request.stub = QueryState::In{orpcthis}.serialise();
    }
    call(object.channel, std::move(request), &DcomClient::object_called);
}

void DcomClient::object_called(const CallOutcome& outcome) {
    auto& object = objects_[object_];
    if (outcome.kind == CallOutcome::Kind::broken) {
        const auto to = channels_.at(object.channel).to.text();
        close(object.channel);
        if (object.tried < object.bindings.size()) return reach_object();
        return object_unreachable("object call to " + to + ": " + outcome.reason);
    }
    if (outcome.kind != CallOutcome::Kind::answered) return fail("object", outcome);
    const auto answer = OrpcResult::parse(outcome.stub, outcome.order);
    if (!answer) return fail("object", answer.error().text(), status::RPC_S_CALL_FAILED);
    if (answer->status != 0)
        return fail("object", "the object answered " + status_text(answer->status), answer->status);
    if (++object_ < objects_.size()) return reach_object();
    if (!plan_.hold) return release_next();
    holding_ = true;
    actions_.push_back(DcomHolding{});
}

// The host of the reference's bindings, if none of them is the host we dialled.
std::string DcomClient::translation() const {
    if (object_ >= objects_.size() || objects_[object_].bindings.empty()) return {};
    const auto& bindings = objects_[object_].bindings;
    const bool same = std::any_of(bindings.begin(), bindings.end(),
                                  [&](const Endpoint& binding) { return binding.host == plan_.server; });
    return same ? std::string{} : bindings.front().host;
}

void DcomClient::object_unreachable(const std::string& reason) {
    auto explained = reason;
    const auto inner = translation();
    if (!inner.empty())
        explained += "; the object reference carries " + inner + ", the server was dialled as " + plan_.server +
                     ": address translation on the path";
    outcome_ = DcomDone{false, "object", std::move(explained), status::RPC_S_SERVER_UNAVAILABLE, false, inner};
    objects_[object_].held = false;
    give_up_unreached();
    release_next();
}

void DcomClient::give_up_unreached() {
    for (auto& object : objects_) {
        if (object.channel == 0) object.held = false;
    }
}

// Gives back what can be reached; the rest is left to the server's missed pings, as with a real client.
void DcomClient::release_next() {
    const auto next = std::find_if(objects_.begin(), objects_.end(), [](const Object& object) { return object.held; });
    if (next == objects_.end()) {
        if (ping_set_ == 0 || !channels_.contains(mapper_)) return end();
        releasing_ = true;
        return ping();
    }
    object_ = static_cast<std::size_t>(next - objects_.begin());
    if (next->channel == 0) {
        if (next->bindings.empty()) {
            next->held = false;
            return release_next();
        }
        next->channel = open(next->bindings.front(), "object");
    }
    const RemReferences in{{server_version_, 0, plan_.causality}, {{next->std.ipid, next->std.cPublicRefs, 0}}};
    call(next->channel, {interface::IRemUnknown, RemRelease::opnum, next->ipid_rem_unknown, in.serialise(), {}},
         &DcomClient::released);
}

void DcomClient::released(const CallOutcome& outcome) {
    auto& object = objects_[object_];
    object.held = false;
    close(object.channel);
    if (outcome.kind == CallOutcome::Kind::broken) give_up_unreached();
    std::optional<std::uint32_t> hr;
    std::string reason = outcome.reason;
    if (outcome.kind == CallOutcome::Kind::answered) {
        const auto answer = OrpcResult::parse(outcome.stub, outcome.order);
        if (!answer) {
            hr = status::RPC_S_CALL_FAILED;
            reason = answer.error().text();
        } else if (answer->status != 0) {
            hr = answer->status;
            reason = status_text(*hr);
        }
    } else {
        hr = outcome.status != 0 ? outcome.status : status::RPC_S_CALL_FAILED;
    }
    if (hr && !outcome_) outcome_ = DcomDone{false, "object", "RemRelease: " + reason, *hr, false, {}};
    release_next();
}

void DcomClient::fail(std::string leg, const CallOutcome& outcome) {
    auto hr = outcome.status;
    if (hr == 0)
        hr = outcome.kind == CallOutcome::Kind::broken ? status::RPC_S_SERVER_UNAVAILABLE : status::RPC_S_CALL_FAILED;
    const bool lost = outcome.kind == CallOutcome::Kind::broken && leg == "mapper";
    auto reason = outcome.reason;
    if (lost) close(mapper_);
    fail(std::move(leg), std::move(reason), hr);
}

void DcomClient::fail(std::string leg, std::string reason, std::uint32_t hr) {
    if (!outcome_)
        outcome_ = DcomDone{false, std::move(leg), std::move(reason), hr, hr == status::RPC_S_OUT_OF_RESOURCES, {}};
    holding_ = false;
    // Objects that were activated but not called yet are given back too.
    release_next();
}

void DcomClient::end() {
    while (!channels_.empty()) close(channels_.begin()->first);
    done_ = true;
    actions_.push_back(outcome_.value_or(DcomDone{true, {}, {}, 0, false, {}}));
}

}  // namespace wmlab::rpc
