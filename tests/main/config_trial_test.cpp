// SPDX-License-Identifier: Apache-2.0
//
// Which configuration runs while one is on trial: whatever is killed at whichever step, it is the
// earlier one or the applied one, and never the applied one for good without a proof.
#include "main/config_trial.hpp"

#include <gtest/gtest.h>

#include "trial_site.hpp"

namespace fieldpost {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture
using State = ConfigTrial::State;

TEST_F(Trial, IsConfirmedAndThenTheLastGoodOne) {
  site.apply();
  EXPECT_EQ(site.runs(), "new");
  EXPECT_TRUE(site.trial->view().running);
  EXPECT_EQ(site.chosen.trouble, "");
  EXPECT_EQ(site.last_good().at("conf.d/10.toml"), kOld);
  ASSERT_TRUE(site.trial->confirm(site.now));
  EXPECT_EQ(site.last_good(), site.fresh());
  site.now += 1h;
  site.start();
  EXPECT_EQ(site.runs(), "new");
  EXPECT_EQ(state(), State::Confirmed);
}

TEST_F(Trial, IsRolledBackWhenItsTimeIsOver) {
  site.apply();
  site.now += 10min - 1ns;
  site.read();
  EXPECT_EQ(site.runs(), "new");
  site.now += 1ns;
  site.read();
  EXPECT_EQ(site.runs(), "old");
  EXPECT_EQ(state(), State::RolledBack);
  EXPECT_EQ(site.trial->view().reason, "no publish was acknowledged in 10min");
  EXPECT_NE(site.chosen.trouble.find("no publish was acknowledged in 10min"), std::string::npos);
  site.restart_machine();
  EXPECT_EQ(site.runs(), "old") << "also without anybody who puts the files back";
  EXPECT_EQ(state(), State::RolledBack);
  EXPECT_NE(site.chosen.trouble, "");
  site.write("conf.d/10.toml", kNew + "# mended\n");
  site.read();
  EXPECT_EQ(site.runs(), "new") << "what was changed by hand counts";
  EXPECT_EQ(site.chosen.trouble, "");
}

TEST_F(Trial, FilesThatArePutBackEndTheTrouble) {
  site.apply();
  site.trial->give_up();
  site.read();
  EXPECT_EQ(site.runs(), "old");
  EXPECT_EQ(site.trial->view().reason, "by hand");
  site.write_earlier();
  site.read();
  EXPECT_EQ(site.runs(), "old");
  EXPECT_EQ(site.chosen.trouble, "");
  site.apply();
  EXPECT_EQ(site.runs(), "new") << "the same again is another trial";
}

TEST_F(Trial, WhatCannotBeUsedIsRolledBackAtOnce) {
  site.probe.verdicts["sim"] = Error{Errc::Invalid, "no"};
  const std::string broken = kHead + "[commands]\ntimeout = 5\n";
  ConfigFiles fresh = site.earlier();
  fresh["fieldpost.toml"] = broken;
  ASSERT_TRUE(site.trial->begin(fresh, 10min, site.now));
  site.write("fieldpost.toml", broken);
  site.read();
  EXPECT_EQ(site.runs(), "old");
  EXPECT_EQ(state(), State::RolledBack);
  EXPECT_NE(site.trial->view().reason.find("commands.timeout"), std::string::npos);
}

TEST_F(Trial, HalvesDoNotRunAndAreNotTakenUpWhenTheTimeIsOver) {
  ASSERT_TRUE(site.begin());
  site.write("fieldpost.toml", kNewToo);
  for (int i = 0; i < 2; ++i) {
    site.start();
    EXPECT_EQ(site.runs(), "old");
    EXPECT_NE(site.chosen.trouble, "");
    site.now += 11min;
  }
  EXPECT_EQ(state(), State::RolledBack);
  site.read();
  EXPECT_EQ(site.runs(), "old");
}

TEST_F(Trial, AnEditMeanwhileIsNotTakenUpWhenTheTimeIsOverNorWhatComesTooLate) {
  site.apply();
  site.write("conf.d/10.toml", "[uplink]\nwindow_messages = 3\n");
  for (const nanoseconds later : {1min, 10min, 1min}) {
    site.now += later;
    site.read();
    EXPECT_EQ(site.runs(), "old");
  }
  site.write("conf.d/10.toml", kNew);
  site.start();
  EXPECT_EQ(site.runs(), "old");
}

TEST_F(Trial, WhatIsNotedOfTheEarlierFilesIsKeptUntilTheyAreInPlaceAgain) {
  const ConfigTrial::FileNotes notes{{"fieldpost.toml", "one"}, {"conf.d/10.toml", "two"}};
  ASSERT_TRUE(site.trial->begin(site.fresh(), 10min, site.now, notes));
  site.put_in_place();
  EXPECT_EQ(site.trial->view().notes, notes);
  site.now += 10min;
  site.start();
  EXPECT_EQ(site.trial->view().notes, notes);
  ConfigFiles third = site.fresh();
  third["conf.d/10.toml"] += "# third\n";
  ASSERT_TRUE(site.trial->begin(third, 10min, site.now, {{"fieldpost.toml", "other"}}));
  EXPECT_EQ(site.trial->view().notes,
            (ConfigTrial::FileNotes{{"fieldpost.toml", "other"}, {"conf.d/10.toml", "two"}}));
  site.trial->give_up();
  site.start();
  site.write_earlier();
  site.now += 10min;
  site.read();
  site.read();
  EXPECT_EQ(site.trial->view().notes, ConfigTrial::FileNotes());
}

TEST_F(Trial, OneThatNeverCameIsForgotten) {
  ASSERT_TRUE(site.begin());
  site.now += 11min;
  site.start();
  EXPECT_EQ(state(), State::RolledBack);
  EXPECT_EQ(site.runs(), "old");
  EXPECT_EQ(site.chosen.trouble, "");
}

TEST_F(Trial, ASecondOneIsRefusedUnlessItIsTheSame) {
  site.apply();
  const BootTime until = site.trial->view().until;
  site.now += 1min;
  EXPECT_TRUE(site.begin());
  EXPECT_EQ(site.trial->view().until, until);
  const auto other =
      site.trial->begin({{"fieldpost.toml", kOldToo}, {"conf.d/10.toml", kNew}}, 10min, site.now);
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message.find("another configuration is on trial"), std::string::npos);
}

TEST_F(Trial, WhatRunsAlreadyNeedsNone) {
  ASSERT_TRUE(site.trial->begin(site.earlier(), 10min, site.now));
  EXPECT_EQ(state(), State::None);
  site.apply();
  site.trial->give_up();
  site.read();
  ASSERT_TRUE(site.trial->begin(site.earlier(), 10min, site.now)) << "as a way to put them back";
  site.write_earlier();
  site.start();
  EXPECT_EQ(site.runs(), "old");
  EXPECT_EQ(site.chosen.trouble, "");
}

TEST_F(Trial, TheRefusalHoldsUntilTheEarlierFilesAreInPlaceAgain) {
  site.apply();
  site.now += 10min;
  site.read();
  ASSERT_TRUE(site.trial->begin(site.earlier(), 10min, site.now));
  for (const bool half : {false, true}) {  // killed before the files are replaced, and meanwhile
    if (half) site.write("conf.d/10.toml", kOld);
    site.start();
    EXPECT_EQ(site.runs(), "old");
    EXPECT_EQ(site.last_good(), site.earlier());
  }
  site.write_earlier();
  site.read();
  EXPECT_EQ(site.runs(), "old");
  EXPECT_EQ(site.chosen.trouble, "");
}

TEST_F(Trial, OfAProfileAloneIsOneToo) {
  ConfigFiles fresh = site.earlier();
  fresh[kProfile] = kNewProfile;
  ASSERT_TRUE(site.trial->begin(fresh, 10min, site.now));
  ASSERT_EQ(state(), State::Pending);
  site.write(kProfile, kNewProfile);
  site.read();
  EXPECT_TRUE(site.trial->view().running);
  EXPECT_EQ(site.attribute(), "new");
  site.now += 10min;
  for (int i = 0; i < 3; ++i) {
    site.read();
    EXPECT_EQ(site.runs(), "old");
    EXPECT_NE(site.chosen.trouble, "");
    EXPECT_EQ(site.last_good(), site.earlier());
    site.start();
  }
  site.write(kProfile, kOldProfile);
  site.read();
  EXPECT_EQ(site.runs(), "old");
  EXPECT_EQ(site.chosen.trouble, "");
}

TEST_F(Trial, AProfileThatWasRolledBackIsNotKeptWhenTheOtherFilesArePutBack) {
  site.apply();
  site.now += 10min;
  site.read();
  site.write("fieldpost.toml", kOldToo);
  site.write("conf.d/10.toml", kOld);
  for (int i = 0; i < 2; ++i) {
    site.start();
    EXPECT_EQ(site.runs(), "old");
    EXPECT_EQ(site.last_good(), site.earlier());
  }
}

// The site's own goes before an installed one of the same name, and comes with the rest.
TEST_F(Trial, AProfileThatIsNewGoesWithTheRollback) {
  site.paths.profile_dir = site.scratch / "installed";
  site.scratch.write("installed/modbus/meter.toml", kOldProfile);
  std::filesystem::remove(site.scratch / ("etc/" + kProfile));
  site.read();
  ASSERT_EQ(site.runs(), "old");
  site.apply();
  ASSERT_EQ(site.runs(), "new");
  site.now += 10min;
  site.start();
  EXPECT_EQ(site.runs(), "old") << "though the refused one is in place";
  EXPECT_FALSE(site.last_good().contains(kProfile)) << "or it would be put into /etc";
}

TEST_F(Trial, SaysWhichFileIsNotAsApplied) {
  ConfigFiles fresh = site.fresh();
  fresh["profiles/modbus/spare.toml"] = "";
  ASSERT_TRUE(site.trial->begin(fresh, 10min, site.now));
  site.put_in_place();
  EXPECT_NE(site.chosen.trouble.find("profiles/modbus/spare.toml is missing"), std::string::npos)
      << site.chosen.trouble;
  site.scratch.write("etc/profiles/modbus/spare.toml", "other");
  site.read();
  EXPECT_NE(site.chosen.trouble.find("spare.toml is another"), std::string::npos)
      << site.chosen.trouble;
}

TEST_F(Trial, AnEditOfOtherFilesLiftsNoRefusal) {
  site.write("conf.d/05.toml", "[gateway]\nname = \"five\"\n");
  site.read();
  const ConfigFiles earlier = site.last_good();
  ConfigFiles fresh = site.fresh();
  fresh["conf.d/05.toml"] = earlier.at("conf.d/05.toml");
  ASSERT_TRUE(site.trial->begin(fresh, 10min, site.now));
  site.put_in_place();
  ASSERT_EQ(site.runs(), "new");
  site.now += 10min;
  site.read();
  site.write("conf.d/20-other.toml", "[outbox]\nmax_age = \"9d\"\n");  // one that is new
  site.write("conf.d/05.toml", "[gateway]\nname = \"six\"\n");         // and one that both have
  for (int i = 0; i < 2; ++i) {
    site.start();
    EXPECT_EQ(site.runs(), "old");
    EXPECT_NE(site.chosen.trouble, "");
    EXPECT_EQ(site.last_good(), earlier);
    site.write("conf.d/10.toml", kOld);  // half of the way back
  }
  site.write("fieldpost.toml", kOldToo);
  site.write(kProfile, kOldProfile);
  site.start();
  EXPECT_EQ(site.runs(), "old");
  EXPECT_EQ(site.chosen.trouble, "") << "what was refused is gone, the edits are like any other";
  EXPECT_EQ(site.chosen.config->gateway.name, "six");
}

TEST_F(Trial, WithoutTheEarlierFilesTheRefusedOnesRunAndThatIsSaid) {
  site.apply();
  std::filesystem::remove_all(site.paths.last_good_config());
  site.now += 10min;
  for (int i = 0; i < 2; ++i) {
    site.start();
    EXPECT_EQ(site.runs(), "new");
    EXPECT_NE(site.chosen.trouble.find("no publish was acknowledged"), std::string::npos);
    EXPECT_NE(site.chosen.trouble.find("the earlier one cannot be used"), std::string::npos)
        << site.chosen.trouble;
    EXPECT_EQ(site.last_good(), ConfigFiles());
  }
}

TEST_F(Trial, WithoutTheEarlierFilesAMixtureDoesNotRun) {
  ASSERT_TRUE(site.begin());
  std::filesystem::remove_all(site.paths.last_good_config());
  site.write("fieldpost.toml", kNewToo);
  for (int i = 0; i < 3; ++i) {  // the third time, it is rolled back
    site.start();
    EXPECT_EQ(site.runs(), "nothing");
    EXPECT_NE(site.chosen.trouble.find("the earlier one cannot be used"), std::string::npos)
        << site.chosen.trouble;
    site.now += 9min;
  }
}

TEST_F(Trial, TheOutboxKeepsItsLimitsUntilItIsConfirmed) {
  ConfigFiles fresh = site.fresh();
  fresh["conf.d/20-outbox.toml"] = "[outbox]\nmax_age = \"1h\"\nmax_size = \"16MiB\"\n";
  const OutboxConfig before = site.chosen.config->outbox;
  ASSERT_TRUE(site.trial->begin(fresh, 10min, site.now));
  site.write("conf.d/20-outbox.toml", fresh["conf.d/20-outbox.toml"]);
  site.put_in_place();
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(site.runs(), "new");
    EXPECT_EQ(site.chosen.config->outbox, before) << "what it drops no rollback brings back";
    site.start();
  }
  ASSERT_TRUE(site.trial->confirm(site.now));
  EXPECT_EQ(site.last_good(), fresh);
  site.start();
  EXPECT_EQ(site.chosen.config->outbox.max_age, 1h);
}

TEST_F(Trial, TheTimeBeginsAnewInAnotherBootButNotForEver) {
  site.apply();
  site.now += 9min;
  site.start();
  EXPECT_EQ(site.trial->view().until, BootTime(100s + 10min)) << "a kill changes nothing";
  for (int boot = 0; boot < 2; ++boot) {
    site.restart_machine();
    EXPECT_EQ(site.runs(), "new");
    EXPECT_EQ(site.trial->view().until, BootTime(20s + 10min));
  }
  site.restart_machine();
  EXPECT_EQ(site.runs(), "old") << "else one that brings the machine down would never end";
  EXPECT_EQ(site.trial->view().reason, "no publish was acknowledged in 3 boots");
}

TEST_F(Trial, WithoutAWayBackItCountsAsSoonAsItIsInPlace) {
  ASSERT_TRUE(site.begin(std::nullopt));
  site.write("fieldpost.toml", kNewToo);
  site.read();
  EXPECT_EQ(site.runs(), "old");
  site.put_in_place();
  EXPECT_EQ(site.runs(), "new");
  EXPECT_EQ(state(), State::Confirmed);
  EXPECT_EQ(site.last_good(), site.fresh());
}

TEST_F(Trial, WhatIsInPlaceCanBeAcceptedByHand) {
  ASSERT_TRUE(site.begin());
  site.put_in_place();
  site.now += 10min;
  site.read();
  ASSERT_EQ(site.runs(), "old");
  ASSERT_TRUE(site.trial->accept(site.now));
  site.read();
  EXPECT_EQ(site.runs(), "new");
  EXPECT_EQ(site.last_good(), site.fresh());
}

TEST_F(Trial, WhatCouldNotBeNotedIsRefused) {
  site.disk_full = true;
  EXPECT_FALSE(site.begin());
  EXPECT_EQ(state(), State::None);
  site.disk_full = false;
  std::filesystem::remove_all(site.paths.last_good_config());
  const auto begun = site.begin();
  ASSERT_FALSE(begun);
  EXPECT_NE(begun.error().message.find("no way back"), std::string::npos);
}

TEST_F(Trial, AConfirmationThatCannotBeNotedIsTriedAgain) {
  site.apply();
  site.disk_full = true;
  EXPECT_FALSE(site.trial->confirm(site.now));
  EXPECT_TRUE(site.trial->view().running);
  site.disk_full = false;
  EXPECT_TRUE(site.trial->confirm(site.now));
  EXPECT_EQ(state(), State::Confirmed);
  EXPECT_EQ(site.last_good(), site.fresh());
}

TEST_F(Trial, AConfirmationThatCannotBeNotedIsTriedLessAndLessAndIsTheReason) {
  site.apply();
  site.disk_full = true;
  for (const nanoseconds pause : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    EXPECT_FALSE(site.trial->confirm(site.now));
    EXPECT_EQ(site.trial->view().confirm_from, site.now + pause);
    site.now += pause;
  }
  site.now += 10min;
  site.read();
  EXPECT_EQ(site.runs(), "old");
  EXPECT_EQ(site.trial->view().reason,
            "a publish was acknowledged, but that could not be noted: no space left");
  site.disk_full = false;
  ASSERT_TRUE(site.trial->accept(site.now));
  site.read();
  ASSERT_EQ(site.runs(), "new");
}

TEST_F(Trial, WhereNothingIsOnTrialNothingCanBeAccepted) {
  EXPECT_FALSE(site.trial->accept(site.now));
  EXPECT_EQ(state(), State::None);
  site.apply();
  site.trial->give_up();
  site.read();
  site.write("conf.d/10.toml", kNew + "# mended\n");
  site.read();
  EXPECT_FALSE(site.trial->accept(site.now));
  EXPECT_EQ(state(), State::RolledBack);
}

TEST_F(Trial, AFileThatCannotBeUnderstoodCountsAsNone) {
  for (const char* text : {"", "{", "[]", R"({"state":5})", R"({"state":"pending","files":[1]})"}) {
    ASSERT_TRUE(write_file_atomically(site.paths.trial(), text));
    site.start();
    EXPECT_EQ(state(), State::None) << text;
    EXPECT_EQ(site.runs(), "old");
  }
}

}  // namespace
}  // namespace fieldpost
