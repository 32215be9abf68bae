// SPDX-License-Identifier: Apache-2.0
//
// The messages that systemd/fieldpost.catalog explains: what each means, why it comes and what to
// do. An id stands for its meaning and never changes; a test compares the two files. A new one is
// made by `systemd-id128 new`.
#pragma once

#include "base/log.hpp"

namespace fieldpost::message_id {

inline constexpr log::MessageId kLastRunCutOff("c59e48789744408bbf57bbec7653284e");
inline constexpr log::MessageId kLastRunCrashed("04ea31e9cf954e439be6cad72490f5ee");
inline constexpr log::MessageId kBlackBoxUnwritable("7ac16cce395a4d3f9fe1c07e2b3bc638");
inline constexpr log::MessageId kLastGoodConfig("0172e9effc81490f867706348b336a4d");
inline constexpr log::MessageId kConfigRefused("4badaa25359d49cfb5c590da07247958");
inline constexpr log::MessageId kNoUsableConfig("95994a451d65413582ecb09ef4f1e0be");
inline constexpr log::MessageId kPluginRestarts("5325eff4b06e4526bd752fbaaa9a8e8d");
inline constexpr log::MessageId kPluginBackedOff("bca971ae841f4f5592d4f762a59f204d");
inline constexpr log::MessageId kPluginCannotRun("2866b0f5bf964fa89f39a69537ad88ae");
inline constexpr log::MessageId kOutboxUnwritable("3c00f76d977e4cd9bb39a36b45b8e00c");
inline constexpr log::MessageId kOutboxDamaged("c7147c3e10ec4d56befe7800c8d7a8fa");
inline constexpr log::MessageId kDiskFull("3f942b34a2fe4cb78cc0f602c5d48e75");
inline constexpr log::MessageId kReadingsThinned("841898d19ad54fe8aa4f2fd0661c190c");
inline constexpr log::MessageId kReadingsDropped("6be66df7fd974e549d7c87806ea288f9");
inline constexpr log::MessageId kWillNotLast("b153bb2b911f4b4ea38e323deca0e60f");
inline constexpr log::MessageId kClockUnsynchronised("4cb7e58c43f945718a42a276fafa8de2");
inline constexpr log::MessageId kNoConnection("04ba7fadc8814d52a4da1c0bebf054fd");

}  // namespace fieldpost::message_id
