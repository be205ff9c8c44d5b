// The pause in the midst of a stream that a flow's `idle` asks for: where it stands.
#pragma once
#include <chrono>
#include <optional>

namespace wmlab::client_sim {

class Pause {
public:
    using Time = std::chrono::steady_clock::time_point;

    explicit Pause(std::chrono::milliseconds lasts) : lasts_{lasts} {}

    // Media has come for long enough. True, once: the stream is to be stopped for a while, not for good.
    bool begin() {
        if (stage_ != Stage::before || lasts_.count() <= 0) return false;
        stage_ = Stage::stopping;
        return true;
    }
    // The server has stopped. False: not for the pause.
    bool stopped(Time now) {
        if (stage_ != Stage::stopping) return false;
        stage_ = Stage::silent;
        ends_ = now + lasts_;
        return true;
    }
    std::optional<Time> ends() const { return stage_ == Stage::silent ? std::optional{ends_} : std::nullopt; }
    bool end(Time now) {  // true, once: the stream is to go on
        if (stage_ != Stage::silent || now < ends_) return false;
        stage_ = Stage::over;
        return true;
    }
    bool lasts() const { return stage_ == Stage::stopping || stage_ == Stage::silent; }
    std::chrono::milliseconds length() const { return lasts_; }

private:
    enum class Stage { before, stopping, silent, over } stage_ = Stage::before;
    std::chrono::milliseconds lasts_;
    Time ends_{};
};

}  // namespace wmlab::client_sim
