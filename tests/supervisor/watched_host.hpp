// SPDX-License-Identifier: Apache-2.0
//
// A HostProcess with a real plugin-host, and what it has brought.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "host/host_driver.hpp"
#include "supervisor/host_process.hpp"

namespace fieldpost::test {

// An instance under a supervisor's loop, and what it has brought.
struct Watched {
  Watched(EventLoop& loop, const std::string& program, const std::string& plugin,
          const InstanceConfig& config, HostProcess::Timing timing = {},
          HostLink::Limits limits = {}, const std::string& socket = "")
      : host(loop, {program, plugin, config, timing, limits, socket},
             {.declared = [this](const Declaration& d) -> Result<> {
                declaration = d;
                return {};
              },
              .samples =
                  [this](message::Samples&& s) {
                    for (const Sample& sample : s.samples) times.push_back(sample.time);
                    for (const Sample& sample : s.samples) {
                      for (const Reading& r : sample.readings) {
                        if (const auto* t = std::get_if<std::string>(&r.value)) text = *t;
                      }
                    }
                    samples += s.samples.size();
                  },
              .unit_state = [this](const message::UnitState& s) { units.push_back(s); },
              .outcome = [this](const message::Outcome& o) { outcomes.push_back(o); },
              .state = [this] { states.push_back(host.status().state); }}) {}
  bool is(HostState state) const { return host.status().state == state; }
  bool was(HostState state) const { return std::ranges::find(states, state) != states.end(); }
  const std::string& reason() const { return host.status().reason; }

  Declaration declaration;
  size_t samples = 0;
  std::vector<BootTime> times;
  std::string text;  // the last one read
  std::vector<message::UnitState> units;
  std::vector<message::Outcome> outcomes;
  std::vector<HostState> states;
  HostProcess host;
};

class HostProcessTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    block_signals({SIGCHLD});
    log::set_level(log::Level::Debug);
  }
  void SetUp() override {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop);
    loop_.emplace(*std::move(loop));
  }

  std::unique_ptr<Watched> run_puppet(const InstanceConfig& config, HostProcess::Timing timing = {},
                                      HostLink::Limits limits = {}) {
    auto watched = std::make_unique<Watched>(*loop_, plugin_host(), plugin_path("puppet"), config,
                                             timing, limits);
    watched->host.start();
    return watched;
  }
  std::unique_ptr<Watched> run_fake(const std::string& kind, HostLink::Limits limits = {}) {
    auto watched = std::make_unique<Watched>(*loop_, build_dir() + "/tests/fake-host",
                                             "/nowhere/" + kind + ".so", puppet("good"),
                                             HostProcess::Timing{}, limits);
    watched->host.start();
    return watched;
  }
  bool until(const std::function<bool()>& condition, nanoseconds patience = 10s) {
    const BootTime deadline = BootClock::now() + patience;
    while (!condition()) {
      if (BootClock::now() > deadline) return false;
      EXPECT_TRUE(loop_->run_once(20ms));
    }
    return true;
  }
  void stop(Watched& w) {
    w.host.stop();
    EXPECT_TRUE(until([&] { return w.is(HostState::Down); }, 3s));
    EXPECT_EQ(w.host.status().pid, -1);
  }

  std::optional<EventLoop> loop_;
};

}  // namespace fieldpost::test
