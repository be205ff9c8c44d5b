#include "lab/run/device_log.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <csignal>
#include <fstream>
#include <iterator>

#include "lab/host/error.hpp"

namespace wmlab::lab {
namespace asio = boost::asio;
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;
using boost::system::error_code;

constexpr std::size_t log_size_max = 64U << 20, senders_max = 16;
constexpr auto under_way = 1500ms;                // devices write a little later

}  // namespace

struct DeviceLogSource::State {
    std::shared_ptr<Process> process;
    std::string text, noise;
    bool over = false, cut = false;
    std::optional<asio::ip::udp::socket> datagrams;
    std::optional<asio::ip::tcp::acceptor> acceptor;
    std::array<char, 65536> datagram{};
    struct Sender {
        explicit Sender(asio::ip::tcp::socket from) : socket{std::move(from)} {}
        asio::ip::tcp::socket socket;
        std::array<char, 16384> buffer{};
        std::string line;
    };
    std::vector<std::shared_ptr<Sender>> senders;
    bool closed = false;

    void add(std::string_view line) {
        if (text.size() + line.size() + 1 > log_size_max) {
            cut = true;
            return;
        }
        text += line;
        text += '\n';
    }
    // Lines, each of which may have its size before it (RFC 6587).
    void stream(Sender& sender, std::string_view part) {
        sender.line += part;
        for (auto end = sender.line.find('\n'); end != std::string::npos; end = sender.line.find('\n')) {
            add(std::string_view{sender.line}.substr(0, end));
            sender.line.erase(0, end + 1);
        }
        if (sender.line.size() > sender.buffer.size()) sender.line.clear();
    }
};

std::string log_name(const scenario::DeviceLog& device) {
    if (!device.command.empty()) return fmt::format("{}", fmt::join(device.command, " "));
    if (!device.listen.empty()) return device.listen;
    const auto near = device.file.lexically_proximate(std::filesystem::current_path());
    return near.string().starts_with("..") ? device.file.string() : near.string();
}

std::string read_log_file(const std::filesystem::path& file) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(file, ignored)) return {};
    std::ifstream in{file, std::ios::binary | std::ios::ate};
    if (!in) return {};
    const auto size = static_cast<std::size_t>(std::max<std::streamoff>(in.tellg(), 0));
    if (size > log_size_max) {
        in.seekg(static_cast<std::streamoff>(size - log_size_max));
        std::string half;
        std::getline(in, half);
    } else {
        in.seekg(0);
    }
    return {std::istreambuf_iterator<char>{in}, {}};
}

DeviceLogSource::DeviceLogSource(Lab& lab, const scenario::DeviceLog& device, std::string of)
    : box{std::move(of)}, lab_{lab}, device_{device}, state_{std::make_shared<State>()} {
    if (!device.command.empty()) {
        const auto log_host = box + "-log";  // no host of a scenario: it would be a name, but none that is started
        lab_.launcher.place(log_host, device.command, lab_.setting.machine.get());
        Start start;
        start.host = log_host;
        start.line = [state = state_](std::string_view line) { state->add(line); };
        start.noise = [state = state_](std::string_view part) {
            if (state->noise.size() < 4096) state->noise += part;
        };
        start.ended = [state = state_](const Ending&) { state->over = true; };
        try {
            state_->process = lab_.launcher.start(std::move(start));
            state_->process->close_input();
        } catch (const SetupFailed& failure) {
            state_->over = true;
            notes.push_back(fmt::format("the firewall's log cannot be read: {}", failure.what()));
        }
    } else if (!device.listen.empty()) {
        try {
            listen();
        } catch (const std::exception& failure) {
            notes.push_back(
                fmt::format("the firewall's log cannot be received at {}: {}", device.listen, failure.what()));
        }
    }
}

DeviceLogSource::~DeviceLogSource() {
    error_code ignored;
    state_->closed = true;
    if (state_->datagrams) state_->datagrams->close(ignored);
    if (state_->acceptor) state_->acceptor->close(ignored);
    for (const auto& sender : state_->senders) sender->socket.close(ignored);
    if (!state_->process || state_->over) return;
    state_->process->signal(SIGKILL);
    lab_.wait_regardless([&] { return state_->over; }, steady_clock::now() + kill_limit);
}

void DeviceLogSource::listen() {
    const auto scheme = device_.listen.substr(0, device_.listen.find("://"));
    const auto place = device_.listen.substr(scheme.size() + 3);
    const auto colon = place.rfind(':');
    const auto address = asio::ip::make_address(place.substr(0, colon));
    const auto port = static_cast<std::uint16_t>(std::stoul(place.substr(colon + 1)));
    std::optional<Entered> machine;
    if (lab_.setting.machine) machine.emplace(*lab_.setting.machine);
    if (scheme != "tcp") {
        state_->datagrams.emplace(lab_.io, asio::ip::udp::endpoint{address, port});
        receive();
    }
    if (scheme != "udp") {
        state_->acceptor.emplace(lab_.io, asio::ip::tcp::endpoint{address, port});
        accept();
    }
}

void DeviceLogSource::receive() {
    state_->datagrams->async_receive(asio::buffer(state_->datagram),
                                     [this, state = state_](error_code failure, std::size_t size) {
                                         if (state->closed) return;
                                         if (!failure) {
                                             std::string_view text{state->datagram.data(), size};
                                             while (text.ends_with('\n') || text.ends_with('\0')) text.remove_suffix(1);
                                             std::string line{text};
                                             std::ranges::replace(line, '\n', ' ');
                                             state->add(line);
                                         }
                                         receive();
                                     });
}

void DeviceLogSource::accept() {
    state_->acceptor->async_accept([this, state = state_](error_code failure, asio::ip::tcp::socket socket) {
        if (state->closed) return;
        if (!failure && state->senders.size() < senders_max) {
            const auto sender = std::make_shared<State::Sender>(std::move(socket));
            state->senders.push_back(sender);
            const auto next = std::make_shared<std::function<void()>>();
            *next = [state, sender, again = std::weak_ptr{next}] {
                sender->socket.async_read_some(asio::buffer(sender->buffer),
                                               [state, sender, on = again.lock()](error_code over, std::size_t size) {
                                                   if (over || state->closed) return;
                                                   state->stream(*sender, {sender->buffer.data(), size});
                                                   (*on)();
                                               });
            };
            (*next)();
        }
        accept();
    });
}

std::string DeviceLogSource::finish() {
    lab_.wait([&] { return state_->over; }, steady_clock::now() + under_way);
    if (state_->cut) notes.push_back("the firewall's log is longer than is kept (64 MiB): its end is left out");
    if (!device_.file.empty()) {
        auto text = read_log_file(device_.file);
        if (text.empty())
            notes.push_back(fmt::format("the firewall's log {} is empty or cannot be read", device_.file.string()));
        return text;
    }
    if (state_->text.empty() && !state_->noise.empty())
        notes.push_back(fmt::format("the firewall's log: `{}` says: {}", log_name(device_), state_->noise));
    return state_->text;
}

}  // namespace wmlab::lab
