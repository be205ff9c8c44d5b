#include "lab/judge/conversation.hpp"

#include <algorithm>

#include "lab/judge/ledger.hpp"

namespace wmlab::lab {

std::vector<Conversation> conversations(const LegContext& context) {
    std::vector<Conversation> found;
    const auto matching = [&](const Event& event) -> Conversation* {
        const auto remote = Endpoint::from(event.remote), local = Endpoint::from(event.local);
        for (auto i = found.rbegin(); i != found.rend(); ++i) {
            const bool remote_fits = remote.empty() || i->remote.empty() || i->remote == remote;
            const bool local_fits = local.empty() || i->local.empty() || i->local.port == 0 || i->local == local;
            if (remote_fits && local_fits) return &*i;
        }
        return nullptr;
    };
    const auto opened = [&](const Event& event) -> Conversation& {
        auto* conversation = matching(event);
        if (conversation == nullptr) conversation = &found.emplace_back();
        if (!event.local.empty()) conversation->local = Endpoint::from(event.local);
        if (!event.remote.empty()) conversation->remote = Endpoint::from(event.remote);
        return *conversation;
    };
    const auto fresh = [&](const Event& event, const Event* Conversation::*which) -> Conversation& {
        // A second outcome of the same kind belongs to a second connection whose `connecting` is missing.
        auto* conversation = matching(event);
        if (conversation != nullptr && (conversation->connected != nullptr || conversation->failed != nullptr ||
                                        conversation->*which != nullptr)) {
            found.emplace_back().remote = Endpoint::from(event.remote);
        }
        return opened(event);
    };
    if (context.source_speaks) {
        for (const auto* event : context.view.at(context.leg.source, context.leg.name)) {
            switch (event->event) {
                case What::connecting: {
                    auto& conversation = found.emplace_back();
                    conversation.connecting = event;
                    conversation.remote = Endpoint::from(event->remote);
                    conversation.local = Endpoint::from(event->local);
                    break;
                }
                case What::connected:
                    fresh(*event, &Conversation::connected).connected = event;
                    break;
                case What::connect_failed:
                    fresh(*event, &Conversation::failed).failed = event;
                    break;
                case What::closed:
                    if (auto* conversation = matching(*event)) conversation->closed = event;
                    break;
                case What::sent:
                case What::probe_sent:
                    opened(*event).sent.push_back(event);
                    break;
                case What::received:
                case What::probe_answered:
                    opened(*event).received.push_back(event);
                    break;
                default:
                    break;
            }
        }
    }
    // The answering end: by the address it sees, else (NAT) in the order of time.
    std::vector<const Event*> accepted = context.view.at(context.leg.destination, context.leg.name, What::accepted);
    std::vector<Conversation*> waiting;
    for (auto& conversation : found) {
        const auto exact = std::ranges::find_if(accepted, [&](const Event* event) {
            return !conversation.local.empty() && Endpoint::from(event->remote) == conversation.local;
        });
        if (exact != accepted.end()) {
            conversation.accepted = *exact;
            accepted.erase(exact);
        } else if (conversation.connected != nullptr) {
            waiting.push_back(&conversation);
        }
    }
    // A connection from another known address is not ours; one from an unknown address may be ours, translated.
    for (auto* conversation : waiting) {
        if (context.wire(context.leg.source).listed() && context.wire(context.leg.destination).listed()) {
            // The wires tell as whom it came: nothing is left to guess.
            const auto place = came_to(context, "tcp", {conversation->local, conversation->remote});
            const auto same = std::ranges::find_if(accepted, [&](const Event* event) {
                return place && Endpoint::from(event->remote) == place->between.source;
            });
            if (same == accepted.end()) continue;
            conversation->accepted = *same;
            accepted.erase(same);
            continue;
        }
        const auto translated = std::ranges::find_if(
            accepted, [&](const Event* event) { return !context.names.knows(Endpoint::from(event->remote).address); });
        if (translated == accepted.end()) break;
        conversation->accepted = *translated;
        accepted.erase(translated);
    }
    if (!context.source_speaks) {
        for (const auto* event : accepted) {
            auto& conversation = found.emplace_back();
            conversation.accepted = event;
            conversation.local = Endpoint::from(event->remote);
            conversation.remote = Endpoint::from(event->local);
        }
    }
    for (const auto* event : context.view.at(context.leg.destination, context.leg.name)) {
        const bool heard = event->event == What::received || event->event == What::probe_received;
        if (event->event != What::sent && !heard && event->event != What::closed) continue;
        Conversation* mine = nullptr;
        const auto number = number_field(*event, "connection");
        const auto remote = Endpoint::from(event->remote);
        for (auto& conversation : found) {
            const auto* entry = conversation.accepted;
            const bool by_number = number && entry != nullptr && number_field(*entry, "connection") == number;
            const bool by_address = !remote.empty() && (remote == conversation.local ||
                                                        (entry != nullptr && Endpoint::from(entry->remote) == remote));
            if (by_number || by_address) mine = &conversation;
        }
        if (mine == nullptr && !number && remote.empty() && !found.empty()) mine = &found.back();
        // The line `accepted` may be lost; what was received on the only connection is still received.
        if (mine == nullptr && found.size() == 1 && found.front().accepted == nullptr) mine = &found.front();
        if (mine == nullptr) continue;
        if (event->event == What::sent) mine->peer_sent.push_back(event);
        if (heard) mine->peer_received.push_back(event);
        if (event->event == What::closed) mine->peer_closed = event;
    }
    return found;
}

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
