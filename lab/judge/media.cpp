#include "lab/judge/media.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

namespace wmlab::lab {
namespace {

struct MediaTold {  // all media-ended lines of one end of a flow together
    bool told = false, listed_all = true, readable = true;
    std::uint64_t packets = 0, bytes = 0, duplicates = 0, damaged = 0;
    std::map<std::uint64_t, std::vector<std::uint64_t>> digests;  // location: checksums (a location may come twice)
    std::uint64_t listed = 0;
    std::string sum, header;
    std::optional<double> longest_gap, last_gap, first, last, jitter;
    std::uint64_t gaps = 0;
    unsigned lines = 0;
};

std::uint64_t whole(const Event& event, evidence::Number name) { return whole_field(event, name).value_or(0); }

MediaTold media_told(const FlowView& view, std::string_view host) {
    MediaTold all;
    for (const auto* event : view.at(host)) {
        if (event->event != What::media_ended) continue;
        all.told = true;
        ++all.lines;
        all.packets += whole(*event, field::packets);
        all.bytes += whole(*event, field::bytes);
        all.duplicates += whole(*event, field::duplicates);
        all.damaged += whole(*event, field::damaged);
        all.sum = word_field(*event, field::digest);
        if (const auto header = word_field(*event, field::header_digest); !header.empty()) all.header = header;
        if (const auto gap = number_field(*event, field::longest_gap)) {
            all.longest_gap = std::max(all.longest_gap.value_or(0), *gap);
        }
        if (const auto gap = number_field(*event, field::last_gap)) all.last_gap = *gap;
        if (const auto gaps = whole_field(*event, field::gaps)) all.gaps += *gaps;
        if (const auto jitter = number_field(*event, field::jitter)) all.jitter = std::max(all.jitter.value_or(0), *jitter);
        if (const auto first = number_field(*event, field::first_send); first && !all.first) all.first = first;
        if (const auto last = number_field(*event, field::last_send)) all.last = last;
        const auto* list = list_field(*event, field::digests);
        if (list == nullptr) continue;
        for (const auto& entry : *list) {
            const auto* pair = entry.if_array();
            const auto location = pair != nullptr && pair->size() == 2 ? whole_number((*pair)[0]) : std::nullopt;
            const auto checksum = location ? whole_number((*pair)[1]) : std::nullopt;
            if (!checksum) {
                all.readable = false;
                continue;
            }
            all.digests[*location].push_back(*checksum);
            ++all.listed;
        }
    }
    all.listed_all = all.listed >= all.packets;
    if (!all.readable) all.sum.clear();  // a line that is wrong in one thing proves nothing by another
    return all;
}

// How many of the packets that arrived are as they were sent; the others are written into the account.
std::uint64_t compare_packets(const MediaTold& sent, const MediaTold& received, MediaAccount& account) {
    // A sender that was killed left no account of a connection: what came over that one cannot be compared.
    const bool compares = sent.lines >= received.lines;
    std::uint64_t matching = 0, foreign = 0;
    for (const auto& [location, sums] : received.digests) {
        const auto original = sent.digests.find(location);
        for (const auto sum : sums) {
            if (original == sent.digests.end()) {
                if (sent.listed_all && compares) ++foreign;
            } else if (std::ranges::find(original->second, sum) == original->second.end()) {
                if (compares) ++account.altered;
            } else {
                ++matching;
            }
        }
    }
    // Locations that were never sent are content of somebody else (or a changed LocationId).
    account.altered += foreign;
    return matching;
}

void count_holes(const FlowView& view, std::string_view receiver, const MediaTold& sent, const MediaTold& received, MediaAccount& account) {
    // Loss: holes between the first packet sent and the last received. Without lists, by number.
    const auto unique_received = received.packets > received.duplicates ? received.packets - received.duplicates : 0;
    if (sent.listed_all && received.listed_all && !received.digests.empty()) {
        const auto last = received.digests.rbegin()->first;
        std::uint64_t hole = 0;
        for (const auto& [location, sums] : sent.digests) {
            if (location > last) {
                account.tail += sums.size();
            } else if (!received.digests.contains(location)) {
                account.lost += sums.size();
                hole += sums.size();
                account.longest_hole = std::max(account.longest_hole, hole);
            } else {
                hole = 0;
            }
        }
    } else if (sent.packets > unique_received) {
        account.tail = sent.packets - unique_received;
        const auto* ended = view.last(receiver, What::media_ended);
        if (const auto* list = ended == nullptr ? nullptr : list_field(*ended, field::lost_numbers))
            account.lost = std::min<std::uint64_t>(list->size(), account.tail);
        account.tail -= account.lost;
        account.longest_hole = account.lost;  // how they lie is not told
    }
}

// Packets that were under way when the receiver had enough are not lost. It was still waiting when it had been quiet for several packets' time before the end,
// or when it says so.
void weigh_tail(const MediaTold& sent, const MediaTold& received, bool udp, MediaAccount& account) {
    if (account.tail == 0) return;
    const double span = sent.first && sent.last && *sent.last > *sent.first ? (*sent.last - *sent.first) / 1e6 : 0;
    const double interval = span > 0 && sent.packets > 1 ? span / static_cast<double>(sent.packets - 1) : 0;
    const double patience = std::max(150.0, 3 * interval);
    const bool waited = received.last_gap ? *received.last_gap >= patience
                                          : received.longest_gap.value_or(0) >= patience || static_cast<double>(account.tail) * interval >= 500;
    if (!udp) account.behind = static_cast<double>(account.tail) * interval;
    account.tail_lost = account.silent || (udp && waited && account.tail > 1);
}

}  // namespace

MediaAccount account_media(const FlowView& view, std::string_view sender, std::string_view receiver, bool udp) {
    MediaAccount account;
    const auto sent = media_told(view, sender), received = media_told(view, receiver);
    account.sender_told = sent.told;
    account.receiver_told = received.told;
    account.media.packets_sent = sent.packets;
    account.media.packets_received = received.packets;
    account.media.bytes_received = received.bytes;
    account.media.duplicates = received.duplicates;
    account.media.damaged = received.damaged;
    account.media.longest_gap = received.longest_gap;
    account.media.gaps = received.gaps;
    account.media.jitter = received.jitter;
    const auto* heard = view.last(receiver, What::media_started);
    for (const auto* event : view.at(receiver)) {
        if (event->event == What::media_silent && (heard == nullptr || event->monotonic > heard->monotonic)) {
            account.silent = true;
        }
    }
    if (!sent.told || !received.told) return account;

    const auto matching = compare_packets(sent, received, account);
    account.header_differs = !sent.header.empty() && !received.header.empty() && sent.header != received.header;
    account.modified = account.altered > 0 || account.header_differs || received.damaged > 0;
    const bool equal_sums = sent.packets == received.packets && !sent.sum.empty() && sent.sum == received.sum;
    account.proven = received.packets > 0 && !account.modified && (matching > 0 || equal_sums);
    if (received.packets == 0) {
        account.lost = sent.packets;
        account.tail = sent.packets;
        account.tail_lost = sent.packets > 0;
        account.media.loss = sent.packets > 0 ? 1.0 : 0.0;
        account.media.lost = account.lost;
        return account;
    }

    count_holes(view, receiver, sent, received, account);
    weigh_tail(sent, received, udp, account);
    const auto lost = account.lost + (account.tail_lost ? account.tail : 0);
    const auto counted = sent.packets - (account.tail_lost ? 0 : std::min(account.tail, sent.packets));
    account.lost = account.media.lost = lost;
    account.media.loss = counted > 0 ? std::min(1.0, static_cast<double>(lost) / static_cast<double>(counted)) : 0.0;
    return account;
}

}  // namespace wmlab::lab
