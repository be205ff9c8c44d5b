#include "lab/judge/conversation.hpp"

#include <algorithm>

#include "lab/judge/ledger.hpp"

namespace wmlab::lab {

namespace {

class Conversations {
public:
    explicit Conversations(const LegContext& context)
        : context_{context}, accepted_{context.view.at(context.leg.destination, context.leg.name, What::accepted)} {}

    std::vector<Conversation> read() {
        if (context_.source_speaks)
            for (const auto* event : context_.view.at(context_.leg.source, context_.leg.name)) take_of_source(*event);
        match_accepted();
        if (!context_.source_speaks) begin_with_accepted();
        for (const auto* event : context_.view.at(context_.leg.destination, context_.leg.name)) take_of_destination(*event);
        return std::move(found_);
    }

private:
    // --- the opening end

    Conversation* matching(const Event& event) {
        const auto remote = Endpoint::from(event.remote), local = Endpoint::from(event.local);
        for (auto i = found_.rbegin(); i != found_.rend(); ++i) {
            const bool remote_fits = remote.empty() || i->remote.empty() || i->remote == remote;
            const bool local_fits = local.empty() || i->local.empty() || i->local.port == 0 || i->local == local;
            if (remote_fits && local_fits) return &*i;
        }
        return nullptr;
    }

    Conversation& opened(const Event& event) {
        auto* conversation = matching(event);
        if (conversation == nullptr) conversation = &found_.emplace_back();
        if (!event.local.empty()) conversation->local = Endpoint::from(event.local);
        if (!event.remote.empty()) conversation->remote = Endpoint::from(event.remote);
        return *conversation;
    }

    // A second outcome of the same kind belongs to a second connection whose `connecting` is missing.
    Conversation& fresh(const Event& event) {
        const auto* conversation = matching(event);
        if (conversation != nullptr && (conversation->connected != nullptr || conversation->failed != nullptr))
            found_.emplace_back().remote = Endpoint::from(event.remote);
        return opened(event);
    }

    void take_of_source(const Event& event) {
        switch (event.event) {
            case What::connecting: {
                auto& conversation = found_.emplace_back();
                conversation.connecting = &event;
                conversation.remote = Endpoint::from(event.remote);
                conversation.local = Endpoint::from(event.local);
                break;
            }
            case What::connected:
                fresh(event).connected = &event;
                break;
            case What::connect_failed:
                fresh(event).failed = &event;
                break;
            case What::closed:
                if (auto* conversation = matching(event)) conversation->closed = &event;
                break;
            case What::sent:
            case What::probe_sent:
                opened(event).sent.push_back(&event);
                break;
            case What::received:
            case What::probe_answered:
                opened(event).received.push_back(&event);
                break;
            default:
                break;
        }
    }

    // --- the answering end: by the address it sees, else (NAT) in the order of time

    template <class Fits>
    const Event* take_accepted(const Fits& fits) {
        const auto same = std::ranges::find_if(accepted_, fits);
        if (same == accepted_.end()) return nullptr;
        const auto* event = *same;
        accepted_.erase(same);
        return event;
    }

    void match_accepted() {
        std::vector<Conversation*> waiting;
        for (auto& conversation : found_) {
            conversation.accepted =
                take_accepted([&](const Event* event) { return !conversation.local.empty() && Endpoint::from(event->remote) == conversation.local; });
            if (conversation.accepted == nullptr && conversation.connected != nullptr) waiting.push_back(&conversation);
        }
        // A connection from another known address is not ours; one from an unknown address may be ours, translated.
        const bool wires_tell = context_.wire(context_.leg.source).listed() && context_.wire(context_.leg.destination).listed();
        for (auto* conversation : waiting) {
            if (wires_tell) {  // as whom it came: nothing is left to guess
                const auto place = came_to(context_, "tcp", {conversation->local, conversation->remote});
                conversation->accepted = take_accepted([&](const Event* event) { return place && Endpoint::from(event->remote) == place->between.source; });
                continue;
            }
            conversation->accepted = take_accepted([&](const Event* event) { return !context_.names.knows(Endpoint::from(event->remote).address); });
            if (conversation->accepted == nullptr) break;
        }
    }

    void begin_with_accepted() {
        for (const auto* event : accepted_) {
            auto& conversation = found_.emplace_back();
            conversation.accepted = event;
            conversation.local = Endpoint::from(event->remote);
            conversation.remote = Endpoint::from(event->local);
        }
    }

    Conversation* of_destination(const Event& event) {
        Conversation* mine = nullptr;
        const auto number = number_field(event, field::connection);
        const auto remote = Endpoint::from(event.remote);
        for (auto& conversation : found_) {
            const auto* entry = conversation.accepted;
            const bool by_number = number && entry != nullptr && number_field(*entry, field::connection) == number;
            const bool by_address = !remote.empty() && (remote == conversation.local || (entry != nullptr && Endpoint::from(entry->remote) == remote));
            if (by_number || by_address) mine = &conversation;
        }
        if (mine == nullptr && !number && remote.empty() && !found_.empty()) mine = &found_.back();
        // The line `accepted` may be lost; what was received on the only connection is still received.
        if (mine == nullptr && found_.size() == 1 && found_.front().accepted == nullptr) mine = &found_.front();
        return mine;
    }

    void take_of_destination(const Event& event) {
        const bool heard = event.event == What::received || event.event == What::probe_received;
        if (event.event != What::sent && !heard && event.event != What::closed) return;
        auto* mine = of_destination(event);
        if (mine == nullptr) return;
        if (event.event == What::sent) mine->peer_sent.push_back(&event);
        if (heard) mine->peer_received.push_back(&event);
        if (event.event == What::closed) mine->peer_closed = &event;
    }

    const LegContext& context_;
    std::vector<Conversation> found_;
    Events accepted_;  // not yet known whose
};

}  // namespace

std::vector<Conversation> conversations(const LegContext& context) { return Conversations{context}.read(); }

Between ends_of(const LegContext& context, const Conversation& conversation) {
    auto local = conversation.local, remote = conversation.remote;
    if (local.empty()) local = {context.source_address(), 0};
    if (remote.empty()) {
        remote.address = context.destination_address();
        const auto& ports = context.leg.destination_ports;
        if (ports.size() == 1 && ports.front().first == ports.front().last) remote.port = ports.front().first;
    }
    return {local, remote};
}

}  // namespace wmlab::lab
