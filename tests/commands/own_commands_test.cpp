// SPDX-License-Identifier: Apache-2.0
#include "commands/own_commands.hpp"

#include <gtest/gtest.h>

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using Status = message::Outcome::Status;

class OwnCommandsTest : public testing::Test {
 protected:
  // The outcome, through the route that the router would find.
  message::Outcome send(const std::string& name, const std::string& plugin = "") {
    std::vector<std::optional<Value>> arguments;
    if (!plugin.empty()) arguments.emplace_back(plugin);
    for (const CommandRoute& route : commands_.routes({"gateway", "id", {}})) {
      if (route.spec.name == name) return commands_.run(route, arguments, now_);
    }
    ADD_FAILURE() << "no route to " << name;
    return {};
  }

  BootTime now_{1h};
  std::vector<std::string> done_;
  Result<> result_;
  OwnCommands commands_{{.report = [this] { return act("report"); },
                         .restart = [this](const std::string& p) { return act("restart " + p); },
                         .reload = [this] { return act("reload"); }}};

 private:
  Result<> act(const std::string& what) {
    done_.push_back(what);
    return result_;
  }
};

TEST_F(OwnCommandsTest, AreOfTheGatewayAndDoWhatTheyAreCalled) {
  for (const CommandRoute& route : commands_.routes({"gateway", "id", {}})) {
    EXPECT_EQ(route.device_id, "id");
    EXPECT_EQ(route.instance, "");
  }
  EXPECT_EQ(send("fp-status").status, Status::Done);
  EXPECT_EQ(send("fp-restart-plugin", "plc").status, Status::Done);
  EXPECT_EQ(send("fp-reload").status, Status::Done);
  EXPECT_EQ(done_, (std::vector<std::string>{"report", "restart plc", "reload"}));
}

TEST_F(OwnCommandsTest, SwitchedOffEachSaysByWhat) {
  CommandsConfig config;
  const std::pair<bool*, const char*> switches[] = {{&config.status, "fp-status"},
                                                    {&config.restart_plugin, "fp-restart-plugin"},
                                                    {&config.reload, "fp-reload"}};
  for (const auto& [on, name] : switches) {
    *on = false;
    commands_.configure(config);
    const auto outcome = send(name, "x");
    EXPECT_EQ(outcome.status, Status::Rejected);
    EXPECT_TRUE(outcome.reason.starts_with("it is switched off: [commands] ")) << outcome.reason;
    EXPECT_TRUE(done_.empty());
    *on = true;
  }
  commands_.configure(config);
  EXPECT_EQ(send("fp-reload").status, Status::Done);
}

TEST_F(OwnCommandsTest, ACommandThatCameTwiceIsDoneOnce) {
  EXPECT_EQ(send("fp-restart-plugin", "plc").status, Status::Done);
  now_ += 2s;
  EXPECT_EQ(send("fp-restart-plugin", "plc").reason, "it was done 2.0 s ago");
  EXPECT_EQ(send("fp-restart-plugin", "cabinet").status, Status::Done);
  now_ += OwnCommands::kGap;
  EXPECT_EQ(send("fp-restart-plugin", "plc").status, Status::Done);
  EXPECT_EQ(done_.size(), 3u);
}

TEST_F(OwnCommandsTest, WhatWasRefusedMayBeTriedAgain) {
  result_ = Error{Errc::NotFound, "there is no plugin 'plx'"};
  EXPECT_EQ(send("fp-restart-plugin", "plx").reason, "there is no plugin 'plx'");
  result_ = {};
  EXPECT_EQ(send("fp-restart-plugin", "plx").status, Status::Done);
}

}  // namespace
}  // namespace fieldpost
