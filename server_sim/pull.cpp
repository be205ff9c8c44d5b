#include "server_sim/pull.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <set>

#include "common/net/tasks.hpp"

namespace wmlab::server_sim {
namespace {

using evidence::What;
using scenario::FlowType;

constexpr milliseconds first_pause{250};
constexpr milliseconds longest_pause{8000};

FetchStream fetch_for(url::Scheme scheme) {
    if (scheme == url::Scheme::msbd) return fetch_msbd;
    return scheme == url::Scheme::http || scheme == url::Scheme::mmsh ? fetch_http : nullptr;
}

// The URL's scheme of a flow type that pulls; none: of another sort.
std::optional<url::Scheme> scheme_of(FlowType type) {
    if (type == FlowType::msbd) return url::Scheme::msbd;
    if (type == FlowType::http_distribution) return url::Scheme::http;
    return std::nullopt;
}

std::vector<scenario::FlowInstance> pulling_flows(const Server& server) {
    auto flows = server.context.flows_at(server.program, scenario::End::from);
    std::erase_if(flows, [](const auto& flow) {
        const auto scheme = scheme_of(flow.flow->type);
        return !scheme || fetch_for(*scheme) == nullptr;
    });
    return flows;
}

// Whether the source has more than one stream to choose from. Real ends send the same word always.
bool has_choice(const Server& server, const scenario::FlowInstance& flow) {
    const auto all = scenario::instances(*server.context.scenario);
    return std::ranges::any_of(all, [&](const auto& other) {
        return other.flow->type == flow.flow->type && other.to == flow.to && other.flow->content != flow.flow->content;
    });
}

struct PullOption {  // --pull [NAME=]URL
    std::string name;
    url::Url url;
};

std::vector<PullOption> pull_options(const Server& server) {
    std::vector<PullOption> out;
    if (server.scenario_mode() || !server.context.options.contains("pull")) return out;
    for (const auto& text : server.context.options["pull"].as<std::vector<std::string>>()) {
        const auto equals = text.find('=');
        const bool named = equals != std::string::npos && equals < text.find("://");
        auto parsed = url::parse(named ? text.substr(equals + 1) : text);
        if (!parsed) throw process::UsageError{"--pull `" + text + "` " + parsed.error().text};
        if (fetch_for(parsed->scheme) == nullptr)
            throw process::UsageError{
                "--pull wants [NAME=]msbd://HOST[:PORT][/NAME] or [NAME=]http://HOST[:PORT]/NAME, not `" + text + "`"};
        auto name = named ? text.substr(0, equals) : parsed->name();
        if (name.empty()) name = "live";
        out.push_back({std::move(name), std::move(*parsed)});
    }
    return out;
}

class PullService : public Service {
public:
    PullService(Server& server, std::vector<Pull> pulls)
        : server_{server}, pulls_{std::move(pulls)}, tasks_{server.context.io.get_executor()} {}

    void prepare() override {}
    void start() override {
        for (auto& pull : pulls_) {
            // Only now is known where a source that fell back to another port listens.
            const auto given = server_.context.endpoints.find(pull.flow);
            if (!pull.flow.empty() && given != server_.context.endpoints.end()) pull.source = given->second;
            tasks_.spawn(run_pull(server_, std::move(pull)));
        }
        pulls_.clear();
    }
    asio::awaitable<void> stop() override {
        tasks_.cancel();
        co_await tasks_.ended();
    }

private:
    Server& server_;
    std::vector<Pull> pulls_;
    net::Tasks tasks_;
};

}  // namespace

std::optional<std::string> Intake::header(bytes::Bytes asf_header) {
    if (!media_) media_.emplace();
    if (const auto problem = media_->header(asf_header)) return problem;
    interval_ = media_->interval();
    if (pull_.point) pull_.point->begin(*media_->asf_header());
    return std::nullopt;
}

void Intake::packet(std::uint64_t number, std::vector<std::byte> packet) {
    const auto now = std::chrono::steady_clock::now();
    if (!media_) media_.emplace();
    const bool begins = media_->packets() == 0;
    media_->packet(number, packet, now);
    if (begins) write(What::media_started);
    if (begins && first_) resumed(number);
    if (!first_) first_ = now;
    last_ = now;
    last_number_ = number;
    if (pull_.point) pull_.point->relay(std::move(packet));
    if (!pull_.play || now - *first_ < *pull_.play) return;
    if (pull_.keep)
        flow_ended(true, "pulled as long as was asked; goes on for those who are served with it");
    else
        enough_ = true;
}

// How long nothing came, and how much is missing: by the source's numbers where they go on, else by the stream's pace.
void Intake::resumed(std::uint64_t number) {
    const auto gap = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - last_);
    const auto by_pace = interval_.count() > 0 ? static_cast<std::uint64_t>(gap / interval_) : 0;
    const auto by_number = number > last_number_ ? number - last_number_ - 1 : UINT64_MAX;
    const bool counted = by_number <= 2 * by_pace + 20;
    boost::json::object fields;
    fields[field::gap] = gap.count();
    fields[field::lost] = counted ? by_number : by_pace;
    fields[field::estimated] = !counted;
    write(What::media_resumed, std::move(fields));
    spdlog::info("{}: comes again after {} ms, {} packets were lost", pull_.url.text(), gap.count(),
                 counted ? by_number : by_pace);
}

void Intake::silent(milliseconds waited) {
    boost::json::object fields;
    fields[field::waited] = waited.count();
    fields[field::attempt] = 0;
    write(What::media_silent, std::move(fields));
}

void Intake::write(What what, boost::json::object fields) {
    const auto leg = pull_.url.scheme == url::Scheme::msbd ? "msbd" : "http";
    server_.context.write(what, pull_.flow, leg, std::move(fields), local, remote);
}

void Intake::flow_started() {
    if (!pull_.opens) return;
    boost::json::object fields;
    fields[field::type] = pull_.type;
    fields[field::url] = pull_.url.text();
    fields[field::transport] = pull_.url.scheme == url::Scheme::msbd ? "tcp" : "http";
    fields[field::attempt] = 1;
    server_.context.write(What::flow_started, pull_.flow, "", std::move(fields));
}

void Intake::connection_over() {
    if (media_ && media_->packets() > 0) write(What::media_ended, media_->fields());
    media_.reset();
    local.clear();
    remote.clear();
}

void Intake::retry(const std::string& reason) {
    boost::json::object fields;
    fields[field::reason] = reason;
    write(What::retry, std::move(fields));
}

void Intake::flow_ended(bool worked, const std::string& reason, std::uint32_t hr) {
    if (ended_ || !pull_.opens) return;
    ended_ = true;
    boost::json::object fields;
    fields[field::outcome] = worked ? "worked" : "failed";
    fields[field::reason] = reason;
    fields[field::transport] = pull_.url.scheme == url::Scheme::msbd ? "tcp" : "http";
    if (hr != 0) fields[field::hr] = hr;
    server_.context.write(What::flow_ended, pull_.flow, "", std::move(fields));
}

process::Outgoing::Write journal_of(Intake& intake) {
    return [&intake](What what, boost::json::object fields, std::string local, std::string remote) {
        intake.local = std::move(local);
        intake.remote = std::move(remote);
        intake.write(what, std::move(fields));
    };
}

asio::awaitable<void> run_pull(Server& server, Pull pull) {
    Intake intake{server, pull};
    const auto fetch = fetch_for(pull.url.scheme);
    intake.flow_started();
    auto pause = first_pause;
    for (;;) {
        PullEnd end;
        bool stopped = false;
        try {
            end = co_await fetch(server, pull, intake);
        } catch (const boost::system::system_error& error) {
            stopped = error.code() == asio::error::operation_aborted;
            end.reason = stopped ? "stopped before it had ended" : error.what();
        }
        const auto packets = intake.packets();
        intake.connection_over();
        const auto state = co_await asio::this_coro::cancellation_state;
        stopped = stopped || state.cancelled() != asio::cancellation_type::none;
        if (end.over && pull.point && !stopped && !intake.enough()) pull.point->end();
        const bool plain = pull.flow.empty();
        if (stopped || (end.over && !plain) || !pull.again || (!intake.had_media() && !plain)) {
            const bool worked = end.over && intake.had_media();
            if (end.over && !worked) end.reason = "the stream ended without a packet of media";
            intake.flow_ended(worked, end.reason, end.hr);
            co_return;
        }
        if (packets > 0) pause = first_pause;
        spdlog::warn("{}: {}; again in {} ms", pull.url.text(), end.reason, pause.count());
        intake.retry(end.reason);
        asio::steady_timer timer{server.context.io, pause};
        const auto [cancelled] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        if (cancelled) {
            intake.flow_ended(false, end.reason, end.hr);
            co_return;
        }
        pause = std::min(2 * pause, longest_pause);
    }
}

void add_relays(Server& server) {
    const auto add = [&](const std::string& name, const std::string& also = {}) {
        if (server.points.find(name)) return;
        std::vector<std::string> more;
        if (!also.empty()) more.push_back(also);
        server.points.add(std::make_shared<PublishingPoint>(server.context.io.get_executor(), name), std::move(more));
    };
    for (const auto& option : pull_options(server)) add(option.name);
    // A pulled stream has a point of its own, by the flow's name: what the server has by itself depends on no pull.
    const auto* const scenario = server.context.scenario;
    for (const auto& flow : pulling_flows(server))
        if (scenario->content(flow.flow->id) == nullptr) add(flow.flow->id);
    // A stream that an encoder will announce by an alias, unless that is what a content is called.
    for (const auto& flow : server.context.flows_at(server.program, scenario::End::to))
        if (flow.flow->type == FlowType::encoder_alias && !scenario->content(flow.flow->alias))
            add(flow.flow->alias, flow.flow->id);
}

std::unique_ptr<Service> make_pulls(Server& server) {
    std::vector<Pull> pulls;
    for (auto& option : pull_options(server)) {
        Pull pull;
        pull.type = url::text(option.url.scheme);
        pull.source = {option.url.host, option.url.port_or_default()};
        pull.channel = option.url.name();
        pull.point = server.points.find(option.name);
        pull.deadline = std::chrono::seconds{server.context.options["pull-timeout"].as<unsigned>()};
        pull.first_header = pull.deadline;
        pull.again = true;
        pull.url = std::move(option.url);
        pulls.push_back(std::move(pull));
    }
    std::set<std::string> fed;  // of two pulls with one name (count, lists) the first feeds the point, others are measured only
    for (const auto& flow : pulling_flows(server)) {
        const auto& content = flow.flow->content;
        Pull pull;
        pull.flow = flow.id;
        pull.type = scenario::spec(flow.flow->type).name;
        pull.url.scheme = scheme_of(flow.flow->type).value();
        const auto port = flow.flow->type == FlowType::msbd ? flow.flow->msbd_port.port : flow.flow->port;
        pull.source = {flow.to, port};
        pull.url.host = flow.to;
        if (port != url::default_port(pull.url.scheme)) pull.url.port = port;
        pull.url.path = url::encoded_path(content);
        if (has_choice(server, flow)) pull.channel = content;
        if (fed.insert(flow.flow->id).second) pull.point = server.points.find(flow.flow->id);
        if (pull.point && !pull.point->relayed()) pull.point = nullptr;  // a content of that name
        pull.deadline = flow.flow->deadline;
        pull.first_header = flow.flow->deadline;
        pull.play = flow.flow->play;
        const auto& flows = server.context.flows;
        pull.keep = pull.point && std::ranges::any_of(flows, [&](const auto& other) {
                        const bool serves = other.flow->type == FlowType::multicast ? other.from == server.context.host
                                                                                    : other.to == server.context.host;
                        return serves && other.flow->content == flow.flow->id;
                    });
        pull.again = pull.keep;
        pulls.push_back(std::move(pull));
    }
    if (pulls.empty()) return nullptr;
    return std::make_unique<PullService>(server, std::move(pulls));
}

}  // namespace wmlab::server_sim
