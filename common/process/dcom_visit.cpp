#include "common/process/dcom_visit.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "common/evidence/fields.hpp"
#include "common/net/bind.hpp"
#include "common/net/within.hpp"

namespace wmlab::process {

using evidence::What;
using net::milliseconds;
using Clock = std::chrono::steady_clock;

What what_of(const rpc::Note& note) {
    switch (note.what) {
        case rpc::Note::What::received:
            return What::received;
        case rpc::Note::What::sent:
            return What::sent;
        case rpc::Note::What::malformed:
            break;
    }
    return What::malformed;
}

boost::json::object note_fields(const rpc::Note& note) {
    boost::json::object fields;
    fields[field::message] = note.message;
    if (!note.pdu.empty() && note.pdu != note.message) fields[field::pdu] = note.pdu;
    fields[field::bytes] = note.bytes;
    if (note.hr) fields[field::hr] = *note.hr;
    if (note.problem) {
        fields[field::unreadable] = note.problem->field;
        fields[field::offset] = note.problem->offset;
        fields[field::problem] = note.problem->problem;
        fields[field::head] = note.head;
    }
    for (const auto& [name, value] : note.fields) {
        auto& field = fields[name];
        if (field.is_null())
            field = value;
        else
            field = std::string{field.as_string()} + "; " + value;  // several contexts of one bind
    }
    return fields;
}

struct DcomVisit::Channel {
    std::string leg;
    std::string local, remote;
    std::optional<net::tcp::socket> tcp;
    std::chrono::nanoseconds round_trip{0};
    std::unique_ptr<net::DatagramSocket> udp;
    net::udp::endpoint peer;
    std::optional<net::Failure> icmp;
    Clock::time_point asked;
    std::uint16_t port = 0;
    bool answered = false;
};

DcomVisit::DcomVisit(Context& context, std::string flow, rpc::DcomPlan plan, milliseconds deadline)
    : context_{context}, flow_{std::move(flow)}, client_{plan}, udp_{plan.udp}, deadline_{deadline} {}

DcomVisit::~DcomVisit() = default;

void DcomVisit::write(What what, const Channel& channel, boost::json::object fields) {
    context_.write(what, flow_, channel.leg, std::move(fields), channel.local, channel.remote);
}

asio::awaitable<void> DcomVisit::run() {
    queue_ = client_.start(Clock::now());
    co_await drive();
}

asio::awaitable<void> DcomVisit::hold(asio::steady_timer& until) {
    while (holding_) {
        const auto next = std::min(until.expiry(), client_.deadline().value_or(until.expiry()));
        const auto left = std::max(milliseconds{0}, std::chrono::ceil<milliseconds>(next - Clock::now()));
        try {
            boost::system::error_code cancelled;
            auto step = until.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
            co_await net::within(left, std::move(step));
            break;
        } catch (const net::StepTimedOut&) {
        }
        if (Clock::now() >= until.expiry()) break;
        queue_ = client_.expire(Clock::now());
        co_await drive();
    }
    if (!std::exchange(holding_, false)) co_return;
    queue_ = client_.release(Clock::now());
    co_await drive();
}

asio::awaitable<void> DcomVisit::drive() {
    for (;;) {
        auto actions = std::exchange(queue_, {});
        co_await perform(std::move(actions));
        if (client_.done() || !queue_.empty() || !client_.waiting()) {
            if (queue_.empty()) co_return;
            continue;
        }
        auto more = co_await wait();
        queue_.insert(queue_.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    }
}

asio::awaitable<void> DcomVisit::perform(rpc::DcomActions actions) {
    for (auto& action : actions) {
        rpc::DcomActions more;
        if (auto* connecting = std::get_if<rpc::DcomConnect>(&action)) {
            auto moved = std::move(*connecting);
            more = co_await connect(std::move(moved));
        } else if (auto* sending = std::get_if<rpc::DcomSend>(&action)) {
            auto moved = std::move(*sending);
            more = co_await send(std::move(moved));
        } else if (const auto* closing = std::get_if<rpc::DcomClose>(&action)) {
            close(closing->channel);
        } else if (const auto* told = std::get_if<rpc::DcomNote>(&action)) {
            if (const auto found = channels_.find(told->channel); found != channels_.end()) {
                auto& channel = *found->second;
                const auto& note = told->note;
                if (note.what == rpc::Note::What::received && note.pdu == "response" && channel.leg == "object" &&
                    !std::exchange(channel.answered, true))
                    ports_.push_back(channel.port);
                if (const auto again =
                        std::ranges::find_if(note.fields, [](const auto& field) { return field.first == "attempt"; });
                    again != note.fields.end()) {
                    boost::json::object fields;
                    fields[field::reason] = "no answer yet: request " + again->second + " of " + note.message;
                    write(What::retry, channel, std::move(fields));
                }
                write(what_of(note), channel, note_fields(note));
            }
        } else if (std::holds_alternative<rpc::DcomHolding>(action)) {
            holding_ = true;
        } else if (const auto* done = std::get_if<rpc::DcomDone>(&action)) {
            done_ = *done;
            holding_ = false;
        }
        queue_.insert(queue_.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    }
}

asio::awaitable<rpc::DcomActions> DcomVisit::connect(rpc::DcomConnect action) {
    auto channel = std::make_unique<Channel>();
    channel->leg = action.leg;
    channel->port = action.to.port;
    channel->remote = action.to.host + ":" + std::to_string(action.to.port);
    const auto address = co_await context_.resolve(action.to.host);
    if (!address) co_return client_.failed(action.channel, address.error(), Clock::now());
    const auto number = action.channel;
    boost::json::object fields;
    fields[field::protocol] = udp_ ? "udp" : "tcp";
    if (udp_) {
        channel->peer = {*address, action.to.port};
        channel->remote = net::text(channel->peer);
        auto bound = net::bind_udp(context_.io.get_executor(), {context_.own_address(), 0});
        if (!bound) co_return client_.failed(number, bound.error().text(), Clock::now());
        channel->udp = std::make_unique<net::DatagramSocket>(std::move(*bound));
        channel->local = net::text(channel->udp->local());
        channel->udp->on_icmp = [channel = channel.get()](const net::QueuedError& error) {
            if (error.about != channel->peer) return;
            channel->icmp = net::Failure::of({error.error, boost::system::system_category()}, milliseconds{0});
            channel->icmp->icmp = error.icmp;
        };
        write(What::connecting, *channel, std::move(fields));
        channels_[number] = std::move(channel);
        co_return client_.connected(number, Clock::now());
    }
    const net::tcp::endpoint to{*address, action.to.port};
    channel->remote = net::text(to);
    write(What::connecting, *channel, fields);
    std::optional<net::tcp::endpoint> from;
    if (!context_.own_address().is_unspecified()) from = net::tcp::endpoint{context_.own_address(), 0};
    auto connected = co_await net::connect(to, deadline_, from);
    if (!connected) {
        fields[field::failure] = net::to_json(connected.error());
        channel->local = connected.error().local;
        write(What::connect_failed, *channel, std::move(fields));
        const auto why = connected.error().text();
        co_return client_.failed(number, why, Clock::now());
    }
    boost::system::error_code gone;
    channel->local = net::text(connected->socket.local_endpoint(gone));
    channel->round_trip = connected->round_trip;
    channel->tcp.emplace(std::move(connected->socket));
    fields[field::milliseconds] = std::chrono::duration<double, std::milli>(channel->round_trip).count();
    write(What::connected, *channel, std::move(fields));
    channels_[number] = std::move(channel);
    co_return client_.connected(number, Clock::now());
}

asio::awaitable<rpc::DcomActions> DcomVisit::send(rpc::DcomSend action) {
    const auto found = channels_.find(action.channel);
    if (found == channels_.end()) co_return rpc::DcomActions{};
    auto& channel = *found->second;
    last_ = action.channel;
    channel.asked = Clock::now();
    if (channel.udp) {
        channel.udp->send_to(channel.peer, action.octets);
        co_return rpc::DcomActions{};
    }
    std::optional<net::Failure> failure;
    try {
        auto step = asio::async_write(*channel.tcp, asio::buffer(action.octets), asio::use_awaitable);
        co_await net::within(net::patient(deadline_, channel.round_trip), std::move(step));
    } catch (const net::StepTimedOut& timeout) {
        failure = net::Failure::timed_out(timeout.limit);
    } catch (const boost::system::system_error& error) {
        if (error.code() == asio::error::operation_aborted) throw;
        failure = net::Failure::of(error.code(), milliseconds{0});
    }
    if (!failure) co_return rpc::DcomActions{};
    co_return broke(action.channel, channel, *failure);
}

asio::awaitable<rpc::DcomActions> DcomVisit::wait() {
    const auto found = channels_.find(last_);
    if (found == channels_.end()) throw std::logic_error{"a DCOM visit that waits for nothing"};
    auto& channel = *found->second;
    if (channel.udp) return wait_udp(last_, channel);
    return wait_tcp(last_, channel);
}

asio::awaitable<rpc::DcomActions> DcomVisit::wait_tcp(unsigned number, Channel& channel) {
    std::vector<std::byte> buffer(16384);
    std::optional<net::Failure> failure;
    std::size_t size = 0;
    try {
        auto step = channel.tcp->async_read_some(asio::buffer(buffer), asio::use_awaitable);
        size = co_await net::within(net::patient(deadline_, channel.round_trip), std::move(step));
    } catch (const net::StepTimedOut& timeout) {
        failure = net::Failure::timed_out(timeout.limit);
    } catch (const boost::system::system_error& error) {
        if (error.code() == asio::error::operation_aborted) throw;
        const auto waited = std::chrono::duration_cast<milliseconds>(Clock::now() - channel.asked);
        failure = net::Failure::of(error.code(), waited);
    }
    if (failure) co_return broke(number, channel, *failure);
    buffer.resize(size);
    co_return client_.received(number, buffer, Clock::now());
}

asio::awaitable<rpc::DcomActions> DcomVisit::wait_udp(unsigned number, Channel& channel) {
    channel.udp->drain_errors();
    if (!channel.icmp) {
        if (const auto datagram = channel.udp->try_receive()) {
            if (datagram->from != channel.peer) co_return rpc::DcomActions{};  // an answer comes from whom we asked
            co_return client_.received(number, datagram->bytes, Clock::now());
        }
        channel.udp->drain_errors();
    }
    if (channel.icmp) {
        auto failure = *std::exchange(channel.icmp, std::nullopt);
        failure.waited = std::chrono::duration_cast<milliseconds>(Clock::now() - channel.asked);
        co_return broke(number, channel, failure);
    }
    const auto deadline = client_.deadline().value_or(Clock::now() + deadline_);
    const auto left = std::max(milliseconds{1}, std::chrono::ceil<milliseconds>(deadline - Clock::now()));
    bool silent = false;
    try {
        auto step = channel.udp->socket().async_wait(net::udp::socket::wait_read, asio::use_awaitable);
        co_await net::within(left, std::move(step));
    } catch (const net::StepTimedOut&) {
        silent = true;
    }
    if (!silent || Clock::now() < deadline) co_return rpc::DcomActions{};
    auto actions = client_.expire(Clock::now());
    if (std::ranges::any_of(actions, [](const auto& one) { return std::holds_alternative<rpc::DcomGaveUp>(one); })) {
        boost::json::object fields;
        fields[field::protocol] = "udp";
        fields[field::failure] = net::to_json(net::Failure::timed_out(deadline_));
        write(What::connect_failed, channel, std::move(fields));
    }
    co_return actions;
}

// TCP: the connection ended before the visit did. UDP: an ICMP message came.
rpc::DcomActions DcomVisit::broke(unsigned number, Channel& channel, const net::Failure& failure) {
    boost::json::object fields;
    fields[field::protocol] = udp_ ? "udp" : "tcp";
    fields[field::failure] = net::to_json(failure);
    if (channel.udp) {
        write(What::connect_failed, channel, std::move(fields));
    } else {
        const bool peer = failure.error == net::end_of_stream;
        fields[field::by] = failure.kind == net::Failure::Kind::timeout ? "self" : peer ? "peer" : "error";
        if (peer) fields.erase("failure");
        fields[field::reason] = peer ? "the server closed the connection" : "no answer: " + failure.text();
        write(What::closed, channel, std::move(fields));
        boost::system::error_code ignored;
        channel.tcp->close(ignored);
    }
    return client_.failed(number, failure.text(), Clock::now());
}

void DcomVisit::close(unsigned number) {
    const auto found = channels_.find(number);
    if (found == channels_.end()) return;
    auto& channel = *found->second;
    if (channel.tcp && channel.tcp->is_open()) {
        boost::json::object fields;
        fields[field::by] = "self";
        fields[field::reason] = "done";
        write(What::closed, channel, std::move(fields));
    }
    channels_.erase(found);
}

std::string DcomVisit::summary() const {
    std::string out = std::to_string(ports_.size()) + (ports_.size() == 1 ? " process" : " processes") +
                      " answered on " + (ports_.size() == 1 ? "port " : "ports ");
    constexpr std::size_t named_max = 20;
    for (std::size_t i = 0; i < std::min(ports_.size(), named_max); ++i)
        out += (i > 0 ? ", " : "") + std::to_string(ports_[i]);
    if (ports_.size() > named_max) out += " and more";
    return out;
}

rpc::DatagramPatience patience_within(milliseconds deadline) {
    const auto first = std::max(milliseconds{50}, deadline / 7);  // 1 + 2 + 4 sevenths
    return {first, 4 * first, 3};
}

}  // namespace wmlab::process
